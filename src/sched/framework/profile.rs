//! A profile: which plugins take part, in which order, with what weight.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::super::{ClassKey, EventKinds, ObjectKind, PodInfo, QueuedPod, Snapshot, plugins};
use super::{
    Bind, Filter, MAX_SCORE, Permit, Plugin, PostBind, PostFilter, PreBind, PreEnqueue, PreFilter, QueueSort,
    Reserve,
};
use crate::client::Client;
use crate::env::Env;

/// Plugins in their order, with the weights of their scores. The default is kube-scheduler's.
#[derive(Clone)]
pub struct Profile {
    plugins: Vec<(Arc<dyn Plugin>, i64)>,
    /// Whether the sum of all weighted scores is a number of 31 bits, as boards keep them.
    sums_up: bool,
}

/// Whether a plugin has a say in which node is chosen.
fn judges(plugin: &dyn Plugin) -> bool {
    plugin.as_pre_filter().is_some()
        || plugin.as_filter().is_some()
        || plugin.as_pre_score().is_some()
        || plugin.as_score().is_some()
}

macro_rules! points {
    ($($(#[$doc:meta])* $name:ident: $point:ident by $accessor:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(&self) -> impl Iterator<Item = (&'static str, &dyn $point)> {
            self.plugins.iter().filter_map(|(plugin, _)| Some((plugin.name(), plugin.$accessor()?)))
        }
    )*};
}

impl Profile {
    /// No plugin at all: every pod fits everywhere, and none is ever bound.
    #[must_use]
    pub fn empty() -> Self {
        Self { plugins: Vec::new(), sums_up: true }
    }

    /// With a plugin more, behind the others; one of the same name is replaced in its place.
    #[must_use]
    pub fn plugin(self, plugin: impl Plugin) -> Self {
        self.weighted(plugin, 1)
    }

    /// With a plugin more whose score counts `weight` times.
    #[must_use]
    pub fn weighted(mut self, plugin: impl Plugin, weight: i64) -> Self {
        let plugin: Arc<dyn Plugin> = Arc::new(plugin);
        match self.plugins.iter_mut().find(|(own, _)| own.name() == plugin.name()) {
            Some(place) => *place = (plugin, weight),
            None => self.plugins.push((plugin, weight)),
        }
        self.summed()
    }

    /// With another weight of the plugin of this name, if it is there.
    #[must_use]
    pub fn reweighted(mut self, name: &str, weight: i64) -> Self {
        for (plugin, own) in &mut self.plugins {
            if plugin.name() == name {
                *own = weight;
            }
        }
        self.summed()
    }

    fn summed(mut self) -> Self {
        let most = self.plugins.iter().fold(0i64, |sum, (_, weight)| {
            sum.saturating_add(weight.saturating_abs().saturating_mul(MAX_SCORE))
        });
        self.sums_up = most < i64::from(i32::MAX);
        self
    }

