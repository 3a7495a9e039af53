//! Whether a node is alive, and what follows for its conditions and taints. Pure.
//!
//! Rules as Kubernetes 1.36 (`pkg/controller/nodelifecycle`): a node agent that has renewed neither
//! its lease nor its status for 40 s is not heard of any more. Its conditions become `Unknown`, its
//! taints follow its conditions, and pods follow the taints.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How long a node may be silent.
pub(super) const GRACE: Duration = Duration::from_secs(40);
/// How long a new node may take to say anything at all.
pub(super) const STARTUP_GRACE: Duration = Duration::from_secs(60);

pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions that only the node agent knows of.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Condition, its status, and the taint that follows.
const TAINTS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];

pub(super) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// `True`, `False` or `Unknown`; nothing where the node has never said.
pub(super) fn ready(node: &Node) -> Option<&str> {
    condition(node, "Ready").map(|condition| condition.status.as_str())
}

/// How long this node may be silent.
pub(super) fn grace(node: &Node) -> Duration {
    if ready(node).is_some() { GRACE } else { STARTUP_GRACE }
}

/// The conditions of a node that is not heard of; none where they say so already.
pub(super) fn silent(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    let old = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut conditions = old.clone();
    for kind in REPORTED {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            None => conditions.push(NodeCondition {
                type_: kind.into(),
                status: "Unknown".into(),
                reason: Some("NodeStatusNeverUpdated".into()),
                message: Some("Kubelet never posted node status.".into()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".into();
                condition.reason = Some("NodeStatusUnknown".into());
                condition.message = Some("Kubelet stopped posting node status.".into());
                condition.last_transition_time = Some(Time(now));
            }
            Some(_) => {}
        }
    }
    (conditions != old).then_some(conditions)
}

/// The taints that a node should have; none where it has them. Taints of others stay.
///
/// `evict` says whether pods may be driven away: not while no node at all is ready, since then
/// the fault lies elsewhere and there is no place to go.
pub(super) fn taints(node: &Node, evict: bool, now: Timestamp) -> Option<Vec<Taint>> {
    let old = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for (kind, status, key) in TAINTS {
        if condition(node, kind).is_some_and(|condition| condition.status == status) {
            wanted.push((key, "NoSchedule"));
            if kind == "Ready" && evict {
                wanted.push((key, "NoExecute"));
            }
        }
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let ours = |taint: &Taint| match taint.effect.as_str() {
        "NoSchedule" => taint.key == UNSCHEDULABLE || TAINTS.iter().any(|(.., key)| taint.key == *key),
        "NoExecute" => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    };
    let is_wanted =
        |taint: &Taint| wanted.iter().any(|(key, effect)| taint.key == *key && taint.effect == *effect);
    let mut taints: Vec<Taint> =
        old.iter().filter(|taint| !ours(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            taints.push(Taint {
                key: key.into(),
                effect: effect.into(),
                value: None,
                time_added: Some(Time(now)),
            });
        }
    }
    (taints != old).then_some(taints)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(conditions: Value, spec: Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "n", "creationTimestamp": "2020-01-01T00:00:00Z"},
            "spec": spec, "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2020-01-01T00:05:00Z".parse().unwrap()
    }

    fn keys(taints: Option<Vec<Taint>>) -> Option<Vec<String>> {
        let name = |taint: Taint| {
            format!("{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect)
        };
        taints.map(|taints| taints.into_iter().map(name).collect())
    }

    #[test]
    fn a_silent_node_is_unknown_and_stays_so() {
        let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"},
            {"type": "NetworkUnavailable", "status": "False"}]);
        let mut node = node(ready, json!({}));
        let conditions = silent(&node, now()).unwrap();
        let shown: Vec<_> = conditions
            .iter()
            .map(|condition| {
                format!(
                    "{}={} {}",
                    condition.type_,
                    condition.status,
                    condition.reason.as_deref().unwrap_or("")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "Ready=Unknown NodeStatusUnknown",
                "NetworkUnavailable=False ",
                "MemoryPressure=Unknown NodeStatusNeverUpdated",
                "DiskPressure=Unknown NodeStatusNeverUpdated",
                "PIDPressure=Unknown NodeStatusNeverUpdated",
            ]
        );
        node.status.get_or_insert_default().conditions = Some(conditions);
        assert_eq!(silent(&node, now()), None);
    }

    #[test]
    fn taints_follow_conditions_and_leave_those_of_others_alone() {
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        let taint =
            |key: &str, effect: &str| json!({"key": format!("node.kubernetes.io/{key}"), "effect": effect});
        let others = json!({"key": "gpu", "effect": "NoSchedule"});
        for (name, conditions, spec, evict, expected) in [
            ("ready", ready("True"), json!({}), true, None),
            (
                "unreachable",
                ready("Unknown"),
                json!({"taints": [others]}),
                true,
                Some(vec!["gpu:NoSchedule", "unreachable:NoSchedule", "unreachable:NoExecute"]),
            ),
            (
                "unreachable, as all others are",
                ready("Unknown"),
                json!({}),
                false,
                Some(vec!["unreachable:NoSchedule"]),
            ),
            (
                "no longer unreachable, but not ready",
                ready("False"),
                json!({"taints": [taint("unreachable", "NoSchedule"), taint("unreachable", "NoExecute")]}),
                true,
                Some(vec!["not-ready:NoSchedule", "not-ready:NoExecute"]),
            ),
            (
                "back again",
                ready("True"),
                json!({"taints": [taint("unreachable", "NoSchedule"), others, taint("unreachable", "NoExecute")]}),
                true,
                Some(vec!["gpu:NoSchedule"]),
            ),
            (
                "cordoned",
                ready("True"),
                json!({"unschedulable": true}),
                true,
                Some(vec!["unschedulable:NoSchedule"]),
            ),
            (
                "uncordoned",
                ready("True"),
                json!({"taints": [taint("unschedulable", "NoSchedule")]}),
                true,
                Some(vec![]),
            ),
            (
                "short of memory",
                json!([{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}]),
                json!({}),
                true,
                Some(vec!["memory-pressure:NoSchedule"]),
            ),
        ] {
            let expected = expected.map(|list: Vec<&str>| list.into_iter().map(str::to_owned).collect());
            assert_eq!(keys(taints(&node(conditions, spec), evict, now())), expected, "{name}");
        }
    }
}
