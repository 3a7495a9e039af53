//! A class of pods: those that look alike to every plugin that judges nodes.

use crate::sched::{Cycle, NodeIndex, PodInfo, Snapshot};

/// What plugins read of a pod. Pods with equal keys get equal verdicts and equal scores on every node, so what
/// was worked out for one holds for all.
///
/// Keys are compared whole and never by a hash alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey(Vec<u8>);

impl ClassKey {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text that may be absent.
    pub fn optional(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        self.text(text.unwrap_or_default());
    }

    /// A number.
    pub fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Whether something is so.
    pub fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    /// Anything that shows itself whole, such as a derived `Debug`.
    pub fn shown(&mut self, value: &dyn std::fmt::Debug) {
        self.text(&format!("{value:?}"));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Decisions of a plugin that pods of a class can share.
///
/// # Contract
///
/// The plugin's `PreFilter`, `Filter`, `PreScore` and `Score` must follow from what [`key`](Self::key) writes and
/// from the snapshot alone, and of the snapshot, on a node, from that node and the pods on it alone; unless it
/// says [how it looks beyond](Self::as_domains). Of the [catalog](Snapshot::catalog) it may read what the key says,
/// and what is about that node alone. Its `PreScore` must not depend on which nodes will do.
///
/// Without this, a plugin is asked about every node for every pod, which costs time and nothing else.
///
/// # Examples
///
/// ```
/// use windlass::sched::{ClassKey, Classed, Cycle, Filter, NodeIndex, Plugin, PodInfo, Snapshot, Verdict};
///
/// /// Keeps pods to the nodes of their team.
/// struct Teams;
///
/// fn team(pod: &PodInfo) -> Option<&str> {
///     pod.pod.metadata.labels.as_ref()?.get("team").map(String::as_str)
/// }
///
/// impl Plugin for Teams {
///     fn name(&self) -> &'static str {
///         "Teams"
///     }
///     fn as_filter(&self) -> Option<&dyn Filter> {
///         Some(self)
///     }
///     fn as_classed(&self) -> Option<&dyn Classed> {
///         Some(self)
///     }
/// }
///
/// impl Filter for Teams {
///     fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
///         let own = cycle.snapshot.labels(node).get("team").map(String::as_str);
///         Verdict::fits_or(own == team(cycle.pod), || Verdict::unresolvable("node(s) were another team's"))
///     }
/// }
///
/// impl Classed for Teams {
///     fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
///         key.optional(team(pod));
///         true
///     }
/// }
/// ```
pub trait Classed {
    /// Writes what the plugin reads of a pod. `false` says that this pod shares with no other.
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool;

    /// Whether what the plugin says of a node depends on the pods there. Where it does not, it is not asked again while
    /// the node itself stays as it is.
    fn counts_pods(&self) -> bool {
        true
    }

    /// How the plugin looks beyond a node, where it does.
    fn as_domains(&self) -> Option<&dyn Domains> {
        None
    }
}

/// Verdicts and scores that depend on what is on other nodes, too: on what a whole zone holds, say.
///
/// # Contract
///
/// The plugin's `PreFilter` notes what it must know of all nodes; [`follow`](Self::follow) keeps the note up.
/// Its `Filter`, `PreScore` and `Score` follow from the note and from what [`read`](Self::read) writes of a node, so
/// that nodes of which it writes the same are judged as one. Its `PreScore` and `Normalize` may depend on which nodes
/// will do.
pub trait Domains {
    /// Whether the plugin has anything to say of the class: whether its `PreFilter` has noted anything.
    fn concerns(&self, cycle: &Cycle<'_>) -> bool;

    /// Whether what [`read`](Self::read) wrote of a node stays true while the node does, whatever `PreFilter` notes
    /// of the others: nodes need not be judged anew then because one of them is another.
    fn outlasts(&self) -> bool {
        false
    }

    /// A node changed, came or went. Returns whether so much is another now that the class must begin anew.
    fn follow(&self, cycle: &mut Cycle<'_>, node: NodeIndex) -> bool;

    /// Writes what the plugin reads of a node. What it writes of one node is never the beginning of what it
    /// writes of another.
    fn read(&self, cycle: &Cycle<'_>, node: NodeIndex, place: &mut Vec<i64>);
}
