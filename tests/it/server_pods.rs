//! Pods: what they are given, binding, eviction; and the scale of workloads.

use serde_json::{Value, json};
use windlass::client::{Identity, WriteOptions};

use super::server_kit::*;

#[tokio::test(start_paused = true)]
async fn a_new_pod_is_given_what_it_did_not_say() {
    let kit = kit().await;
    let mut sent = pod("a");
    sent["status"] = json!({"phase": "Running"});
    let made = kit.create("default", "pods", sent).await.unwrap();
    let spec = &made["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["priority"]), (&json!("default"), &json!(0)));
    assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&spec["restartPolicy"], &spec["terminationGracePeriodSeconds"]),
        (&json!("Always"), &json!(30))
    );
    assert_eq!(
        (&made["status"]["phase"], &made["status"]["qosClass"]),
        (&json!("Pending"), &json!("BestEffort"))
    );
    assert_eq!(made["metadata"]["generation"], 1);
    let mut unknown = pod("b");
    unknown["spec"]["priorityClassName"] = "urgent".into();
    let refused = status_of(kit.create("default", "pods", unknown.clone()).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (403, "pods \"b\" is forbidden: no PriorityClass with name urgent was found")
    );
    kit.create("", "priorityclasses", json!({"metadata": {"name": "urgent"}, "value": 1000})).await.unwrap();
    assert_eq!(kit.create("default", "pods", unknown).await.unwrap()["spec"]["priority"], 1000);
}

fn binding(name: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node}})
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let kit = kit().await;
    let scheduler = kit.acting_as(Identity::user("system:kube-scheduler"));
    kit.create("default", "pods", pod("a")).await.unwrap();
    scheduler.create("default", "pods/a/binding", binding("a", "n1")).await.unwrap();
    let bound = kit.get("default", "pods/a").await.unwrap();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let condition = &bound["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
    let again = status_of(scheduler.create("default", "pods/a/binding", binding("a", "n2")).await);
    assert_eq!((again.code, again.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        again.message,
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\""
    );
    let missing = status_of(scheduler.create("default", "pods/none/binding", binding("none", "n1")).await);
    assert_eq!((missing.code, missing.message.as_str()), (404, "pods \"none\" not found"));
    kit.create("default", "pods", pod("b")).await.unwrap();
    let nowhere = status_of(scheduler.create("default", "pods/b/binding", binding("b", "")).await);
    assert_eq!((nowhere.code, nowhere.message.as_str()), (500, "target.name: Required value"));
    scheduler.create("default", "bindings", binding("b", "n1")).await.unwrap();
    assert_eq!(kit.get("default", "pods/b").await.unwrap()["spec"]["nodeName"], "n1");
    kit.delete("default", "pods/b").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_schedulers_bind_a_pod_once() {
    let kit = kit().await;
    kit.create("default", "pods", pod("a")).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let one = kit.acting_as(Identity::user("system:kube-scheduler"));
            kit.server.env().tasks.spawn("bind", async move {
                one.create("default", "pods/a/binding", binding("a", &format!("n{number}"))).await.is_ok()
            })
        })
        .collect();
    let mut bound = 0;
    for task in tasks {
        bound += usize::from(task.join().await.unwrap());
    }
    assert_eq!(bound, 1);
}

