//! SchedulingGates: a pod with gates waits until they are taken away.

use crate::sched::{ClusterEvent, EventKinds, Plugin, PodInfo, PreEnqueue, Snapshot, Verdict};

/// Keeps gated pods out of the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::POD_UNGATED
    }

    fn helps(&self, event: &ClusterEvent<'_>, _: &PodInfo, _: &Snapshot) -> bool {
        matches!(event, ClusterEvent::Changed { .. })
    }

    fn as_pre_enqueue(&self) -> Option<&dyn PreEnqueue> {
        Some(self)
    }
}

impl PreEnqueue for SchedulingGates {
    fn pre_enqueue(&self, pod: &PodInfo) -> Verdict {
        let gates: Vec<_> = pod
            .spec()
            .and_then(|spec| spec.scheduling_gates.as_deref())
            .unwrap_or_default()
            .iter()
            .map(|gate| gate.name.as_str())
            .collect();
        Verdict::fits_or(gates.is_empty(), || {
            Verdict::unresolvable(format!("waiting for scheduling gates: [{}]", gates.join(" ")))
        })
    }
}
