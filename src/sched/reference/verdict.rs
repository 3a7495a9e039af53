//! What a plugin says, at each point where it is asked.

use std::collections::BTreeSet;

use super::layout::Layout;
use super::settings::Settings;
use super::world::World;
use k8s_openapi::api::core::v1::Pod;

/// One attempt to place one pod.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a, 'w> {
    pub(super) world: &'w World,
    pub(super) settings: &'a Settings,
    pub(super) pod: &'w Pod,
    /// Where every pod is as the attempt begins. What plugins find out before they look at nodes
    /// they find out here, and do not find out again.
    pub(super) start: &'a Layout<'w>,
}

/// What a plugin says of the pod before nodes are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It will look at the nodes.
    Run,
    /// It has nothing to say of this pod, and is not asked again.
    Skip,
    /// No other nodes come into question.
    Only(BTreeSet<String>),
    /// The pod can go nowhere.
    Reject(Rejection),
    /// It cannot tell.
    Fail(String),
}

/// What a plugin says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It will do.
    Fit,
    /// It will not.
    Reject(Rejection),
    /// It cannot tell.
    Fail(String),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reasons: Vec<String>,
    /// Whether no eviction can change that.
    pub(super) unresolvable: bool,
}

/// What a plugin says of the nodes that fit, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scores {
    pub(super) raw: Vec<i64>,
    /// From 0 to 100.
    pub(super) normalised: Vec<i64>,
}

impl Rejection {
    /// Evictions may help.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], unresolvable: false }
    }

    /// Evictions will not help.
    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], unresolvable: true }
    }

    /// All reasons in one text.
    pub(super) fn message(&self) -> String {
        self.reasons.join(", ")
    }
}

impl Before {
    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self::Reject(Rejection::for_good(reason))
    }
}

impl Verdict {
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self::Reject(Rejection::for_now(reason))
    }

    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self::Reject(Rejection::for_good(reason))
    }
}

impl Scores {
    /// Of a plugin whose scores are from 0 to 100 as they are.
    pub(super) fn plain(raw: Vec<i64>) -> Self {
        Self { normalised: raw.clone(), raw }
    }

    /// The highest is 100, or 0 where low ones are the better.
    ///
    /// Source: `DefaultNormalizeScore` of
    /// `pkg/scheduler/framework/plugins/helper/normalize_score.go` (1.36).
    pub(super) fn proportional(raw: Vec<i64>, low_is_good: bool) -> Self {
        let highest = raw.iter().copied().max().unwrap_or(0).max(0);
        let share = |score: &i64| match highest {
            0 if low_is_good => 100,
            0 => *score,
            _ if low_is_good => 100 - score.wrapping_mul(100) / highest,
            _ => score.wrapping_mul(100) / highest,
        };
        Self { normalised: raw.iter().map(share).collect(), raw }
    }
}
