//! NodeVolumeLimits: a node attaches so many volumes of a driver.
//!
//! Source: `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` (1.36), without the feature
//! `VolumeLimitScaling`, which is off.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, VolumeAttachment};

use crate::sched::volumes::{InTree, Problem, VolumeId, claim_names, of_pod, volumes};
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, ObjectEvent, ObjectKind, Plugin,
    PodInfo, PreFilter, PreFiltered, Snapshot, Verdict,
};

/// Filters by how many volumes of each driver a node attaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeVolumeLimits;

/// What a pod needs attached.
#[derive(Debug, Default)]
struct Wanted {
    /// By driver: how many volumes that no pod on any node has, and so are new wherever it goes.
    new: BTreeMap<String, i64>,
    /// Those that pods have: new on the nodes that none of these is on.
    known: BTreeSet<VolumeId>,
    /// What is wrong, on nodes without drivers and on those with some.
    problems: [Option<Problem>; 2],
}

impl Wanted {
    fn of(pod: &PodInfo, snapshot: &Snapshot) -> Self {
        let mut wanted = BTreeSet::new();
        let problems = [false, true].map(|drivers| {
            wanted.clear();
            of_pod(snapshot.catalog(), pod, drivers, true, |volume| {
                wanted.insert(volume);
            })
            .err()
        });
        // Only where there are drivers there are limits.
        let (mut new, mut known) = (BTreeMap::new(), BTreeSet::new());
        for volume in wanted {
            if snapshot.is_volume_used(&volume) {
                known.insert(volume);
            } else {
                *new.entry(volume.driver).or_default() += 1;
            }
        }
        Self { new, known, problems }
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.known.is_empty()
    }
}

/// Whether a volume of a pod may have to be attached.
fn is_attachable(pod: &PodInfo) -> bool {
    claim_names(pod).next().is_some() || volumes(pod).iter().any(|one| InTree::of_volume(one).is_some())
}

fn limit(driver: &CSINodeDriver) -> Option<i64> {
    driver.allocatable.as_ref()?.count.map(i64::from)
}

/// How many volumes of each driver a node attaches; of one that is not listed, any number.
fn limits(node: &CSINode) -> BTreeMap<&str, i64> {
    let drivers = node.spec.drivers.iter();
    drivers.filter_map(|driver| Some((driver.name.as_str(), limit(driver)?))).collect()
}

/// Whether a node attaches more of some driver than it did.
fn raises(old: &CSINode, new: &CSINode) -> bool {
    let before = limits(old);
    limits(new).into_iter().any(|(driver, limit)| limit > before.get(driver).copied().unwrap_or(0))
}

impl NodeVolumeLimits {
    fn object_helps(event: &ObjectEvent<'_>, pod: &PodInfo) -> bool {
        if let Some((old, Some(new))) = event.as_kind::<CSINode>() {
            return old.is_none_or(|old| raises(old, new));
        }
        if let Some((None, Some(new))) = event.as_kind::<PersistentVolumeClaim>() {
            return new.metadata.namespace.as_ref() == Some(&pod.key.namespace)
                && claim_names(pod).any(|claim| new.metadata.name.as_deref() == Some(&*claim.name));
        }
        if let Some((Some(old), None)) = event.as_kind::<VolumeAttachment>() {
            return volumes(pod).iter().any(|volume| {
                let in_tree = InTree::of_volume(volume);
                volume.persistent_volume_claim.is_some()
                    // One that cannot be told may be the one.
                    || in_tree.is_some_and(|(kind, handle)| {
                        handle.is_err() || kind.driver == old.spec.attacher
                    })
            });
        }
        false
    }
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn wakes_on(&self) -> EventKinds {
        let objects = self.looks_up().iter().map(|kind| EventKinds::object(*kind));
        objects.fold(EventKinds::POD_REMOVED, EventKinds::or)
    }

    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::PodRemoved(gone) => is_attachable(gone),
            ClusterEvent::Object(event) => Self::object_helps(event, pod),
            _ => false,
        }
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[
            ObjectKind::PersistentVolume,
            ObjectKind::PersistentVolumeClaim,
            ObjectKind::StorageClass,
            ObjectKind::CSINode,
            ObjectKind::VolumeAttachment,
        ]
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

impl PreFilter for NodeVolumeLimits {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        cycle.forget::<Wanted>();
        if !is_attachable(cycle.pod) {
            return PreFiltered::Skip;
        }
        cycle.note(Wanted::of(cycle.pod, cycle.snapshot));
        PreFiltered::Run
    }
}

