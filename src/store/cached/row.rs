//! The cache of one resource: its shelf, and the feeder that keeps it up to date.
//!
//! The feeder lists the resource once, then follows one watch of the store. When the watch fails it
//! is taken up again where it stopped; when the store has compacted what was missed, the shelf is
//! filled anew and every watcher is told that it is expired. The feeder is also the one dispatcher:
//! it wakes watchers, so that a committing call never does.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Waker;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;

use super::CachedOptions;
use super::handover::Handover;
use super::shelf::Shelf;
use crate::api::{Object, ObjectKey, Resource};
use crate::env::{Clock, Env};
use crate::store::{
    Error, EventKind, KeyRange, KeyValue, ListOptions, ObjectStore, Result, Revision, WatchBatch,
    WatchOptions,
};

/// How long the feeder waits after the first failure in a row; then twice as long, and so on.
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// How long it waits at most.
const LAST_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Row {
    pub(super) resource: Arc<Resource>,
    range: KeyRange,
    store: Arc<dyn ObjectStore>,
    options: CachedOptions,
    state: RwLock<RowState>,
    /// Something about the state has changed.
    changed: Notify,
    pub(super) handover: Arc<Handover>,
}

pub(super) struct RowState {
    pub(super) shelf: Shelf,
    pub(super) phase: Phase,
    /// How often the store failed the feeder.
    failures: u64,
    /// How often watchers that want bookmarks were called.
    pub(super) bookmarks: u64,
    /// Those who want to be called then, in the order in which they were made.
    pub(super) bookmarkers: BTreeMap<u64, Waker>,
    /// Those shall be called once the shelf has reached this revision.
    bookmark_at: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first list has not been read.
    Filling,
    /// The shelf follows the store.
    Following,
    /// There is no feeder any more.
    Closed,
}

