//! NodeName: a pod that names its node goes there.

use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, Plugin, PodInfo, Snapshot, Verdict,
};

/// Keeps a pod that names its node off all others.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED
    }

    fn helps(&self, event: &ClusterEvent<'_>, _: &PodInfo, _: &Snapshot) -> bool {
        matches!(event, ClusterEvent::NodeAdded(_))
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl Filter for NodeName {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let fits = cycle.pod.node_name().is_none_or(|name| name == &**cycle.snapshot.name(node));
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) didn't match the requested node name"))
    }
}

impl Classed for NodeName {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        key.optional(pod.node_name());
        true
    }

    fn counts_pods(&self) -> bool {
        false
    }
}
