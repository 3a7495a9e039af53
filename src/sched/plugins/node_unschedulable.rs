//! NodeUnschedulable: a cordoned node takes no pods but those that tolerate it.

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::api::predicates::tolerates;
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, Plugin, PodInfo, Snapshot, Verdict,
};

/// Keeps pods off cordoned nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeUnschedulable;

/// Whether a pod may go to a cordoned node: cordoning is a taint by another name.
fn tolerates_cordon(pod: &PodInfo) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    pod.tolerations().iter().any(|toleration| tolerates(toleration, &taint))
}

fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true))
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED | EventKinds::NODE_TAINTS | EventKinds::POD_TOLERATIONS
    }

    /// Source: `isSchedulableAfterNodeChange` and `isSchedulableAfterPodTolerationChange` of
    /// `nodeunschedulable/node_unschedulable.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, _: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(node) => !is_cordoned(node),
            ClusterEvent::NodeUpdated { old, new, .. } => is_cordoned(old) && !is_cordoned(new),
            ClusterEvent::Changed { new, .. } => tolerates_cordon(new),
            _ => false,
        }
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl Filter for NodeUnschedulable {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let fits = !cycle.snapshot.is_unschedulable(node) || tolerates_cordon(cycle.pod);
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) were unschedulable"))
    }
}

impl Classed for NodeUnschedulable {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        key.flag(tolerates_cordon(pod));
        true
    }

    fn counts_pods(&self) -> bool {
        false
    }
}
