//! The decision: one pod, a snapshot, a node or the reasons why not.
//!
//! Every node is looked at, and among the best the choice is drawn: a decision follows from the pod,
//! the nodes and the draw alone, and not from which nodes happened to be looked at first.

use super::framework::{Cycle, PostFiltered, PreFiltered, PreScored, Profile, Verdict};
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
            for (_, plugin) in profile.post_filters() {
                if let PostFiltered::Message(message) = plugin.post_filter(cycle, &diagnosis) {
                    diagnosis.after = message;
                    break;
                }
            }
            Decision::Reject(Box::new(diagnosis))
        }
        [only] => Decision::Place(only),
        _ => Decision::Place(best(profile, cycle, &feasible, draw)),
    }
}

/// The nodes that will do, in the snapshot's order.
fn feasible(
    profile: &Profile,
    cycle: &mut Cycle<'_>,
    diagnosis: &mut Diagnosis,
) -> Result<Vec<NodeIndex>, Decision> {
    let mut skipped = Vec::new();
    let mut only: Option<(&'static str, Vec<NodeIndex>)> = None;
    for (name, plugin) in profile.pre_filters() {
        match plugin.pre_filter(cycle) {
            PreFiltered::Run | PreFiltered::Reject(Verdict::Fits) => {}
            PreFiltered::Skip => skipped.push(name),
            PreFiltered::Only(mut nodes) => {
                nodes.sort_unstable();
                if let Some((_, before)) = &only {
                    nodes.retain(|node| before.binary_search(node).is_ok());
                }
                only = Some((name, nodes));
            }
            PreFiltered::Reject(Verdict::Error(message)) => return Err(fail("PreFilter", name, &message)),
            PreFiltered::Reject(Verdict::Unschedulable(reasons) | Verdict::Unresolvable(reasons)) => {
                diagnosis.before = reasons.join(", ");
                diagnosis.plugins.insert(name);
                return Ok(Vec::new());
            }
        }
    }
    let filters: Vec<_> = profile.filters().filter(|(name, _)| !skipped.contains(name)).collect();
    let candidates: &[NodeIndex] = match &only {
        Some((name, nodes)) => {
            let left_out = diagnosis.nodes - nodes.len();
            diagnosis.skip(name, left_out, format!("node(s) didn't satisfy plugin(s) [{name}]").into());
            nodes
        }
        None => cycle.snapshot.nodes(),
    };
    let mut feasible = Vec::new();
    'nodes: for node in candidates {
        for (name, filter) in &filters {
            match filter.filter(cycle, *node) {
                Verdict::Fits => {}
                Verdict::Error(message) => return Err(fail("Filter", name, &message)),
                rejected => {
                    diagnosis.reject(name, *node, rejected);
                    continue 'nodes;
                }
            }
        }
        feasible.push(*node);
    }
    Ok(feasible)
}

fn fail(point: &str, plugin: &'static str, message: &str) -> Decision {
    Decision::Fail { plugin, message: format!("running {point} plugin {plugin:?}: {message}") }
}

fn best(profile: &Profile, cycle: &mut Cycle<'_>, feasible: &[NodeIndex], draw: &Stream) -> NodeIndex {
    let mut skipped = Vec::new();
    for (name, plugin) in profile.pre_scores() {
        if plugin.pre_score(cycle, feasible) == PreScored::Skip {
            skipped.push(name);
        }
    }
    let mut totals = vec![0i64; feasible.len()];
    let mut scores = vec![0; feasible.len()];
    for (name, weight, plugin) in profile.scores() {
        if skipped.contains(&name) {
            continue;
        }
        for (score, node) in scores.iter_mut().zip(feasible) {
            *score = plugin.score(cycle, *node);
        }
        plugin.normalize(cycle, &mut scores);
        for (total, score) in totals.iter_mut().zip(&scores) {
            *total = total.saturating_add(score.saturating_mul(weight));
        }
    }
    let highest = totals.iter().copied().max().unwrap_or_default();
    let tied: Vec<_> = feasible.iter().zip(&totals).filter(|(_, total)| **total == highest).collect();
    *tied[draw.below(tied.len() as u64) as usize].0
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