    /// Without the plugin of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.plugins.retain(|(plugin, _)| plugin.name() != name);
        self
    }

    /// The names of the plugins, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|(plugin, _)| plugin.name())
    }

    /// The kinds of objects that some plugin looks up.
    pub(in crate::sched) fn looked_up(&self) -> BTreeSet<ObjectKind> {
        self.plugins.iter().flat_map(|(plugin, _)| plugin.looks_up()).copied().collect()
    }

    /// A scheduler with this profile starts.
    pub(in crate::sched) fn start(&self, client: &Arc<dyn Client>, env: &Env) {
        self.plugins.iter().for_each(|(plugin, _)| plugin.start(client, env));
    }

    /// How many plugins there are.
    pub(in crate::sched) fn len(&self) -> usize {
        self.plugins.len()
    }

    /// The plugin at a place, with the weight of its score.
    pub(in crate::sched) fn at(&self, place: usize) -> (&dyn Plugin, i64) {
        let (plugin, weight) = &self.plugins[place];
        (&**plugin, *weight)
    }

    /// The plugins that take part at a point, with their places and names.
    pub(in crate::sched) fn placed<'a, P: ?Sized + 'a>(
        &'a self,
        point: impl Fn(&'a dyn Plugin) -> Option<&'a P>,
    ) -> impl Iterator<Item = (usize, &'static str, &'a P)> {
        let plugins = self.plugins.iter().enumerate();
        plugins.filter_map(move |(place, (plugin, _))| Some((place, plugin.name(), point(&**plugin)?)))
    }

    /// Writes what the plugins that judge nodes read of a pod; `false` where pods cannot share.
    pub(in crate::sched) fn class_key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        self.sums_up
            && self.plugins.iter().all(|(plugin, _)| match plugin.as_classed() {
                Some(classed) => classed.key(pod, snapshot, key),
                None => !judges(&**plugin),
            })
    }

    /// Whether there is a plugin of this name.
    pub(in crate::sched) fn has(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    points! {
        pre_enqueues: PreEnqueue by as_pre_enqueue;
        pre_filters: PreFilter by as_pre_filter;
        filters: Filter by as_filter;
        post_filters: PostFilter by as_post_filter;
        reserves: Reserve by as_reserve;
        permits: Permit by as_permit;
        pre_binds: PreBind by as_pre_bind;
        binds: Bind by as_bind;
        post_binds: PostBind by as_post_bind;
    }

    /// What some plugin that can reject pods wakes on.
    pub(in crate::sched) fn interest(&self) -> EventKinds {
        let rejects = |plugin: &dyn Plugin| {
            plugin.as_pre_enqueue().is_some()
                || plugin.as_pre_filter().is_some()
                || plugin.as_filter().is_some()
                || plugin.as_reserve().is_some()
                || plugin.as_permit().is_some()
                || plugin.as_pre_bind().is_some()
        };
        let rejecting = self.plugins.iter().filter(|(plugin, _)| rejects(&**plugin));
        rejecting.map(|(plugin, _)| plugin.wakes_on()).collect()
    }

    /// What sorts waiting pods as [`compare`](Self::compare) does, before arrival; nothing where only comparing does.
    pub(in crate::sched) fn rank(&self) -> Option<fn(&PodInfo) -> i64> {
        let sort = self.plugins.iter().find_map(|(plugin, _)| plugin.as_queue_sort());
        sort.map_or(Some(|_| 0), QueueSort::rank)
    }

    /// Which of two waiting pods goes first; by arrival where no plugin sorts.
    pub(crate) fn compare(&self, a: &QueuedPod, b: &QueuedPod) -> Ordering {
        let sort = self.plugins.iter().find_map(|(plugin, _)| plugin.as_queue_sort());
        sort.map_or(Ordering::Equal, |sort| sort.compare(a, b)).then(a.arrival.cmp(&b.arrival))
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::empty()
            .plugin(plugins::SchedulingGates)
            .plugin(plugins::PrioritySort)
            .plugin(plugins::NodeUnschedulable)
            .plugin(plugins::NodeName)
            .weighted(plugins::TaintToleration, 3)
            .weighted(plugins::NodeAffinity, 2)
            .plugin(plugins::NodePorts)
            .plugin(plugins::NodeResourcesFit)
            .plugin(plugins::VolumeRestrictions)
            .plugin(plugins::NodeVolumeLimits)
            .plugin(plugins::VolumeBinding::default())
            .plugin(plugins::VolumeZone)
            .weighted(plugins::PodTopologySpread::default(), 2)
            .weighted(plugins::InterPodAffinity::default(), 2)
            .weighted(plugins::DynamicResources::default(), 2)
            .plugin(plugins::Preemption)
            .plugin(plugins::NodeResourcesBalancedAllocation)
            .plugin(plugins::ImageLocality)
            .plugin(plugins::DefaultBinder)
            .plugin(plugins::NodeDeclaredFeatures)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.plugins.iter().map(|(plugin, weight)| (plugin.name(), weight))).finish()
    }
}
