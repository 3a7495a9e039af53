//! The claims to volumes that a pod has.
//!
//! Source: `k8s.io/component-helpers/storage/ephemeral` and `k8s.io/component-helpers/storage/volume`
//! (1.36).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::StorageClass;

use super::world::{Named, World, find, find_in};
use crate::api::owner::is_controlled_by;

/// A volume's claim: its name, and whether it is made for the pod alone.
pub(super) struct ClaimName {
    pub(super) name: String,
    pub(super) ephemeral: bool,
}

/// The claim of a volume, if it has one.
pub(super) fn claim_name(pod: &Pod, volume: &Volume) -> Option<ClaimName> {
    if let Some(source) = &volume.persistent_volume_claim {
        return Some(ClaimName { name: source.claim_name.clone(), ephemeral: false });
    }
    volume.ephemeral.as_ref()?;
    Some(ClaimName { name: format!("{}-{}", pod.name(), volume.name), ephemeral: true })
}

pub(super) fn volumes(pod: &Pod) -> &[Volume] {
    pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default()
}

/// A claim of the pod's namespace.
pub(super) fn claim<'w>(world: &'w World, pod: &Pod, name: &str) -> Option<&'w PersistentVolumeClaim> {
    find_in(&world.persistent_volume_claims, pod.namespace(), name)
}

/// What is wrong with a claim that was made for a pod, if it was made for another.
pub(super) fn of_another(pod: &Pod, claim: &PersistentVolumeClaim) -> Option<String> {
    (!is_controlled_by(&claim.metadata, pod.uid())).then(|| {
        format!(
            "PVC {}/{} was not created for pod {}/{} (pod is not owner)",
            claim.namespace(),
            claim.name(),
            pod.namespace(),
            pod.name()
        )
    })
}

/// The volume that a claim names; empty where it names none.
pub(super) fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// The name of a claim's storage class; empty where it has none.
pub(super) fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let own = || claim.spec.as_ref()?.storage_class_name.as_deref();
    claim.annotation(CLASS).or_else(own).unwrap_or_default()
}

/// The name of a volume's storage class; empty where it has none.
pub(super) fn class_of_volume(volume: &PersistentVolume) -> &str {
    let own = || volume.spec.as_ref()?.storage_class_name.as_deref();
    volume.annotation(CLASS).or_else(own).unwrap_or_default()
}

pub(super) fn class<'w>(world: &'w World, name: &str) -> Option<&'w StorageClass> {
    find(&world.storage_classes, name)
}

pub(super) fn claim_not_found(name: &str) -> String {
    format!("persistentvolumeclaim {name:?} not found")
}

/// Whether a class waits with volumes until a pod wants them.
///
/// # Errors
///
/// When the class does not say.
pub(super) fn waits_for_consumer(class: &StorageClass) -> Result<bool, String> {
    match class.volume_binding_mode.as_deref() {
        None => Err(format!("VolumeBindingMode not set for StorageClass {:?}", class.name())),
        Some(mode) => Ok(mode == "WaitForFirstConsumer"),
    }
}
