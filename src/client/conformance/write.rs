//! Writes.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::world::{World, names, reason, said, value};
use crate::api::{Object, Resource, Revision};
use crate::client::{
    ClientExt, DeleteOptions, Error, FieldValidation, ListOptions, Patch, PatchType, Payload, Preconditions,
    Target, WriteOptions,
};

pub(super) async fn what_is_made_is_there(world: World) {
    let made = world.make("a", "1").await;
    assert_eq!((made.namespace(), made.name(), value(&made).as_str()), (Some(&*world.namespace), "a", "1"));
    assert!(!made.uid().is_empty() && made.revision() > Revision::NONE);
    assert_eq!((made.resource().kind.as_ref(), made.resource().plural.as_ref()), ("ConfigMap", "configmaps"));
    assert_eq!(world.get("a").await.unwrap(), made);
}

pub(super) async fn a_name_is_taken_once(world: World) {
    let made = world.make("a", "1").await;
    let again = world.create(World::tree("a", "2")).await.unwrap_err();
    assert!(matches!(&again, Error::AlreadyExists(status) if status.code == 409), "{again}");
    assert_eq!(world.get("a").await.unwrap(), made);
}

pub(super) async fn a_name_is_generated(world: World) {
    let tree = json!({"metadata": {"generateName": "made-"}});
    let one = world.create(tree.clone()).await.unwrap();
    let other = world.create(tree).await.unwrap();
    assert!(one.name().strip_prefix("made-").is_some_and(|suffix| suffix.len() == 5), "{}", one.name());
    assert_ne!(one.name(), other.name());
}

pub(super) async fn what_is_not_there_is_not_found(world: World) {
    let none = || reason(404, "NotFound");
    assert_eq!(said(world.get("none").await), none());
    assert_eq!(said(world.update("none", World::tree("none", "1")).await), none());
    assert_eq!(said(world.patch("none", PatchType::Merge, json!({})).await), none());
    assert_eq!(said(world.delete("none").await), none());
    assert!(matches!(world.get("none").await, Err(Error::NotFound(_))));
}

pub(super) async fn an_update_is_from_a_revision(world: World) {
    let first = world.make("a", "1").await;
    let mut tree = (*first.tree()).clone();
    tree["data"]["value"] = "2".into();
    let second = world.update("a", tree.clone()).await.unwrap();
    assert_eq!(value(&second), "2");
    assert!(second.revision() > first.revision());
    tree["data"]["value"] = "3".into();
    let stale = world.update("a", tree).await.unwrap_err();
    assert!(matches!(stale, Error::Conflict(_)), "{stale}");
    let write = WriteOptions::default();
    let stale = world.client.update(world.map("a"), Payload::Object(first), write).await.unwrap_err();
    assert!(matches!(stale, Error::Conflict(_)), "an object brings its revision: {stale}");
    assert_eq!(world.get("a").await.unwrap(), second);
}

pub(super) async fn a_patch_changes_what_it_says(world: World) {
    let mut tree = World::tree("a", "1");
    tree["data"]["kept"] = "k".into();
    world.create(tree).await.unwrap();
    for (kind, body, expected) in [
        (PatchType::Merge, json!({"data": {"value": "2"}}), "2"),
        (PatchType::StrategicMerge, json!({"data": {"value": "3"}}), "3"),
        (PatchType::Json, json!([{"op": "replace", "path": "/data/value", "value": "4"}]), "4"),
    ] {
        let patched = world.patch("a", kind, body).await.unwrap();
        assert_eq!((value(&patched).as_str(), &patched.tree()["data"]["kept"]), (expected, &json!("k")));
    }
    let body = json!({"metadata": {"resourceVersion": "1"}, "data": {"value": "5"}});
    let stale = world.patch("a", PatchType::Merge, body).await.unwrap_err();
    assert!(matches!(stale, Error::Conflict(_)), "a revision in a patch counts: {stale}");
    let wrong = json!([{"op": "test", "path": "/data/value", "value": "9"}]);
    assert_eq!(said(world.patch("a", PatchType::Json, wrong).await).0, 422);
    assert_eq!(value(&world.get("a").await.unwrap()), "4");
}

pub(super) async fn what_is_invalid_is_told(world: World) {
    let error = world.create(World::tree("Not A Name", "1")).await.unwrap_err();
    let Error::Invalid(status) = &error else { panic!("{error}") };
    let causes = status.details.as_ref().map(|details| &details.causes[..]).unwrap_or_default();
    assert!(causes.iter().any(|cause| cause.field == "metadata.name"), "{status:?}");
}

pub(super) async fn unknown_fields_are_refused_where_asked(world: World) {
    let mut tree = World::tree("a", "1");
    tree["unheard"] = json!({"of": true});
    let strict = WriteOptions { field_validation: Some(FieldValidation::Strict), ..WriteOptions::default() };
    let refused = world.create_with(tree.clone(), strict).await.unwrap_err();
    assert!(refused.to_string().contains("unknown field \"unheard\""), "{refused}");
    let ignore = WriteOptions { field_validation: Some(FieldValidation::Ignore), ..WriteOptions::default() };
    let made = world.create_with(tree, ignore).await.unwrap();
    assert_eq!(made.tree().get("unheard"), None);
}

pub(super) async fn a_dry_run_changes_nothing(world: World) {
    let dry = || WriteOptions { dry_run: true, ..WriteOptions::default() };
    let made = world.create_with(World::tree("a", "1"), dry()).await.unwrap();
    assert_eq!(value(&made), "1");
    assert_eq!(said(world.get("a").await), reason(404, "NotFound"));
    let real = world.make("a", "1").await;
    let patch = Patch {
        kind: PatchType::Merge,
        body: json!({"data": {"value": "2"}}).to_string().into(),
        force: false,
    };
    let patched = world.client.patch(world.map("a"), patch, dry()).await.unwrap();
    assert_eq!(value(&patched), "2");
    let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    world.client.delete(world.map("a"), options).await.unwrap();
    assert_eq!(world.get("a").await.unwrap(), real);
}

