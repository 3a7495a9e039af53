//! The nodes and pods of kube-scheduler's benchmark.
//!
//! Source: `test/integration/scheduler_perf/templates` (1.36).

use serde_json::{Value, json};

/// The driver of the volumes.
pub(crate) const DRIVER: &str = "ebs.csi.aws.com";
/// The class whose pods may have others go for them. The benchmark writes its value into pods without a class,
/// which no server that works priorities out lets pass.
pub(crate) const HIGH: &str = "high";
/// What that is worth.
pub(crate) const HIGH_VALUE: i32 = 10;

/// A node of 4 CPUs, in a zone where one is given.
pub(crate) fn node(zone: Option<&str>) -> Value {
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"generateName": "scheduler-perf-"},
        "status": {
            "capacity": {"pods": "110", "cpu": "4", "memory": "32Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "phase": "Running",
        },
    });
    if let Some(zone) = zone {
        node["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": zone});
    }
    node
}

/// The same with room for 39 volumes.
pub(crate) fn node_with_volumes() -> Value {
    let mut node = node(None);
    node["status"]["capacity"][format!("attachable-volumes-csi-{DRIVER}")] = json!("39");
    node
}

/// What a node's driver says of itself.
pub(crate) fn csi_node(name: &str) -> Value {
    let driver = json!({"name": DRIVER, "nodeID": name, "allocatable": {"count": 39}});
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
        "metadata": {"name": name}, "spec": {"drivers": [driver]},
    })
}

/// A volume that a claim has already.
pub(crate) fn volume(name: &str, namespace: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "capacity": {"storage": "1Gi"},
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
        },
    })
}

/// The claim that has it.
pub(crate) fn claim(name: &str, volume: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/bind-completed": "true"}},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeName": volume,
        },
    })
}

/// A pod that asks for nothing but its own port.
fn bare(prefix: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": prefix},
        "spec": {"containers": [{
            "image": "registry.k8s.io/pause:3.10.2", "name": "pause", "ports": [{"containerPort": 80}],
        }]},
    })
}

/// A pod that asks for so much CPU, and may have no more.
fn sized(prefix: &str, cpu: &str) -> Value {
    let (mut pod, resources) = (bare(prefix), json!({"cpu": cpu, "memory": "500Mi"}));
    pod["spec"]["containers"][0]["resources"] = json!({"limits": resources, "requests": resources});
    pod
}

fn labelled(prefix: &str, color: &str) -> Value {
    let mut pod = sized(prefix, "100m");
    pod["metadata"]["labels"] = json!({"color": color});
    pod
}

/// A pod of 100 milli-CPUs.
pub(crate) fn pod() -> Value {
    sized("pod-", "100m")
}

/// One of which four leave a node 400 milli-CPUs.
pub(crate) fn low_priority() -> Value {
    let mut pod = sized("pod-", "900m");
    pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
    pod
}

/// One that three of those must go for.
pub(crate) fn high_priority() -> Value {
    let mut pod = sized("pod-high-priority-", "3000m");
    pod["spec"]["priorityClassName"] = json!(HIGH);
    pod
}

/// One that fits no node, whoever goes.
pub(crate) fn never_fits() -> Value {
    let mut pod = bare("pod-h-");
    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "9", "memory": "500Mi"}});
    pod["spec"]["priorityClassName"] = json!(HIGH);
    pod
}

/// One that must be in one of two zones.
pub(crate) fn node_affinity() -> Value {
    let mut pod = sized("node-affinity-", "100m");
    let zones = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone1", "zone2"]});
    pod["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchExpressions": [zones]}]}}});
    pod
}

/// Pods of a colour in the benchmark's namespaces, by what lies between them.
fn term(color: &str, topology: &str) -> Value {
    json!({
        "labelSelector": {"matchLabels": {"color": color}},
        "topologyKey": topology,
        "namespaces": ["sched-1", "sched-0"],
    })
}

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// One that must be where no other of its colour is.
pub(crate) fn pod_anti_affinity() -> Value {
    let mut pod = labelled("anti-affinity-pod-", "green");
    pod["spec"]["affinity"]["podAntiAffinity"] =
        json!({"requiredDuringSchedulingIgnoredDuringExecution": [term("green", HOST)]});
    pod
}

/// One that must be where others of its colour are.
pub(crate) fn pod_affinity() -> Value {
    let mut pod = labelled("affinity-pod-", "blue");
    pod["spec"]["affinity"]["podAffinity"] =
        json!({"requiredDuringSchedulingIgnoredDuringExecution": [term("blue", ZONE)]});
    pod
}

/// One that had rather be where others of its colour are.
pub(crate) fn preferred_pod_affinity() -> Value {
    let mut pod = labelled("preferred-affinity-pod-", "red");
    pod["spec"]["affinity"]["podAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
        [{"weight": 1, "podAffinityTerm": term("red", HOST)}]});
    pod
}

/// One that had rather be where no other of its colour is.
pub(crate) fn preferred_pod_anti_affinity() -> Value {
    let mut pod = labelled("preferred-anti-affinity-pod-", "yellow");
    pod["spec"]["affinity"]["podAntiAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
        [{"weight": 1, "podAffinityTerm": term("yellow", HOST)}]});
    pod
}

fn spread(unsatisfiable: &str) -> Value {
    let mut pod = labelled("spreading-pod-", "blue");
    pod["spec"]["topologySpreadConstraints"] = json!([{
        "maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": unsatisfiable,
        "labelSelector": {"matchLabels": {"color": "blue"}},
    }]);
    pod
}

/// One that must be spread over the zones.
pub(crate) fn spreading() -> Value {
    spread("DoNotSchedule")
}

/// One that had rather be.
pub(crate) fn preferred_spreading() -> Value {
    spread("ScheduleAnyway")
}

/// A node without room, which comes and goes.
pub(crate) fn churning_node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"generateName": "node-churn-"},
        "status": {
            "capacity": {"pods": "0"}, "conditions": [{"type": "Ready", "status": "True"}], "phase": "Running",
        },
    })
}

/// A service that selects nothing, which comes and goes.
pub(crate) fn churning_service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"generateName": "service-churn-"},
        "spec": {"selector": {"app": "foo"}, "ports": [{"protocol": "TCP", "port": 8080, "targetPort": 8080}]},
    })
}
