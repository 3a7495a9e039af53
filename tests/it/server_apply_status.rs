//! Every kind with a status: its parts are applied by different paths, and none owns what it cannot write.
//!
//! Source: `TestApplyResetFields` and `TestApplyStatus` of `test/integration/apiserver/apply` of Kubernetes
//! (1.36).

use serde_json::{Value, json};

use super::apply_kit::*;
use super::server_kit::*;

/// An object of each of these kinds, and two statuses that differ.
fn kinds() -> Vec<(&'static str, Value, Value, Value)> {
    let template = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Always"}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let condition = |status: &str| json!({"conditions": [{"type": "MyStatus", "status": status}]});
    let (yes, no) = (condition("True"), condition("False"));
    let workload = |version: &str, kind: &str, extra: Value| {
        let mut spec = json!({"selector": selector, "template": template});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec})
    };
    let ingress = |ip: &str| json!({"loadBalancer": {"ingress": [{"ip": ip}]}});
    vec![
        ("deployments", workload("apps/v1", "Deployment", json!({})), yes.clone(), no.clone()),
        ("daemonsets", workload("apps/v1", "DaemonSet", json!({})), yes.clone(), no.clone()),
        ("replicasets", workload("apps/v1", "ReplicaSet", json!({})), yes.clone(), no.clone()),
        (
            "statefulsets",
            workload("apps/v1", "StatefulSet", json!({"serviceName": "s"})),
            yes.clone(),
            no.clone(),
        ),
        (
            "poddisruptionbudgets",
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"},
                "spec": {"selector": selector}}),
            json!({"currentHealthy": 5}),
            json!({"currentHealthy": 25}),
        ),
        (
            "services",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
                "spec": {"type": "LoadBalancer", "selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]}}),
            ingress("127.0.0.1"),
            ingress("127.0.0.2"),
        ),
        (
            "ingresses",
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "x"},
                "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}),
            ingress("127.0.0.1"),
            ingress("127.0.0.2"),
        ),
        (
            "resourcequotas",
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "x"},
                "spec": {"hard": {"cpu": "10M"}}}),
            json!({"used": {"cpu": "5M"}}),
            json!({"used": {"cpu": "25M"}}),
        ),
        (
            "pods",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}),
            yes.clone(),
            no.clone(),
        ),
        (
            "replicationcontrollers",
            json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "x"},
                "spec": {"selector": {"a": "b"}, "template": template}}),
            yes,
            no,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_path_owns_what_it_writes_and_nothing_else() {
    let kit = kit().await;
    for (plural, object, status, other) in kinds() {
        let (path, status_path) = (format!("{plural}/x"), format!("{plural}/x/status"));
        let (path, status_path) = (path.as_str(), status_path.as_str());
        let with = |object: &Value, status: &Value| {
            let mut tree = object.clone();
            tree["status"] = status.clone();
            tree
        };
        let first = with(&object, &status);
        let made = kit.apply("one", "default", path).send(first.clone()).await;
        let made = made.unwrap_or_else(|error| panic!("{plural}: {error}"));
        assert!(!owners_of(&made)[0].contains("f:status"), "{plural}: {:?}", owners_of(&made));
        // The other's status is no conflict, since the first owns none; its spec does not count.
        let mut second = with(&object, &other);
        second["metadata"]["annotations"] = json!({"b": "c"});
        let written = kit.apply("two", "default", status_path).send(second.clone()).await;
        let written = written.unwrap_or_else(|error| panic!("{plural}: {error}"));
        let line = owners_of(&written).into_iter().find(|line| line.starts_with("Apply two")).unwrap();
        assert!(line.starts_with("Apply two/status ") && !line.contains("f:spec"), "{plural}: {line}");
        // The first status is a conflict by now.
        let refused = kit.apply("one", "default", status_path).send(first).await;
        let conflicts = conflicts(refused);
        assert!(!conflicts.is_empty(), "{plural}");
        for (who, field) in conflicts {
            assert_eq!(who, "\"two\" with subresource \"status\"", "{plural}");
            assert!(field.starts_with(".status."), "{plural}: {field}");
        }
    }
}
