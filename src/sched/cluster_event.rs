//! What happens in a cluster that may make room for a pod.

use std::any::Any;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeCondition};

use super::PodInfo;
use super::snapshot::{Catalogued, ObjectKind};

/// Something that happened. Plugins say which of these could help a pod that they rejected.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ClusterEvent<'a> {
    /// A node came.
    NodeAdded(&'a Node),
    /// A node changed.
    NodeUpdated {
        /// What it was.
        old: &'a Node,
        /// What it is.
        new: &'a Node,
        /// What of it changed.
        what: NodeChange,
    },
    /// A node went.
    NodeRemoved(&'a Node),
    /// A pod was placed.
    PodAdded(&'a PodInfo),
    /// A pod that is placed changed.
    PodUpdated {
        /// What it was.
        old: &'a PodInfo,
        /// What it is.
        new: &'a PodInfo,
    },
    /// A pod left its node.
    PodRemoved(&'a PodInfo),
    /// The waiting pod itself changed.
    Changed {
        /// What it was.
        old: &'a PodInfo,
        /// What it is.
        new: &'a PodInfo,
    },
    /// Another object came, changed or went.
    Object(ObjectEvent<'a>),
}

/// What of a node changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeChange {
    /// What it has to give.
    pub allocatable: bool,
    /// Its labels.
    pub labels: bool,
    /// Its taints, or whether it takes pods at all.
    pub taints: bool,
    /// Its conditions: their types and what each says.
    pub conditions: bool,
    /// Its annotations.
    pub annotations: bool,
    /// The features that it declares.
    pub declared_features: bool,
}

/// An object that plugins look up came, changed or went.
#[derive(Clone, Copy, Debug)]
pub struct ObjectEvent<'a> {
    kind: ObjectKind,
    old: Option<&'a (dyn Any + Send + Sync)>,
    new: Option<&'a (dyn Any + Send + Sync)>,
}

impl NodeChange {
    /// Everything.
    pub const ALL: Self = Self {
        allocatable: true,
        labels: true,
        taints: true,
        conditions: true,
        annotations: true,
        declared_features: true,
    };

    /// What differs between two states of a node; nothing where only its heartbeat moved.
    ///
    /// Source: `NodeSchedulingPropertiesChange` of `pkg/scheduler/framework/events.go` (1.36).
    #[must_use]
    pub fn between(old: &Node, new: &Node) -> Self {
        let status = |node: &Node| node.status.clone().unwrap_or_default();
        let spec = |node: &Node| node.spec.clone().unwrap_or_default();
        let (old_status, new_status) = (status(old), status(new));
        let (old_spec, new_spec) = (spec(old), spec(new));
        let conditions = |conditions: &Option<Vec<NodeCondition>>| {
            let told = conditions.iter().flatten();
            told.map(|one| (one.type_.clone(), one.status.clone())).collect::<BTreeMap<_, _>>()
        };
        Self {
            allocatable: old_status.allocatable != new_status.allocatable,
            labels: old.metadata.labels != new.metadata.labels,
            taints: old_spec.taints.unwrap_or_default() != new_spec.taints.unwrap_or_default()
                || old_spec.unschedulable == Some(true) && new_spec.unschedulable != Some(true),
            conditions: conditions(&old_status.conditions) != conditions(&new_status.conditions),
            annotations: old.metadata.annotations != new.metadata.annotations,
            declared_features: old_status.declared_features != new_status.declared_features,
        }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl<'a> ObjectEvent<'a> {
    /// Of a kind that is known only as a value.
    pub(super) fn new(
        kind: ObjectKind,
        old: Option<&'a (dyn Any + Send + Sync)>,
        new: Option<&'a (dyn Any + Send + Sync)>,
    ) -> Self {
        Self { kind, old, new }
    }

    /// Of a kind; what was before, and what is now.
    #[must_use]
    pub fn of<K: Catalogued>(old: Option<&'a K>, new: Option<&'a K>) -> Self {
        let any = |object: &'a K| object as &'a (dyn Any + Send + Sync);
        Self { kind: K::WHICH, old: old.map(any), new: new.map(any) }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// What was before and what is now, where it is of kind `K`.
    #[must_use]
    pub fn as_kind<K: Catalogued>(&self) -> Option<(Option<&'a K>, Option<&'a K>)> {
        let own = |any: Option<&'a (dyn Any + Send + Sync)>| any.and_then(|any| any.downcast_ref());
        (self.kind == K::WHICH).then(|| (own(self.old), own(self.new)))
    }
}
