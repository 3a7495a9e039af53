//! What is stored: config maps of a kilobyte, and pods and nodes as clusters have them.

use serde_json::{Value, json};

/// A config map of about a kilobyte, named by the server.
pub(crate) fn config_map() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "map-", "labels": {"app": "bench"}},
        "data": {"value": "v".repeat(800)},
    })
}

/// A node.
pub(crate) fn node(number: usize) -> Value {
    let name = format!("node-{number:05}");
    let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map(|kind| {
        json!({
            "type": kind, "status": if kind == "Ready" { "True" } else { "False" },
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "KubeletIsWell", "message": "kubelet is posting its status",
        })
    });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
        }},
        "spec": {"podCIDR": format!("10.{}.{}.0/24", number / 250, number % 250)},
        "status": {
            "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "500Gi"},
            "allocatable": {"cpu": "31", "memory": "250Gi", "pods": "110", "ephemeral-storage": "450Gi"},
            "conditions": conditions,
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": {"machineID": "m", "systemUUID": "u", "bootID": "b", "kernelVersion": "6.1",
                "osImage": "linux", "containerRuntimeVersion": "containerd://2.0", "kubeletVersion": "v1.36.0",
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}

/// A pod of a Deployment, bound to one of so many nodes.
pub(crate) fn pod(number: usize, nodes: usize) -> Value {
    let set = number / 10;
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("web-{set:05}-7d4b9c8f6d-{number:06}"),
            "labels": {"app": format!("web-{set:05}"), "pod-template-hash": "7d4b9c8f6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("web-{set:05}-7d4b9c8f6d"),
                "uid": format!("00000000-0000-4000-8000-{set:012}"), "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": {
            "nodeName": format!("node-{:05}", number % nodes),
            "containers": [{
                "name": "web", "image": "registry.example/web:1.2.3",
                "ports": [{"containerPort": 8080, "name": "http"}],
                "env": [{"name": "MODE", "value": "production"},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
            }],
        },
    })
}

/// What its node's agent says of a pod that runs.
pub(crate) fn running(number: usize) -> Value {
    let time = "2026-01-01T00:00:00Z";
    let address = format!("10.{}.{}.{}", number / 62_500 % 250, number / 250 % 250, number % 250);
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": time}));
    json!({"status": {
        "phase": "Running", "startTime": time, "hostIP": "192.168.0.1", "podIP": address, "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "conditions": conditions,
        "containerStatuses": [{
            "name": "web", "ready": true, "started": true, "restartCount": 0, "image": "registry.example/web:1.2.3",
            "imageID": "registry.example/web@sha256:0123456789abcdef", "containerID": format!("containerd://{number:064}"),
            "state": {"running": {"startedAt": time}},
        }],
    }})
}
