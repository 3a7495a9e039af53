//! An event that can be kept: for pods that are being decided or bound while it happens.

use std::any::Any;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::snapshot::{Catalogued, ObjectKind};
use super::{ClusterEvent, EventKinds, NodeChange, ObjectEvent, PodInfo};

/// Something that happened, with all that it is about. Plugins are shown it as a [`ClusterEvent`].
#[derive(Clone, Debug)]
pub struct Happening {
    kinds: EventKinds,
    what: What,
}

type AnyObject = Arc<dyn Any + Send + Sync>;

#[derive(Clone, Debug)]
enum What {
    NodeAdded(Arc<Node>),
    NodeUpdated { old: Arc<Node>, new: Arc<Node>, what: NodeChange },
    NodeRemoved(Arc<Node>),
    PodAdded(Arc<PodInfo>),
    PodUpdated { old: Arc<PodInfo>, new: Arc<PodInfo> },
    PodRemoved(Arc<PodInfo>),
    Changed { old: Arc<PodInfo>, new: Arc<PodInfo> },
    Object { kind: ObjectKind, old: Option<AnyObject>, new: Option<AnyObject> },
}

impl Happening {
    /// A node came.
    #[must_use]
    pub fn node_added(node: Arc<Node>) -> Self {
        Self { kinds: EventKinds::NODE_ADDED, what: What::NodeAdded(node) }
    }

    /// A node changed; of no kind where nothing of it that matters did.
    #[must_use]
    pub fn node_updated(old: Arc<Node>, new: Arc<Node>) -> Self {
        let what = NodeChange::between(&old, &new);
        Self { kinds: EventKinds::of_node(what), what: What::NodeUpdated { old, new, what } }
    }

    /// A node went.
    #[must_use]
    pub fn node_removed(node: Arc<Node>) -> Self {
        Self { kinds: EventKinds::NODE_REMOVED, what: What::NodeRemoved(node) }
    }

    /// A pod is on a node.
    #[must_use]
    pub fn pod_added(pod: Arc<PodInfo>) -> Self {
        Self { kinds: EventKinds::POD_ADDED, what: What::PodAdded(pod) }
    }

    /// A pod that is on a node changed.
    #[must_use]
    pub fn pod_updated(old: Arc<PodInfo>, new: Arc<PodInfo>) -> Self {
        Self { kinds: EventKinds::of_pod(&old, &new), what: What::PodUpdated { old, new } }
    }

    /// A pod left its node.
    #[must_use]
    pub fn pod_removed(pod: Arc<PodInfo>) -> Self {
        Self { kinds: EventKinds::POD_REMOVED, what: What::PodRemoved(pod) }
    }

    /// A pod that has no node changed; nobody but itself is helped by that.
    #[must_use]
    pub fn changed(old: Arc<PodInfo>, new: Arc<PodInfo>) -> Self {
        Self { kinds: EventKinds::of_pod(&old, &new), what: What::Changed { old, new } }
    }

    /// An object that plugins look up came, changed or went: what it was, and what it is.
    #[must_use]
    pub fn object<K: Catalogued>(old: Option<Arc<K>>, new: Option<Arc<K>>) -> Self {
        let kinds = match (&old, &new) {
            (None, None) => EventKinds::NONE,
            (None, Some(_)) => EventKinds::object_added(K::WHICH),
            (Some(_), Some(_)) => EventKinds::object_updated(K::WHICH),
            (Some(_), None) => EventKinds::object_removed(K::WHICH),
        };
        let any = |object: Arc<K>| object as AnyObject;
        Self { kinds, what: What::Object { kind: K::WHICH, old: old.map(any), new: new.map(any) } }
    }

    /// What kinds of event it is.
    #[must_use]
    pub fn kinds(&self) -> EventKinds {
        self.kinds
    }

    /// As plugins are shown it.
    #[must_use]
    pub fn event(&self) -> ClusterEvent<'_> {
        match &self.what {
            What::NodeAdded(node) => ClusterEvent::NodeAdded(node),
            What::NodeUpdated { old, new, what } => ClusterEvent::NodeUpdated { old, new, what: *what },
            What::NodeRemoved(node) => ClusterEvent::NodeRemoved(node),
            What::PodAdded(pod) => ClusterEvent::PodAdded(pod),
            What::PodUpdated { old, new } => ClusterEvent::PodUpdated { old, new },
            What::PodRemoved(pod) => ClusterEvent::PodRemoved(pod),
            What::Changed { old, new } => ClusterEvent::Changed { old, new },
            What::Object { kind, old, new } => {
                ClusterEvent::Object(ObjectEvent::new(*kind, old.as_deref(), new.as_deref()))
            }
        }
    }

    /// Whether it can help a pod that was on its way while it happened: a pod's own change helps nobody else, and the
    /// room that a pod gives back when it is not bound does not help that pod.
    pub(super) fn concerns(&self, pod: &PodInfo) -> bool {
        match &self.what {
            What::Changed { new, .. } => new.uid == pod.uid,
            What::PodRemoved(gone) => gone.uid != pod.uid,
            _ => true,
        }
    }
}
