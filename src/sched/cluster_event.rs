//! What happens in a cluster that may make room for a pod.

use k8s_openapi::api::core::v1::Node;

/// Something that happened. Plugins say which of these could help a pod that they rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A node came.
    NodeAdded,
    /// A node has other amounts to give.
    NodeAllocatable,
    /// A node has other labels.
    NodeLabels,
    /// A node has other taints, or takes pods again.
    NodeTaints,
    /// A pod left its node.
    PodRemoved,
    /// A pod was placed.
    PodAdded,
    /// The waiting pod itself was changed.
    PodUpdated,
}

impl ClusterEvent {
    /// What the change of a node is about; nothing where only its heartbeat moved.
    #[must_use]
    pub fn of_node(old: Option<&Node>, new: &Node) -> Vec<Self> {
        let Some(old) = old else { return vec![Self::NodeAdded] };
        let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
        let taints = |node: &Node| {
            node.spec
                .as_ref()
                .map(|spec| (spec.taints.clone().unwrap_or_default(), spec.unschedulable == Some(true)))
        };
        let mut events = Vec::new();
        if allocatable(old) != allocatable(new) {
            events.push(Self::NodeAllocatable);
        }
        if old.metadata.labels != new.metadata.labels {
            events.push(Self::NodeLabels);
        }
        if taints(old).unwrap_or_default() != taints(new).unwrap_or_default() {
            events.push(Self::NodeTaints);
        }
        events
    }
}
