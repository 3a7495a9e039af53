//! Why a pod fits nowhere, counted by reason, in kube-scheduler's words.

use std::collections::{BTreeMap, BTreeSet};

use super::framework::{Reason, Verdict};
use super::snapshot::NodeIndex;

/// What the filters said of the nodes of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many nodes were rejected for each reason.
    pub reasons: BTreeMap<Reason, usize>,
    /// The plugins that rejected a node, or the pod as a whole.
    pub plugins: BTreeSet<&'static str>,
    /// The nodes that fewer pods could make fit.
    pub resolvable: Vec<NodeIndex>,
    /// What a plugin said of the pod before any node was looked at.
    pub before: String,
    /// What plugins said after all nodes were rejected.
    pub after: String,
}

impl Diagnosis {
    /// Of so many nodes, none looked at yet.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// A plugin's verdict on a node. Errors are none of a diagnosis' business.
    pub fn reject(&mut self, plugin: &'static str, node: NodeIndex, verdict: Verdict) {
        let reasons = match verdict {
            Verdict::Unschedulable(reasons) => {
                self.resolvable.push(node);
                reasons
            }
            Verdict::Unresolvable(reasons) => reasons,
            Verdict::Fits | Verdict::Error(_) => return,
        };
        self.plugins.insert(plugin);
        for reason in reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// So many nodes were not looked at, for this reason, which these plugins gave together.
    pub fn skip(&mut self, plugins: BTreeSet<&'static str>, nodes: usize, reason: Reason) {
        if nodes > 0 {
            self.plugins.extend(plugins);
            *self.reasons.entry(reason).or_default() += nodes;
        }
    }

    /// `0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. …`
    #[must_use]
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".into();
        }
        let mut message = format!("0/{} nodes are available:", self.nodes);
        if self.before.is_empty() {
            message += &counted(&self.reasons);
        } else {
            message += &format!(" {}.", self.before);
        }
        if !self.after.is_empty() {
            message += &format!(" {}", self.after);
        }
        message
    }
}

/// Counts and reasons, sorted as text: that is how kube-scheduler sorts them.
pub(super) fn counted(reasons: &BTreeMap<Reason, usize>) -> String {
    let mut parts: Vec<_> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    if parts.is_empty() { String::new() } else { format!(" {}.", parts.join(", ")) }
}
