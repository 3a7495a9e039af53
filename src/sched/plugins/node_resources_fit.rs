//! NodeResourcesFit: a pod goes where there is enough of all that it asks for, and best where most is
//! left (least allocated).

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::resource::v1::DeviceClass;

use super::dynamic_resources::class_of;
use crate::api::predicates::Resources;
use crate::sched::framework::Reason;
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, ObjectKind, Plugin, PodInfo,
    ResourceId, Score, Snapshot, Verdict,
};

/// Filters by resources, scores by what is left of CPU and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeResourcesFit;

/// A resource that a node has not enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) resource: ResourceId,
    /// Whether the node would not have enough if it were empty.
    pub(super) ever: bool,
}

/// What a node lacks for a pod.
pub(super) fn lacks(snapshot: &Snapshot, pod: &PodInfo, node: NodeIndex) -> Vec<Lack> {
    let lack = |resource, amount: i64| {
        let capacity = snapshot.allocatable(resource, node);
        let free = capacity.saturating_sub(snapshot.requested(resource, node));
        (amount > free).then_some(Lack { resource, ever: amount > capacity })
    };
    // That too many pods are there is never beyond what fewer pods could change.
    let crowded = lack(ResourceId::PODS, 1).map(|lack| Lack { ever: false, ..lack });
    // What a node has as devices alone is DynamicResources' to judge.
    let by_devices = |resource| snapshot.allocatable(resource, node) <= 0 && has_class(snapshot, resource);
    let asked = pod.requests.iter().filter(|(resource, _)| *resource != ResourceId::PODS);
    let asked = asked.filter(|(resource, _)| !by_devices(*resource));
    crowded.into_iter().chain(asked.filter_map(|(resource, amount)| lack(*resource, *amount))).collect()
}

/// Whether devices of a class stand for a resource.
///
/// Source: `shouldDelegateResourceToDRA` of `pkg/scheduler/framework/plugins/noderesources/fit.go` (1.36).
fn has_class(snapshot: &Snapshot, resource: ResourceId) -> bool {
    resource > ResourceId::PODS && class_of(snapshot.catalog(), snapshot.resources().name(resource)).is_some()
}

fn reason(snapshot: &Snapshot, resource: ResourceId) -> Reason {
    match resource {
        ResourceId::CPU => "Insufficient cpu".into(),
        ResourceId::MEMORY => "Insufficient memory".into(),
        ResourceId::PODS => "Too many pods".into(),
        other => format!("Insufficient {}", snapshot.resources().name(other)).into(),
    }
}

/// The share of a capacity that stays free, from 0 to 100.
fn left(used: i64, capacity: i64) -> i64 {
    if used > capacity {
        return 0;
    }
    // Bytes times 100 may pass 64 bits.
    i64::try_from(i128::from(capacity - used) * 100 / i128::from(capacity)).unwrap_or(0)
}

/// The mean over CPU and memory of what stays free; a resource that a node has none of is left out.
pub(super) fn least_allocated(used: [i64; 2], capacity: [i64; 2]) -> i64 {
    let shares: Vec<_> = used
        .into_iter()
        .zip(capacity)
        .filter(|(_, capacity)| *capacity > 0)
        .map(|(used, of)| left(used, of))
        .collect();
    if shares.is_empty() { 0 } else { shares.iter().sum::<i64>() / shares.len() as i64 }
}

/// What a pod asks for, but for being one pod.
fn asked(pod: &PodInfo) -> impl Iterator<Item = (ResourceId, i64)> {
    pod.requests.iter().copied().filter(|(resource, _)| *resource != ResourceId::PODS)
}

/// What a node gives, by an event and not by the snapshot, which may be ahead of it.
struct Given(Resources);

impl Given {
    fn by(node: &Node) -> Self {
        Self(Resources::read(node.status.as_ref().and_then(|status| status.allocatable.as_ref())))
    }

    fn of(&self, resource: ResourceId, snapshot: &Snapshot) -> i64 {
        let amount = self.0.get(snapshot.resources().name(resource));
        if resource == ResourceId::CPU { amount.milli_value() } else { amount.value() }
    }

