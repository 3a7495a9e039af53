//! The store in memory.
//!
//! Every key keeps its versions, and a log keeps what each revision did; both reach down to one
//! floor, which governs past reads and new watches alike. A commit happens inline, in the caller's
//! own poll, under a lock that is never held across an await; readers share it. Watchers are
//! positions in the log (see `watcher`), so a writer never waits for one and a slow one costs
//! nobody but itself.
//!
//! History is kept within a budget of bytes: what exceeds it is compacted by the commit that
//! exceeds it, oldest first.

mod chain;
mod groups;
#[cfg(test)]
mod model;
mod state;
mod watcher;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use self::state::State;
use self::watcher::Watcher;
use super::{
    Committed, Error, KeyRange, KeyValue, ListOptions, ObjectStore, Page, Result, Revision, Txn,
    WatchOptions, WatchStream,
};

/// The store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

/// How a [`MemoryStore`] keeps its history.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// How many bytes of keys and values the log may hold before the oldest revisions are
    /// compacted; none for no bound. 64 MiB by default.
    pub history_bytes: Option<usize>,
}

#[derive(Debug)]
struct Shared {
    options: MemoryOptions,
    state: RwLock<State>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { history_bytes: Some(64 << 20) }
    }
}

impl MemoryOptions {
    /// These options with another bound on history; none for no bound.
    #[must_use]
    pub fn history_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.history_bytes = bytes.into();
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store at revision 1, with the default history.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// An empty store at revision 1.
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        Self(Arc::new(Shared { options, state: RwLock::new(State::new()) }))
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn revision(&self) -> Result<Revision> {
        Ok(self.0.read().newest())
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.0.read().get(key)
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.0.read().list(&range, options)
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let (committed, wakers) = self.0.write().commit(txn, self.0.options.history_bytes)?;
        for waker in wakers {
            waker.wake();
        }
        Ok(committed)
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        if range.as_single().is_some_and(|key| key.is_empty()) {
            return Err(Error::EmptyKey);
        }
        let mut state = self.0.write();
        let now = state.newest().next();
        let from = options.from.filter(|from| *from != Revision::NONE).unwrap_or(now);
        if from < state.floor() {
            return Err(Error::Compacted { oldest: state.floor() });
        }
        let group = state.groups.join(range, now);
        let id = state.groups.id();
        // What is told is what the caller knows already: all before `from`.
        let told = Revision(from.0 - 1);
        Ok(Box::pin(Watcher::new(self.0.clone(), group, id, from, told, options.previous)))
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        let state = self.0.read();
        let Some(group) = state.groups.find(&range) else { return Ok(()) };
        let waiting = {
            let mut posted = group.posted();
            posted.progress = state.newest();
            std::mem::take(&mut posted.waiting)
        };
        drop(state);
        for waker in waiting.into_values() {
            waker.wake();
        }
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.0.write().compact(revision)
    }
}
