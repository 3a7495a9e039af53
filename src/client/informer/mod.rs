//! Informers: a local, indexed, current copy of many objects.
//!
//! An informer lists once, then watches from the revision of that list. A watch that breaks is
//! resumed from the last revision seen; one whose revision has expired starts over with a list,
//! and what changed meanwhile is told as changes, not as news. Handlers are called by the
//! informer's own task, in the order of revisions, after the copy has changed; they must not wait.
//!
//! # Reading what one wrote
//!
//! A writer that got revision `r` for an object of this resource may wait for
//! [`Informer::reached`]`(r)`: then the copy holds the write. No other bookkeeping is needed.

mod builder;
mod copy;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{Notify, mpsc};

pub use builder::InformerBuilder;
use copy::{Copy, Entry, Index};

use super::{Client, Typed, WatchEvent};
use crate::api::{Object, ObjectKey, Resource, Revision};

/// A local copy of many objects that follows them. Clones share it; its task ends with the task
/// group it was started in.
pub struct Informer<K>(Arc<Shared<K>>);

/// What changed in the copy.
#[derive(Debug)]
pub enum Change<K> {
    /// An object came, or changed.
    Applied {
        /// What it was, if it was there.
        old: Option<Arc<K>>,
        /// What it is.
        new: Arc<K>,
        /// The same, untyped.
        object: Object,
    },
    /// An object went; this is its last state.
    Deleted {
        /// The last state.
        old: Arc<K>,
        /// The same, untyped.
        object: Object,
    },
    /// The first list is in: all that came before is what was there, all that follows is news.
    Synced,
}

type Handler<K> = Box<dyn FnMut(&Change<K>) + Send>;

struct Shared<K> {
    resource: Arc<Resource>,
    indexes: Vec<Index<K>>,
    copy: RwLock<Copy<K>>,
    /// Held while the copy changes and the change is told, so that a new handler misses nothing.
    handlers: Mutex<Vec<Handler<K>>>,
    /// Whether values go without managed fields.
    lean: bool,
    moved: Notify,
}

impl<K> Informer<K>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    /// An informer of every object of a type.
    pub fn builder(client: Arc<dyn Client>) -> InformerBuilder<K> {
        Self::of(client, Arc::new(Resource::of::<K>()))
    }
}

impl<K: Typed> Informer<K> {
    /// An informer of every object of this row, whatever type they are read as.
    pub fn of(client: Arc<dyn Client>, resource: Arc<Resource>) -> InformerBuilder<K> {
        InformerBuilder::new(client, resource)
    }

