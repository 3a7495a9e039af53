//! The books: queue and snapshot, and which pods are only assumed to be where the snapshot has them.
//!
//! A pod is assumed from the decision on, so that the next decision counts it. It is confirmed when
//! the informer shows it bound, or forgotten when binding failed. One that was bound and is never
//! shown is forgotten after a while, too: the books must not hold room for a pod that nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::super::framework::Profile;
use super::super::{Catalogued, ClusterEvent, NodeChange, ObjectEvent, PodInfo, Queue, Snapshot};
use crate::api::ObjectKey;

/// How long a bound pod may take to be shown.
const ASSUMED_MAX: Duration = Duration::from_secs(15 * 60);

/// Queue, snapshot and assumptions. Pure: time is what callers say it is.
#[derive(Debug)]
pub(super) struct Books {
    name: String,
    pub(super) queue: Queue,
    pub(super) snapshot: Snapshot,
    /// By uid.
    assumed: BTreeMap<String, Assumed>,
    /// Those that are bound for all that the scheduler knows, by the time since when, with their uids.
    unseen: BTreeSet<(Duration, String)>,
}

#[derive(Debug)]
struct Assumed {
    key: ObjectKey,
    /// Since when it is bound for all that the scheduler knows.
    bound: Option<Duration>,
}

impl Books {
    pub(super) fn new(name: String, profile: Arc<Profile>) -> Self {
        Self {
            name,
            queue: Queue::new(profile),
            snapshot: Snapshot::new(),
            assumed: BTreeMap::new(),
            unseen: BTreeSet::new(),
        }
    }

    /// A pod came or changed.
    pub(super) fn pod(&mut self, pod: Arc<Pod>, now: Duration) {
        let info = Arc::new(self.snapshot.read(pod));
        if info.is_finished() {
            self.pod_gone(&info, now);
            return;
        }
        let Some(node) = info.node_name().map(str::to_owned) else {
            self.waits(info, now);
            return;
        };
        self.settle(&info.uid);
        if self.queue.get(&info.key).is_some_and(|queued| queued.pod.uid == info.uid) {
            self.queue.remove(&info.key);
        }
        let before = self.snapshot.placed(&info.uid).map(|(name, old)| (name.clone(), old.clone()));
        self.snapshot.place(info.clone(), &node);
        let event = match &before {
            None => ClusterEvent::PodAdded(&info),
            // It is elsewhere than assumed: there may be room.
            Some((name, old)) if **name != *node => ClusterEvent::PodRemoved(old),
            Some((_, old)) if old.kind != info.kind || old.requests != info.requests => {
                ClusterEvent::PodUpdated { old, new: &info }
            }
            Some(_) => return,
        };
        self.queue.happened(&event, &self.snapshot, now);
    }

    /// A pod that has no node yet.
    fn waits(&mut self, info: Arc<PodInfo>, now: Duration) {
        let ours = info.spec().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(super::DEFAULT_NAME);
        if ours != self.name {
            return;
        }
        if info.is_deleting() {
            self.queue.remove(&info.key);
            return;
        }
        // One that is assumed is not to be queued again; but as long as its binding may fail, the
        // queue keeps it, and keeps it current.
        let kept = self.queue.get(&info.key).is_some_and(|queued| queued.pod.uid == info.uid);
        if kept || !self.assumed.contains_key(&info.uid) {
            self.queue.add(info, &self.snapshot, now);
        }
    }

    /// A pod went.
    pub(super) fn gone(&mut self, pod: Arc<Pod>, now: Duration) {
        let info = self.snapshot.read(pod);
        self.pod_gone(&info, now);
    }

    fn pod_gone(&mut self, info: &PodInfo, now: Duration) {
        self.settle(&info.uid);
        if self.queue.get(&info.key).is_some_and(|queued| queued.pod.uid == info.uid) {
            self.queue.remove(&info.key);
        }
        if let Some(old) = self.snapshot.unplace(&info.uid) {
            self.queue.happened(&ClusterEvent::PodRemoved(&old), &self.snapshot, now);
        }
    }

