//! An informer as a controller uses it: something that adds keys, and that can be waited for.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::super::queue::Queue;
use super::super::writes::{Deletion, ResourceName, Writes};
use crate::api::ObjectKey;
use crate::client::{Change, Informer, Typed};

/// An informer of any type.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// Group and plural name.
    fn resource(&self) -> ResourceName;
    /// Adds keys for all that is there, then for every change.
    fn feed(&self, queue: &Queue<ObjectKey>);
    /// Adds keys for all that is there.
    fn resync(&self, queue: &Queue<ObjectKey>);
    /// Waits until the first list is in.
    async fn synced(&self);
    /// Whether everything that was written to this resource has been seen.
    fn has_seen(&self, writes: &Writes) -> bool;
    /// Waits until it has.
    async fn sees(&self, writes: &Writes);
}

/// The keys to look at when an object changes.
pub(super) type Mapping<K> = Arc<dyn Fn(&K) -> Vec<ObjectKey> + Send + Sync>;

pub(super) struct InformerSource<K> {
    pub(super) informer: Informer<K>,
    pub(super) map: Mapping<K>,
    /// Told after every change of the informer.
    pub(super) moved: Arc<Notify>,
}

impl<K: Typed> InformerSource<K> {
    fn is_gone(&self, deletion: &Deletion) -> bool {
        let Some(object) = self.informer.object(&deletion.key) else { return true };
        object.is_deleting() || (!deletion.uid.is_empty() && object.uid() != deletion.uid)
    }
}

#[async_trait]
impl<K: Typed> Source for InformerSource<K> {
    fn resource(&self) -> ResourceName {
        let resource = self.informer.resource();
        (resource.group.to_string(), resource.plural.to_string())
    }

    fn feed(&self, queue: &Queue<ObjectKey>) {
        let (queue, map, moved) = (queue.clone(), self.map.clone(), self.moved.clone());
        self.informer.subscribe(move |change| {
            // What an object no longer leads to must be looked at as well.
            let (old, new) = match change {
                Change::Applied { old, new, .. } => (old.as_ref(), Some(new)),
                Change::Deleted { old, .. } => (Some(old), None),
                Change::Synced => (None, None),
            };
            for key in old.into_iter().chain(new).flat_map(|object| map(object)) {
                queue.add(key);
            }
            moved.notify_waiters();
        });
    }

    fn resync(&self, queue: &Queue<ObjectKey>) {
        for key in self.informer.list().iter().flat_map(|object| (self.map)(object)) {
            queue.add(key);
        }
    }

    async fn synced(&self) {
        self.informer.synced().await;
    }

    fn has_seen(&self, writes: &Writes) -> bool {
        let name = self.resource();
        writes.revisions.get(&name).is_none_or(|revision| self.informer.revision() >= *revision)
            && writes.deleted.iter().all(|deletion| deletion.resource != name || self.is_gone(deletion))
    }

    async fn sees(&self, writes: &Writes) {
        let name = self.resource();
        if let Some(revision) = writes.revisions.get(&name) {
            self.informer.reached(*revision).await;
        }
        for deletion in writes.deleted.iter().filter(|deletion| deletion.resource == name) {
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                // From here on a change wakes us, so that none falls between looking and waiting.
                moved.as_mut().enable();
                if self.is_gone(deletion) {
                    break;
                }
                moved.await;
            }
        }
    }
}
