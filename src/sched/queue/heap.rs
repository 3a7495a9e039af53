//! A binary heap whose order is a profile's, and from which any pod can be taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::QueuedPod;
use crate::api::ObjectKey;
use crate::sched::framework::Profile;

/// Active pods, the next on top.
#[derive(Debug)]
pub(super) struct Heap {
    profile: Arc<Profile>,
    items: Vec<QueuedPod>,
    places: BTreeMap<ObjectKey, usize>,
}

impl Heap {
    pub(super) fn new(profile: Arc<Profile>) -> Self {
        Self { profile, items: Vec::new(), places: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Puts a pod in that is not there.
    pub(super) fn push(&mut self, pod: QueuedPod) {
        let at = self.items.len();
        self.places.insert(pod.pod.key.clone(), at);
        self.items.push(pod);
        self.up(at);
    }

    pub(super) fn pop(&mut self) -> Option<QueuedPod> {
        if self.items.is_empty() { None } else { Some(self.take(0)) }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        if let Some(at) = self.places.get(key).copied() {
            self.take(at);
        }
    }

    fn take(&mut self, at: usize) -> QueuedPod {
        let last = self.items.len() - 1;
        self.swap(at, last);
        let taken = self.items.pop().expect("there is a last one");
        self.places.remove(&taken.pod.key);
        if at < self.items.len() {
            self.down(at);
            self.up(at);
        }
        taken
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 && self.before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn down(&mut self, mut at: usize) {
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|child| *child < self.items.len());
            let first =
                children.fold(at, |first, child| if self.before(child, first) { child } else { first });
            if first == at {
                return;
            }
            self.swap(at, first);
            at = first;
        }
    }

    fn before(&self, a: usize, b: usize) -> bool {
        self.profile.compare(&self.items[a], &self.items[b]).is_lt()
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.items.swap(a, b);
        for at in [a, b] {
            if let Some(place) = self.places.get_mut(&self.items[at].pod.key) {
                *place = at;
            }
        }
    }
}
