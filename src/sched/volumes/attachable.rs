//! The volumes that a node attaches by a driver.
//!
//! Source: `filterAttachableVolumes`, `getCSIDriverInfo` and `getNodeVolumeAttachmentInfo` of
//! `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` (1.36).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{StorageClass, VolumeAttachment};

use super::claims::{ClaimName, class_of_claim, is_ephemeral_of, key_of, not_found, volume_name, volumes};
use super::in_tree::InTree;
use crate::sched::{Catalog, PodInfo};

/// A volume, as its driver knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::sched) struct VolumeId {
    pub(in crate::sched) driver: String,
    /// The driver's name of it. One that is still to be made has one that no other has.
    handle: String,
}

/// Why a pod's volumes cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sched) enum Problem {
    /// A claim is not there.
    Missing(String),
    /// What is there is wrong.
    Broken(String),
}

/// Tells the volumes that a pod needs attached, each once or more, up to the first problem.
///
/// `drivers` says whether the node has any: only there do drivers stand for what Kubernetes once attached itself.
/// Claims of a pod that is on its node already and are gone are passed over.
pub(in crate::sched) fn of_pod(
    catalog: &Catalog,
    pod: &PodInfo,
    drivers: bool,
    is_new: bool,
    mut tell: impl FnMut(VolumeId),
) -> Result<(), Problem> {
    for volume in volumes(pod) {
        let Some(wanted) = ClaimName::of(pod, volume) else {
            if let Some((kind, handle)) = InTree::of_volume(volume)
                && drivers
                && kind.taken_over
            {
                let handle = handle.map_err(|error| {
                    Problem::Broken(format!("converting volume({}) from inline to csi: {error}", volume.name))
                })?;
                tell(VolumeId { driver: kind.driver.to_owned(), handle });
            }
            continue;
        };
        if wanted.name.is_empty() {
            return Err(Problem::Broken("PersistentVolumeClaim had no name".to_owned()));
        }
        let namespace = &pod.key.namespace;
        let Some(claim) = catalog.get::<PersistentVolumeClaim>(namespace, &wanted.name) else {
            if is_new {
                let why = not_found(&wanted.name);
                return Err(Problem::Missing(format!("looking up PVC {namespace}/{}: {why}", wanted.name)));
            }
            continue;
        };
        if wanted.ephemeral {
            is_ephemeral_of(pod, claim).map_err(Problem::Broken)?;
        }
        if let Some(id) = behind_claim(catalog, claim, drivers) {
            tell(id);
        }
    }
    Ok(())
}

/// The volume behind a claim, where a driver attaches it.
fn behind_claim(catalog: &Catalog, claim: &PersistentVolumeClaim, drivers: bool) -> Option<VolumeId> {
    let name = volume_name(claim);
    let volume = catalog.get::<PersistentVolume>("", name).filter(|_| !name.is_empty());
    let id = match volume {
        Some(volume) => match volume.spec.as_ref().and_then(|spec| spec.csi.as_ref()) {
            Some(csi) => VolumeId { driver: csi.driver.clone(), handle: csi.volume_handle.clone() },
            None => {
                let (kind, handle) = InTree::of_persistent(volume).filter(|_| drivers)?;
                VolumeId { driver: kind.driver.to_owned(), handle: handle.ok()? }
            }
        },
        None => {
            let class = catalog.get::<StorageClass>("", class_of_claim(claim))?;
            let driver = match InTree::named(&class.provisioner) {
                Some(kind) if drivers && kind.taken_over => kind.driver,
                Some(_) => return None,
                None => &class.provisioner,
            };
            // No driver's name of a volume begins like this.
            VolumeId { driver: driver.to_owned(), handle: format!("\0{}", key_of(&claim.metadata)) }
        }
    };
    (!id.driver.is_empty() && !id.handle.is_empty()).then_some(id)
}

/// The volume that is attached by an attachment.
pub(in crate::sched) fn attached_by(catalog: &Catalog, attachment: &VolumeAttachment) -> Option<VolumeId> {
    let driver = Some(attachment.spec.attacher.clone()).filter(|driver| !driver.is_empty())?;
    let name = attachment.spec.source.persistent_volume_name.as_deref()?;
    let volume = catalog.get::<PersistentVolume>("", name)?;
    let handle = volume.spec.as_ref()?.csi.as_ref()?.volume_handle.clone();
    Some(VolumeId { driver, handle })
}
