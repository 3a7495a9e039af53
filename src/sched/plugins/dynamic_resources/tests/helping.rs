use super::*;
use crate::sched::{NodeChange, ObjectEvent};

#[test]
fn what_may_help_a_pod_with_claims() {
    let mut scene = Scene::of(&["a"]).slice("p", "a", named(&["x"])).claim("c", some(1)).claim("d", some(1));
    let info = scene.snapshot.read(uses("p", &["c"]).make());
    let found = scene.found(uses("p", &["c"]), "a");
    let helps = |event: &ClusterEvent<'_>| scene.plugin.helps(event, &info, &scene.snapshot);
    let claims = |old: Option<&Value>, new: Option<&Value>| {
        let [old, new] = [old, new].map(|tree| tree.map(|tree| make::<ResourceClaim>(tree.clone())));
        helps(&ClusterEvent::Object(ObjectEvent::of(old.as_deref(), new.as_deref())))
    };
    let (own, other) = (claim("c", some(1)), claim("d", some(1)));
    let has = |tree: &Value| allocated(tree.clone(), &found.given[0]);
    assert!(claims(None, Some(&own)) && !claims(None, Some(&other)));
    assert!(claims(Some(&own), Some(&has(&own))) && !claims(Some(&other), Some(&has(&other))));
    // What another claim gives up may be what the pod lacks.
    assert!(claims(Some(&has(&other)), Some(&other)));
    let mut labelled = own.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert!(!claims(Some(&own), Some(&labelled)));
    assert!(claims(Some(&has(&other)), None) && !claims(Some(&other), None));
    let slice = make::<ResourceSlice>(slice("q", json!({"nodeName": "a"})));
    assert!(helps(&ClusterEvent::Object(ObjectEvent::of(None, Some(&*slice)))));
    assert!(!helps(&ClusterEvent::Object(ObjectEvent::of(Some(&*slice), None))));
    let class = make::<DeviceClass>(json!({"metadata": {"name": "x"}, "spec": {}}));
    assert!(helps(&ClusterEvent::Object(ObjectEvent::of(None, Some(&*class)))));
    let (old, new) = (node("n").make(), node("n").make());
    let changed = |what| helps(&ClusterEvent::NodeUpdated { old: &old, new: &new, what });
    assert!(changed(NodeChange { labels: true, ..NodeChange::default() }));
    assert!(!changed(NodeChange { taints: true, ..NodeChange::default() }));
    assert!(helps(&ClusterEvent::NodeAdded(&new)) && !helps(&ClusterEvent::NodeRemoved(&new)));
}

#[test]
fn claims_that_were_made_bring_their_pod_back() {
    let mut scene = Scene::of(&["a"]);
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p", "controller": true});
    let mut made = claim("made", some(1));
    made["metadata"]["ownerReferences"] = json!([owner]);
    let wanted = json!([{"name": "c", "resourceClaimTemplateName": "t"}]);
    let before = pod("p").set("resourceClaims", wanted);
    let mut after = k8s_openapi::api::core::v1::Pod::clone(&before.clone().make());
    let statuses = json!([{"name": "c", "resourceClaimName": "made"}]);
    after.status.get_or_insert_default().resource_claim_statuses = serde_json::from_value(statuses).unwrap();
    let [old, new] = [before.make(), Arc::new(after)].map(|pod| scene.snapshot.read(pod));
    assert!(new.differs(&old));
    let helps = |scene: &Scene| {
        scene.plugin.helps(&ClusterEvent::Changed { old: &old, new: &new }, &new, &scene.snapshot)
    };
    assert!(!helps(&scene), "the claim is yet to be seen");
    scene.put::<ResourceClaim>(made.clone());
    assert!(helps(&scene));
    made["metadata"]["ownerReferences"][0]["uid"] = "other".into();
    scene.put::<ResourceClaim>(made);
    assert!(!helps(&scene), "it is another's");
}

#[test]
fn only_pods_without_claims_share() {
    let class = json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    let mut scene = Scene::of(&["a"]);
    let shares = |scene: &mut Scene, story: PodStory| {
        let info = scene.snapshot.read(story.make());
        let mut key = ClassKey::new();
        let shares = scene.plugin.key(&info, &scene.snapshot, &mut key);
        assert_eq!(key, ClassKey::new());
        shares
    };
    assert!(shares(&mut scene, pod("p")) && !shares(&mut scene, uses("p", &["c"])));
    assert!(shares(&mut scene, pod("p").asks("example.com/gpu", "1")));
    scene.put::<DeviceClass>(class);
    assert!(!shares(&mut scene, pod("p").asks("example.com/gpu", "1")));
    assert!(shares(&mut scene, pod("p").asks("example.com/gpu", "0")));
}