pub(super) async fn a_deletion_says_whether_it_is_over(world: World) {
    world.make("a", "1").await;
    assert_eq!(world.delete("a").await.unwrap(), None);
    let mut held = World::tree("b", "1");
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    let made = world.create(held).await.unwrap();
    let waiting = world.delete("b").await.unwrap().expect("a finalizer holds it");
    assert!(waiting.is_deleting() && waiting.uid() == made.uid());
    world.patch("b", PatchType::Merge, json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(said(world.get("b").await), reason(404, "NotFound"));
}

pub(super) async fn a_deletion_may_insist(world: World) {
    let made = world.make("a", "1").await;
    let insisting = |uid: Option<&str>, resource_version| DeleteOptions {
        preconditions: Preconditions { uid: uid.map(str::to_owned), resource_version },
        ..DeleteOptions::default()
    };
    for wrong in [insisting(Some("other"), None), insisting(None, Some(Revision(1)))] {
        let kept = world.client.delete(world.map("a"), wrong).await.unwrap_err();
        assert!(matches!(kept, Error::Conflict(_)), "{kept}");
    }
    let right = insisting(Some(made.uid()), Some(made.revision()));
    assert_eq!(world.client.delete(world.map("a"), right).await.unwrap(), None);
}

pub(super) async fn a_deletion_needs_a_name(world: World) {
    let made = world.make("a", "1").await;
    for target in [world.maps(), world.map("")] {
        let refused = world.client.delete(target, DeleteOptions::default()).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(world.get("a").await.unwrap(), made);
}

pub(super) async fn a_collection_has_no_name(world: World) {
    world.make("a", "1").await;
    world.make("b", "1").await;
    let (list, options) = (ListOptions::default(), DeleteOptions::default());
    let refused = world.client.delete_collection(world.map("a"), list, options).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(names(&world.list(|_| {}).await), ["a", "b"]);
}

pub(super) async fn many_are_deleted_at_once(world: World) {
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        world.make_labelled(name, label).await;
    }
    let labels = "of=x".parse().unwrap();
    let selected = ListOptions { labels, ..ListOptions::default() };
    let gone =
        world.client.delete_collection(world.maps(), selected, DeleteOptions::default()).await.unwrap();
    assert_eq!(names(&gone), ["a", "c"]);
    assert_eq!(names(&world.list(|_| {}).await), ["b"]);
}

pub(super) async fn one_of_many_wins(world: World) {
    let first = (*world.make("a", "0").await.tree()).clone();
    let attempts = (1..=8).map(|number| {
        let (world, mut tree) = (world.clone(), first.clone());
        tree["data"]["value"] = number.to_string().into();
        async move { world.update("a", tree).await }
    });
    let outcomes: Vec<Result<Object, Error>> = futures_util::future::join_all(attempts).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|outcome| matches!(outcome, Err(Error::Conflict(_)))), "{lost:?}");
    assert_eq!(world.get("a").await.unwrap(), *won[0].as_ref().unwrap());
}

fn deployment(world: &World) -> (Target, Value) {
    let target = Target::all(&Resource::of::<Deployment>()).namespace(world.namespace.clone());
    let tree = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        // Nothing should come of it where somebody acts on it.
        "spec": {"replicas": 0, "paused": true, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    (target, tree)
}

pub(super) async fn a_status_is_written_by_itself(world: World) {
    let (target, tree) = deployment(&world);
    let write = WriteOptions::default;
    world.client.create(target.clone(), Payload::Tree(tree), write()).await.unwrap();
    let patch = |body: Value| Patch { kind: PatchType::Merge, body: body.to_string().into(), force: false };
    let condition = json!({"type": "Tested", "status": "True"});
    let both = json!({"spec": {"minReadySeconds": 7}, "status": {"conditions": [condition]}});
    let web = || target.clone().name("web");
    let main = world.client.patch(web(), patch(both.clone()), write()).await.unwrap();
    let tested = |object: &Object| {
        let tree = object.tree();
        let conditions = tree["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Tested")
    };
    assert_eq!((&main.tree()["spec"]["minReadySeconds"], tested(&main)), (&json!(7), false));
    let both = json!({"spec": {"minReadySeconds": 9}, "status": both["status"]});
    let status = world.client.patch(web().subresource("status"), patch(both), write()).await.unwrap();
    assert_eq!((&status.tree()["spec"]["minReadySeconds"], tested(&status)), (&json!(7), true));
}

pub(super) async fn a_scale_is_a_kind_of_its_own(world: World) {
    let (target, tree) = deployment(&world);
    let write = WriteOptions::default;
    world.client.create(target.clone(), Payload::Tree(tree), write()).await.unwrap();
    let scale = target.clone().name("web").subresource("scale");
    let shown = world.client.get(scale.clone()).await.unwrap();
    assert_eq!((shown.resource().group.as_ref(), shown.resource().kind.as_ref()), ("autoscaling", "Scale"));
    assert_eq!(shown.tree()["spec"]["replicas"], 0);
    let body = json!({"spec": {"replicas": 2}}).to_string().into();
    let patch = Patch { kind: PatchType::Merge, body, force: false };
    let scaled = world.client.patch(scale, patch, write()).await.unwrap();
    assert_eq!(scaled.tree()["spec"]["replicas"], 2);
    let object = world.client.get(target.name("web")).await.unwrap();
    assert_eq!(object.tree()["spec"]["replicas"], 2);
    assert!(object.revision() >= scaled.revision() && scaled.revision() > shown.revision());
}
