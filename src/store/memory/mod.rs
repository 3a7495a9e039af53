//! The store in memory.
//!
//! All of it is an `mvcc` that publishes what it stages at once: a commit happens inline, in the
//! caller's own poll, and readers never wait for it. History is kept within a budget of bytes: what
//! exceeds it is compacted by the commit that exceeds it, oldest first, or the store answers that it
//! has no space until somebody compacts, as the options say.

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::mvcc::expiry::{self, Expire};
use super::mvcc::{HistoryLimit, Mvcc, MvccOptions};
use super::{
    Committed, Error, Granted, KeyRange, KeyValue, LeaseStatus, Leases, ListOptions, Maintenance,
    ObjectStore, Page, Result, Revision, SnapshotStream, StoreStatus, Txn, WatchOptions, WatchStream,
    snapshot,
};
use crate::env::Env;

/// The store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

/// How a [`MemoryStore`] keeps what it is given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// How many bytes of keys and values the history may hold; none for no bound. 64 MiB by default.
    pub history_bytes: Option<usize>,
    /// What happens when it would hold more.
    pub history_full: HistoryFull,
    /// How many bytes keys, values and history may take up before a write raises the alarm (see
    /// [`super::Maintenance`]); none, the default, for no bound.
    pub quota_bytes: Option<u64>,
    /// The clock of leases, and where their numbers come from; the machine's own by default.
    pub env: Option<Env>,
}

/// What happens when there is more history than there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryFull {
    /// The oldest revisions are compacted.
    #[default]
    Compact,
    /// Commits that may put are refused with [`Error::NoSpace`], until somebody compacts.
    NoSpace,
}

#[derive(Debug)]
struct Shared(Arc<Mvcc>);

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            history_bytes: Some(64 << 20),
            history_full: HistoryFull::Compact,
            quota_bytes: None,
            env: None,
        }
    }
}

impl MemoryOptions {
    /// These options with another bound on history; none for no bound.
    #[must_use]
    pub fn history_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.history_bytes = bytes.into();
        self
    }

    /// These options with another end of too much history.
    #[must_use]
    pub fn history_full(mut self, full: HistoryFull) -> Self {
        self.history_full = full;
        self
    }

    /// These options with another quota; none for no bound.
    #[must_use]
    pub fn quota_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.quota_bytes = bytes.into();
        self
    }

    /// These options with the clock, chance and tasks of `env`.
    #[must_use]
    pub fn env(mut self, env: &Env) -> Self {
        self.env = Some(env.clone());
        self
    }

    fn mvcc(self) -> MvccOptions {
        let limit = self.history_bytes.map(|bytes| bytes as u64);
        let limit = limit.map(match self.history_full {
            HistoryFull::Compact => HistoryLimit::Compact,
            HistoryFull::NoSpace => HistoryLimit::NoSpace,
        });
        MvccOptions {
            history: limit,
            quota_bytes: self.quota_bytes,
            ..MvccOptions::new(self.env.unwrap_or_else(Env::system))
        }
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
        Self(Arc::new(Shared(Arc::new(Mvcc::new(options.mvcc())))))
    }

    /// The store that a snapshot was taken of, of this kind or on disk, with other options. Its
    /// leases have their whole time before them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, when it has leases.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the snapshot is damaged or cut off, and the stream's own.
    pub async fn restore(options: MemoryOptions, snapshot: SnapshotStream) -> Result<Self> {
        let mvcc = snapshot::restore(options.mvcc(), snapshot).await?;
        let leased = !mvcc.leases().is_empty();
        let store = Self(Arc::new(Shared(Arc::new(mvcc))));
        if leased {
            expiry::start(&store.0);
        }
        Ok(store)
    }

    fn mvcc(&self) -> &Arc<Mvcc> {
        &self.0.0
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn revision(&self) -> Result<Revision> {
        Ok(self.mvcc().published())
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.mvcc().get(key)
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.mvcc().list(&range, options)
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        self.mvcc().commit(txn)
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.mvcc().watch(range, options)
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.mvcc().request_progress(&range);
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        let staged = self.mvcc().stage_compact(revision, |_| ())?;
        self.mvcc().publish(staged.sequence);
        self.mvcc().tidy();
        Ok(())
    }

    /// With [`HistoryFull::NoSpace`] only.
    fn wants_compaction(&self) -> bool {
        self.mvcc().waits_for_compaction()
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

#[async_trait]
impl Maintenance for MemoryStore {
    async fn status(&self) -> Result<StoreStatus> {
        Ok(self.mvcc().status())
    }

    async fn snapshot(&self) -> Result<SnapshotStream> {
        Ok(snapshot::take(self.mvcc()))
    }

    /// Frees what compaction left to reads that were under way; memory needs no other.
    async fn defragment(&self) -> Result<()> {
        self.mvcc().tidy();
        Ok(())
    }

    async fn disarm(&self) -> Result<()> {
        self.mvcc().disarm();
        Ok(())
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn grant(&self, id: i64, ttl: Duration) -> Result<Granted> {
        let staged = self.mvcc().stage_grant(id, ttl, |_| ())?;
        self.mvcc().publish(staged.sequence);
        expiry::start(&self.0);
        Ok(staged.answer)
    }

    async fn keep_alive(&self, id: i64) -> Result<Duration> {
        self.mvcc().keep_alive(id)
    }

    async fn revoke(&self, id: i64) -> Result<Revision> {
        let staged = self.mvcc().stage_revoke(id, None, |_| ())?;
        self.mvcc().publish(staged.sequence);
        Ok(staged.answer)
    }

    async fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus> {
        self.mvcc().time_to_live(id, keys)
    }

    async fn leases(&self) -> Result<Vec<i64>> {
        Ok(self.mvcc().leases().into_iter().map(|(id, _)| id).collect())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.end_expiry();
    }
}

#[async_trait]
impl Expire for Shared {
    fn mvcc(&self) -> &Mvcc {
        &self.0
    }

    async fn expire(&self, id: i64) -> Result<()> {
        let now = self.0.now();
        match self.0.stage_revoke(id, Some(now), |_| ()) {
            Ok(staged) => self.0.publish(staged.sequence),
            // It was kept alive or revoked meanwhile.
            Err(Error::LeaseNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
