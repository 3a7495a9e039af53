//! NodePorts: a port of a node is taken by one pod only.

use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, Plugin, PodInfo, PreFilter,
    PreFiltered, Snapshot, Verdict,
};

/// Filters by the ports of the node that a pod takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED | EventKinds::POD_REMOVED
    }

    /// Source: `isSchedulableAfterPodDeleted` of `nodeports/node_ports.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::PodRemoved(gone) => {
                gone.host_ports.iter().any(|freed| pod.host_ports.iter().any(|port| port.conflicts(freed)))
            }
            _ => false,
        }
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_filter(&self) -> Option<&dyn PreFilter> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl PreFilter for NodePorts {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        if cycle.pod.host_ports.is_empty() { PreFiltered::Skip } else { PreFiltered::Run }
    }
}

impl Filter for NodePorts {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let free = cycle
            .snapshot
            .ports(node)
            .all(|taken| cycle.pod.host_ports.iter().all(|wanted| !wanted.conflicts(taken)));
        Verdict::fits_or(free, || {
            Verdict::unschedulable("node(s) didn't have free ports for the requested pod ports")
        })
    }
}

impl Classed for NodePorts {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        key.number(pod.host_ports.len() as i64);
        pod.host_ports.iter().for_each(|port| key.shown(port));
        true
    }
}
