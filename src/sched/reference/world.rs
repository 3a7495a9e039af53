//! All that a decision depends on, as plain data.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ReplicationController, Service,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim, ResourceSlice};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A cluster as a scheduler's informers have it.
///
/// Objects are behind `Arc`, so that a world is cheap to copy and may share its objects with the
/// scheduler that is held against it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct World {
    /// The nodes. Where an answer names the first of several, it is the first here.
    pub nodes: Vec<Arc<Node>>,
    /// Every pod: those on nodes have `spec.nodeName`, those to come may have
    /// `status.nominatedNodeName`.
    pub pods: Vec<Arc<Pod>>,
    /// Namespaces, for their labels.
    pub namespaces: Vec<Arc<Namespace>>,
    /// Services, whose selectors say which pods belong together.
    pub services: Vec<Arc<Service>>,
    /// Replication controllers, for their selectors.
    pub replication_controllers: Vec<Arc<ReplicationController>>,
    /// Replica sets, for their selectors.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// Stateful sets, for their selectors.
    pub stateful_sets: Vec<Arc<StatefulSet>>,
    /// Persistent volumes.
    pub persistent_volumes: Vec<Arc<PersistentVolume>>,
    /// Claims to persistent volumes.
    pub persistent_volume_claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Storage classes.
    pub storage_classes: Vec<Arc<StorageClass>>,
    /// How many volumes of which driver a node attaches.
    pub csi_nodes: Vec<Arc<CSINode>>,
    /// Drivers of volumes.
    pub csi_drivers: Vec<Arc<CSIDriver>>,
    /// How much a driver has left to give, and where.
    pub csi_storage_capacities: Vec<Arc<CSIStorageCapacity>>,
    /// Claims to devices.
    pub resource_claims: Vec<Arc<ResourceClaim>>,
    /// The devices there are.
    pub resource_slices: Vec<Arc<ResourceSlice>>,
    /// Classes of devices.
    pub device_classes: Vec<Arc<DeviceClass>>,
    /// Volumes that are attached to nodes.
    pub volume_attachments: Vec<Arc<VolumeAttachment>>,
    /// How many pods may be disrupted at a time.
    pub pod_disruption_budgets: Vec<Arc<PodDisruptionBudget>>,
}

/// What has metadata.
pub(super) trait Named {
    fn meta(&self) -> &ObjectMeta;

    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(key).map(String::as_str)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }
}

impl<T: k8s_openapi::Metadata<Ty = ObjectMeta>> Named for T {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
}

/// The object of this name, of those that have no namespace.
pub(super) fn find<'a, T: Named>(objects: &'a [Arc<T>], name: &str) -> Option<&'a T> {
    objects.iter().map(AsRef::as_ref).find(|object: &&T| object.name() == name)
}

/// The object of this namespace and name.
pub(super) fn find_in<'a, T: Named>(objects: &'a [Arc<T>], namespace: &str, name: &str) -> Option<&'a T> {
    objects
        .iter()
        .map(AsRef::as_ref)
        .find(|object: &&T| object.namespace() == namespace && object.name() == name)
}

/// Whether a pod has run to its end. Such pods are not among those that the scheduler lists at all.
///
/// Source: `newPodInformer` of `pkg/scheduler/scheduler.go` (1.36).
pub(super) fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The node that a pod is on.
pub(super) fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// The node that is kept for a pod.
pub(super) fn nominated_node(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default()
}

/// A pod's priority; 0 where it has none.
///
/// Source: `PodPriority` of `k8s.io/component-helpers/scheduling/corev1` (1.36).
pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}
