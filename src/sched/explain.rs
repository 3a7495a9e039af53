//! Why a pod goes where it goes: what every plugin says of every node.
//!
//! The answers are those of [`decide`](super::decide()), from the same code, and not a second opinion.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::decide::{self, Decision, Given};
use super::framework::{Cycle, PreFilter, Profile, Reason, Verdict};
use super::{Diagnosis, NodeIndex, PodInfo, Snapshot};
use crate::env::HashMap;

/// What is said of a pod and every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Why it goes nowhere, in kube-scheduler's words; absent where some node will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The nodes, as the snapshot lists them. None where no node was asked about: the pod may not enter the queue,
    /// is being deleted, or a plugin failed.
    pub nodes: Vec<NodeExplanation>,
}

/// What is said of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeExplanation {
    /// The node.
    pub name: String,
    /// All weighted scores together, where it will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// The weighted scores, by plugin in the profile's order, where it will do. A plugin that has nothing to say of
    /// the pod is not listed.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub scores: Vec<(&'static str, i64)>,
    /// Who rejects it, where it will not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
}

/// That a plugin rejects a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// The first that does, in the profile's order. Those after it are not asked.
    pub plugin: &'static str,
    /// Why.
    pub reason: String,
    /// Whether no pod that leaves the node would change that.
    #[serde(skip)]
    pub unresolvable: bool,
}

