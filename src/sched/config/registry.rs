//! Which plugins there are, and the points at which each can stand.

use std::collections::BTreeMap;

use super::Point::{
    Bind, Filter, Permit, PlacementGenerate, PlacementScore, PostFilter, PreBind, PreEnqueue, PreFilter,
    PreScore, QueueSort, Reserve, Score,
};
use super::Points;

/// Knows plugins by name.
///
/// A map from names to points is one, so plugins of one's own stand beside kube-scheduler's so:
///
/// ```
/// use windlass::sched::config::{InTree, Point, Points, Registry};
///
/// let mut plugins = InTree::all();
/// plugins.insert("NoSpares".to_owned(), Points::of(&[Point::Filter]));
/// assert!(plugins.points("NoSpares").is_some_and(|points| points.contains(Point::Filter)));
/// ```
pub trait Registry {
    /// The points at which a plugin can stand; none where there is no such plugin.
    fn points(&self, plugin: &str) -> Option<Points>;
}

impl Registry for BTreeMap<String, Points> {
    fn points(&self, plugin: &str) -> Option<Points> {
        self.get(plugin).copied()
    }
}

impl<R: Registry + ?Sized> Registry for &R {
    fn points(&self, plugin: &str) -> Option<Points> {
        (**self).points(plugin)
    }
}

/// The plugins that are built into kube-scheduler 1.36, whether or not they are default ones.
///
/// Source: `pkg/scheduler/framework/plugins/registry.go`, and the interfaces that each plugin's package says
/// it implements (1.36).
#[derive(Clone, Copy, Debug, Default)]
pub struct InTree;

const IN_TREE: [(&str, Points); 23] = [
    ("DefaultBinder", Points::of(&[Bind])),
    ("DefaultPreemption", Points::of(&[PreEnqueue, PostFilter])),
    ("DynamicResources", Points::of(&[PreEnqueue, PreFilter, Filter, PostFilter, Score, Reserve, PreBind])),
    ("GangScheduling", Points::of(&[PreEnqueue, Permit])),
    ("ImageLocality", Points::of(&[Score])),
    ("InterPodAffinity", Points::of(&[PreFilter, Filter, PreScore, Score])),
    ("NodeAffinity", Points::of(&[PreFilter, Filter, PreScore, Score])),
    ("NodeDeclaredFeatures", Points::of(&[PreFilter, Filter])),
    ("NodeName", Points::of(&[Filter])),
    ("NodePorts", Points::of(&[PreFilter, Filter])),
    ("NodeResourcesBalancedAllocation", Points::of(&[PreScore, Score])),
    ("NodeResourcesFit", Points::of(&[PreFilter, Filter, PreScore, Score, PlacementScore])),
    ("NodeUnschedulable", Points::of(&[Filter])),
    ("NodeVolumeLimits", Points::of(&[PreFilter, Filter])),
    ("PodGroupPodsCount", Points::of(&[PlacementScore])),
    ("PodTopologySpread", Points::of(&[PreFilter, Filter, PreScore, Score])),
    ("PrioritySort", Points::of(&[QueueSort])),
    ("SchedulingGates", Points::of(&[PreEnqueue])),
    ("TaintToleration", Points::of(&[Filter, PreScore, Score])),
    ("TopologyPlacementGenerator", Points::of(&[PlacementGenerate])),
    ("VolumeBinding", Points::of(&[PreFilter, Filter, PreScore, Score, Reserve, PreBind])),
    ("VolumeRestrictions", Points::of(&[PreFilter, Filter])),
    ("VolumeZone", Points::of(&[PreFilter, Filter])),
];

impl InTree {
    /// All of them, to add others to.
    #[must_use]
    pub fn all() -> BTreeMap<String, Points> {
        IN_TREE.iter().map(|(name, points)| ((*name).to_owned(), *points)).collect()
    }
}

impl Registry for InTree {
    fn points(&self, plugin: &str) -> Option<Points> {
        IN_TREE.binary_search_by_key(&plugin, |(name, _)| *name).ok().map(|at| IN_TREE[at].1)
    }
}
