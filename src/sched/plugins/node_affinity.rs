//! NodeAffinity: a pod goes where its selector and affinity allow, and best where it prefers to be.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Feasible, Filter, NodeIndex, Normalize, Plugin,
    PodInfo, PreFilter, PreFiltered, PreScore, PreScored, Score, Snapshot, Verdict, normalize,
};

/// Filters by required node affinity and node selector, scores by preferred node affinity.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeAffinity;

/// Whether a pod may go to a node of this name and these labels.
fn allows(pod: &PodInfo, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    pod.requirements.matches(node.metadata.name.as_deref().unwrap_or_default(), labels)
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED | EventKinds::NODE_LABELS
    }

    /// Source: `isSchedulableAfterNodeChange` of `nodeaffinity/node_affinity.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(node) => allows(pod, node),
            ClusterEvent::NodeUpdated { old, new, .. } => allows(pod, new) && !allows(pod, old),
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

    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl PreFilter for NodeAffinity {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        if cycle.pod.requirements.is_empty() {
            return PreFiltered::Skip;
        }
        // A pod of a DaemonSet names its node: there is no need to ask all the others.
        match cycle.pod.requirements.names() {
            Some(names) if names.is_empty() => {
                PreFiltered::Reject(Verdict::unresolvable("pod affinity terms conflict"))
            }
            Some(names) => {
                PreFiltered::Only(names.iter().filter_map(|name| cycle.snapshot.find(name)).collect())
            }
            None => PreFiltered::Run,
        }
    }
}

impl Filter for NodeAffinity {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let snapshot = cycle.snapshot;
        let fits = cycle.pod.requirements.matches(snapshot.name(node), snapshot.labels(node));
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) didn't match Pod's node affinity/selector"))
    }
}

impl PreScore for NodeAffinity {
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        if cycle.pod.preferred.is_empty() { PreScored::Skip } else { PreScored::Run }
    }
}

impl Score for NodeAffinity {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let (name, labels) = (cycle.snapshot.name(node), cycle.snapshot.labels(node));
        cycle.pod.preferred.iter().filter(|term| term.matches(name, labels)).map(|term| term.weight).sum()
    }

    fn as_normalize(&self) -> Option<&dyn Normalize> {
        Some(self)
    }
}

impl Normalize for NodeAffinity {
    fn normalize(&self, _: &Cycle<'_>, scores: &mut [i64]) {
        normalize(scores, false);
    }
}

impl Classed for NodeAffinity {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        let any = pod.requirements.is_empty() && pod.preferred.is_empty();
        key.flag(any);
        if !any {
            key.shown(&(&pod.requirements, &pod.preferred));
        }
        true
    }

    fn counts_pods(&self) -> bool {
        false
    }
}
