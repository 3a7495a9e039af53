//! What could help a pod whose volumes were not to be had.
//!
//! Source: `EventsToRegister` and the hints of
//! `pkg/scheduler/framework/plugins/volumebinding/volume_binding.go` (1.36).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};

use super::needs::MIGRATED;
use super::supply::limit;
use crate::sched::volumes::{claim_names, volumes};
use crate::sched::{ClusterEvent, ObjectEvent, PodInfo};

pub(super) fn helps(event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
    match event {
        ClusterEvent::NodeAdded(_) => true,
        ClusterEvent::NodeUpdated { what, .. } => what.labels,
        ClusterEvent::Object(event) => object_helps(event, pod),
        _ => false,
    }
}

fn object_helps(event: &ObjectEvent<'_>, pod: &PodInfo) -> bool {
    if let Some((old, Some(new))) = event.as_kind::<StorageClass>() {
        let terms = |class: &StorageClass| class.allowed_topologies.clone().unwrap_or_default();
        return old.is_none_or(|old| terms(old) != terms(new));
    }
    if let Some((_, Some(new))) = event.as_kind::<PersistentVolumeClaim>() {
        return new.metadata.namespace.as_ref() == Some(&pod.key.namespace)
            && claim_names(pod).any(|claim| new.metadata.name.as_deref() == Some(&*claim.name));
    }
    if let Some((_, Some(_))) = event.as_kind::<PersistentVolume>() {
        return true;
    }
    if let Some((old, Some(new))) = event.as_kind::<CSINode>() {
        let migrated = |node: &CSINode| {
            node.metadata
                .annotations
                .as_ref()
                .and_then(|notes| notes.get(MIGRATED))
                .cloned()
                .unwrap_or_default()
        };
        return old.is_none_or(|old| migrated(old) != migrated(new));
    }
    if let Some((Some(old), Some(new))) = event.as_kind::<CSIDriver>() {
        let counts = |driver: &CSIDriver| driver.spec.storage_capacity == Some(true);
        let has = |name: &str| {
            let own = volumes(pod).iter().filter_map(|volume| volume.csi.as_ref());
            own.into_iter().any(|source| source.driver == name)
        };
        return counts(old) && !counts(new) && new.metadata.name.as_deref().is_some_and(has);
    }
    if let Some((old, Some(new))) = event.as_kind::<CSIStorageCapacity>() {
        let Some(old) = old else { return true };
        let limit = |capacity| limit(capacity).map(|limit| limit.value());
        return limit(new).is_some_and(|new| limit(old).is_none_or(|old| new > old));
    }
    false
}
