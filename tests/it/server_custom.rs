//! Custom resources, by definition at run time and by Rust type.

use serde_json::{Value, json};
use windlass::api::{GroupVersionResource, Resource, Scheme, Scope};
use windlass::client::PatchType;

use super::server_kit::*;

fn definition() -> Value {
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {"colour": {"type": "string"}}}}}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector"}},
                "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
                "selectableFields": [{"jsonPath": ".spec.colour"}],
            }],
        },
    })
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name},
        "spec": {"colour": "red", "replicas": 1, "own": {"deep": [1, 2]}}})
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_served_at_once() {
    let kit = kit().await;
    let made = kit.create("", "customresourcedefinitions", definition()).await.unwrap();
    assert_eq!(made["status"]["acceptedNames"]["plural"], "widgets");
    assert_eq!(made["status"]["acceptedNames"]["listKind"], "WidgetList");
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    let conditions: Vec<_> = made["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| (condition["type"].as_str().unwrap(), condition["status"].as_str().unwrap()))
        .collect();
    assert_eq!(conditions, [("NamesAccepted", "True"), ("Established", "True")]);
    let scheme = kit.server.scheme();
    let row = scheme.resource(&GroupVersionResource::gvr("example.com", "v1", "widgets")).unwrap();
    assert_eq!((row.short_names.len(), row.columns.len(), row.subresources.len()), (1, 1, 2));

    let made = kit.create("default", "widgets", widget("a")).await.unwrap();
    assert_eq!(made["spec"]["own"], json!({"deep": [1, 2]}));
    assert_eq!(made["metadata"]["generation"], 1);
    let mut blue = widget("b");
    blue["spec"]["colour"] = "blue".into();
    kit.create("default", "widgets", blue).await.unwrap();
    let red = list_options(|options| options.fields = "spec.colour=red".parse().unwrap());
    assert_eq!(kit.list("default", "widgets", red).await.unwrap().items.len(), 1);
    let told = kit.merge("default", "widgets/a/status", json!({"status": {"replicas": 1}})).await.unwrap();
    assert_eq!(told["metadata"]["generation"], 1);
    let scale = kit.merge("default", "widgets/a/scale", json!({"spec": {"replicas": 4}})).await.unwrap();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(4)));
    let scaled = kit.get("default", "widgets/a").await.unwrap();
    assert_eq!((&scaled["spec"]["replicas"], &scaled["metadata"]["generation"]), (&json!(4), &json!(2)));
    let unconditional = status_of(kit.update("default", "widgets/a", widget("a")).await);
    assert_eq!(unconditional.code, 422);
    assert!(unconditional.message.contains("metadata.resourceVersion: Invalid value"), "{unconditional}");
    let strategic =
        kit.patch("default", "widgets/a", PatchType::StrategicMerge, json!({}), write_options(|_| {})).await;
    assert_eq!(status_of(strategic).code, 415);
}

#[tokio::test(start_paused = true)]
async fn a_definition_takes_its_objects_along() {
    let kit = kit().await;
    kit.create("", "customresourcedefinitions", definition()).await.unwrap();
    kit.create("default", "widgets", widget("free")).await.unwrap();
    let mut held = widget("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    kit.create("default", "widgets", held).await.unwrap();
    let widgets = kit.at("default", "widgets");
    let going = kit.delete("", "customresourcedefinitions/widgets.example.com").await.unwrap().unwrap();
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let refused = status_of(kit.create("default", "widgets", widget("late")).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            403,
            "widgets.example.com \"late\" is forbidden: create not allowed while custom resource definition is \
             terminating"
        )
    );
    let mut watch = kit.watch("", "customresourcedefinitions", watch_options(|_| {})).await.unwrap();
    // The definition waits for the object that a finalizer holds.
    kit.server.env().clock.sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(kit.names("default", "widgets").await, ["held"]);
    kit.merge("default", "widgets/held", json!({"metadata": {"finalizers": null}})).await.unwrap();
    loop {
        use futures_util::StreamExt as _;
        if let windlass::client::WatchEvent::Deleted(_) = watch.next().await.unwrap().unwrap() {
            break;
        }
    }
    let unknown = status_of(
        windlass::client::ClientExt::list(&*kit.client, widgets, list_options(|_| {})).await.map(|_| ()),
    );
    assert_eq!(
        (unknown.code, unknown.message.as_str()),
        (404, "the server could not find the requested resource")
    );
}

#[tokio::test(start_paused = true)]
async fn a_definition_of_a_taken_kind_is_kept_and_not_served() {
    let kit = kit().await;
    kit.create("", "customresourcedefinitions", definition()).await.unwrap();
    let mut other = definition();
    other["metadata"]["name"] = "gadgets.example.com".into();
    other["spec"]["names"]["plural"] = "gadgets".into();
    other["spec"]["names"]["shortNames"] = json!([]);
    let made = kit.create("", "customresourcedefinitions", other).await.unwrap();
    assert_eq!(made["status"]["conditions"][0]["reason"], "ListKindConflict");
    assert_eq!(made["status"]["conditions"][1]["status"], "False");
    assert!(kit.server.scheme().iter().all(|row| row.plural != "gadgets"));
}

#[tokio::test(start_paused = true)]
async fn definitions_survive_a_server() {
    let store: std::sync::Arc<dyn windlass::store::ObjectStore> =
        std::sync::Arc::new(windlass::store::MemoryStore::new());
    let first = kit_with(|builder| builder.store(store.clone())).await;
    first.create("", "customresourcedefinitions", definition()).await.unwrap();
    first.create("default", "widgets", widget("a")).await.unwrap();
    first.server.shutdown().await;
    let second = kit_with(|builder| builder.store(store)).await;
    assert_eq!(second.get("default", "widgets/a").await.unwrap()["spec"]["colour"], "red");
}

#[tokio::test(start_paused = true)]
async fn a_row_is_served_without_a_definition() {
    let row = Resource::new("example.com", "v1", "Widget", "widgets", Scope::Namespaced);
    let kit = kit_with(|builder| builder.scheme(Scheme::builtin().with(row))).await;
    kit.create("default", "widgets", widget("a")).await.unwrap();
    assert_eq!(kit.names("default", "widgets").await, ["a"]);
}
