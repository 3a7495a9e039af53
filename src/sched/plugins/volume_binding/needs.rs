//! What the claims of a pod come to: all that its node must offer.
//!
//! Source: `podHasPVCs` of `volume_binding.go`, and `GetPodVolumeClaims`, `FindPodVolumes` and `checkBoundClaims` of
//! `binder.go`, in `pkg/scheduler/framework/plugins/volumebinding` (1.36).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};

use super::assumed::State;
use super::reach::Reach;
use super::supply::{Made, Waiting};
use crate::sched::framework::Reason;
use crate::sched::volumes::{
    InTree, claim_names, class_of_claim, is_ephemeral_of, not_found, volume_name, waits_for_consumer,
};
use crate::sched::{ClassKey, NodeIndex, PodInfo, Snapshot, Verdict};

/// That a claim and its volume have found each other, for good.
const BOUND: &str = "pv.kubernetes.io/bind-completed";
/// What of Kubernetes' own a node leaves to drivers.
pub(super) const MIGRATED: &str = "storage.alpha.kubernetes.io/migrated-plugins";

/// What a pod's claims need of a node.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The volumes of claims that have theirs, in the order of the pod; none where one is gone.
    bound: Vec<Option<Bound>>,
    /// The claims that wait for a pod, in the order in which they choose.
    waiting: Vec<Waiting>,
}

/// The volume of a claim that has its own.
#[derive(Debug)]
struct Bound {
    reach: Reach,
    /// Of a kind that drivers take over: its name, and the nodes as the driver says it.
    in_tree: Option<(&'static str, Result<Reach, String>)>,
}

/// What a node has for the claims.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// Why it will not do; empty where it will.
    pub(super) reasons: Vec<Reason>,
    /// Volumes that are there, for claims.
    pub(super) bindings: Vec<(&'a Arc<PersistentVolume>, &'a Arc<PersistentVolumeClaim>)>,
    /// Claims that volumes are to be made for.
    pub(super) provisions: Vec<&'a Arc<PersistentVolumeClaim>>,
}

/// Whether a claim and its volume have found each other.
pub(super) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let completed = claim.metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key(BOUND));
    completed && !volume_name(claim).is_empty()
}

/// Whether a node leaves a kind of volumes to its driver.
pub(super) fn is_migrated(node: Option<&CSINode>, kind: &str) -> bool {
    let notes = node.and_then(|node| node.metadata.annotations.as_ref());
    notes.and_then(|notes| notes.get(MIGRATED)).is_some_and(|listed| listed.split(',').any(|one| one == kind))
}

impl Bound {
    fn of(volume: &PersistentVolume) -> Self {
        let in_tree = InTree::of_persistent(volume).map(|(kind, handle)| {
            let reach = handle.map(|_| Reach::required(kind.required(volume).as_ref()));
            (kind.name, reach.map_err(|error| format!("could not translate pv: {error}")))
        });
        Self { reach: Reach::of(volume), in_tree }
    }

    /// Where it can be used, given what the node leaves to drivers.
    fn reach(&self, node: Option<&CSINode>) -> Result<&Reach, String> {
        match &self.in_tree {
            Some((kind, reach)) if is_migrated(node, kind) => reach.as_ref().map_err(Clone::clone),
            _ => Ok(&self.reach),
        }
    }

    fn is_everywhere(&self) -> bool {
        let reach = |reach: &Result<Reach, String>| reach.as_ref().is_ok_and(Reach::is_everywhere);
        self.reach.is_everywhere() && self.in_tree.as_ref().is_none_or(|(_, own)| reach(own))
    }
}

/// Where a volume can be used, on a node that leaves this to drivers.
///
/// # Errors
///
/// When the volume cannot be told to its driver.
pub(super) fn reach_on(volume: &PersistentVolume, node: Option<&CSINode>) -> Result<Reach, String> {
    Bound::of(volume).reach(node).cloned()
}