#[tokio::test(start_paused = true)]
async fn writers_without_a_revision_all_win_and_with_one_only_the_first() {
    let kit = kit().await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let spawn = |number: usize, patch: Value| {
        let one = kit.acting_as(Identity::admin());
        kit.server.env().tasks.spawn("patch", async move {
            let _ = number;
            one.merge("default", "configmaps/a", patch).await.map_err(|error| error.into_status().code)
        })
    };
    let tasks: Vec<_> =
        (0..10).map(|number| spawn(number, json!({"data": {format!("k{number}"): "v"}}))).collect();
    for task in tasks {
        task.join().await.unwrap().unwrap();
    }
    let all = kit.get("default", "configmaps/a").await.unwrap();
    assert_eq!(all["data"].as_object().unwrap().len(), 11);
    let revision = all["metadata"]["resourceVersion"].clone();
    assert_ne!(revision, made["metadata"]["resourceVersion"]);
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let patch =
                json!({"metadata": {"resourceVersion": revision}, "data": {"winner": number.to_string()}});
            spawn(number, patch)
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.join().await.unwrap().map(|_| ()));
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [Ok(()), Err(409), Err(409), Err(409), Err(409)]);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_is_a_deletion_that_a_budget_may_forbid() {
    let kit = kit().await;
    for name in ["a", "b"] {
        let mut made = pod(name);
        made["metadata"]["labels"] = json!({"app": "web"});
        made["spec"]["nodeName"] = "n1".into();
        kit.create("default", "pods", made).await.unwrap();
        kit.merge(
            "default",
            &format!("pods/{name}/status"),
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        )
        .await
        .unwrap();
    }
    let budget = json!({"metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    kit.create("default", "poddisruptionbudgets", budget).await.unwrap();
    let counted = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2}});
    kit.merge("default", "poddisruptionbudgets/web/status", counted).await.unwrap();
    let eviction =
        |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    kit.create("default", "pods/a/eviction", eviction("a")).await.unwrap();
    assert!(kit.get("default", "pods/a").await.unwrap()["metadata"]["deletionTimestamp"].is_string());
    let refused = status_of(kit.create("default", "pods/b/eviction", eviction("b")).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    );
    assert!(kit.get("default", "pods/b").await.unwrap()["metadata"].get("deletionTimestamp").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_workload_is_scaled_through_its_scale() {
    let kit = kit().await;
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    let mut scale = kit.get("default", "deployments/web/scale").await.unwrap();
    assert_eq!((&scale["apiVersion"], &scale["spec"]["replicas"]), (&json!("autoscaling/v1"), &json!(3)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = 7.into();
    kit.update("default", "deployments/web/scale", scale.clone()).await.unwrap();
    assert_eq!(kit.get("default", "deployments/web").await.unwrap()["spec"]["replicas"], 7);
    let stale = status_of(kit.update("default", "deployments/web/scale", scale).await);
    assert_eq!(stale.code, 409);
    let negative = json!({"spec": {"replicas": -1}});
    let refused = status_of(kit.merge("default", "deployments/web/scale", negative).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            422,
            "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or \
             equal to 0"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_may_be_made_by_an_update_and_a_config_map_may_not() {
    let kit = kit().await;
    let lease = json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}});
    let made = kit.update("kube-system", "leases/leader", lease).await.unwrap();
    assert_eq!(made["spec"]["holderIdentity"], "a");
    let refused = status_of(kit.update("default", "configmaps/a", config_map("a")).await);
    assert_eq!((refused.code, refused.message.as_str()), (404, "configmaps \"a\" not found"));
    let renamed =
        status_of(kit.update("kube-system", "leases/other", json!({"metadata": {"name": "leader"}})).await);
    assert_eq!(
        (renamed.code, renamed.message.as_str()),
        (400, "the name of the object (leader) does not match the name on the URL (other)")
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_typed_and_what_comes_as_bytes_reads_the_same() {
    use windlass::api::{Object, Revision};
    use windlass::client::{ClientExt as _, Payload};
    let kit = kit().await;
    let typed: windlass::k8s_openapi::api::apps::v1::Deployment =
        serde_json::from_value(deployment("web")).unwrap();
    let scheme = kit.server.scheme();
    let row = scheme.iter().find(|row| row.plural == "deployments").unwrap().clone();
    let object = Object::from_typed(row, Revision::NONE, &typed).unwrap();
    let target = kit.at("default", "deployments");
    let one =
        kit.client.create(target.clone(), Payload::Object(object), WriteOptions::default()).await.unwrap();
    kit.delete("default", "deployments/web").await.unwrap();
    let bytes =
        Payload::Bytes { media_type: "application/yaml".into(), bytes: deployment("web").to_string().into() };
    let two = kit.client.create(target.clone(), bytes, WriteOptions::default()).await.unwrap();
    let content = |object: Option<Object>| {
        let mut tree = shown(&object.unwrap());
        tree["metadata"]
            .as_object_mut()
            .unwrap()
            .retain(|field, _| !matches!(field.as_str(), "uid" | "resourceVersion"));
        tree
    };
    assert_eq!(content(one), content(two));
    let unread =
        Payload::Bytes { media_type: "application/vnd.kubernetes.protobuf".into(), bytes: "k8s".into() };
    let refused = status_of(kit.client.create(target, unread, WriteOptions::default()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (415, "UnsupportedMediaType"));
}
