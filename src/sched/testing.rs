//! Pods and nodes in a few words, for tests that read like stories.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

/// A pod in the making: `pod("a").cpu("500m").on("node-1")`.
#[derive(Clone)]
pub(super) struct PodStory(Value);

pub(super) fn pod(name: &str) -> PodStory {
    let metadata = json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}")});
    let container = json!({"name": "c", "resources": {"requests": {}}});
    PodStory(json!({"metadata": metadata, "spec": {"containers": [container]}}))
}

impl PodStory {
    pub(super) fn asks(mut self, resource: &str, amount: &str) -> Self {
        self.0["spec"]["containers"][0]["resources"]["requests"][resource] = amount.into();
        self
    }

    pub(super) fn cpu(self, amount: &str) -> Self {
        self.asks("cpu", amount)
    }

    pub(super) fn memory(self, amount: &str) -> Self {
        self.asks("memory", amount)
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        self.0["spec"]["containers"][0]["ports"] = json!([{"containerPort": port, "hostPort": port}]);
        self
    }

    pub(super) fn set(mut self, field: &str, value: Value) -> Self {
        self.0["spec"][field] = value;
        self
    }

    pub(super) fn selects(self, label: &str, value: &str) -> Self {
        self.set("nodeSelector", json!({label: value}))
    }

    pub(super) fn tolerates(self, key: &str) -> Self {
        self.set("tolerations", json!([{"key": key, "operator": "Exists"}]))
    }

    pub(super) fn priority(self, priority: i32) -> Self {
        self.set("priority", json!(priority))
    }

    pub(super) fn on(self, node: &str) -> Self {
        self.set("nodeName", json!(node))
    }

    pub(super) fn uid(mut self, uid: &str) -> Self {
        self.0["metadata"]["uid"] = uid.into();
        self
    }

    pub(super) fn app(mut self, name: &str) -> Self {
        self.0["metadata"]["labels"] = json!({"app": name});
        self
    }

    pub(super) fn deleting(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
        self
    }

    pub(super) fn make(self) -> Arc<Pod> {
        Arc::new(serde_json::from_value(self.0).unwrap())
    }
}

/// A node in the making: `node("n").cpu("4")`. It has room for 110 pods.
#[derive(Clone)]
pub(super) struct NodeStory(Value);

pub(super) fn node(name: &str) -> NodeStory {
    NodeStory(
        json!({"metadata": {"name": name, "labels": {}}, "spec": {}, "status": {"allocatable": {"pods": "110"}}}),
    )
}

impl NodeStory {
    pub(super) fn gives(mut self, resource: &str, amount: &str) -> Self {
        self.0["status"]["allocatable"][resource] = amount.into();
        self
    }

    pub(super) fn cpu(self, amount: &str) -> Self {
        self.gives("cpu", amount)
    }

    pub(super) fn memory(self, amount: &str) -> Self {
        self.gives("memory", amount)
    }

    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    pub(super) fn taint(mut self, key: &str, effect: &str) -> Self {
        self.0["spec"]["taints"] = json!([{"key": key, "effect": effect}]);
        self
    }

    pub(super) fn status(mut self, field: &str, value: Value) -> Self {
        self.0["status"][field] = value;
        self
    }

    pub(super) fn cordoned(mut self) -> Self {
        self.0["spec"]["unschedulable"] = true.into();
        self
    }

    pub(super) fn make(self) -> Arc<Node> {
        Arc::new(serde_json::from_value(self.0).unwrap())
    }
}
