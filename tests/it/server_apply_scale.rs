//! Scales: whoever writes one owns the object's replicas, and the other way round.
//!
//! Source: `TestScaleAllResources` of `test/integration/apiserver/apply` of Kubernetes (1.36).

use serde_json::{Value, json};

use super::apply_kit::*;
use super::server_kit::*;

/// Who owns `spec.replicas`.
async fn owners(kit: &Kit, path: &str) -> Vec<String> {
    let lines = kit.owners("default", path).await;
    let owning = lines.iter().filter(|line| line.contains(r#""f:replicas":{}"#));
    owning.map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}

fn scale(replicas: i64) -> Value {
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "test", "namespace": "default"},
        "spec": {"replicas": replicas}})
}

fn workload(kind: &str) -> Value {
    let mut tree = deployment("test");
    tree["kind"] = kind.into();
    tree["spec"]["replicas"] = 1.into();
    match kind {
        "StatefulSet" => tree["spec"]["serviceName"] = "test".into(),
        "ReplicationController" => {
            tree["apiVersion"] = "v1".into();
            tree["spec"]["selector"] = json!({"app": "test"});
        }
        _ => {}
    }
    tree
}

#[tokio::test(start_paused = true)]
async fn every_kind_that_scales_shares_its_replicas_with_its_scale() {
    let kit = kit().await;
    for (kind, plural) in [
        ("Deployment", "deployments"),
        ("StatefulSet", "statefulsets"),
        ("ReplicaSet", "replicasets"),
        ("ReplicationController", "replicationcontrollers"),
    ] {
        let (path, scaled) = (format!("{plural}/test"), format!("{plural}/test/scale"));
        let (path, scaled) = (path.as_str(), scaled.as_str());
        let valid = workload(kind);
        kit.apply("apply_test", "default", path).send(valid.clone()).await.unwrap();
        assert_eq!(owners(&kit, path).await, ["apply_test"]);

        let five = json!({"spec": {"replicas": 5}});
        kit.merge_as("scale_test", "default", scaled, five.clone()).await.unwrap();
        assert_eq!(kit.get("default", path).await.unwrap()["spec"]["replicas"], 5, "{kind}");
        assert_eq!(owners(&kit, path).await, ["scale_test/scale"]);

        let refused = kit.apply("apply_test", "default", path).send(valid.clone()).await;
        let version = valid["apiVersion"].as_str().unwrap().to_owned();
        let by_scale = format!("\"scale_test\" with subresource \"scale\" using {version}");
        assert_eq!(conflicts(refused), pairs(&[(&by_scale, ".spec.replicas")]));
        kit.apply("apply_test", "default", path).force().send(valid).await.unwrap();
        assert_eq!(owners(&kit, path).await, ["apply_test"]);

        let refused = kit.apply("apply_scale", "default", scaled).send(scale(17)).await;
        assert_eq!(conflicts(refused), pairs(&[("\"apply_test\"", ".spec.replicas")]));
        kit.apply("apply_scale", "default", scaled).force().send(scale(17)).await.unwrap();
        assert_eq!(kit.get("default", path).await.unwrap()["spec"]["replicas"], 17);
        assert_eq!(owners(&kit, path).await, ["apply_scale/scale"]);

        kit.update_with("default", scaled, scale(7), by("replace_test")).await.unwrap();
        assert_eq!(owners(&kit, path).await, ["replace_test/scale"]);
        kit.apply("co_owning_test", "default", scaled).send(scale(7)).await.unwrap();
        assert_eq!(owners(&kit, path).await, ["co_owning_test/scale", "replace_test/scale"]);
        kit.merge_as("scale_test", "default", scaled, five).await.unwrap();
        assert_eq!(owners(&kit, path).await, ["scale_test/scale"]);
        let entries = kit.get("default", path).await.unwrap()["metadata"]["managedFields"].clone();
        let entry = entries
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["manager"] == "scale_test")
            .unwrap()
            .clone();
        assert_eq!((&entry["apiVersion"], &entry["subresource"]), (&json!(version), &json!("scale")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_scale_s_status_and_what_it_is_not_change_nothing() {
    let kit = kit().await;
    let made = kit.apply("one", "default", "deployments/test").send(workload("Deployment")).await.unwrap();
    let status = json!({"status": {"replicas": 42}});
    kit.merge_as("scaler", "default", "deployments/test/scale", status).await.unwrap();
    assert_eq!(kit.get("default", "deployments/test").await.unwrap(), made);
    // The Scale itself shows no owners.
    let shown = kit.get("default", "deployments/test/scale").await.unwrap();
    assert_eq!(shown["metadata"].get("managedFields"), None);
    let missing = status_of(kit.apply("one", "default", "deployments/none/scale").send(scale(1)).await);
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    let mut other = scale(3);
    other["metadata"]["name"] = "other".into();
    assert_eq!(
        status_of(kit.apply("one", "default", "deployments/test/scale").force().send(other).await).code,
        400
    );
    let wrong = workload("Deployment");
    let status = status_of(kit.apply("one", "default", "deployments/test/scale").send(wrong).await);
    assert_eq!(status.message, "invalid object type: apps/v1, Kind=Deployment");
    let mut stale = scale(3);
    stale["metadata"]["resourceVersion"] = "1".into();
    let status = status_of(kit.apply("one", "default", "deployments/test/scale").force().send(stale).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let status =
        status_of(kit.apply("two", "default", "deployments/test/scale").force().send(scale(-1)).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(kit.get("default", "deployments/test").await.unwrap(), made);
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_s_scale_is_owned_where_its_replicas_are() {
    let kit = kit().await;
    let definition = json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size.count",
                    "statusReplicasPath": ".status.count"}},
            }],
        },
    });
    kit.create("", "customresourcedefinitions", definition).await.unwrap();
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "test"},
        "spec": {"size": {"count": 1}, "color": "red"}});
    kit.apply("one", "default", "widgets/test").send(widget).await.unwrap();
    kit.merge_as("scaler", "default", "widgets/test/scale", json!({"spec": {"replicas": 3}})).await.unwrap();
    assert_eq!(
        kit.owners("default", "widgets/test").await,
        [
            r#"Apply one {"f:spec":{".":{},"f:color":{},"f:size":{}}}"#,
            r#"Update scaler/scale {"f:spec":{"f:size":{"f:count":{}}}}"#,
        ]
    );
}
