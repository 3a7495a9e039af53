//! The judgement of a pod.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;

use super::judgement::{Judgement, NodeJudgement, Preemption, Score};
use super::layout::Layout;
use super::preempt;
use super::search::{Failure, Outcome, Search, search};
use super::settings::{Plugin, Settings};
use super::verdict::{Attempt, Scores};
use super::world::{Named, World, nominated_node};
use super::{
    balanced_allocation, dynamic_resources, image_locality, inter_pod_affinity, node_affinity,
    node_resources_fit, pod_topology_spread, scheduling_gates, taint_toleration,
};

/// Judges where a pod of a world may go, and where best.
///
/// The pod itself may be among the world's. Nothing is remembered from one call to the next, and every
/// node is looked at. Scores are given where a single node will do, too, and where one is kept for the
/// pod; kube-scheduler gives none there.
#[must_use]
pub fn judge(world: &World, settings: &Settings, pod: &Pod) -> Judgement {
    for (plugin, _) in &settings.plugins {
        let waits = match plugin {
            Plugin::SchedulingGates => scheduling_gates::waits(pod),
            Plugin::DynamicResources => dynamic_resources::waits(world, pod),
            _ => None,
        };
        if let Some(message) = waits {
            return Judgement::Waiting { plugin: *plugin, message };
        }
    }
    if pod.is_deleting() {
        let message = format!("skip schedule deleting pod: {}/{}", pod.namespace(), pod.name());
        return Judgement::Skipped { message };
    }
    let start = Layout::of(world);
    if start.places.is_empty() {
        let reason = "no nodes available to schedule pods".to_owned();
        return Judgement::Refused { plugin: None, condition: reason.clone(), reason, unresolvable: true };
    }
    let attempt = Attempt { world, settings, pod, start: &start };
    let search = search(&attempt);
    match &search.outcome {
        Outcome::Failed(failure) => failed(failure),
        Outcome::Refused(plugin, rejection) => {
            let reason = rejection.message();
            let condition = message(start.places.len(), &format!(" {reason}."), &after(&attempt, &search));
            Judgement::Refused { plugin: *plugin, reason, unresolvable: rejection.unresolvable, condition }
        }
        Outcome::Looked { rejected, left_out, feasible } => {
            let mut nodes = BTreeMap::new();
            for (index, place) in start.places.iter().enumerate() {
                let judgement = match rejected.get(&index) {
                    Some((plugin, rejection)) => NodeJudgement::Rejected {
                        plugin: *plugin,
                        reasons: rejection.reasons.clone(),
                        unresolvable: rejection.unresolvable,
                    },
                    None => NodeJudgement::LeftOut { reason: left_out.clone() },
                };
                nodes.insert(place.node.name().to_owned(), judgement);
            }
            if feasible.is_empty() {
                let condition =
                    message(start.places.len(), &tally(nodes.values()), &after(&attempt, &search));
                return Judgement::Unschedulable { nodes, condition };
            }
            match scores(&attempt, feasible) {
                Ok(scored) => nodes.extend(scored),
                Err(failure) => return failed(&failure),
            }
            schedulable(nodes, nominated_node(pod))
        }
    }
}

fn failed(failure: &Failure) -> Judgement {
    Judgement::Failed { plugin: failure.plugin, message: failure.message.clone() }
}

fn schedulable(nodes: BTreeMap<String, NodeJudgement>, kept: &str) -> Judgement {
    let total = |node: &NodeJudgement| match node {
        NodeJudgement::Fits { total, .. } => Some(*total),
        _ => None,
    };
    let highest = nodes.values().filter_map(total).max();
    let best: BTreeSet<_> =
        nodes.iter().filter(|(_, node)| total(node) == highest).map(|(name, _)| name.clone()).collect();
    let nominated = nodes.get(kept).and_then(total).map(|_| kept.to_owned());
    Judgement::Schedulable { nodes, best, nominated }
}

/// `0/3 nodes are available: …`
///
/// Source: `FitError` of `pkg/scheduler/framework/types.go` (1.36).
pub(super) fn message(nodes: usize, why: &str, after: &str) -> String {
    let space = if after.is_empty() { "" } else { " " };
    format!("0/{nodes} nodes are available:{why}{space}{after}")
}

