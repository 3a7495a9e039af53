//! The decision: one pod, a snapshot, a node or the reasons why not.
//!
//! Every node is looked at, and among the best the choice is drawn: a decision follows from the pod,
//! the nodes and the draw alone, and not from which nodes happened to be looked at first.

use std::collections::BTreeSet;

use super::framework::{
    Cycle, Feasible, MAX_SCORE, PostFiltered, PreFiltered, PreScored, Profile, Reason, Verdict,
};
use super::{Diagnosis, NodeIndex};
use crate::env::Stream;

/// What became of a pod's attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes to this node.
    Place(NodeIndex),
    /// It fits nowhere.
    Reject(Box<Diagnosis>),
    /// A plugin failed.
    Fail {
        /// Which.
        plugin: &'static str,
        /// At what, and how.
        message: String,
    },
}

/// Decides where the pod of `cycle` goes. `draw` chooses among nodes of the same score.
///
/// Filters of a node are asked until one rejects it. Where a single node will do, nothing is scored.
pub fn decide(profile: &Profile, cycle: &mut Cycle<'_>, draw: &Stream) -> Decision {
    let mut diagnosis = Diagnosis::of(cycle.snapshot.nodes().len());
    if diagnosis.nodes == 0 {
        return Decision::Reject(Box::new(diagnosis));
    }
    let feasible = match feasible(profile, cycle, &mut diagnosis) {
        Ok(feasible) => feasible,
        Err(decision) => return decision,
    };
    match feasible[..] {
        [] => {
            after(profile, cycle, &mut diagnosis);
            Decision::Reject(Box::new(diagnosis))
        }
        [only] => Decision::Place(only),
        _ => match best(profile, cycle, &feasible) {
            Ok((_, tied)) => Decision::Place(tied[draw.below(tied.len() as u64) as usize]),
            Err(failure) => failure,
        },
    }
}

/// Asks what plugins say after all nodes were rejected.
pub(super) fn after(profile: &Profile, cycle: &Cycle<'_>, diagnosis: &mut Diagnosis) {
    let mut said = Vec::new();
    for (_, plugin) in profile.post_filters() {
        match plugin.post_filter(cycle, diagnosis) {
            PostFiltered::Pass => {}
            PostFiltered::Message(message) => said.push(message),
            PostFiltered::Helps => {
                said.clear();
                break;
            }
            PostFiltered::Error(message) => {
                said = vec![message];
                break;
            }
        }
    }
    diagnosis.after = said.join(", ");
}

/// The nodes that will do, in the snapshot's order.
pub(super) fn feasible(
    profile: &Profile,
    cycle: &mut Cycle<'_>,
    diagnosis: &mut Diagnosis,
) -> Result<Vec<NodeIndex>, Decision> {
    filtered(profile, cycle, diagnosis, |_, _, _| {})
}

