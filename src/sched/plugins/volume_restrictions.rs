//! VolumeRestrictions: disks that only one pod may write to, and claims that only one pod may have.
//!
//! Source: `pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go` (1.36).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Volume};

use crate::sched::volumes::{not_found, volumes};
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, ObjectKind, Plugin, PodInfo,
    PreFilter, PreFiltered, Snapshot, Verdict,
};

/// Filters by disks that pods of the node have, and by claims that other pods have.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeRestrictions;

/// That a claim of the pod is another's for good.
#[derive(Debug)]
struct Taken;

/// The claims that a pod names; those that are made for it alone are nobody else's anyhow.
fn named(pod: &PodInfo) -> impl Iterator<Item = &str> {
    let sources = volumes(pod).iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    sources.map(|source| source.claim_name.as_str())
}

fn disks(pod: &PodInfo) -> impl Iterator<Item = &Volume> {
    volumes(pod).iter().filter(|volume| is_disk(volume))
}

fn is_disk(volume: &Volume) -> bool {
    volume.gce_persistent_disk.is_some()
        || volume.aws_elastic_block_store.is_some()
        || volume.iscsi.is_some()
        || volume.rbd.is_some()
}

/// Whether both are one disk, and not both only read it. Amazon's are one pod's even then.
fn conflict(a: &Volume, b: &Volume) -> bool {
    let writes = |a: Option<bool>, b: Option<bool>| a != Some(true) || b != Some(true);
    if let (Some(a), Some(b)) = (&a.gce_persistent_disk, &b.gce_persistent_disk)
        && a.pd_name == b.pd_name
        && writes(a.read_only, b.read_only)
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.aws_elastic_block_store, &b.aws_elastic_block_store)
        && a.volume_id == b.volume_id
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.iscsi, &b.iscsi)
        && a.iqn == b.iqn
        && writes(a.read_only, b.read_only)
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.rbd, &b.rbd) {
        let pool = |pool: &Option<String>| pool.clone().unwrap_or_default();
        return a.image == b.image
            && pool(&a.pool) == pool(&b.pool)
            && a.monitors.iter().any(|monitor| b.monitors.contains(monitor))
            && writes(a.read_only, b.read_only);
    }
    false
}

/// Whether a disk of a pod is one that another has.
fn conflicts(pod: &PodInfo, other: &PodInfo) -> bool {
    disks(pod).any(|disk| disks(other).any(|other| conflict(disk, other)))
}

/// Whether another pod has a claim that only one may have.
///
/// # Errors
///
/// When a claim is not there: its access modes must be known.
fn is_taken(pod: &PodInfo, snapshot: &Snapshot) -> Result<bool, String> {
    let namespace = &pod.key.namespace;
    let mut taken = false;
    for name in named(pod) {
        let claim = snapshot.catalog().get::<PersistentVolumeClaim>(namespace, name);
        let claim = claim.ok_or_else(|| not_found(name))?;
        let modes = claim.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
        let alone = modes.into_iter().any(|mode| mode == "ReadWriteOncePod");
        taken |= alone && snapshot.is_claim_used(namespace, name);
    }
    Ok(taken)
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED
            | EventKinds::POD_REMOVED
            | EventKinds::object_added(ObjectKind::PersistentVolumeClaim)
    }

    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::PodRemoved(gone) if gone.key.namespace == pod.key.namespace => {
                let claims: BTreeSet<_> = named(pod).collect();
                conflicts(pod, gone) || named(gone).any(|claim| claims.contains(claim))
            }
            ClusterEvent::Object(event) => match event.as_kind::<PersistentVolumeClaim>() {
                Some((None, Some(new))) => {
                    let meta = &new.metadata;
                    meta.namespace.as_ref() == Some(&pod.key.namespace)
                        && named(pod).any(|claim| meta.name.as_deref() == Some(claim))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[ObjectKind::PersistentVolumeClaim]
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

impl PreFilter for VolumeRestrictions {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        cycle.forget::<Taken>();
        match is_taken(cycle.pod, cycle.snapshot) {
            Err(missing) => return PreFiltered::Reject(Verdict::unresolvable(missing)),
            Ok(true) => cycle.note(Taken),
            Ok(false) if disks(cycle.pod).next().is_none() => return PreFiltered::Skip,
            Ok(false) => {}
        }
        PreFiltered::Run
    }
}

impl Filter for VolumeRestrictions {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        if disks(cycle.pod).next().is_some()
            && cycle.snapshot.pods(node).any(|other| conflicts(cycle.pod, other))
        {
            return Verdict::unschedulable("node(s) had no available disk");
        }
        Verdict::fits_or(cycle.noted::<Taken>().is_none(), || {
            Verdict::unschedulable(
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use \
                 by another pod",
            )
        })
    }
}

