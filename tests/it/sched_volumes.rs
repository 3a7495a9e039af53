//! The scheduler and the volumes of claims that wait for a pod. The story plays whoever binds and makes volumes.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use windlass::client::{Identity, Informer};
use windlass::env::Clock;
use windlass::sched::config::VolumeBindingArgs;
use windlass::sched::plugins::VolumeBinding;
use windlass::sched::{Scheduler, SchedulerBuilder};

use super::server_kit::*;

const SELECTED: &str = "volume.kubernetes.io/selected-node";
const BOUND: &str = "pv.kubernetes.io/bind-completed";

/// A node, a class that makes nothing and one that does, and a claim to each.
async fn stage() -> Kit {
    let kit = kit().await;
    kit.create("", "nodes", json!({"metadata": {"name": "n", "labels": {"disk": "ssd"}}})).await.unwrap();
    let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
    let status = json!({"status": {"capacity": amounts, "allocatable": amounts}});
    kit.merge("", "nodes/n/status", status).await.unwrap();
    for (name, provisioner) in [("local", "kubernetes.io/no-provisioner"), ("made", "csi.example.com")] {
        let class = json!({"metadata": {"name": name}, "provisioner": provisioner,
                           "volumeBindingMode": "WaitForFirstConsumer"});
        kit.create("", "storageclasses", class).await.unwrap();
        let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": name,
                          "resources": {"requests": {"storage": "1Gi"}}});
        let claim = json!({"metadata": {"name": name}, "spec": spec});
        kit.create("default", "persistentvolumeclaims", claim).await.unwrap();
    }
    kit
}

