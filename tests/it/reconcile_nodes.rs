//! Nodes that fall silent, and what becomes of the pods on them.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};
use windlass::client::{Api, DeleteOptions};

use super::reconcile_kit::*;

fn node(name: &str) -> Value {
    json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True",
        "reason": "KubeletReady", "lastHeartbeatTime": "2020-01-01T00:00:00Z"}]}})
}

fn pod(name: &str, node: &str, tolerations: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": node, "tolerations": tolerations,
        "containers": [{"name": "c", "image": "i"}]}})
}

async fn ready(pods: &Api<Pod>, name: &str) {
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.merge_patch_status(name, &status).await.unwrap();
}

/// Renews the lease of a node for ever.
async fn heartbeat(world: &World, node: &str) {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "kube-node-lease");
    world.create(&leases, json!({"metadata": {"name": node}, "spec": {"holderIdentity": node}})).await;
    let (clock, name) = (world.env.clock.clone(), node.to_owned());
    world.env.tasks.spawn("heartbeat", async move {
        loop {
            let renewal = json!({"spec": {"renewTime": MicroTime(clock.now())}});
            leases.merge_patch(&name, &renewal).await.unwrap();
            clock.sleep(Duration::from_secs(10)).await;
        }
    });
}

async fn register(world: &World, name: &str) {
    let nodes = world.all::<Node>();
    let node: Node = world.create(&nodes, node(name)).await;
    if node.status.is_none_or(|status| status.conditions.is_none()) {
        nodes.merge_patch_status(name, &self::node(name)).await.unwrap();
    }
}

fn ready_reason(node: &Node) -> (String, String) {
    let conditions = node.status.as_ref().unwrap().conditions.as_ref().unwrap();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    (ready.status.clone(), ready.reason.clone().unwrap_or_default())
}

fn taints(node: &Node) -> Vec<String> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    taints.into_iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
}

fn of<'a>(nodes: &'a [Node], name: &str) -> &'a Node {
    nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_tainted_and_its_pods_leave_and_it_may_come_back() {
    let world = world().await;
    let (nodes, pods) = (world.all::<Node>(), world.api::<Pod>());
    register(&world, "alive").await;
    register(&world, "silent").await;
    heartbeat(&world, "alive").await;
    let patient = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists",
        "effect": "NoExecute", "tolerationSeconds": 60}]);
    let stoic = json!([{"operator": "Exists"}]);
    for (name, node, tolerations) in [
        (
            "impatient",
            "silent",
            json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists",
            "effect": "NoExecute", "tolerationSeconds": 0}]),
        ),
        ("patient", "silent", patient.clone()),
        ("stoic", "silent", stoic),
        ("elsewhere", "alive", patient),
    ] {
        world.create(&pods, pod(name, node, tolerations)).await;
        ready(&pods, name).await;
    }
    let start = world.env.clock.instant();
    let found = world
        .until(&nodes, "the silent one is tainted", |nodes| taints(of(nodes, "silent")).len() == 2)
        .await;
    let after = (world.env.clock.instant() - start).as_secs();
    assert!((40..=42).contains(&after), "after {after} s");
    assert_eq!(ready_reason(of(&found, "silent")), ("Unknown".into(), "NodeStatusUnknown".into()));
    assert_eq!(
        taints(of(&found, "silent")),
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    assert_eq!(ready_reason(of(&found, "alive")).0, "True");

    let leaving = |pods: &[Pod], name: &str| {
        let pod = pods.iter().find(|pod| pod.metadata.name.as_deref() == Some(name));
        pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
    };
    let found = world.until(&pods, "the impatient one leaves", |pods| leaving(pods, "impatient")).await;
    assert!(!leaving(&found, "patient"));
    let found = world.until(&pods, "the patient one leaves", |pods| leaving(pods, "patient")).await;
    let after = (world.env.clock.instant() - start).as_secs();
    assert!((100..=103).contains(&after), "after {after} s");
    assert!(!leaving(&found, "stoic") && !leaving(&found, "elsewhere"));
    let is_ready = |name: &str| {
        let pod = found.iter().find(|pod| pod.metadata.name.as_deref() == Some(name)).unwrap();
        let conditions = pod.status.as_ref().unwrap().conditions.as_ref().unwrap();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    assert!(!is_ready("stoic") && is_ready("elsewhere"));

    let mut back = node("silent");
    back["status"]["conditions"][0]["lastHeartbeatTime"] = "2020-01-01T00:03:00Z".into();
    nodes.merge_patch_status("silent", &json!({"status": back["status"]})).await.unwrap();
    world.until(&nodes, "no taint is left", |nodes| taints(of(nodes, "silent")).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_driven_away_while_no_node_is_ready() {
    let world = world().await;
    let (nodes, pods) = (world.all::<Node>(), world.api::<Pod>());
    register(&world, "only").await;
    world.create(&pods, pod("p", "only", json!([]))).await;
    let found = world.until(&nodes, "tainted", |nodes| !taints(of(nodes, "only")).is_empty()).await;
    assert_eq!(taints(of(&found, "only")), ["node.kubernetes.io/unreachable:NoSchedule"]);
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_node_is_tainted() {
    let world = world().await;
    let nodes = world.all::<Node>();
    register(&world, "n").await;
    heartbeat(&world, "n").await;
    nodes.merge_patch("n", &json!({"spec": {"unschedulable": true}})).await.unwrap();
    let cordoned = ["node.kubernetes.io/unschedulable:NoSchedule"];
    world.until(&nodes, "cordoned", |nodes| taints(&nodes[0]) == cordoned).await;
    nodes.merge_patch("n", &json!({"spec": {"unschedulable": null}})).await.unwrap();
    world.until(&nodes, "uncordoned", |nodes| taints(&nodes[0]).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_is_no_more_are_taken_away() {
    let world = world().await;
    let (nodes, pods) = (world.all::<Node>(), world.api::<Pod>());
    register(&world, "doomed").await;
    register(&world, "other").await;
    for name in ["doomed", "other"] {
        world.create(&pods, pod(name, name, json!([]))).await;
        ready(&pods, name).await;
    }
    heartbeat(&world, "other").await;
    nodes.delete("doomed", DeleteOptions::default()).await.unwrap();
    let found = world.until(&pods, "taken away", |pods| pods.len() == 1).await;
    assert_eq!(found[0].metadata.name.as_deref(), Some("other"));
}
