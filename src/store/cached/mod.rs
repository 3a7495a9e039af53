//! Decoded objects over any store: the lists and watches that everybody uses.
//!
//! For each resource that somebody lists or watches there is one cache, fed by one watch of the
//! store. It finds objects by namespace, name and the row's indexed fields, and keeps what happened
//! to them lately, so that a watch can start at any revision above its floor. An object that ceases
//! to match a selector is deleted to that watcher; one that comes to match is added.
//!
//! Reads are consistent unless they say otherwise: they wait until the cache has reached the
//! revision at which the store is when they are asked. Where nothing of the resource happens, the
//! store's progress tells the cache how far it is.
//!
//! Objects are read in the order of their keys in the store, as kube-apiserver reads them.
//!
//! What is written may go by itself after a while: many objects then share a lease of the store.
//!
//! What a key holds may be no object: it does not open, or does not decode. What needs it then fails and
//! names it ([`Error::Unreadable`]), and everything else goes on.
//!
//! A commit goes to the store and wakes no watcher: the cache's feeder does, once it is told of it.
//! What a commit has decoded, the feeder does not decode again.

mod change;
mod commit;
#[cfg(test)]
mod failing;
mod handover;
mod kept;
mod lease_manager;
#[cfg(test)]
mod model;
mod objects;
mod posting;
mod query;
mod row;
mod shelf;
mod sorted;
mod stats;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_compaction;
#[cfg(test)]
mod tests_cost;
#[cfg(test)]
mod tests_kubernetes;
#[cfg(test)]
mod tests_leases;
#[cfg(test)]
mod tests_protobuf;
#[cfg(test)]
mod tests_unreadable;
mod unreadable;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use self::kept::Kept;
use self::lease_manager::LeaseManager;
use self::row::Row;
use self::unreadable::Stored;
use super::{Error, KeyRange, ListOptions, ObjectStore, Result, Revision};
use crate::api::{Object, ObjectKey, Resource, SelectableField};
use crate::env::Env;

pub use change::{Change, Outcome};
pub use query::{At, ListQuery, ObjectEvent, ObjectPage, WatchQuery};
pub use stats::{Glance, Stats};
pub use unreadable::{Defect, Unreadable};
pub use watch::ObjectWatch;

/// Objects that a list looks at before it lets others run.
const SLICE: usize = 10_000;

/// Decoded objects over a store.
pub struct Cached {
    store: Arc<dyn ObjectStore>,
    env: Env,
    options: CachedOptions,
    rows: RwLock<BTreeMap<RowKey, Arc<Row>>>,
    leases: LeaseManager,
    kept: Kept,
}

/// How a [`Cached`] keeps what it knows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CachedOptions {
    /// How many bytes of bodies the events of one resource may hold before the oldest are forgotten.
    /// 16 MiB by default.
    pub history_bytes: usize,
    /// How often watches that want bookmarks get one. A minute by default, as in Kubernetes.
    pub bookmark_interval: Duration,
}

/// Group, version and plural name.
type RowKey = (String, String, String);

impl Default for CachedOptions {
    fn default() -> Self {
        Self { history_bytes: 16 << 20, bookmark_interval: Duration::from_secs(60) }
    }
}

impl CachedOptions {
    /// These options with another bound on the history of a resource.
    #[must_use]
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.history_bytes = bytes;
        self
    }

    /// These options with another time between bookmarks.
    #[must_use]
    pub fn bookmark_interval(mut self, interval: Duration) -> Self {
        self.bookmark_interval = interval;
        self
    }
}