impl Filter for NodeVolumeLimits {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let Some(wanted) = cycle.noted::<Wanted>() else { return Verdict::Fits };
        let snapshot = cycle.snapshot;
        let csi_node = snapshot.catalog().get::<CSINode>("", snapshot.name(node));
        match &wanted.problems[usize::from(csi_node.is_some())] {
            Some(Problem::Missing(reason)) => return Verdict::unresolvable(reason.clone()),
            Some(Problem::Broken(error)) => return Verdict::Error(error.clone()),
            None => {}
        }
        let limits = csi_node.map(|node| limits(node)).unwrap_or_default();
        if wanted.is_empty() || limits.is_empty() {
            return Verdict::Fits;
        }
        let here = snapshot.attached(node);
        if let Some(error) = here.and_then(|here| here.problem()) {
            return Verdict::Error(error.to_owned());
        }
        let mut new = wanted.new.clone();
        for volume in wanted.known.iter().filter(|volume| here.is_none_or(|here| !here.is_used(volume))) {
            *new.entry(volume.driver.clone()).or_default() += 1;
        }
        let exceeds = |(driver, new): (&String, &i64)| {
            let attached = here.map_or(0, |here| here.count(driver));
            limits.get(driver.as_str()).is_some_and(|limit| attached + new > *limit)
        };
        let exceeded = new.iter().any(exceeds);
        Verdict::fits_or(!exceeded, || Verdict::unschedulable("node(s) exceed max volume count"))
    }
}

impl Classed for NodeVolumeLimits {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        let attachable = is_attachable(pod);
        key.flag(attachable);
        if attachable {
            let wanted = Wanted::of(pod, snapshot);
            key.number(wanted.new.len() as i64);
            for (driver, volumes) in &wanted.new {
                key.text(driver);
                key.number(*volumes);
            }
            key.number(wanted.known.len() as i64);
            wanted.known.iter().for_each(|volume| key.shown(volume));
            let wrong = wanted.problems.iter().any(Option::is_some);
            key.flag(wrong);
            if wrong {
                key.shown(&wanted.problems);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::sched::testing::pod;
    use crate::sched::{Catalogued, ObjectEvent};

    fn read<T: DeserializeOwned>(tree: Value) -> Arc<T> {
        Arc::new(serde_json::from_value(tree).unwrap())
    }

    fn info(volumes: Value) -> PodInfo {
        Snapshot::new().read(pod("p").set("volumes", volumes).make())
    }

    fn helps<K: Catalogued>(old: Option<Value>, new: Option<Value>, pod: &PodInfo) -> bool {
        let (old, new) = (old.map(read::<K>), new.map(read::<K>));
        let event = ClusterEvent::Object(ObjectEvent::of(old.as_deref(), new.as_deref()));
        NodeVolumeLimits.helps(&event, pod, &Snapshot::new())
    }

    #[test]
    fn a_node_that_attaches_more_helps_and_so_does_whoever_lets_go_of_a_volume() {
        let claims = info(json!([{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]));
        let disk = info(json!([{"name": "d", "awsElasticBlockStore": {"volumeID": "vol-1"}}]));
        let plain = info(json!([{"name": "e", "emptyDir": {}}]));
        let node = |count: Value| {
            let driver = json!({"name": "d", "nodeID": "x", "allocatable": {"count": count}});
            Some(json!({"metadata": {"name": "n"}, "spec": {"drivers": [driver]}}))
        };
        for (old, new, expected) in [
            (None, node(json!(1)), true),
            (node(json!(1)), node(json!(2)), true),
            (node(json!(2)), node(json!(1)), false),
            (node(json!(1)), node(json!(1)), false),
            (node(Value::Null), node(json!(1)), true),
            (node(json!(1)), None, false),
        ] {
            assert_eq!(helps::<CSINode>(old.clone(), new.clone(), &claims), expected, "{old:?} {new:?}");
        }
        for (gone, expected) in [(&claims, true), (&disk, true), (&plain, false)] {
            let event = ClusterEvent::PodRemoved(gone);
            assert_eq!(NodeVolumeLimits.helps(&event, &claims, &Snapshot::new()), expected);
        }
        let attachment = |attacher: &str| {
            Some(
                json!({"metadata": {"name": "va"}, "spec": {"attacher": attacher, "nodeName": "n", "source": {}}}),
            )
        };
        for (pod, attacher, expected) in [
            (&claims, "any", true),
            (&disk, "ebs.csi.aws.com", true),
            (&disk, "any", false),
            (&plain, "any", false),
        ] {
            assert_eq!(helps::<VolumeAttachment>(attachment(attacher), None, pod), expected);
            assert!(!helps::<VolumeAttachment>(None, attachment(attacher), pod));
        }
        let claim = |name: &str| Some(json!({"metadata": {"name": name, "namespace": "ns"}}));
        assert!(helps::<PersistentVolumeClaim>(None, claim("c"), &claims));
        assert!(!helps::<PersistentVolumeClaim>(None, claim("x"), &claims));
        assert!(!helps::<PersistentVolumeClaim>(claim("c"), claim("c"), &claims));
    }
}
