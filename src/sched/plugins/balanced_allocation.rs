//! NodeResourcesBalancedAllocation: a node is the better the more evenly a pod makes it used: CPU that
//! is left without memory is of no use to anyone.

use crate::sched::{
    ClassKey, Classed, Cycle, Feasible, NodeIndex, Plugin, PodInfo, PreScore, PreScored, ResourceId, Score,
    Snapshot,
};

/// Scores by how much a pod evens out the use of CPU and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeResourcesBalancedAllocation;

const RESOURCES: [ResourceId; 2] = [ResourceId::CPU, ResourceId::MEMORY];

/// How even a use is: from 50, all of one and none of the other, to 100.
fn evenness(used: [i64; 2], capacity: [i64; 2]) -> i64 {
    let shares: Vec<f64> = used
        .into_iter()
        .zip(capacity)
        .filter(|(_, capacity)| *capacity != 0)
        .map(|(used, capacity)| (used as f64 / capacity as f64).min(1.0))
        .collect();
    // With two resources the standard deviation is half of what lies between them.
    let deviation = if let [a, b] = shares[..] { ((a - b) / 2.0).abs() } else { 0.0 };
    ((1.0 - deviation) * 100.0) as i64
}

/// The score of a change of use: 75 where it changes nothing, more where it evens out.
fn improvement(before: [i64; 2], after: [i64; 2], capacity: [i64; 2]) -> i64 {
    50 + (50 + evenness(after, capacity) - evenness(before, capacity)) / 2
}

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl PreScore for NodeResourcesBalancedAllocation {
    /// A pod that asks for neither evens nothing out: scoring it would send all such pods to one
    /// node.
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        if RESOURCES.iter().all(|resource| cycle.pod.request(*resource) == 0) {
            PreScored::Skip
        } else {
            PreScored::Run
        }
    }
}

impl Score for NodeResourcesBalancedAllocation {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let capacity = RESOURCES.map(|resource| cycle.snapshot.allocatable(resource, node));
        let before = RESOURCES.map(|resource| cycle.snapshot.requested(resource, node));
        let asked = RESOURCES.map(|resource| cycle.pod.request(resource));
        let after = [before[0].saturating_add(asked[0]), before[1].saturating_add(asked[1])];
        improvement(before, after, capacity)
    }
}

impl Classed for NodeResourcesBalancedAllocation {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        super::node_resources_fit::requests_key(pod, key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_evens_out_scores() {
        let capacity = [1000, 1000];
        for (before, after, score) in [
            ([0, 0], [100, 100], 75),
            ([0, 0], [1000, 0], 50),
            ([1000, 0], [1000, 1000], 100),
            ([500, 0], [500, 500], 87),
            ([0, 0], [5000, 5000], 75),
        ] {
            assert_eq!(improvement(before, after, capacity), score, "{before:?} to {after:?}");
        }
        assert_eq!(improvement([0, 0], [500, 0], [1000, 0]), 75);
    }
}