    /// Whether the node, were it empty, would have enough for a pod.
    fn suffices(&self, pod: &PodInfo, snapshot: &Snapshot) -> bool {
        self.of(ResourceId::PODS, snapshot) > 0
            && asked(pod).all(|(resource, amount)| {
                let given = self.of(resource, snapshot);
                // Devices may stand for what a node does not give.
                amount <= given || (given <= 0 && has_class(snapshot, resource))
            })
    }
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED
            | EventKinds::NODE_ALLOCATABLE
            | EventKinds::POD_REMOVED
            | EventKinds::POD_SCALED_DOWN
            | EventKinds::object_added(ObjectKind::DeviceClass)
            | EventKinds::object_updated(ObjectKind::DeviceClass)
    }

    /// Source: `isSchedulableAfterPodEvent`, `isSchedulableAfterNodeChange` and `isSchedulableAfterDeviceClassEvent` of
    /// `noderesources/fit.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, snapshot: &Snapshot) -> bool {
        match event {
            ClusterEvent::PodRemoved(_) | ClusterEvent::Changed { .. } => true,
            ClusterEvent::PodUpdated { old, new } => {
                asked(pod).any(|(resource, _)| old.request(resource) > new.request(resource))
            }
            ClusterEvent::NodeAdded(node) => Given::by(node).suffices(pod, snapshot),
            ClusterEvent::NodeUpdated { old, new, .. } => {
                let (old, new) = (Given::by(old), Given::by(new));
                let more = |resource| new.of(resource, snapshot) > old.of(resource, snapshot);
                new.suffices(pod, snapshot)
                    && (more(ResourceId::PODS) || asked(pod).any(|(resource, _)| more(resource)))
            }
            ClusterEvent::Object(object) => object.as_kind::<DeviceClass>().is_some_and(|(old, new)| {
                let resource = |class: &DeviceClass| class.spec.extended_resource_name.clone();
                // Of a class that is there already, only what it stands for can be another.
                new.is_some_and(|new| old.is_none_or(|old| resource(old) != resource(new)))
                    && pod.requests.iter().any(|(resource, _)| has_class(snapshot, *resource))
            }),
            _ => false,
        }
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[ObjectKind::DeviceClass]
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl Filter for NodeResourcesFit {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let lacks = lacks(cycle.snapshot, cycle.pod, node);
        if lacks.is_empty() {
            return Verdict::Fits;
        }
        let reasons = lacks.iter().map(|lack| reason(cycle.snapshot, lack.resource)).collect();
        if lacks.iter().any(|lack| lack.ever) {
            Verdict::Unresolvable(reasons)
        } else {
            Verdict::Unschedulable(reasons)
        }
    }
}

impl Score for NodeResourcesFit {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let (snapshot, pod) = (cycle.snapshot, cycle.pod);
        let used = snapshot.assumed_use(node);
        least_allocated(
            [used[0].saturating_add(pod.assumed_use[0]), used[1].saturating_add(pod.assumed_use[1])],
            [ResourceId::CPU, ResourceId::MEMORY].map(|resource| snapshot.allocatable(resource, node)),
        )
    }
}

/// Writes what a pod asks for.
pub(super) fn requests_key(pod: &PodInfo, key: &mut ClassKey) {
    key.number(pod.requests.len() as i64);
    for (resource, amount) in &pod.requests {
        key.number(resource.number());
        key.number(*amount);
    }
    pod.assumed_use.into_iter().for_each(|amount| key.number(amount));
}

impl Classed for NodeResourcesFit {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        requests_key(pod, key);
        pod.requests.iter().for_each(|(resource, _)| key.flag(has_class(snapshot, *resource)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_scores() {
        for (used, capacity, score) in [
            ([0, 0], [1000, 1000], 100),
            ([500, 0], [1000, 1000], 75),
            ([1000, 1000], [1000, 1000], 0),
            ([2000, 0], [1000, 1000], 50),
            ([500, 5], [1000, 0], 50),
            ([0, 0], [0, 0], 0),
            ([1, i64::MAX / 2], [3, i64::MAX], 58),
        ] {
            assert_eq!(least_allocated(used, capacity), score, "{used:?} of {capacity:?}");
        }
    }
}
