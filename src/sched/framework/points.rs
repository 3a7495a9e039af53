//! The points at which a pod's way can be extended, from the queue to its node.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::super::{
    Classed, ClusterEvent, Diagnosis, EventKinds, NodeIndex, ObjectKind, PodInfo, QueuedPod, Snapshot,
};
use super::{Bind, Cycle, PostBind, PreBind, Reason, Verdict};
use crate::client::Client;
use crate::env::Env;

/// A plugin: a name, and the points at which it takes part.
///
/// # Contract
///
/// Answers depend on the arguments alone; a plugin that keeps state of its own must change it only in
/// [`Reserve`]. Points are asked in the order in which they stand here, plugins in the order in which
/// the profile lists them.
///
/// # Examples
///
/// ```
/// use windlass::sched::{Cycle, Filter, NodeIndex, Plugin, Verdict};
///
/// /// Keeps pods off nodes whose name ends in `-spare`.
/// struct NoSpares;
///
/// impl Plugin for NoSpares {
///     fn name(&self) -> &'static str {
///         "NoSpares"
///     }
///     fn as_filter(&self) -> Option<&dyn Filter> {
///         Some(self)
///     }
/// }
///
/// impl Filter for NoSpares {
///     fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
///         let spare = cycle.snapshot.name(node).ends_with("-spare");
///         Verdict::fits_or(!spare, || Verdict::unresolvable("node(s) were spares"))
///     }
/// }
///
/// let profile = windlass::sched::Profile::default().plugin(NoSpares);
/// assert!(profile.names().any(|name| name == "NoSpares"));
/// ```
pub trait Plugin: Send + Sync + 'static {
    /// The name, for messages and for queueing.
    fn name(&self) -> &'static str;

    /// The kinds of events that could let a pod pass that this plugin rejected. Of others it is not asked whether they
    /// [help](Self::helps): events are many and waiting pods may be, too, so the fewer the better.
    fn wakes_on(&self) -> EventKinds {
        EventKinds::ALL
    }

    /// Whether something that happened could let a pod pass that this plugin rejected.
    fn helps(&self, _event: &ClusterEvent<'_>, _pod: &PodInfo, _snapshot: &Snapshot) -> bool {
        true
    }

    /// The kinds of objects that the plugin looks up in the [`Catalog`](super::super::Catalog): the scheduler follows
    /// those that some plugin names.
    fn looks_up(&self) -> &[ObjectKind] {
        &[]
    }

    /// A scheduler with the plugin starts. Where it must act apart from a pod's way to its node, it may do so through
    /// `client`, in tasks of `env`.
    fn start(&self, _client: &Arc<dyn Client>, _env: &Env) {}

    /// Whether a pod may enter the queue.
    fn as_pre_enqueue(&self) -> Option<&dyn PreEnqueue> {
        None
    }
    /// Which pod is next.
    fn as_queue_sort(&self) -> Option<&dyn QueueSort> {
        None
    }
    /// Looks at the pod before nodes are looked at.
    fn as_pre_filter(&self) -> Option<&dyn PreFilter> {
        None
    }
    /// Whether a node will do.
    fn as_filter(&self) -> Option<&dyn Filter> {
        None
    }
    /// How pods that are alike share what this plugin says of nodes.
    fn as_classed(&self) -> Option<&dyn Classed> {
        None
    }
    /// What to do when no node will.
    fn as_post_filter(&self) -> Option<&dyn PostFilter> {
        None
    }
    /// Looks at the nodes that will do, before they are scored.
    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        None
    }
    /// How well a node will do.
    fn as_score(&self) -> Option<&dyn Score> {
        None
    }
    /// Takes what the pod needs on its node.
    fn as_reserve(&self) -> Option<&dyn Reserve> {
        None
    }
    /// Whether to wait before binding.
    fn as_permit(&self) -> Option<&dyn Permit> {
        None
    }
    /// Prepares the node.
    fn as_pre_bind(&self) -> Option<&dyn PreBind> {
        None
    }
    /// Binds the pod.
    fn as_bind(&self) -> Option<&dyn Bind> {
        None
    }
    /// Hears that a pod is bound.
    fn as_post_bind(&self) -> Option<&dyn PostBind> {
        None
    }
}

/// Whether a pod may enter the queue. One that may not waits for an event that the plugin
/// [wakes on](Plugin::wakes_on) and that [helps](Plugin::helps), and is judged again then.
pub trait PreEnqueue {
    /// Judges a pod.
    fn pre_enqueue(&self, pod: &PodInfo) -> Verdict;
}

/// Which of the pods that wait is next. One plugin of a profile sorts: the first.
pub trait QueueSort {
    /// `Less` when `a` goes before `b`. Pods that are equal go in the order in which they came.
    fn compare(&self, a: &QueuedPod, b: &QueuedPod) -> Ordering;