impl Needs {
    /// Reads the claims of a pod; nothing where it has none.
    ///
    /// # Errors
    ///
    /// The verdict on a pod whose claims cannot be used yet, or not be told.
    pub(super) fn of(pod: &PodInfo, snapshot: &Snapshot, state: &State) -> Result<Option<Self>, Verdict> {
        if !usable(pod, snapshot).map_err(Verdict::unresolvable)? {
            return Ok(None);
        }
        let catalog = snapshot.catalog();
        let mut needs = Self::default();
        let mut late = false;
        for wanted in claim_names(pod) {
            let stored = catalog.get::<PersistentVolumeClaim>(&pod.key.namespace, &wanted.name);
            let claim = state.claims.current(stored.expect("what is not there cannot be used"));
            if is_bound(claim) {
                let volume = catalog.get::<PersistentVolume>("", volume_name(claim));
                let bound = volume.map(|volume| Bound::of(state.volumes.current(volume)));
                if !bound.as_ref().is_some_and(Bound::is_everywhere) {
                    needs.bound.push(bound);
                }
                continue;
            }
            let class = catalog.get::<StorageClass>("", class_of_claim(claim));
            let waits = class.map_or(Ok(false), |class| waits_for_consumer(class)).map_err(Verdict::Error)?;
            if waits && volume_name(claim).is_empty() {
                needs.waiting.push(Waiting::of(claim, snapshot, state));
            } else {
                late = true;
            }
        }
        if late {
            return Err(Verdict::unresolvable("pod has unbound immediate PersistentVolumeClaims"));
        }
        // The smallest choose first, so that large volumes are left for large claims.
        needs.waiting.sort_by_key(Waiting::turn);
        Ok(Some(needs))
    }

    /// Whether all claims have their volumes.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What a node has for the claims.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    pub(super) fn on(&self, snapshot: &Snapshot, node: NodeIndex) -> Result<Found<'_>, String> {
        let mut found = Found::default();
        let (mut none_to_bind, mut no_space, mut gone) = (false, false, false);
        let csi_node = snapshot.catalog().get::<CSINode>("", snapshot.name(node)).map(|node| &**node);
        let labels = snapshot.labels(node);
        for bound in &self.bound {
            let Some(bound) = bound else {
                gone = true;
                break;
            };
            if !bound.reach(csi_node)?.has(labels) {
                found.reasons.push("node(s) didn't match PersistentVolume's node affinity".into());
                break;
            }
        }
        if self.waiting.iter().any(|claim| claim.is_elsewhere(snapshot.name(node))) {
            none_to_bind = true;
        } else {
            let mut taken: Vec<&Arc<PersistentVolume>> = Vec::new();
            let mut to_make = Vec::new();
            for claim in &self.waiting {
                match claim.find(labels, &taken)? {
                    Some(volume) => {
                        taken.push(volume);
                        found.bindings.push((volume, &claim.claim));
                    }
                    None => to_make.push(claim),
                }
            }
            for claim in to_make {
                match claim.make(labels)? {
                    Made::Possible => found.provisions.push(&claim.claim),
                    Made::Impossible => none_to_bind = true,
                    Made::NoSpace => no_space = true,
                }
                if none_to_bind || no_space {
                    break;
                }
            }
        }
        for (lacks, reason) in [
            (none_to_bind, "node(s) didn't find available persistent volumes to bind"),
            (no_space, "node(s) did not have enough free storage"),
            (gone, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
        ] {
            found.reasons.extend(lacks.then_some(Reason::from(reason)));
        }
        Ok(found)
    }

    /// Writes what a node's answer follows from. `false` where the answer is this pod's alone: where volumes are
    /// there for its claims, those of the next pod find others.
    pub(super) fn write(&self, key: &mut ClassKey) -> bool {
        key.number(self.bound.len() as i64);
        self.bound.iter().for_each(|bound| key.shown(bound));
        key.number(self.waiting.len() as i64);
        self.waiting.iter().all(|claim| claim.write(key))
    }
}

/// Whether the pod has claims, all of which can be used.
fn usable(pod: &PodInfo, snapshot: &Snapshot) -> Result<bool, String> {
    let mut any = false;
    for wanted in claim_names(pod) {
        any = true;
        let name = &*wanted.name;
        let claim = snapshot.catalog().get::<PersistentVolumeClaim>(&pod.key.namespace, name);
        let Some(claim) = claim else {
            // Right after such a pod was made this is nothing out of the ordinary.
            return Err(if wanted.ephemeral {
                format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
                )
            } else {
                not_found(name)
            });
        };
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            let volume = volume_name(claim);
            return Err(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
            ));
        }
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        if wanted.ephemeral {
            is_ephemeral_of(pod, claim)?;
        }
    }
    Ok(any)
}
