//! A profile: which plugins take part, in which order, with what weight.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::super::{QueuedPod, plugins};
use super::{
    Bind, Filter, Permit, Plugin, PostBind, PostFilter, PreBind, PreEnqueue, PreFilter, PreScore, Reserve,
    Score,
};

/// Plugins in their order, with the weights of their scores. The default is kube-scheduler's.
#[derive(Clone)]
pub struct Profile {
    plugins: Vec<(Arc<dyn Plugin>, i64)>,
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
        Self { plugins: Vec::new() }
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

    pub(crate) fn get(&self, name: &str) -> Option<&dyn Plugin> {
        self.plugins.iter().map(|(plugin, _)| &**plugin).find(|plugin| plugin.name() == name)
    }

    points! {
        pre_enqueues: PreEnqueue by as_pre_enqueue;
        pre_filters: PreFilter by as_pre_filter;
        filters: Filter by as_filter;
        post_filters: PostFilter by as_post_filter;
        pre_scores: PreScore by as_pre_score;
        reserves: Reserve by as_reserve;
        permits: Permit by as_permit;
        pre_binds: PreBind by as_pre_bind;
        binds: Bind by as_bind;
        post_binds: PostBind by as_post_bind;
    }

    pub(crate) fn scores(&self) -> impl Iterator<Item = (&'static str, i64, &dyn Score)> {
        self.plugins.iter().filter_map(|(plugin, weight)| Some((plugin.name(), *weight, plugin.as_score()?)))
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
            .plugin(plugins::Preemption)
            .plugin(plugins::NodeResourcesBalancedAllocation)
            .plugin(plugins::DefaultBinder)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.plugins.iter().map(|(plugin, weight)| (plugin.name(), weight))).finish()
    }
}
