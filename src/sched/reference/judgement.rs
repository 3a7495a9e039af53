//! What is found of a pod.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Plugin;
use crate::api::ObjectKey;

/// What becomes of a pod's attempt, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judgement {
    /// There is no attempt: the pod is kept out of the queue.
    Waiting {
        /// The plugin that keeps it out.
        plugin: Plugin,
        /// Why.
        message: String,
    },
    /// There is no attempt: the pod is being deleted.
    Skipped {
        /// What the event says.
        message: String,
    },
    /// The attempt ends with an error, and the pod is tried again.
    Failed {
        /// The plugin that failed.
        plugin: Plugin,
        /// At what and how, as kube-scheduler says it.
        message: String,
    },
    /// The pod is refused before any node is looked at.
    Refused {
        /// The plugin that refuses it; none where there are no nodes, or where plugins leave none only
        /// together.
        plugin: Option<Plugin>,
        /// Why.
        reason: String,
        /// Whether no eviction can change that.
        unresolvable: bool,
        /// The message of the condition `PodScheduled`.
        condition: String,
    },
    /// No node will do.
    Unschedulable {
        /// Why, by node.
        nodes: BTreeMap<String, NodeJudgement>,
        /// The message of the condition `PodScheduled`.
        condition: String,
    },
    /// Some nodes will do.
    Schedulable {
        /// What is found of each node.
        nodes: BTreeMap<String, NodeJudgement>,
        /// The nodes with the highest score, of which kube-scheduler takes any.
        best: BTreeSet<String>,
        /// The node that is kept for the pod, if that will do: then kube-scheduler looks no further.
        nominated: Option<String>,
    },
}

/// What is found of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeJudgement {
    /// A plugin rejects it.
    Rejected {
        /// The first that does, in the profile's order. Those after it are not asked.
        plugin: Plugin,
        /// Why.
        reasons: Vec<String>,
        /// Whether no eviction can change that.
        unresolvable: bool,
    },
    /// It is not looked at, as it is not among the nodes that plugins named.
    LeftOut {
        /// Why.
        reason: String,
    },
    /// It will do.
    Fits {
        /// What each plugin that has something to say gives it. One that skips the pod is not listed.
        scores: BTreeMap<Plugin, Score>,
        /// The weighted scores, added up.
        total: i64,
    },
}

/// What a plugin gives a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// In a measure of the plugin's own.
    pub raw: i64,
    /// From 0 to 100, beside the other nodes that will do.
    pub normalised: i64,
    /// That, times the plugin's weight.
    pub weighted: i64,
}

/// Whom preemption would evict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preemption {
    /// It is not asked: a node will do as it is, or the attempt ends before.
    NotAsked,
    /// Nobody.
    Nobody {
        /// Why, as it stands in the message of the condition `PodScheduled`.
        message: String,
    },
    /// The victims of one of these nodes.
    Victims {
        /// Every node where evictions help, in the world's order.
        candidates: Vec<Candidate>,
        /// The nodes of those that are equally the best, of which kube-scheduler takes any.
        best: BTreeSet<String>,
    },
}

/// A node that a pod fits on after evictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: String,
    /// Whom to evict, those that matter most first.
    pub victims: Vec<ObjectKey>,
    /// How many of them may not be disrupted by right.
    pub violations: usize,
}