/// Reasons with the number of nodes that have them, sorted as text.
pub(super) fn counted<'a>(reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut parts: Vec<_> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    if parts.is_empty() { String::new() } else { format!(" {}.", parts.join(", ")) }
}

fn tally<'a>(nodes: impl Iterator<Item = &'a NodeJudgement>) -> String {
    counted(nodes.flat_map(|node| match node {
        NodeJudgement::Rejected { reasons, .. } => reasons.iter().map(String::as_str).collect(),
        NodeJudgement::LeftOut { reason } => vec![reason.as_str()],
        NodeJudgement::Fits { .. } => Vec::new(),
    }))
}

/// What plugins say after no node was found.
///
/// Source: `RunPostFilterPlugins` of `pkg/scheduler/framework/runtime/framework.go` (1.36).
fn after(attempt: &Attempt<'_, '_>, search: &Search) -> String {
    let mut said = Vec::new();
    for (plugin, _) in &attempt.settings.plugins {
        match plugin {
            // One that was not asked before has kept no notes, and says no more than that.
            Plugin::DynamicResources if !search.asked.contains(plugin) => return "not found".into(),
            Plugin::DynamicResources => said.push(dynamic_resources::after(attempt, search)),
            Plugin::DefaultPreemption => match preempt::find(attempt, search) {
                Ok(Preemption::Nobody { message }) => said.push(message),
                Ok(_) => return String::new(),
                Err(error) => return error,
            },
            _ => {}
        }
    }
    said.join(", ")
}

/// What the nodes that will do are worth.
///
/// Source: `RunPreScorePlugins` and `RunScorePlugins` of
/// `pkg/scheduler/framework/runtime/framework.go` (1.36).
fn scores(attempt: &Attempt<'_, '_>, feasible: &[usize]) -> Result<Vec<(String, NodeJudgement)>, Failure> {
    let mut by_node = vec![BTreeMap::new(); feasible.len()];
    for (plugin, weight) in &attempt.settings.plugins {
        let failure = |message: String| Failure { plugin: *plugin, message };
        let given = score(attempt, *plugin, feasible)
            .map_err(|error| failure(format!("running PreScore plugin {:?}: {error}", plugin.name())))?;
        let Some(given) = given else { continue };
        for (index, scores) in by_node.iter_mut().enumerate() {
            let (raw, normalised) = (given.raw[index], given.normalised[index]);
            if !(0..=100).contains(&normalised) {
                return Err(failure(format!(
                    "applying score defaultWeights on Score plugins: plugin {:?} returns an invalid score \
                     {normalised}, it should in the range of [0, 100] after normalizing",
                    plugin.name()
                )));
            }
            scores.insert(*plugin, Score { raw, normalised, weighted: normalised * weight });
        }
    }
    let named = feasible.iter().map(|place| attempt.start.places[*place].node.name().to_owned());
    Ok(named
        .zip(by_node)
        .map(|(name, scores)| {
            let total = scores.values().map(|score| score.weighted).sum();
            (name, NodeJudgement::Fits { scores, total })
        })
        .collect())
}

/// What a plugin gives the nodes; nothing where it gives none, or skips the pod.
pub(super) fn score(
    attempt: &Attempt<'_, '_>,
    plugin: Plugin,
    feasible: &[usize],
) -> Result<Option<Scores>, String> {
    let places: Vec<_> = feasible.iter().map(|place| &attempt.start.places[*place]).collect();
    let nodes: Vec<_> = places.iter().map(|place| place.node).collect();
    Ok(match plugin {
        Plugin::TaintToleration => Some(taint_toleration::score(attempt.pod, &nodes)),
        Plugin::NodeAffinity => node_affinity::score(attempt.pod, &nodes, attempt.settings)?,
        Plugin::NodeResourcesFit => Some(node_resources_fit::score(attempt, &places)),
        Plugin::PodTopologySpread => pod_topology_spread::score(attempt, feasible)?,
        Plugin::InterPodAffinity => inter_pod_affinity::score(attempt, feasible),
        Plugin::DynamicResources => Some(dynamic_resources::score(attempt, feasible)),
        Plugin::NodeResourcesBalancedAllocation => balanced_allocation::score(attempt, &places),
        Plugin::ImageLocality => Some(image_locality::score(attempt.world, attempt.pod, &nodes)),
        _ => None,
    })
}
