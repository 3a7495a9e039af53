//! The feature gates on which a configuration depends.

/// Which features are on. The default is that of 1.36.
///
/// Source: `pkg/features/kube_features.go` (1.36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureGates {
    /// `NodeDeclaredFeatures`: the plugin of this name is a default one. On.
    pub node_declared_features: bool,
    /// `DynamicResourceAllocation`: DynamicResources is a default plugin. On.
    pub dynamic_resource_allocation: bool,
    /// `GangScheduling`: the plugin of this name is a default one. Off.
    pub gang_scheduling: bool,
    /// `TopologyAwareWorkloadScheduling`: TopologyPlacementGenerator and PodGroupPodsCount are default
    /// plugins. Off.
    pub topology_aware_workload_scheduling: bool,
    /// `StorageCapacityScoring`: VolumeBinding has a shape. Off.
    pub storage_capacity_scoring: bool,
    /// `DRASchedulerFilterTimeout`: DynamicResources has a filter timeout. On.
    pub dra_scheduler_filter_timeout: bool,
    /// `DRADeviceBindingConditions`: DynamicResources has a binding timeout, if the next one is on, too. On.
    pub dra_device_binding_conditions: bool,
    /// `DRAResourceClaimDeviceStatus`. On.
    pub dra_resource_claim_device_status: bool,
}

impl Default for FeatureGates {
    fn default() -> Self {
        Self {
            node_declared_features: true,
            dynamic_resource_allocation: true,
            gang_scheduling: false,
            topology_aware_workload_scheduling: false,
            storage_capacity_scoring: false,
            dra_scheduler_filter_timeout: true,
            dra_device_binding_conditions: true,
            dra_resource_claim_device_status: true,
        }
    }
}
