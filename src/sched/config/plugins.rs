//! Which plugins a profile enables, where, and with what weight.

use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};

use super::reader::{Fields, Record};
use super::{FeatureGates, Point};

/// Plugins by point, and those that stand wherever they can. `plugins[Point::Score]` is one of its sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// Plugins for every point at which they can stand.
    pub multi_point: PluginSet,
    sets: [PluginSet; Point::ALL.len()],
}

/// Plugins that are enabled and disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSet {
    /// Those that are enabled, in their order.
    pub enabled: Vec<EnabledPlugin>,
    /// The names of default plugins that are not; `*` is all of them.
    pub disabled: Vec<String>,
}

/// A plugin that is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledPlugin {
    /// Its name.
    pub name: String,
    /// How often its score counts; 0 where nothing is said, which is taken for 1 in the end.
    pub weight: i32,
}

/// All default plugins.
pub(super) const ALL: &str = "*";

impl Index<Point> for Plugins {
    type Output = PluginSet;

    fn index(&self, point: Point) -> &PluginSet {
        &self.sets[point as usize]
    }
}

impl IndexMut<Point> for Plugins {
    fn index_mut(&mut self, point: Point) -> &mut PluginSet {
        &mut self.sets[point as usize]
    }
}

impl EnabledPlugin {
    /// A plugin of this name and weight.
    #[must_use]
    pub fn new(name: &str, weight: i32) -> Self {
        Self { name: name.to_owned(), weight }
    }
}

impl Plugins {
    /// Plugins of which no point says anything by itself.
    #[must_use]
    pub fn of_multi_point(multi_point: PluginSet) -> Self {
        Self { multi_point, ..Self::default() }
    }

    /// The plugins that are enabled where a profile says nothing: all of them by `multiPoint`.
    ///
    /// Source: `pkg/scheduler/apis/config/v1/default_plugins.go` (1.36).
    #[must_use]
    pub fn default_set(gates: &FeatureGates) -> Self {
        let plugins = [
            ("SchedulingGates", 0, true),
            ("PrioritySort", 0, true),
            ("NodeUnschedulable", 0, true),
            ("NodeName", 0, true),
            ("TaintToleration", 3, true),
            ("NodeAffinity", 2, true),
            ("NodePorts", 0, true),
            ("NodeResourcesFit", 1, true),
            ("VolumeRestrictions", 0, true),
            ("NodeVolumeLimits", 0, true),
            ("VolumeBinding", 0, true),
            ("VolumeZone", 0, true),
            ("PodTopologySpread", 2, true),
            ("InterPodAffinity", 2, true),
            // Before preemption: a claim that nobody uses is given up before a pod is.
            ("DynamicResources", 2, gates.dynamic_resource_allocation),
            ("DefaultPreemption", 0, true),
            ("NodeResourcesBalancedAllocation", 1, true),
            ("ImageLocality", 1, true),
            ("DefaultBinder", 0, true),
            ("NodeDeclaredFeatures", 0, gates.node_declared_features),
            ("GangScheduling", 0, gates.gang_scheduling),
            ("TopologyPlacementGenerator", 0, gates.topology_aware_workload_scheduling),
            ("PodGroupPodsCount", 1, gates.topology_aware_workload_scheduling),
        ];
        let enabled = plugins
            .into_iter()
            .filter(|(_, _, on)| *on)
            .map(|(name, weight, _)| EnabledPlugin::new(name, weight))
            .collect();
        Self::of_multi_point(PluginSet { enabled, disabled: Vec::new() })
    }

    /// These plugins, changed as a profile says.
    #[must_use]
    pub fn merge(&self, custom: &Self) -> Self {
        let mut merged = Self::of_multi_point(self.multi_point.merge(&custom.multi_point));
        for point in Point::ALL {
            merged[point] = self[point].merge(&custom[point]);
        }
        merged
    }

    /// The names of all that are enabled anywhere, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        let sets = self.sets.iter().chain([&self.multi_point]);
        sets.flat_map(|set| &set.enabled).map(|plugin| &*plugin.name).collect()
    }
}

impl PluginSet {
    /// This set, changed as another says: what that disables goes; what it enables is put in the place of the
    /// plugin of the same name, or else behind all others. Of two of the same name the last gets the place.
    ///
    /// Source: `mergePluginSet` of `pkg/scheduler/apis/config/v1/default_plugins.go` (1.36).
    #[must_use]
    pub fn merge(&self, custom: &Self) -> Self {
        let disabled: Vec<String> = custom.disabled.iter().chain(&self.disabled).cloned().collect();
        let off = |name: &str| disabled.iter().any(|other| other == name);
        let mut rest: Vec<Option<&EnabledPlugin>> = custom.enabled.iter().map(Some).collect();
        let mut enabled = Vec::new();
        for plugin in self.enabled.iter().filter(|plugin| !off(ALL) && !off(&plugin.name)) {
            let at = custom.enabled.iter().rposition(|other| other.name == plugin.name);
            enabled.push(at.map_or(plugin, |at| &custom.enabled[at]).clone());
            if let Some(at) = at {
                rest[at] = None;
            }
        }
        enabled.extend(rest.into_iter().flatten().cloned());
        Self { enabled, disabled }
    }

    /// Whether the default plugin of this name is not wanted.
    pub(super) fn disables(&self, name: &str) -> bool {
        self.disabled.iter().any(|other| other == name)
    }
}

impl Record for Plugins {
    const GO: &'static str = "v1.Plugins";

    fn read(fields: &mut Fields<'_>) -> Self {
        let mut plugins = Self::of_multi_point(fields.plain("multiPoint"));
        for point in Point::ALL {
            plugins[point] = fields.plain(point.field());
        }
        plugins
    }
}

impl Record for PluginSet {
    const GO: &'static str = "v1.PluginSet";

    fn read(fields: &mut Fields<'_>) -> Self {
        let disabled: Vec<EnabledPlugin> = fields.plain("disabled");
        Self {
            enabled: fields.plain("enabled"),
            disabled: disabled.into_iter().map(|plugin| plugin.name).collect(),
        }
    }
}

impl Record for EnabledPlugin {
    const GO: &'static str = "v1.Plugin";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { name: fields.plain("name"), weight: fields.plain("weight") }
    }
}