/// Closes a row when its feeder ends, however it ends.
struct Closing(Arc<Row>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why a watch of the store ended.
enum Ended {
    /// It can be taken up where it stopped.
    Broken(Error),
    /// What it missed is no longer kept.
    Compacted,
}

impl Row {
    /// Makes the cache and starts its feeder.
    pub(super) fn start(
        resource: Arc<Resource>,
        store: Arc<dyn ObjectStore>,
        env: &Env,
        options: CachedOptions,
    ) -> Arc<Self> {
        let row = Arc::new(Self {
            range: KeyRange::prefix(resource.storage_key(None, None)),
            store,
            options,
            state: RwLock::new(RowState {
                shelf: Shelf::new(resource.clone(), options.history_bytes),
                phase: Phase::Filling,
                failures: 0,
                bookmarks: 0,
                bookmarkers: BTreeMap::new(),
                bookmark_at: None,
            }),
            changed: Notify::new(),
            handover: Arc::default(),
            resource,
        });
        // Also a task that ends before it begins closes the row.
        env.tasks.spawn("object cache", Self::feed(Closing(row.clone()), env.clock.clone()));
        row
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, RowState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, RowState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the shelf is filled and has reached `revision`. Cancel safe.
    pub(super) async fn reach(&self, revision: Revision) -> Result<()> {
        let mut known_failures = None;
        let mut asked = false;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let following = {
                let state = self.read();
                match state.phase {
                    Phase::Following if state.shelf.revision() >= revision => return Ok(()),
                    Phase::Closed => return Err(unavailable("following the store", "the cache is closed")),
                    phase => {
                        if state.failures > *known_failures.get_or_insert(state.failures) {
                            return Err(unavailable("following the store", "the store fails"));
                        }
                        phase == Phase::Following
                    }
                }
            };
            if following && !asked {
                // While filling, the feeder asks by itself once it watches.
                self.store.request_progress(self.range.clone()).await?;
                asked = true;
            }
            changed.await;
        }
    }

    /// Ends the feeder's service: whoever waits is told.
    pub(super) fn close(&self) {
        let woken = {
            let mut state = self.write();
            state.phase = Phase::Closed;
            let mut woken = std::mem::take(&mut state.bookmarkers).into_values().collect::<Vec<_>>();
            woken.extend(state.shelf.postings.take_all());
            woken
        };
        self.handover.clear();
        self.tell(woken);
    }

    fn tell(&self, woken: Vec<Waker>) {
        self.changed.notify_waiters();
        for waker in woken {
            waker.wake();
        }
    }

    /// Decodes what a key of this resource holds; nothing, and a word in the log, where it cannot be.
    pub(super) fn decode(&self, kv: &KeyValue) -> Option<Object> {
        if let Some(object) = self.handover.take(&kv.key, &kv.value) {
            return Some(object.at(kv.mod_revision));
        }
        decode(&self.resource, kv).filter(|object| self.key(&kv.key).as_ref() == Some(object.key()))
    }

    /// Namespace and name that a key of the store stands for.
    fn key(&self, key: &[u8]) -> Option<ObjectKey> {
        let rest = std::str::from_utf8(key.strip_prefix(&self.range.start[..])?).ok()?;
        if !self.resource.namespaced() {
            return Some(ObjectKey::new("", rest));
        }
        let (namespace, name) = rest.split_once('/')?;
        Some(ObjectKey::new(namespace, name))
    }

    async fn feed(closing: Closing, clock: Clock) {
        let row = &closing.0;
        let mut retry = FIRST_RETRY;
        let mut filled = false;
        while row.read().phase != Phase::Closed {
            let ended = if filled { row.follow(&clock, &mut retry).await } else { row.fill().await };
            match ended {
                Ok(()) => filled = true,
                Err(Ended::Compacted) => filled = false,
                Err(Ended::Broken(error)) => {
                    tracing::warn!(resource = %row.resource.qualified(), %error, "the store fails the cache");
                    row.write().failures += 1;
                    row.tell(Vec::new());
                    clock.sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// Reads everything anew.
    async fn fill(&self) -> Result<(), Ended> {
        let page =
            self.store.list(self.range.clone(), ListOptions::default()).await.map_err(Ended::Broken)?;
        let objects = page.items.iter().filter_map(|kv| self.decode(kv)).collect();
        let woken = {
            let mut state = self.write();
            if state.phase == Phase::Closed {
                return Ok(());
            }
            let woken = state.shelf.fill(objects, page.revision);
            state.phase = Phase::Following;
            woken
        };
        self.handover.clear();
        self.tell(woken);
        Ok(())
    }

    /// Follows the store until its watch ends.
    async fn follow(&self, clock: &Clock, retry: &mut Duration) -> Result<(), Ended> {
        let ended = |error| match error {
            Error::Compacted { .. } => Ended::Compacted,
            error => Ended::Broken(error),
        };
        let next = self.read().shelf.revision().next();
        let mut batches =
            self.store.watch(self.range.clone(), WatchOptions::from(next)).await.map_err(ended)?;
        self.store.request_progress(self.range.clone()).await.map_err(ended)?;
        let mut bookmark = clock.instant() + self.options.bookmark_interval;
        loop {
            let batch = crate::select! {
                batch = batches.next() => Some(batch),
                () = clock.sleep_until(bookmark) => None,
            };
            match batch {
                Some(Some(Ok(batch))) => {
                    *retry = FIRST_RETRY;
                    if !self.apply(batch) {
                        return Ok(());
                    }
                }
                Some(Some(Err(error))) => return Err(ended(error)),
                Some(None) => {
                    let error = unavailable("watching the store", "the watch ended");
                    return Err(Ended::Broken(error));
                }
                None => {
                    bookmark = clock.instant() + self.options.bookmark_interval;
                    self.bookmark().await.map_err(Ended::Broken)?;
                }
            }
        }
    }

    /// Takes over what a revision did; answers false when the cache is closed.
    fn apply(&self, batch: WatchBatch) -> bool {
        let mut changes = Vec::with_capacity(batch.events.len());
        for event in &*batch.events {
            let Some(key) = self.key(&event.kv.key) else {
                tracing::warn!(key = ?event.kv.key, "a key that names no object");
                continue;
            };
            let after = match event.kind {
                EventKind::Put => self.decode(&event.kv),
                EventKind::Delete => None,
            };
            changes.push((key, after));
        }
        let woken = {
            let mut state = self.write();
            if state.phase == Phase::Closed {
                return false;
            }
            let mut woken = state.shelf.apply(batch.revision, changes);
            woken.extend(state.call_bookmarkers());
            woken
        };
        self.tell(woken);
        true
    }

    /// Calls the watchers that want bookmarks, once the shelf is where the store is now: those to
    /// whom nothing happened lately learn so how far they are.
    async fn bookmark(&self) -> Result<()> {
        if self.read().bookmarkers.is_empty() {
            return Ok(());
        }
        let newest = self.store.revision().await?;
        let woken = {
            let mut state = self.write();
            state.bookmark_at = Some(newest);
            state.call_bookmarkers()
        };
        self.tell(woken);
        self.store.request_progress(self.range.clone()).await
    }
}

impl RowState {
    /// Those who are to be called for a bookmark, if it is time.
    fn call_bookmarkers(&mut self) -> Vec<Waker> {
        if self.bookmark_at.is_none_or(|at| at > self.shelf.revision()) {
            return Vec::new();
        }
        self.bookmark_at = None;
        self.bookmarks += 1;
        std::mem::take(&mut self.bookmarkers).into_values().collect()
    }
}

/// The object that a key holds; nothing, and a word in the log, where it is none.
pub(super) fn decode(resource: &Arc<Resource>, kv: &KeyValue) -> Option<Object> {
    match Object::from_body(resource.clone(), kv.mod_revision, &kv.value) {
        Ok(object) => Some(object),
        Err(error) => {
            tracing::warn!(key = ?kv.key, revision = %kv.mod_revision, %error, "a value that is no object");
            None
        }
    }
}

pub(super) fn unavailable(operation: &'static str, why: &'static str) -> Error {
    Error::Unavailable { operation, source: why.into() }
}
