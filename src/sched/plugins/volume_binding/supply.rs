//! A claim that waits for a pod: the volumes that are there for it, and whether one could be made.
//!
//! Source: `findMatchingVolumes`, `checkVolumeProvisions` and `hasEnoughCapacity` of
//! `pkg/scheduler/framework/plugins/volumebinding/binder.go` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSIStorageCapacity, StorageClass};

use super::assumed::State;
use super::candidates::{Candidates, storage};
use super::reach::Reach;
use crate::api::quantity::Quantity;
use crate::api::selector::LabelSelector;
use crate::sched::volumes::{class_of_claim, key_of};
use crate::sched::{Catalog, ClassKey, Snapshot};

/// The node that was chosen for a claim, for which its volume is being made.
pub(super) const SELECTED: &str = "volume.kubernetes.io/selected-node";
/// The provisioner that makes nothing.
const NOBODY: &str = "kubernetes.io/no-provisioner";

/// A class is not told by more accounts than this.
const MOST_ACCOUNTS: usize = 64;

/// A claim that waits for a pod.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) claim: Arc<PersistentVolumeClaim>,
    selected: Option<String>,
    size: Option<Quantity>,
    /// The volumes that would do on some node.
    candidates: Result<Candidates, String>,
    /// Where one could be made.
    making: Result<Making, String>,
}

/// Where a volume could be made.
#[derive(Debug)]
struct Making {
    /// The nodes that the class allows; none where it makes nothing.
    allowed: Option<Reach>,
    /// The nodes from which there is enough left.
    space: Reach,
}

/// What comes of making a volume for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Possible,
    Impossible,
    NoSpace,
}

impl Waiting {
    pub(super) fn of(claim: &Arc<PersistentVolumeClaim>, snapshot: &Snapshot, state: &State) -> Self {
        let notes = claim.metadata.annotations.as_ref();
        let selected = notes.and_then(|notes| notes.get(SELECTED)).cloned();
        let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
        let size = storage(resources.and_then(|resources| resources.requests.as_ref()));
        // One whose volume is being made looks for no other.
        let candidates = match selected {
            Some(_) => Ok(Candidates::default()),
            None => Candidates::of(claim, size.unwrap_or_default(), snapshot, state),
        };
        let making = Making::of(claim, size, snapshot.catalog());
        Self { claim: claim.clone(), selected, size, candidates, making }
    }

    /// When it has its turn among the claims of a pod.
    pub(super) fn turn(&self) -> (bool, Quantity) {
        match self.selected {
            Some(_) => (false, Quantity::default()),
            None => (true, self.size.unwrap_or_default()),
        }
    }

    /// Whether another node was chosen for it.
    pub(super) fn is_elsewhere(&self, node: &str) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected != node)
    }

    /// The volume that it gets on a node with these labels, of those that are not taken.
    pub(super) fn find(
        &self,
        labels: &BTreeMap<String, String>,
        taken: &[&Arc<PersistentVolume>],
    ) -> Result<Option<&Arc<PersistentVolume>>, String> {
        Ok(self.candidates.as_ref().map_err(Clone::clone)?.find(labels, taken))
    }

    /// Whether a volume can be made for it and a node with these labels.
    pub(super) fn make(&self, labels: &BTreeMap<String, String>) -> Result<Made, String> {
        let making = self.making.as_ref().map_err(Clone::clone)?;
        Ok(match &making.allowed {
            Some(allowed) if allowed.has(labels) => match making.space.has(labels) {
                true => Made::Possible,
                false => Made::NoSpace,
            },
            _ => Made::Impossible,
        })
    }

    /// Writes what a node's answer follows from; `false` where that is its alone.
    pub(super) fn write(&self, key: &mut ClassKey) -> bool {
        key.optional(self.selected.as_deref());
        let accounts = self.making.as_ref().map_or(0, |making| making.space.alternatives());
        if accounts > MOST_ACCOUNTS {
            return false;
        }
        key.shown(&self.making);
        self.candidates.as_ref().is_ok_and(Candidates::is_empty)
    }
}

impl Making {
    fn of(claim: &PersistentVolumeClaim, size: Option<Quantity>, catalog: &Catalog) -> Result<Self, String> {
        let name = class_of_claim(claim);
        if name.is_empty() {
            let key = key_of(&claim.metadata);
            return Err(format!("no class for claim {:?}", format!("{}/{}", key.namespace, key.name)));
        }
        let class = catalog.get::<StorageClass>("", name);
        let class = class.ok_or_else(|| format!("failed to find storage class {name:?}"))?;
        let makes = !matches!(class.provisioner.as_str(), "" | NOBODY);
        let allowed = makes.then(|| Reach::allowed(class.allowed_topologies.as_deref().unwrap_or_default()));
        let space = match size {
            Some(size) if makes => space(class, size, catalog),
            _ => Reach::everywhere(),
        };
        Ok(Self { allowed, space })
    }
}

/// The nodes from which the driver of a class has so much left: all of them, unless it keeps accounts.
fn space(class: &StorageClass, size: Quantity, catalog: &Catalog) -> Reach {
    let driver = catalog.get::<CSIDriver>("", &class.provisioner);
    if driver.and_then(|driver| driver.spec.storage_capacity) != Some(true) {
        return Reach::everywhere();
    }
    let enough = |capacity: &CSIStorageCapacity| {
        Some(&capacity.storage_class_name) == class.metadata.name.as_ref()
            && limit(capacity).is_some_and(|limit| limit.value() >= size.value())
    };
    let capacities = catalog.all::<CSIStorageCapacity>().filter(|capacity| enough(capacity));
    let places = capacities
        .filter_map(|capacity| LabelSelector::from_k8s(Some(capacity.node_topology.as_ref()?)).ok())
        .collect();
    Reach::any(places)
}

/// How large a volume may be.
pub(super) fn limit(capacity: &CSIStorageCapacity) -> Option<Quantity> {
    let limit = capacity.maximum_volume_size.as_ref().or(capacity.capacity.as_ref());
    Quantity::try_from(limit?).ok()
}