    /// A node came or changed.
    pub(super) fn node(&mut self, node: Arc<Node>, now: Duration) {
        let old = self.snapshot.set_node(node.clone());
        let event = match &old {
            None => ClusterEvent::NodeAdded(&node),
            Some(old) => ClusterEvent::NodeUpdated { old, new: &node, what: NodeChange::between(old, &node) },
        };
        if !matches!(event, ClusterEvent::NodeUpdated { what, .. } if what.is_none()) {
            self.queue.happened(&event, &self.snapshot, now);
        }
    }

    /// An object that plugins look up came or changed.
    pub(super) fn object<K: Catalogued>(&mut self, object: &Arc<K>, now: Duration) {
        let old = self.snapshot.set_object(object.clone());
        let event = ObjectEvent::of(old.as_deref(), Some(&**object));
        self.queue.happened(&ClusterEvent::Object(event), &self.snapshot, now);
    }

    /// An object that plugins look up went.
    pub(super) fn object_gone<K: Catalogued>(&mut self, object: &K, now: Duration) {
        let meta = object.metadata();
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let old = self.snapshot.remove_object::<K>(namespace.unwrap_or_default(), name.unwrap_or_default());
        if let Some(old) = old {
            let event = ObjectEvent::of(Some(&*old), None);
            self.queue.happened(&ClusterEvent::Object(event), &self.snapshot, now);
        }
    }

    /// A node went.
    pub(super) fn node_gone(&mut self, name: &str, now: Duration) {
        if let Some(old) = self.snapshot.remove_node(name) {
            self.queue.happened(&ClusterEvent::NodeRemoved(&old), &self.snapshot, now);
        }
    }

    /// A popped pod is to be bound to a node: from now on it counts there.
    pub(super) fn assume(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.snapshot.place(pod.clone(), node);
        self.assumed.insert(pod.uid.clone(), Assumed { key: pod.key.clone(), bound: None });
    }

    /// A pod was bound; the informer will show it.
    pub(super) fn bound(&mut self, pod: &PodInfo, now: Duration) {
        if let Some(assumed) = self.assumed.get_mut(&pod.uid) {
            assumed.bound = Some(now);
            self.unseen.insert((now, pod.uid.clone()));
            self.queue.remove(&pod.key);
        }
    }

    /// A pod was not bound. Returns whether it was assumed, and so is the scheduler's to try again.
    pub(super) fn forget(&mut self, pod: &PodInfo, now: Duration) -> bool {
        if self.settle(&pod.uid).is_none() {
            return false;
        }
        self.snapshot.unplace(&pod.uid);
        // Room that others were refused for its sake.
        self.queue.happened(&ClusterEvent::PodRemoved(pod), &self.snapshot, now);
        true
    }

    /// Forgets the pods that were bound long ago and never shown.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((_, uid)) = self.unseen.first().filter(|(bound, _)| *bound + ASSUMED_MAX <= now) {
            let uid = uid.clone();
            if let Some(assumed) = self.settle(&uid) {
                tracing::warn!(pod = %assumed.key, "was bound and is not to be seen");
            }
            if let Some(old) = self.snapshot.unplace(&uid) {
                self.queue.happened(&ClusterEvent::PodRemoved(&old), &self.snapshot, now);
            }
        }
    }

    /// When something is due although nothing happens.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let expiry = self.unseen.first().map(|(bound, _)| *bound + ASSUMED_MAX);
        [self.queue.next_due(), expiry].into_iter().flatten().min()
    }

    /// A pod is where it is, or is not: it is assumed no more.
    fn settle(&mut self, uid: &str) -> Option<Assumed> {
        let assumed = self.assumed.remove(uid)?;
        if let Some(bound) = assumed.bound {
            self.unseen.remove(&(bound, uid.to_owned()));
        }
        Some(assumed)
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