impl Classed for VolumeRestrictions {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        match is_taken(pod, snapshot) {
            Ok(taken) => {
                key.flag(true);
                key.flag(taken);
            }
            Err(missing) => {
                key.flag(false);
                key.text(&missing);
            }
        }
        key.number(disks(pod).count() as i64);
        for disk in disks(pod) {
            let sources = (&disk.gce_persistent_disk, &disk.aws_elastic_block_store, &disk.iscsi, &disk.rbd);
            key.shown(&sources);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::sched::ObjectEvent;
    use crate::sched::testing::pod;

    fn info(volume: Value) -> PodInfo {
        let mut volume = volume;
        volume["name"] = "v".into();
        Snapshot::new().read(pod("p").set("volumes", json!([volume])).make())
    }

    #[test]
    fn a_disk_is_one_pods_unless_all_only_read() {
        let gce = |name: &str, read_only: bool| json!({"gcePersistentDisk": {"pdName": name, "readOnly": read_only}});
        let aws = |id: &str| json!({"awsElasticBlockStore": {"volumeID": id, "readOnly": true}});
        let iscsi = |iqn: &str, read_only: bool| json!({"iscsi": {"targetPortal": "", "lun": 0, "iqn": iqn, "readOnly": read_only}});
        let rbd = |monitors: &[&str], image: &str, read_only: bool| json!({"rbd": {"monitors": monitors, "image": image, "readOnly": read_only}});
        for (one, other, expected) in [
            (gce("a", false), gce("a", true), true),
            (gce("a", true), gce("a", true), false),
            (gce("a", false), gce("b", false), false),
            (aws("a"), aws("a"), true),
            (aws("a"), aws("b"), false),
            (aws("a"), gce("a", false), false),
            (iscsi("a", true), iscsi("a", false), true),
            (iscsi("a", true), iscsi("a", true), false),
            (rbd(&["a", "b"], "i", false), rbd(&["b", "c"], "i", false), true),
            (rbd(&["a"], "i", false), rbd(&["b"], "i", false), false),
            (rbd(&["a"], "i", false), rbd(&["a"], "j", false), false),
            (rbd(&["a"], "i", true), rbd(&["a"], "i", true), false),
        ] {
            assert_eq!(conflicts(&info(one.clone()), &info(other.clone())), expected, "{one} {other}");
            // A pod that goes with its disk helps those of its namespace.
            let event = info(other);
            let event = ClusterEvent::PodRemoved(&event);
            assert_eq!(VolumeRestrictions.helps(&event, &info(one), &Snapshot::new()), expected);
        }
    }

    #[test]
    fn a_claim_that_comes_helps_who_names_it() {
        let pod = info(json!({"persistentVolumeClaim": {"claimName": "c"}}));
        let claim = |name: &str, namespace: &str| -> Arc<PersistentVolumeClaim> {
            let meta = json!({"name": name, "namespace": namespace});
            Arc::new(serde_json::from_value(json!({"metadata": meta})).unwrap())
        };
        for (name, namespace, expected) in [("c", "ns", true), ("c", "other", false), ("d", "ns", false)] {
            let claim = claim(name, namespace);
            let helps = |old: Option<&PersistentVolumeClaim>, new| {
                let event = ClusterEvent::Object(ObjectEvent::of(old, new));
                VolumeRestrictions.helps(&event, &pod, &Snapshot::new())
            };
            assert_eq!(helps(None, Some(&*claim)), expected);
            assert!(!helps(Some(&*claim), Some(&*claim)) && !helps(Some(&*claim), None));
        }
    }
}