    /// The row.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    /// The object of this key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read(|copy| copy.entries.get(key).map(|entry| entry.value.clone()))
    }

    /// The object of this key, untyped.
    #[must_use]
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        self.read(|copy| copy.entries.get(key).map(|entry| entry.object.clone()))
    }

    /// Every object, by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read(|copy| copy.entries.values().map(|entry| entry.value.clone()).collect())
    }

    /// Every object of a namespace, by name.
    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = ObjectKey::new(namespace, "");
        self.read(|copy| {
            let of_namespace = copy.entries.range(from..).take_while(|(key, _)| key.namespace == namespace);
            of_namespace.map(|(_, entry)| entry.value.clone()).collect()
        })
    }

    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read(|copy| copy.entries.keys().cloned().collect())
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|copy| copy.entries.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects that an index files under a value, by namespace and name. None, where there is
    /// no index of that name.
    #[must_use]
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<K>> {
        let Some(position) = self.0.indexes.iter().position(|own| own.name == index) else {
            return Vec::new();
        };
        self.read(|copy| {
            let keys = copy.postings[position].get(value).into_iter().flatten();
            keys.filter_map(|key| copy.entries.get(key)).map(|entry| entry.value.clone()).collect()
        })
    }

    /// Calls `handler` with everything that is there, then with every change.
    ///
    /// It is called by the informer's task and must neither wait nor subscribe.
    pub fn subscribe(&self, mut handler: impl FnMut(&Change<K>) + Send + 'static) {
        let mut handlers = self.handlers();
        // The copy stands still as long as the handlers are held; its own lock is not, so that the
        // handler may read the informer.
        let (entries, synced) = self.read(|copy| {
            let entries = copy.entries.values().map(|entry| (entry.value.clone(), entry.object.clone()));
            (entries.collect::<Vec<_>>(), copy.synced)
        });
        for (new, object) in entries {
            handler(&Change::Applied { old: None, new, object });
        }
        if synced {
            handler(&Change::Synced);
        }
        handlers.push(Box::new(handler));
    }

    /// The keys of what is there, then of every object that changes, as a queue without bound.
    #[must_use]
    pub fn changed_keys(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribe(move |change| {
            if let Change::Applied { object, .. } | Change::Deleted { object, .. } = change {
                // A receiver that is gone wants no more keys.
                let _ = sender.send(object.key().clone());
            }
        });
        receiver
    }

    /// The revision that the copy has reached.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.read(|copy| copy.revision)
    }

    /// Whether the first list is in.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.read(|copy| copy.synced)
    }

    /// Waits until the first list is in. Cancel safe.
    pub async fn synced(&self) {
        self.wait(|copy| copy.synced).await;
    }

    /// Waits until the copy has reached a revision. Cancel safe.
    ///
    /// A revision of another resource is reached only when something of this one happens later, or
    /// with the next bookmark.
    pub async fn reached(&self, revision: Revision) {
        self.wait(|copy| copy.synced && copy.revision >= revision).await;
    }

    async fn wait(&self, holds: impl Fn(&Copy<K>) -> bool) {
        loop {
            // Enlist before looking: a move between the look and the wait is not missed.
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.read(&holds) {
                return;
            }
            moved.await;
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Copy<K>) -> T) -> T {
        look(&self.0.copy.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn handlers(&self) -> MutexGuard<'_, Vec<Handler<K>>> {
        self.0.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the copy to what a list says.
    fn replace(&self, revision: Revision, items: Vec<Object>) {
        let mut handlers = self.handlers();
        let listed: BTreeSet<_> = items.iter().map(|object| object.key().clone()).collect();
        let gone: Vec<_> = self.keys().into_iter().filter(|key| !listed.contains(key)).collect();
        for key in gone {
            self.remove(&key, None, &mut handlers);
        }
        for object in items {
            let unchanged =
                self.object(object.key()).is_some_and(|held| held.revision() == object.revision());
            if !unchanged {
                self.apply(object, &mut handlers);
            }
        }
        let first = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            copy.revision = revision;
            !std::mem::replace(&mut copy.synced, true)
        };
        if first {
            tell(&mut handlers, &Change::Synced);
        }
        self.0.moved.notify_waiters();
    }

    /// Brings the copy to behind an event.
    fn follow(&self, event: WatchEvent) {
        let revision = event.revision();
        let mut handlers = self.handlers();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => self.apply(object, &mut handlers),
            WatchEvent::Deleted(object) => {
                let key = object.key().clone();
                self.remove(&key, Some(object), &mut handlers);
            }
            WatchEvent::Bookmark { .. } => {}
        }
        self.0.copy.write().unwrap_or_else(PoisonError::into_inner).revision = revision;
        self.0.moved.notify_waiters();
    }

    fn apply(&self, object: Object, handlers: &mut [Handler<K>]) {
        let view = if self.0.lean { object.lean_view::<K>() } else { object.view::<K>() };
        let new = match view {
            Ok(value) => value,
            Err(error) => {
                // The rest of the resource must not suffer from one object that cannot be read.
                tracing::warn!(%error, resource = self.0.resource.qualified(), "left out of the informer");
                return;
            }
        };
        let entry = Entry { object: object.clone(), value: new.clone() };
        let old = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            let old = copy.entries.insert(object.key().clone(), entry).map(|entry| entry.value);
            copy.repost(&self.0.indexes, object.key(), old.as_deref(), Some(&new));
            old
        };
        tell(handlers, &Change::Applied { old, new, object });
    }

    fn remove(&self, key: &ObjectKey, last: Option<Object>, handlers: &mut [Handler<K>]) {
        let removed = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            let removed = copy.entries.remove(key);
            if let Some(entry) = &removed {
                copy.repost(&self.0.indexes, key, Some(&entry.value), None);
            }
            removed
        };
        if let Some(entry) = removed {
            tell(handlers, &Change::Deleted { old: entry.value, object: last.unwrap_or(entry.object) });
        }
    }
}

fn tell<K>(handlers: &mut [Handler<K>], change: &Change<K>) {
    for handler in handlers {
        handler(change);
    }
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for Informer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Informer({})", self.0.resource.qualified())
    }
}
