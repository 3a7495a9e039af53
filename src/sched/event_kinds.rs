//! Kinds of events, as a set: what a plugin cares about, and what an event is.

use std::fmt;
use std::ops::BitOr;

use super::snapshot::ObjectKind;
use super::{NodeChange, PodInfo};

/// A set of kinds of events.
///
/// A plugin names those that could let a pod pass that it rejected; of all others it is not asked. One event may be of
/// several kinds: a node may get labels and taints at once.
///
/// Source: `ActionType` and `EventResource` of `k8s.io/kube-scheduler/framework/types.go` (1.36).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKinds(u64);

/// Where the kinds that are about other objects begin: three for each kind of object.
const OBJECTS: u32 = 16;

impl EventKinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(u64::MAX);

    /// A node came.
    pub const NODE_ADDED: Self = Self(1);
    /// A node went.
    pub const NODE_REMOVED: Self = Self(1 << 1);
    /// A node has other amounts to give.
    pub const NODE_ALLOCATABLE: Self = Self(1 << 2);
    /// A node's labels changed.
    pub const NODE_LABELS: Self = Self(1 << 3);
    /// A node's taints changed, or it takes pods again.
    pub const NODE_TAINTS: Self = Self(1 << 4);
    /// A node's conditions changed.
    pub const NODE_CONDITIONS: Self = Self(1 << 5);
    /// A node's annotations changed.
    pub const NODE_ANNOTATIONS: Self = Self(1 << 6);
    /// A node declares other features.
    pub const NODE_DECLARED_FEATURES: Self = Self(1 << 7);

    /// A pod is on a node that was not there before.
    pub const POD_ADDED: Self = Self(1 << 8);
    /// A pod left its node.
    pub const POD_REMOVED: Self = Self(1 << 9);
    /// The labels changed of a pod: one that has a node, or the waiting one itself. So with what follows.
    pub const POD_LABELS: Self = Self(1 << 10);
    /// A pod asks for less of something.
    pub const POD_SCALED_DOWN: Self = Self(1 << 11);
    /// A pod tolerates more.
    pub const POD_TOLERATIONS: Self = Self(1 << 12);
    /// The last of a pod's gates was taken away.
    pub const POD_UNGATED: Self = Self(1 << 13);
    /// The claims to devices that were made for a pod changed.
    pub const POD_CLAIMS: Self = Self(1 << 14);
    /// Something else of a pod changed.
    pub const POD_OTHERWISE: Self = Self(1 << 15);

    /// An object of this kind came.
    #[must_use]
    pub const fn object_added(kind: ObjectKind) -> Self {
        Self(1 << (OBJECTS + 3 * kind as u32))
    }

    /// An object of this kind changed.
    #[must_use]
    pub const fn object_updated(kind: ObjectKind) -> Self {
        Self(1 << (OBJECTS + 3 * kind as u32 + 1))
    }

    /// An object of this kind went.
    #[must_use]
    pub const fn object_removed(kind: ObjectKind) -> Self {
        Self(1 << (OBJECTS + 3 * kind as u32 + 2))
    }

    /// An object of this kind came, changed or went.
    #[must_use]
    pub const fn object(kind: ObjectKind) -> Self {
        Self::object_added(kind).or(Self::object_updated(kind)).or(Self::object_removed(kind))
    }

    /// These and those: `|`, where a constant is needed.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether some kind is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a change of a node is; nothing where only its heartbeat moved.
    #[must_use]
    pub fn of_node(change: NodeChange) -> Self {
        let kind = |is: bool, kind| if is { kind } else { Self::NONE };
        kind(change.allocatable, Self::NODE_ALLOCATABLE)
            | kind(change.labels, Self::NODE_LABELS)
            | kind(change.taints, Self::NODE_TAINTS)
            | kind(change.conditions, Self::NODE_CONDITIONS)
            | kind(change.annotations, Self::NODE_ANNOTATIONS)
            | kind(change.declared_features, Self::NODE_DECLARED_FEATURES)
    }

    /// What a change of a pod is.
    ///
    /// Source: `PodSchedulingPropertiesChange` of `pkg/scheduler/framework/events.go` (1.36).
    #[must_use]
    pub fn of_pod(old: &PodInfo, new: &PodInfo) -> Self {
        let kind = |is: bool, kind| if is { kind } else { Self::NONE };
        let gates = |pod: &PodInfo| {
            pod.spec().and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty())
        };
        let less = old.requests.iter().any(|(resource, amount)| new.request(*resource) < *amount);
        // What is tolerated can only become more.
        let tolerations = old.tolerations().len() != new.tolerations().len();
        let kinds = kind(old.kind.labels != new.kind.labels, Self::POD_LABELS)
            | kind(less, Self::POD_SCALED_DOWN)
            | kind(gates(old) && !gates(new), Self::POD_UNGATED)
            | kind(tolerations, Self::POD_TOLERATIONS)
            | kind(claims_differ(old, new), Self::POD_CLAIMS);
        if kinds.is_empty() { Self::POD_OTHERWISE } else { kinds }
    }
}

/// Whether other claims to devices were made for a pod.
pub(super) fn claims_differ(old: &PodInfo, new: &PodInfo) -> bool {
    let listed = |pod: &PodInfo| {
        let status = pod.pod.status.as_ref()?;
        status.resource_claim_statuses.as_ref().filter(|claims| !claims.is_empty()).cloned()
    };
    let extended = |pod: &PodInfo| pod.pod.status.as_ref()?.extended_resource_claim_status.clone();
    listed(old) != listed(new) || extended(old) != extended(new)
}

impl BitOr for EventKinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl FromIterator<Self> for EventKinds {
    fn from_iter<I: IntoIterator<Item = Self>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::or)
    }
}

impl fmt::Debug for EventKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKinds({:#b})", self.0)
    }
}
