//! Custom resources by their schema, and the life of definitions.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use windlass::api::{Resource, Scope};
use windlass::client::{ClientExt, FieldValidation, PatchType, Target, WatchEvent};
use windlass::store::{KeyRange, ListOptions, MemoryStore, ObjectStore, ObjectStoreExt};

use super::server_kit::*;
use crate::support::{get, write};

/// A definition of `plural` whose specs have these fields.
pub(crate) fn definition(plural: &str, kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}}}],
        },
    })
}

fn widgets() -> Value {
    let mut definition = definition(
        "widgets",
        "Widget",
        json!({
            "size": {"type": "integer", "minimum": 1, "default": 3, "description": "How large it is."},
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "port": {"x-kubernetes-int-or-string": true},
            "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "weight": {"type": "integer", "default": 1}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }),
    );
    definition["spec"]["names"]["listKind"] = "WidgetCollection".into();
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}});
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = json!({"type": "object", "properties": {"size": {"type": "integer"}, "note": {"type": "string",
            "default": "none"}}});
    definition
}

pub(crate) fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

async fn with_widgets() -> Kit {
    let kit = kit().await;
    kit.create("", "customresourcedefinitions", widgets()).await.unwrap();
    kit
}

fn message<T: std::fmt::Debug>(result: Result<T, windlass::client::Error>) -> String {
    status_of(result).message
}

#[tokio::test(start_paused = true)]
async fn an_object_is_pruned_filled_in_and_judged() {
    let kit = with_widgets().await;
    let spec = json!({"oops": 1, "free": {"any": {"thing": null}}, "parts": [{"name": "a", "x": 1}], "port": "http"});
    let made = kit.create("default", "widgets", widget("a", spec)).await.unwrap();
    assert_eq!(
        made["spec"],
        json!({"size": 3, "free": {"any": {"thing": null}}, "parts": [{"name": "a", "weight": 1}], "port": "http"})
    );
    let spec = json!({"size": 0, "colour": "green", "parts": [{"name": "a"}, {"name": "a"}]});
    assert_eq!(
        message(kit.create("default", "widgets", widget("b", spec)).await),
        "Widget.example.com \"b\" is invalid: [spec.colour: Unsupported value: \"green\": supported values: \
         \"red\", \"blue\", spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1, \
         spec.parts[1]: Duplicate value: {\"name\":\"a\"}]"
    );
    // Unknown fields by field validation, in what comes in and in what a patch makes.
    let refused =
        message(kit.create_with("default", "widgets", widget("c", json!({"x": 1})), strict()).await);
    assert_eq!(
        refused,
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.x\""
    );
    let ignored = write_options(|options| options.field_validation = Some(FieldValidation::Ignore));
    kit.create_with("default", "widgets", widget("c", json!({"x": 1})), ignored).await.unwrap();
    let patched = kit
        .patch(
            "default",
            "widgets/a",
            PatchType::Json,
            json!([{"op": "add", "path": "/spec/oops", "value": 1}]),
            strict(),
        )
        .await;
    assert!(message(patched).contains("strict decoding error: unknown field \"spec.oops\""));
    let merged =
        kit.merge("default", "widgets/a", json!({"spec": {"colour": "red", "oops": 1}})).await.unwrap();
    assert_eq!((&merged["spec"]["colour"], merged["spec"].get("oops")), (&json!("red"), None));
    assert_eq!(merged["metadata"]["generation"], 2);
    let list = get(&kit.server, "/apis/example.com/v1/widgets", &[]).await.json();
    assert_eq!(list["kind"], "WidgetCollection");
    let body = widget("d", json!({"oops": 1, "deep": {"er": 1}}));
    let path = "/apis/example.com/v1/namespaces/default/widgets";
    let warned = write(&kit.server, Method::POST, path, &body).await;
    let warnings: Vec<_> =
        warned.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(
        warnings,
        ["299 - \"unknown field \\\"spec.deep\\\"\"", "299 - \"unknown field \\\"spec.oops\\\"\""]
    );
    let clash = widget("e", json!({"size": "three"}));
    assert!(
        message(kit.create("default", "widgets", clash).await)
            .contains("must be of type integer: \"string\"")
    );
}

