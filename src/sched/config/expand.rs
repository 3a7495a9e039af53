//! From what a profile enables to one ordered list of plugins a point.

use std::collections::{BTreeMap, BTreeSet};

use super::plugins::ALL;
use super::{Args, Configuration, EnabledPlugin, Point, ProfileConfig, Registry};

/// A profile's plugins, in their order at each point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The profile's name.
    pub scheduler_name: String,
    lists: [Vec<String>; Point::ALL.len()],
    score: BTreeMap<String, i64>,
    placement_score: BTreeMap<String, i64>,
}

/// Why a profile's plugins cannot stand as it says, in kube-scheduler's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// A plugin is given arguments twice.
    #[error("repeated config for plugin {plugin}")]
    RepeatedArgs {
        /// The plugin.
        plugin: String,
    },
    /// There is no such plugin.
    #[error("{point} {plugin:?} does not exist")]
    DoesNotExist {
        /// Where it was to stand.
        point: Point,
        /// The plugin.
        plugin: String,
    },
    /// The plugin cannot stand there.
    #[error("plugin {plugin:?} does not extend {point} plugin")]
    DoesNotExtend {
        /// Where.
        point: Point,
        /// The plugin.
        plugin: String,
    },
    /// The plugin stands there already.
    #[error("plugin {plugin:?} already registered as \"{point}\"")]
    AlreadyRegistered {
        /// Where.
        point: Point,
        /// The plugin.
        plugin: String,
    },
    /// Not just one plugin sorts the queue.
    #[error(
        "only one queue sort plugin required for profile with scheduler name {scheduler_name:?}, but got {count}"
    )]
    QueueSort {
        /// The profile.
        scheduler_name: String,
        /// How many do.
        count: usize,
    },
    /// No plugin binds.
    #[error("at least one bind plugin is needed for profile with scheduler name {scheduler_name:?}")]
    Bind {
        /// The profile.
        scheduler_name: String,
    },
    /// Several plugins generate placements.
    #[error(
        "at most one placement generate plugin is allowed for profile with scheduler name {scheduler_name:?}"
    )]
    PlacementGenerate {
        /// The profile.
        scheduler_name: String,
    },
    /// The weights of plugins that score are too large together.
    #[error("{}: total score of Score plugins could overflow", scorers(*.point))]
    Overflow {
        /// Where they score.
        point: Point,
    },
    /// Another profile sorts the queue otherwise.
    #[error("different queue sort plugins for profile {scheduler_name:?}: {plugin:?}, first: {first:?}")]
    DifferentQueueSort {
        /// The profile.
        scheduler_name: String,
        /// What sorts its pods.
        plugin: String,
        /// What sorts those of the first.
        first: String,
    },
    /// Another profile sorts the queue with other arguments.
    #[error("different queue sort plugin args for profile {scheduler_name:?}")]
    DifferentQueueSortArgs {
        /// The profile.
        scheduler_name: String,
    },
    /// One of the profiles has something wrong with it.
    #[error("creating profile for scheduler name {scheduler_name}: {source}")]
    Profile {
        /// Which.
        scheduler_name: String,
        /// What.
        source: Box<ExpandError>,
    },
}

fn scorers(point: Point) -> &'static str {
    if point == Point::Score { "score plugins" } else { "placement score plugins" }
}

/// The highest score of a plugin, and of all together.
///
/// Source: `k8s.io/kube-scheduler/framework/interface.go` (1.36).
const MAX_SCORE: i64 = 100;
const MAX_TOTAL_SCORE: i64 = i64::MAX;

impl Expanded {
    /// The plugins at a point, in their order.
    #[must_use]
    pub fn at(&self, point: Point) -> &[String] {
        &self.lists[point as usize]
    }

    /// How often the score of a plugin counts; none where it does not score.
    #[must_use]
    pub fn score_weight(&self, plugin: &str) -> Option<i64> {
        self.score.get(plugin).copied().filter(|_| self.stands(Point::Score, plugin))
    }

    /// How often its score of placements counts; none where it does not score them.
    #[must_use]
    pub fn placement_score_weight(&self, plugin: &str) -> Option<i64> {
        self.placement_score.get(plugin).copied().filter(|_| self.stands(Point::PlacementScore, plugin))
    }

    /// All plugins that stand somewhere, each once, by name.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.lists.iter().flatten().map(String::as_str).collect()
    }

    fn stands(&self, point: Point, plugin: &str) -> bool {
        self.at(point).iter().any(|name| name == plugin)
    }
}

impl Configuration {
    /// Expands all profiles, which must sort the queue that they share the same.
    ///
    /// Source: `NewMap` of `pkg/scheduler/profile/profile.go` (1.36).
    ///
    /// # Errors
    ///
    /// As [`ProfileConfig::expand`], or when profiles sort differently.
    pub fn expand(&self, registry: &impl Registry) -> Result<Vec<Expanded>, ExpandError> {
        let mut expanded = Vec::new();
        let mut first: Option<(String, Option<&Args>)> = None;
        for profile in &self.profiles {
            let scheduler_name = profile.scheduler_name.clone();
            let own = profile.expand(registry).map_err(|source| ExpandError::Profile {
                scheduler_name: scheduler_name.clone(),
                source: Box::new(source),
            })?;
            let sorter = own.at(Point::QueueSort).first().cloned().unwrap_or_default();
            let args = profile.args_of(&sorter);
            let (first, first_args) = first.get_or_insert_with(|| (sorter.clone(), args));
            if *first != sorter {
                let first = first.clone();
                return Err(ExpandError::DifferentQueueSort { scheduler_name, plugin: sorter, first });
            }
            if *first_args != args {
                return Err(ExpandError::DifferentQueueSortArgs { scheduler_name });
            }
            expanded.push(own);
        }
        Ok(expanded)
    }
}

