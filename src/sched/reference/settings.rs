//! What a profile of the scheduler says: its plugins, their weights and their arguments.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};

/// A plugin of the default profile that has a say in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Plugin {
    /// Pods with gates wait.
    SchedulingGates,
    /// Cordoned nodes.
    NodeUnschedulable,
    /// Pods that name their node.
    NodeName,
    /// Taints and tolerations.
    TaintToleration,
    /// Node selectors and node affinity.
    NodeAffinity,
    /// Ports of the node.
    NodePorts,
    /// Amounts of resources.
    NodeResourcesFit,
    /// Volumes that only one pod may use.
    VolumeRestrictions,
    /// How many volumes a node attaches.
    NodeVolumeLimits,
    /// Claims to volumes.
    VolumeBinding,
    /// Zones of volumes.
    VolumeZone,
    /// Even spread over domains.
    PodTopologySpread,
    /// Pods near to, and far from, other pods.
    InterPodAffinity,
    /// Claims to devices.
    DynamicResources,
    /// Eviction of pods that matter less.
    DefaultPreemption,
    /// Even use of the resources of a node.
    NodeResourcesBalancedAllocation,
    /// Images that are there already.
    ImageLocality,
    /// Features that only some nodes have.
    NodeDeclaredFeatures,
}

impl Plugin {
    /// Its name in a configuration and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SchedulingGates => "SchedulingGates",
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeRestrictions => "VolumeRestrictions",
            Self::NodeVolumeLimits => "NodeVolumeLimits",
            Self::VolumeBinding => "VolumeBinding",
            Self::VolumeZone => "VolumeZone",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::DynamicResources => "DynamicResources",
            Self::DefaultPreemption => "DefaultPreemption",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
            Self::NodeDeclaredFeatures => "NodeDeclaredFeatures",
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A profile. The default is that of kube-scheduler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The name that pods ask for.
    pub scheduler_name: String,
    /// The plugins in their order, with the weights of their scores. What a plugin does besides
    /// scoring it does whatever its weight.
    pub plugins: Vec<(Plugin, i64)>,
    /// Arguments of `NodeAffinity`: a node affinity that every pod has besides its own.
    pub added_affinity: Option<NodeAffinity>,
    /// Arguments of `NodeResourcesFit`: extended resources that the filter takes no notice of.
    pub ignored_resources: BTreeSet<String>,
    /// Arguments of `NodeResourcesFit`: what stands before the slash in the names of such resources.
    pub ignored_resource_groups: BTreeSet<String>,
    /// Arguments of `NodeResourcesFit`: what a good node is.
    pub scoring: ScoringStrategy,
    /// Arguments of `NodeResourcesFit`: the resources that are scored.
    pub scored_resources: Vec<ResourceWeight>,
    /// Arguments of `NodeResourcesBalancedAllocation`: the resources that should be used evenly.
    /// Their weights say nothing.
    pub balanced_resources: Vec<ResourceWeight>,
    /// Arguments of `PodTopologySpread`: the constraints of pods that have none.
    pub default_constraints: DefaultConstraints,
    /// Arguments of `InterPodAffinity`: what a required term of a pod that is there already is worth
    /// to a pod that it matches.
    pub hard_pod_affinity_weight: i32,
    /// Arguments of `InterPodAffinity`: whether a pod without preferred terms is not scored by those
    /// of others.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

/// How `NodeResourcesFit` scores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoringStrategy {
    /// Best where most is left.
    LeastAllocated,
    /// Best where least is left.
    MostAllocated,
    /// Best where a shape says so: scores from 0 to 10, by utilization from 0 to 100, which rises
    /// from point to point.
    RequestedToCapacityRatio(Vec<ShapePoint>),
}

/// A point of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapePoint {
    /// Percent of a resource that is in use.
    pub utilization: i32,
    /// How good that is, from 0 to 10.
    pub score: i32,
}

/// A resource and how much it counts beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceWeight {
    /// Its name.
    pub name: String,
    /// Its weight, 1 or more.
    pub weight: i64,
}

/// The spread of pods that say nothing of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DefaultConstraints {
    /// What every cluster has: soft, over hosts with a skew of 3 and zones with a skew of 5.
    System,
    /// These.
    List(Vec<TopologySpreadConstraint>),
}

impl ResourceWeight {
    /// A resource of weight 1.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), weight: 1 }
    }
}

impl Settings {
    /// A plugin's weight, if the profile has the plugin.
    #[must_use]
    pub fn weight(&self, plugin: Plugin) -> Option<i64> {
        self.plugins.iter().find(|(own, _)| *own == plugin).map(|(_, weight)| *weight)
    }
}

/// Source: `getDefaultPlugins` of `pkg/scheduler/apis/config/v1/default_plugins.go` and
/// `pkg/scheduler/apis/config/v1/defaults.go` (1.36). A plugin without a weight has 1.
impl Default for Settings {
    fn default() -> Self {
        let pair = || vec![ResourceWeight::of("cpu"), ResourceWeight::of("memory")];
        Self {
            scheduler_name: "default-scheduler".into(),
            plugins: vec![
                (Plugin::SchedulingGates, 1),
                (Plugin::NodeUnschedulable, 1),
                (Plugin::NodeName, 1),
                (Plugin::TaintToleration, 3),
                (Plugin::NodeAffinity, 2),
                (Plugin::NodePorts, 1),
                (Plugin::NodeResourcesFit, 1),
                (Plugin::VolumeRestrictions, 1),
                (Plugin::NodeVolumeLimits, 1),
                (Plugin::VolumeBinding, 1),
                (Plugin::VolumeZone, 1),
                (Plugin::PodTopologySpread, 2),
                (Plugin::InterPodAffinity, 2),
                (Plugin::DynamicResources, 2),
                (Plugin::DefaultPreemption, 1),
                (Plugin::NodeResourcesBalancedAllocation, 1),
                (Plugin::ImageLocality, 1),
                (Plugin::NodeDeclaredFeatures, 1),
            ],
            added_affinity: None,
            ignored_resources: BTreeSet::new(),
            ignored_resource_groups: BTreeSet::new(),
            scoring: ScoringStrategy::LeastAllocated,
            scored_resources: pair(),
            balanced_resources: pair(),
            default_constraints: DefaultConstraints::System,
            hard_pod_affinity_weight: 1,
            ignore_preferred_terms_of_existing_pods: false,
        }
    }
}