#[tokio::test(start_paused = true)]
async fn status_and_scale_are_written_apart() {
    let kit = with_widgets().await;
    let mut tree = widget("a", json!({}));
    tree["status"] = json!({"size": 9});
    let made = kit.create("default", "widgets", tree).await.unwrap();
    assert_eq!(made.get("status"), None, "a status is not made");
    let told = kit
        .merge("default", "widgets/a/status", json!({"status": {"size": 1}, "spec": {"size": 7}}))
        .await
        .unwrap();
    assert_eq!((&told["status"], &told["spec"]["size"]), (&json!({"size": 1, "note": "none"}), &json!(3)));
    assert_eq!(told["metadata"]["generation"], 1);
    let wrong = kit.merge("default", "widgets/a/status", json!({"status": {"size": "x"}})).await;
    assert_eq!(
        message(wrong),
        "Widget.example.com \"a\" is invalid: [status.size: Invalid value: \"string\": size in body must be of \
         type integer: \"string\", .status.size: Invalid value: 0: .status.size accessor error: x is of the type \
         string, expected int64]"
    );
    let scaled = kit.merge("default", "widgets/a/scale", json!({"spec": {"replicas": 5}})).await.unwrap();
    assert_eq!((&scaled["spec"]["replicas"], &scaled["status"]["replicas"]), (&json!(5), &json!(1)));
    let now = kit.get("default", "widgets/a").await.unwrap();
    assert_eq!((&now["spec"]["size"], &now["metadata"]["generation"]), (&json!(5), &json!(2)));
    assert!(
        message(kit.merge("default", "widgets/a/scale", json!({"spec": {"replicas": 0}})).await)
            .contains("should be greater than or equal to 1")
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_older_definition_let_in_is_read_by_the_newer_and_may_stay() {
    let kit = with_widgets().await;
    kit.create("default", "widgets", widget("a", json!({"size": 2, "colour": "red", "free": {"x": 1}})))
        .await
        .unwrap();
    let mut watch = kit.watch("default", "widgets", watch_options(|_| {})).await.unwrap();
    assert!(matches!(watch.next().await, Some(Ok(WatchEvent::Added(_)))));
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let change = json!([
        {"op": "replace", "path": format!("{schema}/size/minimum"), "value": 5},
        {"op": "replace", "path": format!("{schema}/size/default"), "value": 7},
        {"op": "remove", "path": format!("{schema}/free")},
        {"op": "add", "path": format!("{schema}/shape"), "value": {"type": "string", "default": "round"}},
    ]);
    let name = "customresourcedefinitions/widgets.example.com";
    kit.patch("", name, PatchType::Json, change, write_options(|_| {})).await.unwrap();
    // Who follows begins anew, as after every change of a definition.
    assert!(watch.next().await.is_none());
    let read = kit.get("default", "widgets/a").await.unwrap();
    assert_eq!(read["spec"], json!({"size": 2, "colour": "red", "shape": "round"}));
    let listed = kit.list("default", "widgets", list_options(|_| {})).await.unwrap();
    assert_eq!(shown(&listed.items[0]), read);
    // What was right once may stay what it is, and not become something else that is wrong.
    let kept = kit.merge("default", "widgets/a", json!({"spec": {"colour": "blue"}})).await.unwrap();
    assert_eq!(kept["spec"]["size"], 2);
    let worse = kit.merge("default", "widgets/a", json!({"spec": {"size": 1}})).await;
    assert!(message(worse).contains("should be greater than or equal to 5"));
}

#[tokio::test(start_paused = true)]
async fn rules_hold_over_writes() {
    let kit = kit().await;
    let mut rules =
        definition("limits", "Limit", json!({"low": {"type": "integer"}, "high": {"type": "integer"}}));
    rules["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = json!([
        {"rule": "self.low <= self.high", "messageExpression": "'%d is above %d'.format([self.low, self.high])",
            "fieldPath": ".low"},
        {"rule": "self.high >= oldSelf.high", "message": "high may not shrink", "reason": "FieldValueForbidden"},
    ]);
    kit.create("", "customresourcedefinitions", rules).await.unwrap();
    let limit = |low: i64, high: i64| json!({"metadata": {"name": "a"}, "spec": {"low": low, "high": high}});
    assert_eq!(
        message(kit.create("default", "limits", limit(2, 1)).await),
        "Limit.example.com \"a\" is invalid: spec.low: Invalid value: 2 is above 1"
    );
    kit.create("default", "limits", limit(1, 5)).await.unwrap();
    let shrunk = kit.merge("default", "limits/a", json!({"spec": {"high": 4}})).await;
    assert_eq!(message(shrunk), "Limit.example.com \"a\" is invalid: spec: Forbidden: high may not shrink");
    kit.merge("default", "limits/a", json!({"spec": {"high": 6}})).await.unwrap();
    let mut wrong = definition("wrongs", "Wrong", json!({"a": {"type": "string"}}));
    wrong["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "self.spec.b == 1"}]);
    let refused = message(kit.create("", "customresourcedefinitions", wrong).await);
    assert!(refused.contains("compilation failed: ERROR: <input>:1:10: undefined field 'b'"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn of_two_definitions_of_one_kind_one_is_served_until_it_goes() {
    let kit = kit().await;
    let plurals: Vec<String> = (0..8).map(|index| format!("things{index}")).collect();
    let made =
        join_all(plurals.iter().map(|plural| {
            kit.create("", "customresourcedefinitions", definition(plural, "Thing", json!({})))
        }))
        .await;
    let established = |tree: &Value| {
        let list = tree["status"]["conditions"].as_array().unwrap();
        list.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    };
    let winners: Vec<String> = made
        .iter()
        .map(|made| made.as_ref().unwrap())
        .filter(|tree| established(tree))
        .map(|tree| tree["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(winners.len(), 1, "one has the name");
    let served = || {
        let scheme = kit.server.scheme();
        scheme
            .iter()
            .filter(|row| row.group == "example.com")
            .map(|row| row.plural.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(served().len(), 1);
    // Its name is free once it is gone, and then somebody else's.
    let mut watch = kit.watch("", "customresourcedefinitions", watch_options(|_| {})).await.unwrap();
    kit.delete("", &format!("customresourcedefinitions/{}", winners[0])).await.unwrap();
    let mut next = None;
    while next.is_none() {
        if let WatchEvent::Modified(object) = watch.next().await.unwrap().unwrap() {
            let tree = shown(&object);
            next = Some(object.name().to_owned()).filter(|name| *name != winners[0] && established(&tree));
        }
    }
    kit.server.env().clock.sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(served(), [next.unwrap().trim_end_matches(".example.com")]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_definition_that_goes_while_objects_are_made() {
    let store = MemoryStore::new();
    let kit = kit_with(|builder| builder.store(Arc::new(store.clone()))).await;
    kit.create("", "customresourcedefinitions", widgets()).await.unwrap();
    for index in 0..1000 {
        kit.create("default", "widgets", widget(&format!("w{index}"), json!({}))).await.unwrap();
    }
    let making = join_all(
        (0..50).map(|index| kit.create("default", "widgets", widget(&format!("late{index}"), json!({})))),
    );
    let going = kit.delete("", "customresourcedefinitions/widgets.example.com");
    let mut watch = kit.watch("", "customresourcedefinitions", watch_options(|_| {})).await.unwrap();
    let (made, gone) = futures_util::join!(making, going);
    gone.unwrap();
    for refused in made.into_iter().filter_map(Result::err) {
        let status = refused.into_status();
        assert!(matches!(status.code, 403 | 404), "{status}");
    }
    while !matches!(watch.next().await, Some(Ok(WatchEvent::Deleted(_)))) {}
    let left = store.list(KeyRange::prefix("/registry/example.com/"), ListOptions::default()).await.unwrap();
    assert_eq!(left.items.len(), 0);
    // What comes under the same name afterwards is new.
    kit.create("", "customresourcedefinitions", widgets()).await.unwrap();
    assert_eq!(kit.names("default", "widgets").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_definition_goes_on_going_after_a_restart() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let first = kit_with(|builder| builder.store(store.clone())).await;
    first.create("", "customresourcedefinitions", widgets()).await.unwrap();
    let mut held = widget("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    first.create("default", "widgets", held).await.unwrap();
    first.delete("", "customresourcedefinitions/widgets.example.com").await.unwrap();
    first.server.shutdown().await;
    let second = kit_with(|builder| builder.store(store)).await;
    let mut watch = second.watch("", "customresourcedefinitions", watch_options(|_| {})).await.unwrap();
    second.merge("default", "widgets/held", json!({"metadata": {"finalizers": null}})).await.unwrap();
    while !matches!(watch.next().await, Some(Ok(WatchEvent::Deleted(_)))) {}
    second.server.env().clock.sleep(std::time::Duration::from_secs(1)).await;
    assert!(second.server.scheme().iter().all(|row| row.plural != "widgets"));
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_somebody_else_stored_is_served_or_says_why_not() {
    let store = MemoryStore::new();
    let kit = kit_with(|builder| builder.store(Arc::new(store.clone()))).await;
    let key = |plural: &str| {
        format!("/registry/apiextensions.k8s.io/customresourcedefinitions/{plural}.example.com")
    };
    // As a kube-apiserver leaves it that has just been asked: nothing is said of it yet.
    let mut sound = definition("goods", "Good", json!({"a": {"type": "string"}}));
    sound["spec"]["names"]["singular"] = "good".into();
    sound["spec"]["names"]["listKind"] = "GoodList".into();
    store.put(key("goods"), sound.to_string()).await.unwrap();
    let mut loose = definition("bads", "Bad", json!({"a": {"type": "string", "pattern": "("}}));
    loose["spec"]["names"]["singular"] = "bad".into();
    loose["spec"]["names"]["listKind"] = "BadList".into();
    store.put(key("bads"), loose.to_string()).await.unwrap();
    kit.server.env().clock.sleep(std::time::Duration::from_secs(5)).await;
    kit.create("default", "goods", json!({"metadata": {"name": "a"}})).await.unwrap();
    let bads = Target::all(&Resource::new("example.com", "v1", "Bad", "bads", Scope::Namespaced));
    let unserved = status_of(kit.client.list(bads, list_options(|_| {})).await.map(|_| ()));
    assert_eq!(
        (unserved.code, &*unserved.message),
        (
            500,
            "Internal error occurred: error resolving resource: version \"v1\": error parsing regexp: unclosed group"
        )
    );
    let told = kit.get("", "customresourcedefinitions/bads.example.com").await.unwrap();
    let conditions = told["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["type"] == "NonStructuralSchema"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn discovery_and_openapi_follow_at_once() {
    let kit = kit().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let before = get(&kit.server, "/apis", &[("accept", aggregated)]).await;
    kit.create("", "customresourcedefinitions", widgets()).await.unwrap();
    let after = get(&kit.server, "/apis", &[("accept", aggregated)]).await;
    assert_ne!(before.headers["etag"], after.headers["etag"]);
    assert!(after.text.contains("\"widgets\"") && !before.text.contains("\"widgets\""));
    let index = get(&kit.server, "/openapi/v3", &[]).await.json();
    let url = index["paths"]["apis/example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = get(&kit.server, &url, &[]).await.json();
    let schema = &document["components"]["schemas"]["com.example.v1.Widget"];
    let spec = &schema["properties"]["spec"]["properties"];
    assert_eq!(spec["size"]["description"], "How large it is.");
    assert_eq!(spec["port"]["anyOf"], json!([{"type": "integer"}, {"type": "string"}]));
    assert_eq!(spec["parts"]["x-kubernetes-list-map-keys"], json!(["name"]));
    assert!(schema["properties"]["metadata"]["description"].as_str().unwrap().starts_with("Standard object"));
    let kind = json!([{"group": "example.com", "version": "v1", "kind": "Widget"}]);
    assert_eq!(schema["x-kubernetes-group-version-kind"], kind);
    // Another schema has another address.
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/description";
    let change = json!([{"op": "replace", "path": path, "value": "Its size."}]);
    let name = "customresourcedefinitions/widgets.example.com";
    kit.patch("", name, PatchType::Json, change, write_options(|_| {})).await.unwrap();
    let index = get(&kit.server, "/openapi/v3", &[]).await.json();
    assert_ne!(index["paths"]["apis/example.com/v1"]["serverRelativeURL"], json!(url));
}