/// The nodes that will do, in the snapshot's order. `rejected` hears of each that is looked at and will not do.
pub(super) fn filtered(
    profile: &Profile,
    cycle: &mut Cycle<'_>,
    diagnosis: &mut Diagnosis,
    mut rejected: impl FnMut(&'static str, NodeIndex, &Verdict),
) -> Result<Vec<NodeIndex>, Decision> {
    let mut skipped = Vec::new();
    // Who named nodes, and those that all of them named.
    let mut narrowing = BTreeSet::new();
    let mut only: Option<Vec<NodeIndex>> = None;
    let mut refused: Option<(&'static str, Vec<Reason>)> = None;
    for (name, plugin) in profile.pre_filters() {
        match plugin.pre_filter(cycle) {
            PreFiltered::Run | PreFiltered::Reject(Verdict::Fits) => {}
            PreFiltered::Skip => skipped.push(name),
            PreFiltered::Only(mut nodes) => {
                nodes.sort_unstable();
                narrowing.insert(name);
                if let Some(before) = &only {
                    nodes.retain(|node| before.binary_search(node).is_ok());
                    if nodes.is_empty() {
                        diagnosis.before = format!(
                            "node(s) didn't satisfy plugin(s) [{}] simultaneously",
                            listed(&narrowing)
                        );
                        diagnosis.plugins.extend(narrowing);
                        return Ok(Vec::new());
                    }
                }
                only = Some(nodes);
            }
            PreFiltered::Reject(Verdict::Error(message)) => return Err(failure("PreFilter", name, &message)),
            // Fewer pods could help, and for that the others must have been asked. The last one has its say.
            PreFiltered::Reject(Verdict::Unschedulable(reasons)) => refused = Some((name, reasons)),
            PreFiltered::Reject(Verdict::Unresolvable(reasons)) => {
                refused = Some((name, reasons));
                break;
            }
        }
    }
    if let Some((name, reasons)) = refused {
        diagnosis.before = reasons.join(", ");
        diagnosis.plugins.insert(name);
        return Ok(Vec::new());
    }
    let filters: Vec<_> = profile.filters().filter(|(name, _)| !skipped.contains(name)).collect();
    let candidates: &[NodeIndex] = match &only {
        Some(nodes) => {
            let reason = format!("node(s) didn't satisfy plugin(s) [{}]", listed(&narrowing));
            diagnosis.skip(narrowing, diagnosis.nodes - nodes.len(), reason.into());
            nodes
        }
        None => cycle.snapshot.nodes(),
    };
    let mut feasible = Vec::new();
    'nodes: for node in candidates {
        for (name, filter) in &filters {
            match filter.filter(cycle, *node) {
                Verdict::Fits => {}
                Verdict::Error(message) => return Err(failure("Filter", name, &message)),
                verdict => {
                    rejected(name, *node, &verdict);
                    diagnosis.reject(name, *node, verdict);
                    continue 'nodes;
                }
            }
        }
        feasible.push(*node);
    }
    Ok(feasible)
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(" ")
}

/// That a plugin could not tell.
pub(super) fn failure(point: &str, plugin: &'static str, message: &str) -> Decision {
    let message = match point {
        "Filter" => format!("running {plugin:?} filter plugin: {message}"),
        _ => format!("running {point} plugin {plugin:?}: {message}"),
    };
    Decision::Fail { plugin, message }
}

/// That a plugin gave a score that is none.
pub(super) fn invalid_score(plugin: &'static str, score: i64) -> Decision {
    let message = format!(
        "plugin {plugin:?} returns an invalid score {score}, it should in the range of [0, {MAX_SCORE}] after \
         normalizing"
    );
    Decision::Fail { plugin, message }
}

/// The nodes with the highest score, and that score.
pub(super) fn best(
    profile: &Profile,
    cycle: &mut Cycle<'_>,
    feasible: &[NodeIndex],
) -> Result<(i64, Vec<NodeIndex>), Decision> {
    let totals = scored(profile, cycle, feasible, |_, _, _| {})?;
    let highest = totals.iter().copied().max().unwrap_or_default();
    let tied = feasible.iter().zip(&totals).filter(|(_, total)| **total == highest);
    Ok((highest, tied.map(|(node, _)| *node).collect()))
}

/// The scores of a plugin.
pub(super) enum Given<'a> {
    /// By node.
    Each(&'a [i64]),
    /// The same for all: it makes no difference, and is not added up.
    Same(i64),
}

/// What nodes are worth, in their order. `given` hears the scores that each plugin gives, and their weight.
pub(super) fn scored(
    profile: &Profile,
    cycle: &mut Cycle<'_>,
    feasible: &[NodeIndex],
    mut given: impl FnMut(&'static str, i64, Given<'_>),
) -> Result<Vec<i64>, Decision> {
    let mut skipped = Vec::new();
    for (place, _, plugin) in profile.placed(|plugin| plugin.as_pre_score()) {
        match plugin.pre_score(cycle, &Feasible::of(feasible)) {
            PreScored::Run => {}
            PreScored::Skip => skipped.push((place, None)),
            PreScored::Same(score) => skipped.push((place, Some(score))),
        }
    }
    let mut totals = vec![0i64; feasible.len()];
    let mut scores = vec![0; feasible.len()];
    for (place, name, plugin) in profile.placed(|plugin| plugin.as_score()) {
        let (_, weight) = profile.at(place);
        if let Some((_, same)) = skipped.iter().find(|(skipped, _)| *skipped == place) {
            if let Some(score) = same {
                given(name, weight, Given::Same(*score));
            }
            continue;
        }
        for (score, node) in scores.iter_mut().zip(feasible) {
            *score = plugin.score(cycle, *node);
        }
        if let Some(plugin) = plugin.as_normalize() {
            plugin.normalize(cycle, &mut scores);
        }
        given(name, weight, Given::Each(&scores));
        for (total, score) in totals.iter_mut().zip(&scores) {
            if !(0..=MAX_SCORE).contains(score) {
                return Err(invalid_score(name, *score));
            }
            *total = total.saturating_add(score.saturating_mul(weight));
        }
    }
    Ok(totals)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
