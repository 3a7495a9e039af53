//! What is done to a pod beside its spec: eviction, binding, ephemeral containers, other resources.

use serde_json::{Value, json};
use windlass::api::Status;
use windlass::client::PatchType;

use super::server_kit::*;

fn details(status: &Status) -> (u16, String, u32) {
    let details = status.details.clone().expect("details");
    let cause = details.causes.first().map(|cause| format!("{}: {}", cause.reason, cause.message));
    (status.code, cause.unwrap_or_default(), details.retry_after_seconds)
}

/// A pod that runs on a node, ready or not.
async fn running(kit: &Kit, name: &str, ready: bool) -> Value {
    let mut made = pod(name);
    made["metadata"]["labels"] = json!({"app": "web"});
    made["spec"]["nodeName"] = "n1".into();
    kit.create("default", "pods", made).await.unwrap();
    let conditions = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    let status = json!({"status": {"phase": "Running", "conditions": conditions}});
    kit.merge("default", &format!("pods/{name}/status"), status).await.unwrap()
}

async fn budget(kit: &Kit, spec: Value, status: Value) {
    let mut made = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    made["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    kit.create("default", "poddisruptionbudgets", made).await.unwrap();
    let mut counted = json!({"observedGeneration": 1, "expectedPods": 1});
    counted.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    kit.merge("default", "poddisruptionbudgets/web/status", json!({"status": counted})).await.unwrap();
}

async fn evict(kit: &Kit, name: &str, options: Value) -> Result<Value, windlass::client::Error> {
    let mut eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    if !options.is_null() {
        eviction["deleteOptions"] = options;
    }
    kit.create("default", &format!("pods/{name}/eviction"), eviction).await
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_says_why_it_goes_and_takes_a_disruption() {
    let kit = kit().await;
    running(&kit, "a", true).await;
    budget(&kit, json!({}), json!({"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1})).await;
    evict(&kit, "a", json!({"dryRun": ["All"]})).await.unwrap();
    let unchanged = kit.get("default", "poddisruptionbudgets/web").await.unwrap();
    assert_eq!(unchanged["status"]["disruptionsAllowed"], 1);
    evict(&kit, "a", json!({"gracePeriodSeconds": 7})).await.unwrap();
    let left = kit.get("default", "pods/a").await.unwrap();
    assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 7);
    let conditions = left["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|one| one["type"] == "DisruptionTarget").unwrap();
    assert_eq!(
        (&target["reason"], &target["message"], &target["status"]),
        (&json!("EvictionByEvictionAPI"), &json!("Eviction API: evicting"), &json!("True"))
    );
    let taken = kit.get("default", "poddisruptionbudgets/web").await.unwrap();
    assert_eq!(taken["status"]["disruptionsAllowed"], 0);
    assert!(taken["status"]["disruptedPods"]["a"].is_string());
    assert_eq!(taken["status"]["conditions"][0]["reason"], "InsufficientPods");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_forbids_it_says_when_to_ask_again() {
    let kit = kit().await;
    running(&kit, "a", true).await;
    budget(&kit, json!({}), json!({"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1})).await;
    let refused = status_of(evict(&kit, "a", Value::Null).await);
    let why = "DisruptionBudget: The disruption budget web needs 1 healthy pods and has 1 currently";
    assert_eq!(details(&refused), (429, why.into(), 0));
    kit.merge("default", "poddisruptionbudgets/web", json!({"spec": {"minAvailable": 2}})).await.unwrap();
    let refused = status_of(evict(&kit, "a", Value::Null).await);
    let why = "DisruptionBudget: The disruption budget web is still being processed by the server.";
    assert_eq!(details(&refused), (429, why.into(), 10));
    assert!(kit.get("default", "pods/a").await.unwrap()["metadata"].get("deletionTimestamp").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_work_goes_as_the_policy_says() {
    for (spec, status, goes) in [
        (json!({}), json!({"currentHealthy": 1, "desiredHealthy": 2}), false),
        (json!({}), json!({"currentHealthy": 2, "desiredHealthy": 2}), true),
        (json!({}), json!({"currentHealthy": 0, "desiredHealthy": 0}), false),
        (
            json!({"unhealthyPodEvictionPolicy": "AlwaysAllow"}),
            json!({"currentHealthy": 0, "desiredHealthy": 2}),
            true,
        ),
        (
            json!({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}),
            json!({"currentHealthy": 0, "desiredHealthy": 2}),
            false,
        ),
    ] {
        let kit = kit().await;
        running(&kit, "a", false).await;
        budget(&kit, spec.clone(), status.clone()).await;
        let evicted = evict(&kit, "a", Value::Null).await;
        assert_eq!(evicted.is_ok(), goes, "{spec} {status}: {evicted:?}");
        let left = kit.get("default", "poddisruptionbudgets/web").await.unwrap();
        assert_eq!(left["status"].get("disruptedPods"), None, "nothing is taken of the budget");
    }
}

#[tokio::test(start_paused = true)]
async fn an_eviction_means_the_pod_that_it_names() {
    let kit = kit().await;
    let there = running(&kit, "a", true).await;
    let other = json!({"preconditions": {"uid": "another"}});
    let refused = status_of(evict(&kit, "a", other).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let stale = json!({"preconditions": {"resourceVersion": "1"}});
    assert_eq!(status_of(evict(&kit, "a", stale).await).code, 409);
    let unreadable = json!({"ignoreStoreReadErrorWithClusterBreakingPotential": true});
    assert_eq!(status_of(evict(&kit, "a", unreadable).await).code, 422);
    let eviction = json!({"metadata": {"name": "b"}});
    let misnamed = status_of(kit.create("default", "pods/a/eviction", eviction).await);
    assert_eq!(
        (misnamed.code, misnamed.message.as_str()),
        (400, "name in URL does not match name in Eviction object")
    );
    let exact = json!({"preconditions": {"uid": there["metadata"]["uid"],
        "resourceVersion": there["metadata"]["resourceVersion"]}});
    evict(&kit, "a", exact).await.unwrap();
    let missing = status_of(evict(&kit, "none", Value::Null).await);
    assert_eq!((missing.code, missing.message.as_str()), (404, "pods \"none\" not found"));
}

#[tokio::test(start_paused = true)]
async fn a_binding_brings_labels_and_annotations_and_may_insist() {
    let kit = kit().await;
    let mut made = pod("a");
    made["metadata"]["labels"] = json!({"zone": "none", "own": "1"});
    let made = kit.create("default", "pods", made).await.unwrap();
    let binding = |metadata: Value| {
        let mut metadata = metadata;
        metadata["name"] = "a".into();
        json!({"metadata": metadata, "target": {"kind": "Node", "name": "n1"}})
    };
    for metadata in [json!({"uid": "another"}), json!({"resourceVersion": "1"})] {
        let refused = status_of(kit.create("default", "pods/a/binding", binding(metadata)).await);
        assert_eq!(refused.code, 409);
        assert!(refused.message.contains("Precondition failed: "), "{}", refused.message);
    }
    let metadata = json!({"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"],
        "labels": {"zone": "z1"}, "annotations": {"why": "room"}});
    let dry = binding(metadata.clone());
    kit.create_with("default", "pods/a/binding", dry, dry_run()).await.unwrap();
    assert!(kit.get("default", "pods/a").await.unwrap()["spec"].get("nodeName").is_none());
    kit.create("default", "pods/a/binding", binding(metadata)).await.unwrap();
    let bound = kit.get("default", "pods/a").await.unwrap();
    assert_eq!(bound["metadata"]["labels"], json!({"zone": "z1", "own": "1"}));
    assert_eq!(bound["metadata"]["annotations"]["why"], "room");
    assert_eq!(bound["spec"]["nodeName"], "n1");
}

#[tokio::test(start_paused = true)]
async fn ephemeral_containers_are_added_and_stay_as_they_are() {
    let kit = kit().await;
    let made = kit.create("default", "pods", pod("a")).await.unwrap();
    let add = json!({
        "metadata": {"labels": {"not": "this"}},
        "spec": {"ephemeralContainers": [{"name": "look", "image": "sh", "targetContainerName": "main"}],
            "activeDeadlineSeconds": 5},
    });
    let path = "pods/a/ephemeralcontainers";
    let patched =
        kit.patch("default", path, PatchType::StrategicMerge, add, Default::default()).await.unwrap();
    assert_eq!(patched["spec"]["ephemeralContainers"][0]["name"], "look");
    assert_eq!(patched["spec"]["ephemeralContainers"][0]["terminationMessagePath"], "/dev/termination-log");
    assert_eq!(patched["spec"].get("activeDeadlineSeconds"), None, "nothing else changes");
    assert_eq!(patched["metadata"].get("labels"), None);
    assert_eq!(patched["metadata"]["generation"], made["metadata"]["generation"].as_i64().unwrap() + 1);
    assert_eq!(kit.get("default", path).await.unwrap(), patched);
    let change = json!({"spec": {"ephemeralContainers": [{"name": "look", "image": "bash"}]}});
    let refused =
        status_of(kit.patch("default", path, PatchType::StrategicMerge, change, Default::default()).await);
    assert_eq!(refused.code, 422);
    assert!(refused.message.contains("existing ephemeral containers \"look\" may not be changed"));
    let mut without = patched.clone();
    without["spec"]["ephemeralContainers"] = json!([]);
    let refused = status_of(kit.update("default", path, without).await);
    assert!(refused.message.contains("existing ephemeral containers \"look\" may not be removed"));
    let double = json!({"spec": {"ephemeralContainers": [{"name": "main", "image": "sh"}]}});
    let refused =
        status_of(kit.patch("default", path, PatchType::StrategicMerge, double, Default::default()).await);
    assert_eq!(refused.code, 422, "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn a_resize_changes_cpu_and_memory_and_nothing_else() {
    let kit = kit().await;
    let mut made = pod("a");
    made["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
    let made = kit.create("default", "pods", made).await.unwrap();
    let resize = async |resources: Value| {
        let patch =
            json!({"spec": {"containers": [{"name": "main", "resources": resources, "image": "other"}]}});
        kit.patch("default", "pods/a/resize", PatchType::StrategicMerge, patch, Default::default()).await
    };
    let resized = resize(json!({"requests": {"cpu": "2"}})).await.unwrap();
    let container = &resized["spec"]["containers"][0];
    assert_eq!(container["resources"]["requests"], json!({"cpu": "2", "memory": "1Gi"}));
    assert_eq!(container["image"], "app", "an image is no resource");
    assert_eq!(resized["metadata"]["generation"], made["metadata"]["generation"].as_i64().unwrap() + 1);
    let refused = |error| {
        let status = status_of(error);
        assert_eq!(status.code, 422);
        status.message
    };
    // Requests that are its limits would make it another class of pod.
    let class = refused(resize(json!({"limits": {"cpu": "2", "memory": "1Gi"}})).await);
    assert!(class.contains("Pod QOS Class may not change as a result of resizing"), "{class}");
    let removed = refused(resize(json!({"requests": {"cpu": null}})).await);
    assert!(removed.contains("resource requests cannot be removed"), "{removed}");
    let other = refused(resize(json!({"requests": {"ephemeral-storage": "1Gi"}})).await);
    assert!(other.contains("only cpu and memory resources are mutable"), "{other}");
    let more = json!([{"op": "add", "path": "/spec/containers/1", "value": {"name": "b", "image": "x"}}]);
    let added =
        refused(kit.patch("default", "pods/a/resize", PatchType::Json, more, Default::default()).await);
    assert!(added.contains("containers may not be added or removed on resize"), "{added}");
}
