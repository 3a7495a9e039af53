//! The cache of one resource: its shelf, and the feeder that keeps it up to date.
//!
//! The feeder lists the resource once, then follows one watch of the store. When the watch fails it
//! is taken up again where it stopped; when the store has compacted what was missed, the shelf is
//! filled anew and every watcher is told that it is expired. The feeder is also the one dispatcher:
//! it wakes watchers, so that a committing call never does; and it alone asks the store for progress,
//! once for all who wait meanwhile.
//!
//! Nobody holds the lock for long: lists are read from what stands still, a filling is built beside
//! the shelf and put there at once, and watchers are woken when the lock is released.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Notify;

use super::CachedOptions;
use super::handover::Handover;
use super::objects::Objects;
use super::posting::Term;
use super::query::Filter;
use super::shelf::Shelf;
use super::sorted::{Place, Sorted};
use super::unreadable::{Stored, Unreadable, Unreadables};
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
/// How long the feeder waits for progress before it asks again.
///
/// Source: `progressRequestPeriod` of kube-apiserver's `storage/cacher/progress` (1.36).
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How many keys are read at once from the store.
///
/// Source: `storageWatchListPageSize` of kube-apiserver's `storage/cacher/cacher.go` (1.36).
const PAGE: usize = 10_000;
/// Objects that are swept before the feeder looks for something better to do.
const SWEEP: usize = 1_000;

pub(super) struct Row {
    pub(super) resource: Arc<Resource>,
    range: KeyRange,
    store: Arc<dyn ObjectStore>,
    options: CachedOptions,
    state: RwLock<RowState>,
    /// Something about the state has changed.
    changed: Notify,
    /// What is waited for. Locked only by who holds the state's lock, or no other.
    wanted: Mutex<Wanted>,
    /// Somebody waits for a newer one.
    ask: Notify,
    /// Watchers that want to be called for bookmarks, in the order in which they were made. Locked only
    /// by who holds the state's lock, for reading or writing.
    bookmarkers: Mutex<BTreeMap<u64, Waker>>,
    pub(super) handover: Arc<Handover>,
}

pub(super) struct RowState {
    pub(super) shelf: Shelf,
    pub(super) phase: Phase,
    /// How often the store failed the feeder.
    failures: u64,
    /// How often watchers that want bookmarks were called.
    pub(super) bookmarks: u32,
    /// They shall be called once the shelf has reached this revision.
    bookmark_at: Option<Revision>,
}

/// The newest revision that somebody waits for, and how many wait.
#[derive(Default)]
struct Wanted {
    waiters: usize,
    revision: Revision,
}

/// Somebody who waits, for as long as this lives.
struct Waiter<'a>(&'a Row);

impl<'a> Waiter<'a> {
    fn new(row: &'a Row, revision: Revision) -> Self {
        let mut wanted = row.wanted();
        wanted.waiters += 1;
        if wanted.revision < revision {
            wanted.revision = revision;
            row.ask.notify_one();
        }
        Self(row)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut wanted = self.0.wanted();
        wanted.waiters -= 1;
        if wanted.waiters == 0 {
            *wanted = Wanted::default();
        }
    }
}

