//! SchedulingGates: a pod with gates is not looked at.
//!
//! Source: `pkg/scheduler/framework/plugins/schedulinggates/scheduling_gates.go` (1.36).

use k8s_openapi::api::core::v1::Pod;

/// Why a pod waits outside of the queue.
pub(super) fn waits(pod: &Pod) -> Option<String> {
    let gates = pod.spec.as_ref()?.scheduling_gates.as_ref()?;
    let names: Vec<_> = gates.iter().map(|gate| gate.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("waiting for scheduling gates: [{}]", names.join(" ")))
}