fn as_map<S: Serializer>(scores: &[(&'static str, i64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(scores.iter().copied())
}

/// Explains what a profile makes of a pod that has no node.
#[must_use]
pub fn explain(profile: &Profile, snapshot: &Snapshot, pod: &PodInfo) -> Explanation {
    let mut explanation = Explanation {
        namespace: pod.key.namespace.to_string(),
        name: pod.key.name.to_string(),
        message: None,
        nodes: Vec::new(),
    };
    match nodes(profile, snapshot, pod) {
        Ok((nodes, message)) => (explanation.nodes, explanation.message) = (nodes, message),
        Err(message) => explanation.message = Some(message),
    }
    explanation
}

/// Explains what a profile would make of a placed pod if it had to find its node anew; nothing where there is no
/// pod of this uid on any node.
#[must_use]
pub fn explain_placed(profile: &Profile, snapshot: &Snapshot, uid: &str) -> Option<Explanation> {
    let mut without = snapshot.clone();
    let placed = without.unplace(uid)?;
    let mut pod = (*placed.pod).clone();
    if let Some(spec) = &mut pod.spec {
        spec.node_name = None;
    }
    let pod = without.read(Arc::new(pod));
    Some(explain(profile, &without, &pod))
}

/// What is said of the nodes, and the message where none will do; or only a message where nothing can be said.
fn nodes(
    profile: &Profile,
    snapshot: &Snapshot,
    pod: &PodInfo,
) -> Result<(Vec<NodeExplanation>, Option<String>), String> {
    for (_, plugin) in profile.pre_enqueues() {
        match plugin.pre_enqueue(pod) {
            Verdict::Fits => {}
            Verdict::Unschedulable(reasons) | Verdict::Unresolvable(reasons) => return Err(joined(&reasons)),
            Verdict::Error(message) => return Err(message),
        }
    }
    if pod.is_deleting() {
        return Err(format!("skip schedule deleting pod: {}", pod.key));
    }
    let mut diagnosis = Diagnosis::of(snapshot.nodes().len());
    if diagnosis.nodes == 0 {
        return Err(diagnosis.message());
    }
    let failed = |decision| match decision {
        Decision::Fail { message, .. } => message,
        Decision::Place(_) | Decision::Reject(_) => String::new(),
    };
    let mut cycle = Cycle::new(pod, snapshot);
    let mut rejected: HashMap<NodeIndex, Rejected> = HashMap::default();
    let feasible = decide::filtered(profile, &mut cycle, &mut diagnosis, |plugin, node, verdict| {
        let (reasons, unresolvable) = match verdict {
            Verdict::Unschedulable(reasons) => (reasons, false),
            Verdict::Unresolvable(reasons) => (reasons, true),
            Verdict::Fits | Verdict::Error(_) => return,
        };
        rejected.insert(node, Rejected { plugin, reason: joined(reasons), unresolvable });
    })
    .map_err(failed)?;
    let mut scores: Vec<Vec<(&'static str, i64)>> = vec![Vec::new(); feasible.len()];
    decide::scored(profile, &mut cycle, &feasible, |plugin, weight, given| {
        for (place, scores) in scores.iter_mut().enumerate() {
            let score = match given {
                Given::Each(given) => given[place],
                Given::Same(score) => score,
            };
            scores.push((plugin, score.saturating_mul(weight)));
        }
    })
    .map_err(failed)?;
    let mut fitting: HashMap<_, _> = feasible.iter().zip(scores).collect();
    let mut unasked = None;
    let explained = snapshot.nodes().iter().map(|node| {
        let name = snapshot.name(*node).to_string();
        let (total, scores) = match fitting.remove(node) {
            Some(scores) => (Some(total(&scores)), scores),
            None => (None, Vec::new()),
        };
        let rejected = total.is_none().then(|| {
            let unasked =
                || unasked.get_or_insert_with(|| left_out(profile, snapshot, pod, &diagnosis)).clone();
            rejected.remove(node).unwrap_or_else(unasked)
        });
        NodeExplanation { name, total, scores, rejected }
    });
    let explained = explained.collect();
    let message = feasible.is_empty().then(|| {
        decide::after(profile, &cycle, &mut diagnosis);
        diagnosis.message()
    });
    Ok((explained, message))
}

fn total(scores: &[(&'static str, i64)]) -> i64 {
    scores.iter().fold(0, |total, (_, score)| total.saturating_add(*score))
}

/// Why a node was not even looked at: a plugin refused the pod as a whole, or named other nodes.
fn left_out(profile: &Profile, snapshot: &Snapshot, pod: &PodInfo, diagnosis: &Diagnosis) -> Rejected {
    use super::PreFiltered::{Only, Reject};
    let mut cycle = Cycle::new(pod, snapshot);
    let mut left = Rejected { plugin: "", reason: diagnosis.before.clone(), unresolvable: true };
    for (name, plugin) in profile.pre_filters() {
        match PreFilter::pre_filter(plugin, &mut cycle) {
            Only(_) => {
                left = Rejected {
                    plugin: name,
                    reason: format!("node(s) didn't satisfy plugin(s) [{name}]"),
                    unresolvable: true,
                };
            }
            Reject(Verdict::Unschedulable(reasons)) => {
                return Rejected { plugin: name, reason: joined(&reasons), unresolvable: false };
            }
            Reject(Verdict::Unresolvable(reasons)) => {
                return Rejected { plugin: name, reason: joined(&reasons), unresolvable: true };
            }
            _ => {}
        }
    }
    left
}

fn joined(reasons: &[Reason]) -> String {
    reasons.join(", ")
}

impl Explanation {
    /// The nodes with the highest score, of which the scheduler takes any.
    #[must_use]
    pub fn best(&self) -> Vec<&str> {
        let highest = self.nodes.iter().filter_map(|node| node.total).max();
        let best = self.nodes.iter().filter(|node| node.total.is_some() && node.total == highest);
        best.map(|node| &*node.name).collect()
    }
}

/// A table: the best nodes first, those that will not do last.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        match &self.message {
            Some(message) => writeln!(f, ": {message}")?,
            None => writeln!(f)?,
        }
        let plugins: Vec<_> = self.nodes.iter().find(|node| node.total.is_some()).into_iter().collect();
        let plugins: Vec<_> =
            plugins.iter().flat_map(|node| &node.scores).map(|(plugin, _)| *plugin).collect();
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.total));
        let mut rows = Vec::new();
        if !nodes.is_empty() {
            let head = ["NODE", "TOTAL"].into_iter().chain(plugins.iter().copied()).chain(["REJECTED"]);
            rows.push(head.map(str::to_owned).collect());
        }
        for node in nodes {
            let mut row = vec![node.name.clone()];
            row.push(node.total.map_or_else(|| "-".into(), |total| total.to_string()));
            for place in 0..plugins.len() {
                row.push(node.scores.get(place).map_or_else(|| "-".into(), |(_, score)| score.to_string()));
            }
            let rejected = node.rejected.as_ref().map(|own| format!("{}: {}", own.plugin, own.reason));
            row.push(rejected.unwrap_or_default());
            rows.push(row);
        }
        write_table(f, &rows)
    }
}

/// Writes rows with their columns aligned, and nothing behind the last.
pub(super) fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!(" {cell:width$} ");
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
