//! The claims that a pod has.
//!
//! Source: `k8s.io/component-helpers/storage/ephemeral` and `k8s.io/component-helpers/storage/volume` (1.36).

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Volume};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::ObjectKey;
use crate::api::owner::is_controlled_by;
use crate::sched::PodInfo;

/// The claim of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sched) struct ClaimName<'a> {
    pub(in crate::sched) name: Cow<'a, str>,
    /// Whether it is made for the pod alone, and goes with it.
    pub(in crate::sched) ephemeral: bool,
}

/// A pod's volumes.
pub(in crate::sched) fn volumes(pod: &PodInfo) -> &[Volume] {
    pod.spec().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default()
}

/// A pod's claims, in the order of its volumes.
pub(in crate::sched) fn claim_names(pod: &PodInfo) -> impl Iterator<Item = ClaimName<'_>> {
    volumes(pod).iter().filter_map(|volume| ClaimName::of(pod, volume))
}

impl<'a> ClaimName<'a> {
    /// The claim of a pod's volume, if it has one.
    pub(in crate::sched) fn of(pod: &PodInfo, volume: &'a Volume) -> Option<Self> {
        if let Some(source) = &volume.persistent_volume_claim {
            return Some(Self { name: Cow::Borrowed(&source.claim_name), ephemeral: false });
        }
        volume.ephemeral.as_ref()?;
        Some(Self { name: Cow::Owned(format!("{}-{}", pod.key.name, volume.name)), ephemeral: true })
    }
}

/// Namespace and name, as one key.
pub(in crate::sched) fn key_of(meta: &ObjectMeta) -> ObjectKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(text(&meta.namespace), text(&meta.name))
}

/// That a pod's claim is not there.
pub(in crate::sched) fn not_found(name: &str) -> String {
    format!("persistentvolumeclaim {name:?} not found")
}

/// Makes sure that a claim was made for a pod.
///
/// # Errors
///
/// What is wrong where it was made for another.
pub(in crate::sched) fn is_ephemeral_of(pod: &PodInfo, claim: &PersistentVolumeClaim) -> Result<(), String> {
    if is_controlled_by(&claim.metadata, &pod.uid) {
        return Ok(());
    }
    let claim = key_of(&claim.metadata);
    Err(format!(
        "PVC {}/{} was not created for pod {}/{} (pod is not owner)",
        claim.namespace, claim.name, pod.key.namespace, pod.key.name
    ))
}

/// The volume that a claim names; empty where it names none.
pub(in crate::sched) fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

/// The annotation that says a storage class as the field for it came later.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

fn class<'a>(meta: &'a ObjectMeta, field: Option<&'a String>) -> &'a str {
    let annotated = meta.annotations.as_ref().and_then(|annotations| annotations.get(CLASS));
    annotated.or(field).map(String::as_str).unwrap_or_default()
}

/// The name of a claim's storage class; empty where it has none.
pub(in crate::sched) fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    class(&claim.metadata, claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref()))
}

/// The name of a volume's storage class; empty where it has none.
pub(in crate::sched) fn class_of_volume(volume: &PersistentVolume) -> &str {
    class(&volume.metadata, volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref()))
}

/// Whether a class waits with volumes until a pod wants them.
///
/// # Errors
///
/// When the class does not say.
pub(in crate::sched) fn waits_for_consumer(class: &StorageClass) -> Result<bool, String> {
    match class.volume_binding_mode.as_deref() {
        Some(mode) => Ok(mode == "WaitForFirstConsumer"),
        None => {
            let name = class.metadata.name.as_deref().unwrap_or_default();
            Err(format!("VolumeBindingMode not set for StorageClass {name:?}"))
        }
    }
}