impl Cached {
    /// Objects of a store. Its tasks are a group below `env`'s, which ends with this.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, env: &Env) -> Arc<Self> {
        Self::with_options(store, env, CachedOptions::default())
    }

    /// The same, with options.
    #[must_use]
    pub fn with_options(store: Arc<dyn ObjectStore>, env: &Env, options: CachedOptions) -> Arc<Self> {
        let leases = LeaseManager::new(env);
        let (rows, kept) = (RwLock::default(), Kept::default());
        Arc::new(Self { store, env: env.child(), options, rows, leases, kept })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// One object, as everything that was committed before the call left it.
    ///
    /// # Errors
    ///
    /// What the store answers, and [`Error::Unreadable`] where what is stored is no object.
    pub async fn get(&self, row: &Arc<Resource>, key: &ObjectKey) -> Result<Option<Object>> {
        let namespace = Some(key.namespace.as_str()).filter(|_| row.namespaced());
        let stored = row.storage_key(namespace, Some(&key.name));
        let kv = match self.store.get(stored.as_bytes()).await {
            Ok(Some(kv)) => kv,
            Ok(None) => return Ok(None),
            // It may be the value alone: sealed, it tells its revision.
            Err(Error::Corrupt { .. }) => {
                let page = self.store.list(KeyRange::single(stored), ListOptions::default().sealed()).await?;
                let Some(kv) = page.items.first() else { return Ok(None) };
                let opened = self.store.open(&kv.key, &kv.value);
                return Stored::of(row, key, kv, opened, |_| None).into_object().map(Some);
            }
            Err(error) => return Err(error),
        };
        if let Some(cache) = self.peek(row) {
            let held = cache.read().shelf.get(key).cloned();
            if let Some(object) = held.filter(|held| held.revision() == kv.mod_revision) {
                return Ok(Some(object));
            }
        }
        let opened = Ok(kv.value.clone());
        Stored::of(row, key, &kv, opened, |_| None).into_object().map(Some)
    }

    /// Whether an object that was read is stored otherwise than a write would store it now: in another
    /// form, or [stale](ObjectStore::is_stale) in the store. Not so once somebody has written it anew.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn is_stale(&self, object: &Object) -> Result<bool> {
        let key = change::storage_key(object);
        match self.store.get(&key).await? {
            Some(kv) if kv.mod_revision == object.revision() => {
                Ok(kv.value != *object.body() || self.store.is_stale(&key).await?)
            }
            _ => Ok(false),
        }
    }

    /// Objects of a resource, by namespace and name.
    ///
    /// An exact revision is answered only while the store keeps it, whoever compacts there; the store is
    /// asked that every 15 seconds, as kube-apiserver's cache asks it.
    ///
    /// # Errors
    ///
    /// [`Error::Compacted`] when an exact revision is no longer kept, [`Error::FutureRevision`] when
    /// a revision has not happened, [`Error::Unreadable`] when the page would hold what cannot be read, if it
    /// were selected; and what the store answers.
    pub async fn list(&self, row: &Arc<Resource>, query: &ListQuery) -> Result<ObjectPage> {
        let cache = self.cache(row);
        match query.at {
            At::Newest => cache.reach(self.store.revision().await?).await?,
            At::AtLeast(revision) | At::Exact(revision) => self.reach_past(&cache, revision).await?,
        }
        let (filter, start) = (query.filter(), query.start.as_deref());
        let limit = query.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let selection = {
            let state = cache.read();
            let at = match query.at {
                At::Exact(revision) => revision,
                At::Newest | At::AtLeast(_) => state.shelf.revision(),
            };
            let all = || state.shelf.objects().all().clone();
            (at >= state.shelf.oldest()).then(|| (at, state.shelf.select(filter.clone(), at), all()))
        };
        if let Some((at, selection, all)) = selection {
            self.is_kept(row, query.at, at).await?;
            let mut selection = selection.starting(start);
            let mut items = Vec::new();
            while selection.take(&mut items, limit, SLICE) && items.len() < limit {
                tokio::task::yield_now().await;
            }
            return selection.page(items, limit, &all);
        }
        let At::Exact(at) = query.at else { unreachable!("a shelf holds its own state") };
        let (items, left) = cache.past(&filter, at, start, limit).await?;
        Ok(ObjectPage::new(at, items, left, filter.selects_all()))
    }

    /// How many objects of a resource there are and how large, as everything that was committed before the
    /// call left them. It is kept as objects come and go, so that asking costs no look at them.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn stats(&self, row: &Arc<Resource>) -> Result<Stats> {
        let cache = self.cache(row);
        cache.reach(self.store.revision().await?).await?;
        let state = cache.read();
        Ok(state.shelf.objects().stats())
    }

    /// What is cached of a resource, if anything is: a look that waits for nothing and starts no cache.
    #[must_use]
    pub fn glance(&self, row: &Arc<Resource>) -> Option<Glance> {
        let cache = self.peek(row)?;
        let state = cache.read();
        let (stats, revision) = (state.shelf.objects().stats(), state.shelf.revision());
        Some(Glance { stats, revision, events: state.shelf.end() })
    }

    /// Watches objects of a resource.
    ///
    /// It may start from any revision whose later events are still held here, also where the store has
    /// compacted it by now without being told to by [`Cached::compact`]; so does kube-apiserver's cache.
    ///
    /// # Errors
    ///
    /// [`Error::Compacted`] when the revision to start from is below what is kept,
    /// [`Error::FutureRevision`] when the initial state shall be of a revision that has not happened,
    /// and what the store answers.
    pub async fn watch(&self, row: &Arc<Resource>, query: &WatchQuery) -> Result<ObjectWatch> {
        let cache = self.cache(row);
        match query.from {
            None => cache.reach(self.store.revision().await?).await?,
            Some(from) if query.initial => self.reach_past(&cache, from).await?,
            Some(_) => cache.reach(Revision::NONE).await?,
        }
        ObjectWatch::start(cache, query)
    }

    /// Waits until a resource's cache has reached a revision. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the store fails meanwhile.
    pub async fn wait(&self, row: &Arc<Resource>, revision: Revision) -> Result<()> {
        self.cache(row).reach(revision).await
    }

    /// Forgets the history below `revision`, in the store and in every cache.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn compact(&self, revision: Revision) -> Result<()> {
        let rows: Vec<_> =
            self.rows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if self.store.revision().await? >= revision {
            for row in &rows {
                // So that no feeder misses what is compacted. One that fails is filled anew anyway.
                let _ = row.reach(revision).await;
            }
        }
        self.store.compact(revision).await?;
        for row in &rows {
            row.write().shelf.compact(revision);
        }
        Ok(())
    }

    /// Drops the cache of a resource that is no longer served; its watches end.
    pub fn forget(&self, row: &Resource) {
        let gone = self.rows.write().unwrap_or_else(PoisonError::into_inner).remove(&row_key(row));
        if let Some(gone) = gone {
            gone.close();
        }
    }

    /// Fails where the store no longer keeps a revision that is asked for as such, whatever is held here.
    async fn is_kept(&self, row: &Resource, at: At, revision: Revision) -> Result<()> {
        let now = self.env.clock.instant();
        if matches!(at, At::Exact(_)) && !self.kept.lately(revision, now) {
            // One key, so that nothing is counted.
            let range = KeyRange::single(row.storage_key(None, None));
            self.store.list(range, ListOptions::default().at(revision).count_only()).await?;
        }
        self.kept.saw(revision, now);
        Ok(())
    }

    /// Waits until a cache has reached a revision that must have happened.
    async fn reach_past(&self, cache: &Row, revision: Revision) -> Result<()> {
        cache.reach(Revision::NONE).await?;
        if cache.read().shelf.revision() < revision {
            let newest = self.store.revision().await?;
            if newest < revision {
                return Err(Error::FutureRevision { newest });
            }
            cache.reach(revision).await?;
        }
        Ok(())
    }

    /// The cache of a resource, if there is one.
    fn peek(&self, row: &Arc<Resource>) -> Option<Arc<Row>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(&row_key(row)).filter(|cache| same(&cache.resource, row)).cloned()
    }

    /// The cache of a resource, started where there is none. A row that is found or stored otherwise
    /// than before starts another one.
    fn cache(&self, row: &Arc<Resource>) -> Arc<Row> {
        if let Some(cache) = self.peek(row) {
            return cache;
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = rows.get(&row_key(row)).filter(|cache| same(&cache.resource, row)) {
            return cache.clone();
        }
        let cache = Row::start(row.clone(), self.store.clone(), &self.env, self.options);
        let replaced = rows.insert(row_key(row), cache.clone());
        drop(rows);
        if let Some(replaced) = replaced {
            replaced.close();
        }
        cache
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Cached").field("rows", &rows.len()).finish_non_exhaustive()
    }
}

fn row_key(row: &Resource) -> RowKey {
    (row.group.to_string(), row.version.to_string(), row.plural.to_string())
}

/// Whether objects of both rows are stored, decoded and found alike.
fn same(held: &Arc<Resource>, row: &Arc<Resource>) -> bool {
    let fields = |row: &Resource| -> Vec<_> {
        let facts = |f: &SelectableField| (f.name.clone(), f.path.clone(), f.default.clone(), f.indexed);
        row.selectable.iter().map(facts).collect()
    };
    Arc::ptr_eq(held, row)
        || (held.kind == row.kind
            && held.storage == row.storage
            && held.scope == row.scope
            && held.custom.as_ref().map(Arc::as_ptr) == row.custom.as_ref().map(Arc::as_ptr)
            && fields(held) == fields(row))
}
