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
use super::super::{Catalogued, Happening, PodInfo, Queue, QueueOptions, Rejection, Snapshot};
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
    pub(super) fn new(name: String, profile: Arc<Profile>, options: QueueOptions) -> Self {
        Self {
            name,
            queue: Queue::with(profile, options),
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
        let assumed = self.settle(&info.uid).is_some();
        if self.queue.get(&info.key).is_some_and(|queued| queued.pod.uid == info.uid) {
            self.queue.remove(&info.key);
        }
        let before = self.snapshot.placed(&info.uid).map(|(name, old)| (**name == *node, old.clone()));
        self.snapshot.place(info.clone(), &node);
        match before {
            Some((true, old)) if !assumed => self.happened(Happening::pod_updated(old, info), now),
            // It counted since it was assumed; that it is there is known only now.
            None | Some((true, _)) => self.happened(Happening::pod_added(info), now),
            // It is elsewhere than assumed: there may be room.
            Some((false, old)) => {
                self.happened(Happening::pod_removed(old), now);
                self.happened(Happening::pod_added(info), now);
            }
        }
    }

    /// A popped pod fits nowhere, as these plugins say.
    pub(super) fn reject(&mut self, pod: &PodInfo, rejection: impl Into<Rejection>, now: Duration) {
        // Another of the same name may have taken its place.
        if self.queue.get(&pod.key).is_some_and(|queued| queued.pod.uid == pod.uid) {
            self.queue.reject(&pod.key, rejection, &self.snapshot, now);
        }
    }

    fn happened(&mut self, event: Happening, now: Duration) {
        self.queue.happened(event, &self.snapshot, now);
    }

    /// A pod that has no node yet.
    fn waits(&mut self, info: Arc<PodInfo>, now: Duration) {
        let ours = info.spec().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(super::DEFAULT_NAME);
        if ours != self.name {
            return;
        }
        if info.is_deleting() {
            self.queue.remove(&info.key);
            // It may be bound nevertheless, and is counted again then. Until that is seen its room is others'.
            if self.settle(&info.uid).is_some() {
                self.unplace(&info.uid, now);
            }
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
        self.unplace(&info.uid, now);
    }

    fn unplace(&mut self, uid: &str, now: Duration) {
        if let Some(old) = self.snapshot.unplace(uid) {
            self.happened(Happening::pod_removed(old), now);
        }
    }

    /// A node came or changed.
    pub(super) fn node(&mut self, node: Arc<Node>, now: Duration) {
        let old = self.snapshot.set_node(node.clone());
        let event = match old {
            None => Happening::node_added(node),
            Some(old) => Happening::node_updated(old, node),
        };
        self.happened(event, now);
    }

    /// An object that plugins look up came or changed.
    pub(super) fn object<K: Catalogued>(&mut self, object: &Arc<K>, now: Duration) {
        let old = self.snapshot.set_object(object.clone());
        self.happened(Happening::object(old, Some(object.clone())), now);
    }

    /// An object that plugins look up went.
    pub(super) fn object_gone<K: Catalogued>(&mut self, object: &K, now: Duration) {
        let meta = object.metadata();
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let old = self.snapshot.remove_object::<K>(namespace.unwrap_or_default(), name.unwrap_or_default());
        if old.is_some() {
            self.happened(Happening::object(old, None), now);
        }
    }

    /// A node went.
    pub(super) fn node_gone(&mut self, name: &str, now: Duration) {
        if let Some(old) = self.snapshot.remove_node(name) {
            self.happened(Happening::node_removed(old), now);
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
        // Room that others were refused for its sake.
        self.unplace(&pod.uid, now);
        true
    }

    /// Forgets the pods that were bound long ago and never shown.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((_, uid)) = self.unseen.first().filter(|(bound, _)| *bound + ASSUMED_MAX <= now) {
            let uid = uid.clone();
            if let Some(assumed) = self.settle(&uid) {
                tracing::warn!(pod = %assumed.key, "was bound and is not to be seen");
            }
            self.unplace(&uid, now);
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

#[cfg(test)]
#[path = "waking_tests.rs"]
mod waking;