    /// A number that sorts pods as [`compare`](Self::compare) does, the least first, where there is one: the queue then
    /// sorts by it and asks the plugin no more. It may depend on the pod alone, and not on what else is known of it.
    fn rank(&self) -> Option<fn(&PodInfo) -> i64> {
        None
    }
}

/// Looks at the pod before nodes are looked at.
pub trait PreFilter {
    /// Judges the pod, and may leave a note for its filter.
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered;
}

/// What a [`PreFilter`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreFiltered {
    /// The filter must look at every node.
    Run,
    /// The filter has nothing to say of this pod.
    Skip,
    /// Only these nodes can do.
    Only(Vec<NodeIndex>),
    /// No node will do.
    Reject(Verdict),
}

/// Whether a node will do.
pub trait Filter {
    /// Judges a node.
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict;
}

/// What to do when no node will.
pub trait PostFilter {
    /// Judges the whole.
    fn post_filter(&self, cycle: &Cycle<'_>, diagnosis: &Diagnosis) -> PostFiltered;
}

/// What a [`PostFilter`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostFiltered {
    /// It has nothing to say.
    Pass,
    /// It cannot help, and this is why.
    Message(String),
    /// There is a way, and nothing to explain: what others said does not matter. Those behind it are not asked.
    Helps,
    /// It could not tell, and why. Those behind it are not asked.
    Error(String),
}

/// Looks at the nodes that will do, before they are scored.
pub trait PreScore {
    /// Judges the pod, and may leave a note for its score.
    fn pre_score(&self, cycle: &mut Cycle<'_>, nodes: &Feasible<'_>) -> PreScored;
}

/// The nodes that will do. Nodes that no plugin tells apart may be shown as one, so many times.
#[derive(Clone, Copy, Debug)]
pub struct Feasible<'a> {
    nodes: &'a [NodeIndex],
    times: Option<&'a [u64]>,
}

impl<'a> Feasible<'a> {
    /// Each of these once.
    #[must_use]
    pub fn of(nodes: &'a [NodeIndex]) -> Self {
        Self { nodes, times: None }
    }

    /// Each of these as often as is said.
    pub(in crate::sched) fn alike(nodes: &'a [NodeIndex], times: &'a [u64]) -> Self {
        Self { nodes, times: Some(times) }
    }

    /// The nodes, and how many each of them stands for.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIndex, u64)> {
        let times = |at| self.times.map_or(1, |times| times[at]);
        self.nodes.iter().enumerate().map(move |(at, node)| (*node, times(at)))
    }
}

/// What a [`PreScore`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreScored {
    /// The nodes must be scored.
    Run,
    /// It has nothing to say of them.
    Skip,
    /// Each has this score, which makes no difference: from 0 to [`MAX_SCORE`], and normalised.
    Same(i64),
}

/// How well a node will do.
pub trait Score {
    /// The score of a node, the more the better: from 0 to [`MAX_SCORE`], or any where it is normalised.
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64;

    /// What brings the scores of all nodes that will do between 0 and [`MAX_SCORE`], where raw ones are not.
    fn as_normalize(&self) -> Option<&dyn Normalize> {
        None
    }
}

/// Brings raw scores between 0 and [`MAX_SCORE`].
pub trait Normalize {
    /// Replaces the raw scores of all nodes that will do.
    ///
    /// # Contract
    ///
    /// What becomes of a score must follow from itself and from which other scores there are, and not from how
    /// often or in which order they come: nodes that share their raw scores may be normalised as one.
    fn normalize(&self, cycle: &Cycle<'_>, scores: &mut [i64]);
}

/// The highest score.
pub const MAX_SCORE: i64 = 100;

/// Stretches scores so that the highest is 100; `reversed`, so that the lowest possible is.
pub fn normalize(scores: &mut [i64], reversed: bool) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let share = if highest <= 0 { 0 } else { MAX_SCORE * *score / highest };
        *score = if reversed { MAX_SCORE - share } else { share };
    }
}

/// Takes what the pod needs on its node, in books of the plugin's own.
pub trait Reserve {
    /// Takes it.
    fn reserve(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict;

    /// Gives it back: the pod was not bound. Called for every plugin, whether or not it was asked to
    /// reserve, and must not fail.
    fn unreserve(&self, pod: &PodInfo, node: &str);
}

/// Whether to wait before binding.
pub trait Permit {
    /// Judges a pod that has its node.
    fn permit(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Permission;
}

/// What a [`Permit`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Bind it.
    Allow,
    /// Wait until this plugin allows it through [`WaitingPods`](super::WaitingPods), at most so long.
    Wait(Duration),
    /// Do not bind it.
    Reject(Reason),
}