/// A volume for nodes with a disk of a kind.
async fn volume(kit: &Kit, name: &str, disk: &str) {
    let term = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": [disk]}]});
    let spec = json!({
        "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
        "local": {"path": "/disk"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    });
    kit.create("", "persistentvolumes", json!({"metadata": {"name": name}, "spec": spec})).await.unwrap();
    let status = json!({"status": {"phase": "Available"}});
    kit.merge("", &format!("persistentvolumes/{name}/status"), status).await.unwrap();
}

/// Binds a claim to a volume, as the controller of volumes does in the end.
async fn bind(kit: &Kit, claim: &str, volume: &str) {
    let path = format!("persistentvolumeclaims/{claim}");
    let bound = json!({"metadata": {"annotations": {BOUND: "yes"}}, "spec": {"volumeName": volume}});
    kit.merge("default", &path, bound).await.unwrap();
}

fn builder(kit: &Kit) -> SchedulerBuilder {
    let client = kit.server.client(Identity::user("system:kube-scheduler"));
    Scheduler::builder().client(client).env(kit.server.env().clone())
}

async fn run(kit: &Kit, claim: &str) {
    let mut pod = pod("p");
    pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
    kit.create("default", "pods", pod).await.unwrap();
}

/// Waits until an object is as it should be.
async fn until(kit: &Kit, namespace: &str, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100_000 {
        let object = kit.get(namespace, path).await.unwrap();
        if holds(&object) {
            return object;
        }
        Clock::system().sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never comes to be as it should: {:#}", kit.get(namespace, path).await.unwrap())
}

fn has_node(pod: &Value) -> bool {
    pod["spec"]["nodeName"] == "n"
}

fn says(why: &str) -> impl Fn(&Value) -> bool {
    move |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|own| own["reason"] == "SchedulerError" && own["message"] == why)
    }
}

fn of(pods: &Informer<Pod>) -> Vec<Arc<Pod>> {
    pods.list()
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_kept_for_a_claim_and_the_pod_is_bound_when_both_are() {
    let kit = stage().await;
    volume(&kit, "elsewhere", "hdd").await;
    volume(&kit, "here", "ssd").await;
    let scheduler = builder(&kit).start().await;
    run(&kit, "local").await;
    let kept = until(&kit, "", "persistentvolumes/here", |one| one["spec"]["claimRef"].is_object()).await;
    assert_eq!(kept["spec"]["claimRef"]["name"], "local");
    assert_eq!(kept["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"], "yes");
    // Time passes, and the pod waits.
    Clock::system().sleep(Duration::from_secs(60)).await;
    assert!(!has_node(&kit.get("default", "pods/p").await.unwrap()));
    assert_eq!(of(scheduler.pods()).len(), 1);
    bind(&kit, "local", "here").await;
    until(&kit, "default", "pods/p", has_node).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_made_for_the_node_that_was_selected() {
    let kit = stage().await;
    let scheduler = builder(&kit).start().await;
    run(&kit, "made").await;
    let path = "persistentvolumeclaims/made";
    let selected = |claim: &Value| claim["metadata"]["annotations"][SELECTED] == "n";
    until(&kit, "default", path, selected).await;
    // Its claim may be seen bound before the volume itself is.
    bind(&kit, "made", "new").await;
    Clock::system().sleep(Duration::from_secs(5)).await;
    assert!(!has_node(&kit.get("default", "pods/p").await.unwrap()));
    volume(&kit, "new", "ssd").await;
    until(&kit, "default", "pods/p", has_node).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_make_a_volume_says_so_and_the_pod_is_tried_again() {
    let kit = stage().await;
    let scheduler = builder(&kit).start().await;
    run(&kit, "made").await;
    let path = "persistentvolumeclaims/made";
    let selected = |claim: &Value| claim["metadata"]["annotations"][SELECTED] == "n";
    until(&kit, "default", path, selected).await;
    let annotations = json!({"metadata": {"annotations": {SELECTED: null, "other": "kept"}}});
    kit.merge("default", path, annotations).await.unwrap();
    let why =
        "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"made\"";
    until(&kit, "default", "pods/p", says(why)).await;
    // It is selected anew, and this time all goes well.
    until(&kit, "default", path, selected).await;
    volume(&kit, "new", "ssd").await;
    bind(&kit, "made", "new").await;
    until(&kit, "default", "pods/p", has_node).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn volumes_may_take_only_so_long() {
    let kit = stage().await;
    let plugin = VolumeBinding::new(&VolumeBindingArgs { bind_timeout_seconds: 30, shape: None });
    let scheduler = builder(&kit).plugin(plugin).start().await;
    run(&kit, "made").await;
    let why = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    until(&kit, "default", "pods/p", says(why)).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn more_pods_may_wait_for_volumes_than_may_be_bound_at_a_time() {
    let kit = stage().await;
    let scheduler = builder(&kit).start().await;
    for number in 0..100 {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "made",
                          "resources": {"requests": {"storage": "1Gi"}}});
        let claim = json!({"metadata": {"name": format!("c{number}")}, "spec": spec});
        kit.create("default", "persistentvolumeclaims", claim).await.unwrap();
        let mut pod = pod(&format!("waits-{number}"));
        let source = json!({"claimName": format!("c{number}")});
        pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": source}]);
        kit.create("default", "pods", pod).await.unwrap();
    }
    let selected = |claim: &Value| claim["metadata"]["annotations"][SELECTED] == "n";
    for number in 0..100 {
        until(&kit, "default", &format!("persistentvolumeclaims/c{number}"), selected).await;
    }
    kit.create("default", "pods", pod("p")).await.unwrap();
    until(&kit, "default", "pods/p", has_node).await;
    scheduler.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_leaves_nothing_waiting() {
    let kit = stage().await;
    volume(&kit, "here", "ssd").await;
    let scheduler = builder(&kit).start().await;
    run(&kit, "local").await;
    until(&kit, "", "persistentvolumes/here", |one| one["spec"]["claimRef"].is_object()).await;
    let at_once = delete_options(|options| options.grace_period_seconds = Some(0));
    kit.delete_with("default", "pods/p", at_once).await.unwrap();
    // Its like of the same name is another, and has the claim and its volume.
    run(&kit, "local").await;
    bind(&kit, "local", "here").await;
    until(&kit, "default", "pods/p", has_node).await;
    scheduler.shutdown().await;
}