/// A request for progress that is under way, or about to be.
struct Asking<'a> {
    wanted: Revision,
    begun: bool,
    answer: Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>,
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
                bookmark_at: None,
            }),
            changed: Notify::new(),
            wanted: Mutex::default(),
            ask: Notify::new(),
            bookmarkers: Mutex::default(),
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

    pub(super) fn bookmarkers(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.bookmarkers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the shelf is filled and has reached `revision`. Cancel safe.
    ///
    /// Costs nothing where it has. Otherwise the store's next event brings it there, or the feeder asks
    /// for progress.
    pub(super) async fn reach(&self, revision: Revision) -> Result<()> {
        let (mut known_failures, mut waiter) = (None, None);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.read();
                match state.phase {
                    Phase::Following if state.shelf.revision() >= revision => return Ok(()),
                    Phase::Closed => return Err(unavailable("following the store", "the cache is closed")),
                    Phase::Following | Phase::Filling => {
                        if state.failures > *known_failures.get_or_insert(state.failures) {
                            return Err(unavailable("following the store", "the store fails"));
                        }
                    }
                }
            }
            waiter.get_or_insert_with(|| Waiter::new(self, revision));
            changed.await;
        }
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision for which somebody waits, or a bookmark, and at which the shelf is not.
    fn missing(&self) -> Option<Revision> {
        let state = self.read();
        let wanted = self.wanted().revision.max(state.bookmark_at.unwrap_or_default());
        (wanted > state.shelf.revision()).then_some(wanted)
    }

    /// The store failed the feeder: whoever waits is told.
    fn failed(&self, error: &Error) {
        tracing::warn!(resource = %self.resource.qualified(), %error, "the store fails the cache");
        self.write().failures += 1;
        self.tell(Vec::new());
    }

    /// Ends the feeder's service: whoever waits is told.
    pub(super) fn close(&self) {
        let woken = {
            let mut state = self.write();
            state.phase = Phase::Closed;
            let mut woken = std::mem::take(&mut *self.bookmarkers()).into_values().collect::<Vec<_>>();
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

    /// What a key of this resource holds, read sealed; a word in the log, where it cannot be read.
    fn decode(&self, key: &ObjectKey, kv: &KeyValue) -> Stored {
        let opened = self.store.open(&kv.key, &kv.value);
        let stored = Stored::of(&self.resource, key, kv, opened, |body| self.handover.take(&kv.key, body));
        if let Stored::Unreadable(value) = &stored {
            tracing::warn!(%value, "what is no object");
        }
        stored
    }

    /// Namespace and name that a key of the store stands for; none, and a word in the log, where no object
    /// can have it.
    fn key(&self, key: &[u8]) -> Option<ObjectKey> {
        let found = || {
            let rest = std::str::from_utf8(key.strip_prefix(&self.range.start[..])?).ok()?;
            let (namespace, name) = match self.resource.namespaced() {
                true => rest.split_once('/').filter(|(namespace, _)| !namespace.is_empty())?,
                false => ("", rest),
            };
            (!name.is_empty() && !name.contains('/')).then(|| ObjectKey::new(namespace, name))
        };
        let found = found();
        if found.is_none() {
            tracing::warn!(key = %String::from_utf8_lossy(key), "a key that names no object");
        }
        found
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
                    row.failed(&error);
                    clock.sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// Reads everything anew.
    async fn fill(&self) -> Result<(), Ended> {
        let (objects, unreadable, revision) = match self.read_all(PAGE).await {
            // What is read page by page may be compacted meanwhile.
            Err(Error::Compacted { .. }) => self.read_all(0).await,
            read => read,
        }
        .map_err(Ended::Broken)?;
        let objects = Objects::of(&self.resource, objects, unreadable);
        let cleared = {
            let mut state = self.write();
            if state.phase == Phase::Closed {
                return Ok(());
            }
            let cleared = state.shelf.fill(objects, revision);
            state.phase = Phase::Following;
            cleared
        };
        self.handover.clear();
        self.tell(cleared.woken());
        Ok(())
    }

    /// Every object, in order, what cannot be read, and the revision that was read. What the shelf holds in
    /// the same state is taken from there.
    async fn read_all(&self, limit: usize) -> Result<(Vec<Object>, Unreadables, Revision)> {
        let known = self.read().shelf.objects().all().clone();
        let (mut objects, mut unreadable, mut revision) = (Vec::new(), Vec::new(), None);
        let mut range = self.range.clone();
        loop {
            let options = ListOptions { at: revision, limit, ..ListOptions::default().sealed() };
            let page = self.store.list(range.clone(), options).await?;
            if revision.is_none() {
                objects.reserve_exact(page.count);
            }
            revision.get_or_insert(page.revision);
            let last = page.items.last().map(|kv| kv.key.clone()).filter(|_| page.more);
            for kv in &page.items {
                let Some(key) = self.key(&kv.key) else { continue };
                let held = known.get(&key).filter(|held| held.revision() == kv.mod_revision).cloned();
                match held.map_or_else(|| self.decode(&key, kv), Stored::Object) {
                    Stored::Object(object) => objects.push(object),
                    Stored::Unreadable(value) => unreadable.push(value),
                }
            }
            let Some(last) = last else {
                return Ok((objects, unreadable.into_iter().collect(), revision.unwrap_or_default()));
            };
            range.start = behind(&last);
            tokio::task::yield_now().await;
        }
    }

    /// Follows the store until its watch ends.
    async fn follow(&self, clock: &Clock, retry: &mut Duration) -> Result<(), Ended> {
        let ended = |error| match error {
            Error::Compacted { .. } => Ended::Compacted,
            error => Ended::Broken(error),
        };
        let next = self.read().shelf.revision().next();
        let mut batches =
            self.store.watch(self.range.clone(), WatchOptions::from(next).sealed()).await.map_err(ended)?;
        let mut bookmark = clock.instant() + self.options.bookmark_interval;
        let mut sweep = None;
        // The request for progress that is under way, and what it is for; what was asked for last, and
        // when to ask again.
        let mut asking: Option<Asking<'_>> = None;
        let (mut asked, mut again) = (Revision::NONE, clock.instant());
        loop {
            let missing = self.missing();
            // Where the store had news, they may have been what was waited for.
            asking = asking.filter(|asking| asking.begun);
            if let Some(wanted) = missing.filter(|wanted| *wanted > asked && asking.is_none()) {
                let answer = self.store.request_progress(self.range.clone());
                asking = Some(Asking { wanted, begun: false, answer });
            }
            let answered = async {
                match &mut asking {
                    Some(Asking { begun, answer, .. }) => {
                        *begun = true;
                        answer.await
                    }
                    None => std::future::pending().await,
                }
            };
            let batch = crate::select! {
                batch = batches.next() => Some(batch),
                answer = answered => {
                    asked = asking.take().map_or(asked, |asking| asking.wanted);
                    again = clock.instant() + ASK_AGAIN;
                    if let Err(error) = answer {
                        self.failed(&error);
                    }
                    continue;
                }
                () = self.ask.notified() => continue,
                () = clock.sleep_until(again), if missing.is_some_and(|wanted| wanted <= asked) => {
                    asked = Revision::NONE;
                    continue;
                }
                () = clock.sleep_until(bookmark) => None,
                () = tokio::task::yield_now(), if sweep.is_some() => {
                    sweep = sweep.and_then(|(objects, place)| sweep_some(objects, place));
                    continue;
                }
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
                    sweep = Some((self.read().shelf.objects().all().clone(), Place::default()));
                    self.bookmark().await.map_err(Ended::Broken)?;
                }
            }
        }
    }

    /// Takes over what a revision did; answers false when the cache is closed.
    fn apply(&self, batch: WatchBatch) -> bool {
        let mut changes = Vec::with_capacity(batch.events.len());
        for event in &*batch.events {
            let Some(key) = self.key(&event.kv.key) else { continue };
            let after = match event.kind {
                EventKind::Put => Some(self.decode(&key, &event.kv)),
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
            woken.extend(self.call_bookmarkers(&mut state));
            woken
        };
        self.tell(woken);
        true
    }

    /// Calls the watchers that want bookmarks, once the shelf is where the store is now: those to
    /// whom nothing happened lately learn so how far they are.
    async fn bookmark(&self) -> Result<()> {
        if self.bookmarkers().is_empty() {
            return Ok(());
        }
        let newest = self.store.revision().await?;
        let woken = {
            let mut state = self.write();
            state.bookmark_at = Some(newest);
            self.call_bookmarkers(&mut state)
        };
        self.tell(woken);
        Ok(())
    }

    /// Those who are to be called for a bookmark, if it is time.
    fn call_bookmarkers(&self, state: &mut RowState) -> Vec<Waker> {
        if state.bookmark_at.is_none_or(|at| at > state.shelf.revision()) {
            return Vec::new();
        }
        state.bookmark_at = None;
        state.bookmarks += 1;
        std::mem::take(&mut *self.bookmarkers()).into_values().collect()
    }

    /// Objects at a revision that the shelf no longer knows, from `start` on, page by page from the store:
    /// at most `limit` that `filter` selects, and how many keys are left behind the last of them. Fails where
    /// it would have to answer what cannot be read.
    pub(super) async fn past(
        &self,
        filter: &Filter,
        at: Revision,
        start: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Object>, usize)> {
        let mut range = match Term::of(filter, &self.resource) {
            Term::Key(key) => {
                KeyRange::single(self.resource.storage_key(Some(&key.namespace), Some(&key.name)))
            }
            _ => KeyRange::prefix(self.resource.storage_key(filter.scope(), None)),
        };
        if let Some(start) = start {
            let start = self.resource.storage_key(None, None) + start;
            range.start = range.start.max(start.into());
            if range.end.as_ref().is_some_and(|end| *end <= range.start) {
                return Ok((Vec::new(), 0));
            }
        }
        let (mut objects, mut unreadable) = (Vec::new(), Vec::new());
        // A page of the store as large as what is asked for, then more at a time for what is rare.
        let mut page_size = limit.saturating_add(1).min(PAGE);
        loop {
            let options = ListOptions::default().at(at).limit(page_size).sealed();
            let page = self.store.list(range.clone(), options).await?;
            let mut left = None;
            for (index, kv) in page.items.iter().enumerate() {
                if objects.len() == limit {
                    left = Some(page.count - index);
                    break;
                }
                let Some(key) = self.key(&kv.key) else { continue };
                let opened = self.store.open(&kv.key, &kv.value);
                match Stored::of(&self.resource, &key, kv, opened, |_| None) {
                    Stored::Object(object) => objects.extend(Some(object).filter(|it| filter.matches(it))),
                    Stored::Unreadable(value) if filter.covers(&value.object) => unreadable.push(value),
                    Stored::Unreadable(_) => {}
                }
            }
            let enough = left.is_some() || unreadable.len() > Unreadable::MOST;
            match page.items.last().filter(|_| page.more && !enough) {
                Some(last) => range.start = behind(&last.key),
                None if unreadable.is_empty() => return Ok((objects, left.unwrap_or(0))),
                None => return Err(Error::unreadable(unreadable)),
            }
            page_size = (page_size * 2).min(PAGE);
        }
    }
}

/// Gives back what views that nobody holds any more take up; answers where to go on.
fn sweep_some(objects: Sorted, mut place: Place) -> Option<(Sorted, Place)> {
    for _ in 0..SWEEP {
        objects.at(place)?.sweep();
        place = objects.next(place);
    }
    Some((objects, place))
}

/// The first key behind this one.
fn behind(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

pub(super) fn unavailable(operation: &'static str, why: &'static str) -> Error {
    Error::Unavailable { operation, source: why.into() }
}