impl ProfileConfig {
    /// Expands the profile: what `multiPoint` enables stands at every point at which it can, but for points at
    /// which it is disabled.
    ///
    /// At a point come first the plugins that the point and `multiPoint` both enable, in the point's order and
    /// with its weights; then the others of `multiPoint`; then the others of the point.
    ///
    /// Source: `NewFramework` and `expandMultiPointPlugins` of `pkg/scheduler/framework/runtime/framework.go`
    /// (1.36).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn expand(&self, registry: &impl Registry) -> Result<Expanded, ExpandError> {
        let mut given = BTreeSet::new();
        if let Some(own) = self.args.iter().find(|own| !given.insert(&own.plugin)) {
            return Err(ExpandError::RepeatedArgs { plugin: own.plugin.clone() });
        }
        for point in Point::ALL {
            self.check_point(point, registry)?;
        }
        let mut lists: [Vec<String>; Point::ALL.len()] = Default::default();
        for point in Point::ALL {
            lists[point as usize] = self.expand_point(point, registry)?;
        }
        let count = |point: Point| lists[point as usize].len();
        let scheduler_name = self.scheduler_name.clone();
        if count(Point::QueueSort) != 1 {
            return Err(ExpandError::QueueSort { scheduler_name, count: count(Point::QueueSort) });
        }
        if count(Point::Bind) == 0 {
            return Err(ExpandError::Bind { scheduler_name });
        }
        if count(Point::PlacementGenerate) > 1 {
            return Err(ExpandError::PlacementGenerate { scheduler_name });
        }
        let score = self.weights(Point::Score, registry)?;
        let placement_score = self.weights(Point::PlacementScore, registry)?;
        Ok(Expanded { scheduler_name, lists, score, placement_score })
    }

    /// Whether what a point enables by itself can stand there.
    fn check_point(&self, point: Point, registry: &impl Registry) -> Result<(), ExpandError> {
        let mut seen = BTreeSet::new();
        for EnabledPlugin { name: plugin, .. } in &self.plugins[point].enabled {
            let plugin = plugin.clone();
            match registry.points(&plugin) {
                None => return Err(ExpandError::DoesNotExist { point, plugin }),
                Some(points) if !points.contains(point) => {
                    return Err(ExpandError::DoesNotExtend { point, plugin });
                }
                Some(_) if !seen.insert(plugin.clone()) => {
                    return Err(ExpandError::AlreadyRegistered { point, plugin });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn expand_point(&self, point: Point, registry: &impl Registry) -> Result<Vec<String>, ExpandError> {
        let set = &self.plugins[point];
        let own = set.enabled.iter().map(|plugin| &plugin.name);
        if set.disables(ALL) {
            return Ok(own.cloned().collect());
        }
        let (mut overriding, mut multi) = (BTreeSet::new(), Vec::new());
        for EnabledPlugin { name, .. } in &self.plugins.multi_point.enabled {
            let points = registry
                .points(name)
                .ok_or_else(|| ExpandError::DoesNotExist { point, plugin: name.clone() })?;
            if !points.contains(point) || set.disables(name) {
                continue;
            }
            if own.clone().any(|other| other == name) {
                overriding.insert(name);
            } else if multi.contains(&name) {
                return Err(ExpandError::AlreadyRegistered { point, plugin: name.clone() });
            } else {
                multi.push(name);
            }
        }
        let (before, behind): (Vec<_>, Vec<_>) = own.partition(|name| overriding.contains(name));
        Ok(before.into_iter().chain(multi).chain(behind).cloned().collect())
    }

    /// Weights at a point that scores. The point's own win over those of `multiPoint`, and 0 is 1.
    ///
    /// Source: `getValidScoreWeights` of `pkg/scheduler/framework/runtime/framework.go` (1.36).
    fn weights(&self, point: Point, registry: &impl Registry) -> Result<BTreeMap<String, i64>, ExpandError> {
        let mut weights = BTreeMap::new();
        let mut total = Total::default();
        let plugins = self.plugins[point].enabled.iter().chain(&self.plugins.multi_point.enabled);
        for EnabledPlugin { name, weight } in plugins {
            let scores = registry.points(name).is_some_and(|points| points.contains(point));
            if scores && !weights.contains_key(name) {
                let weight = if *weight == 0 { 1 } else { i64::from(*weight) };
                if !total.add(weight) {
                    return Err(ExpandError::Overflow { point });
                }
                weights.insert(name.clone(), weight);
            }
        }
        Ok(weights)
    }
}

/// The sum of the highest scores. It overflows as Go's does, so that behind a weight below zero there is room
/// for no other.
#[derive(Default)]
struct Total(i64);

impl Total {
    /// Adds the highest score with this weight; false where there is no room.
    fn add(&mut self, weight: i64) -> bool {
        let score = weight.wrapping_mul(MAX_SCORE);
        let room = MAX_TOTAL_SCORE.wrapping_sub(self.0);
        self.0 = self.0.wrapping_add(score);
        score <= room
    }
}

#[cfg(test)]
mod tests {
    use super::Total;

    #[test]
    fn weights_must_not_overflow_together() {
        let fit = |weights: &[i64]| {
            let mut total = Total::default();
            weights.iter().all(|weight| total.add(*weight))
        };
        let most = i64::MAX / 100;
        for (weights, expected) in [
            (&[most][..], true),
            (&[most / 2, most / 2], true),
            (&[most, 1], false),
            (&[5, -5], true),
            (&[-5, 5], false),
        ] {
            assert_eq!(fit(weights), expected, "{weights:?}");
        }
    }
}
