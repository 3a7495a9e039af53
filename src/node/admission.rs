//! Whether a pod that was bound to this node can be taken in.
//!
//! The scheduler decides on what it knew; whoever binds pods by hand knows nothing. So the node
//! looks again, as kubelet 1.36 does (`pkg/kubelet/lifecycle/predicate.go`): resources, the number of
//! pods, host ports, the operating system. A pod that does not fit fails and is never tried again.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::lifecycle::{resize, spec};
use crate::api::predicates::{HostPort, Resources, host_ports, pod_requests};
use crate::api::quantity::Quantity;

/// Why a pod is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// Such as `OutOfcpu`.
    pub(super) reason: String,
    /// Why, in words.
    pub(super) message: String,
}

/// Judges a pod by what the node can give, beside the pods that it already has. Pods that have
/// ended count for nothing.
pub(super) fn admit(
    pod: &Pod,
    others: &[impl AsRef<Pod>],
    allocatable: &BTreeMap<String, Text>,
) -> Result<(), Rejection> {
    let reject = |reason: &str, message: String| Err(Rejection { reason: reason.to_owned(), message });
    let os = spec(pod).os.as_ref().map(|os| os.name.as_str());
    if os.is_some_and(|os| os != "linux") {
        let message = "Failed to admit pod as the OS field doesn't match node OS";
        return reject("PodOSNotSupported", message.to_owned());
    }
    let others: Vec<_> = others.iter().map(AsRef::as_ref).filter(|other| !has_ended(other)).collect();
    let capacity = Resources::read(Some(allocatable));
    let insufficient = |name: &str, requested: i64, used: i64, capacity: i64| {
        let message = format!(
            "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
        );
        reject(&format!("OutOf{name}"), message)
    };
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if capacity.has("pods") && count + 1 > capacity.get("pods").value() {
        return insufficient("pods", 1, count, capacity.get("pods").value());
    }
    let mut used = Resources::new();
    for other in &others {
        // What another waits for and has not been given takes no room.
        used.add(&pod_requests(spec(&resize::given(other, &resize::known(other)))));
    }
    for (name, requested) in pod_requests(spec(pod)).iter() {
        // What the node has never heard of is somebody else's to count.
        if requested.is_zero() || !capacity.has(name) {
            continue;
        }
        let unit = |amount: Quantity| if name == "cpu" { amount.milli_value() } else { amount.value() };
        let (requested, used, capacity) = (unit(requested), unit(used.get(name)), unit(capacity.get(name)));
        if requested > capacity.saturating_sub(used) {
            return insufficient(name, requested, used, capacity);
        }
    }
    let wanted = host_ports(spec(pod));
    let taken: Vec<HostPort> = others.iter().flat_map(|other| host_ports(spec(other))).collect();
    if wanted.iter().any(|port| taken.iter().any(|other| port.conflicts(other))) {
        let why = "node(s) didn't have free ports for the requested pod ports";
        return reject("NodePorts", format!("Predicate NodePorts failed: {why}"));
    }
    Ok(())
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn pod(container: Value) -> Arc<Pod> {
        let mut container = container;
        container["name"] = "c".into();
        Arc::new(serde_json::from_value(json!({"spec": {"containers": [container]}})).unwrap())
    }

    fn cpu(amount: &str) -> Arc<Pod> {
        pod(json!({"resources": {"requests": {"cpu": amount}}}))
    }

    fn port(port: i32) -> Arc<Pod> {
        pod(json!({"ports": [{"containerPort": 80, "hostPort": port, "protocol": "TCP"}]}))
    }

    #[test]
    fn what_does_not_fit_is_refused_in_kubelets_words() {
        let node = |pods: &str| {
            [("cpu", "2"), ("memory", "1Gi"), ("pods", pods)]
                .map(|(name, n)| (name.to_owned(), Text(n.into())))
                .into()
        };
        let mut ended = (*cpu("2")).clone();
        ended.status = Some(serde_json::from_value(json!({"phase": "Succeeded"})).unwrap());
        let verdict = |new: &Pod, others: &[Arc<Pod>], pods: &str| admit(new, others, &node(pods));
        assert_eq!(verdict(&cpu("1"), &[cpu("1")], "9"), Ok(()));
        assert_eq!(verdict(&cpu("2"), &[Arc::new(ended)], "9"), Ok(()), "what has ended counts for nothing");
        assert_eq!(verdict(&pod(json!({"resources": {"requests": {"a.b/gpu": "1"}}})), &[], "9"), Ok(()));
        for (new, others, pods, reason, message) in [
            (
                cpu("1500m"),
                vec![cpu("1")],
                "9",
                "OutOfcpu",
                "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
            ),
            (
                cpu("0"),
                vec![cpu("0")],
                "1",
                "OutOfpods",
                "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1",
            ),
            (
                port(8080),
                vec![port(8080)],
                "9",
                "NodePorts",
                "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
            ),
        ] {
            let rejection = verdict(&new, &others, pods).unwrap_err();
            assert_eq!((rejection.reason.as_str(), rejection.message.as_str()), (reason, message));
        }
    }
}
