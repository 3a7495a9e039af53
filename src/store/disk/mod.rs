//! The store on disk: one directory, no server.
//!
//! Above is memory: an `mvcc` with every key's newest value, the index of older ones, the newest
//! events, watches and leases. Below is a log of our own (`log`), from which memory is made again
//! when the store is opened, and which holds what memory has let go. Between them is group commit
//! (`core`): what is queued while one batch is being synced makes the next.
//!
//! # Why a log
//!
//! The other candidate was redb, keyed by revision as etcd keys bbolt. `cargo bench --bench store --
//! engine` measures both; on two cores that were busy besides it took 16 microseconds of processor for a put of
//! 1 KB in batches of 64, and 8 in batches of 1,000, where a preallocated log takes 3.5 and 2.1. Five
//! times etcd with 64 writers is 60,000 puts a second, 17 microseconds each for all that is to be
//! done, so the engine alone would have used it up. Two more things spoke for the log. Its batches are
//! whole or not there, and every byte of them is under a checksum that is looked at when it is
//! read, where a page store trusts its inner pages between two repairs. And what it needs, appending,
//! is small.
//!
//! # What is promised
//!
//! What was answered survives a crash of the process and of the machine, whatever the disk does
//! with writes that were not synced. What a crash cuts off was never answered, and goes as a whole.
//! What is damaged is named, by file and offset, and never served. A store whose disk has failed to
//! write or sync stops: it answers [`Error::Stopped`] to all that waits and to every later write, while reads and
//! watches stay at what is durable.
//!
//! # Blocking
//!
//! Commits wait for the thread that flushes, without blocking theirs. Reads of values and events that
//! memory has let go read the disk in the caller's own poll, as do pieces of a snapshot.

mod core;
pub mod directory;
pub mod files;
mod log;
mod options;
mod past;
mod snapshot;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::core::{Core, Durable};
use self::log::Log;
use self::past::LogPast;
use super::mvcc::expiry::{self, Expire};
use super::mvcc::{Mvcc, MvccOptions, Restore, Restored, Staged};
use super::{
    Committed, Error, EventKind, Granted, KeyRange, KeyValue, LeaseStatus, Leases, ListOptions, Maintenance,
    ObjectStore, Op, Page, Result, Revision, SnapshotStream, StoreStatus, Txn, WatchOptions, WatchStream,
};
use crate::env::{Env, HashMap};

pub use directory::Directory;
pub use files::{DiskFile, DiskLock, Files};
pub use options::{DiskOptions, Syncing};

/// The store on disk. Clones are the same store; the last one that is dropped closes it, and blocks for as
/// long as a sync takes.
#[derive(Clone, Debug)]
pub struct DiskStore(Arc<Handle>);

/// What its users hold.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    /// There are leases from before, and nobody sees to their end yet.
    leased: AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.core.close() {
            tracing::debug!(%error, "the store had stopped before it was closed");
        }
    }
}

impl DiskStore {
    /// Opens the store of a directory, made where there is none, on the machine's clock. Blocks
    /// while it reads the whole store.
    ///
    /// # Errors
    ///
    /// As [`DiskStore::open_on`].
    pub fn open(path: impl AsRef<Path>, options: DiskOptions) -> Result<Self> {
        let directory = Directory::new(path)
            .map_err(|source| log::unavailable("opening the store's directory", source))?;
        Self::open_on(Arc::new(directory), &Env::system(), options)
    }

    /// Opens the store that these files hold, or makes an empty one where there are none. Leases
    /// follow the clock of `env`. Blocks while it reads the whole store.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when something that was durable is damaged: its text names file, offset
    /// and what is wrong; [`Error::Unavailable`] when another store holds the directory, or the
    /// disk fails.
    pub fn open_on(files: Arc<dyn Files>, env: &Env, options: DiskOptions) -> Result<Self> {
        let lock = files.lock().map_err(|source| log::unavailable("locking the store", source))?;
        let mut durable = Durable::default();
        let random = env.random.stream("store/disk");
        let log = Log::open(files.clone(), random, options.segment_bytes, &mut |head| durable.apply(head))?;
        let past = Arc::new(LogPast::new(log.archive().clone(), durable.floor));
        let mvcc = restore(&log, &durable, &past, env, options)?;
        if durable.alarm {
            mvcc.arm();
        }
        let leased = AtomicBool::new(!durable.leases.is_empty());
        let core = Core::new(files, lock, options, log, durable, past, mvcc);
        let store = Self(Arc::new(Handle { core: Arc::new(core), leased }));
        store.core().start()?;
        Ok(store)
    }

    /// Closes the store: what was begun is made durable, and the directory can be opened again once
    /// this answers. Every later write fails with [`Error::Stopped`]. Dropping the last clone does
    /// the same. Blocks for as long as a sync takes.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when the store had stopped before, or stops now because the disk failed.
    #[allow(clippy::unused_async, reason = "it waits, and need not always do so by blocking")]
    pub async fn close(&self) -> Result<()> {
        self.core().close()
    }

    fn core(&self) -> &Arc<Core> {
        // Leases from before are ended as soon as somebody uses the store, for that takes a task.
        if self.0.leased.load(Ordering::Relaxed)
            && tokio::runtime::Handle::try_current().is_ok()
            && self.0.leased.swap(false, Ordering::Relaxed)
        {
            expiry::start(&self.0.core);
        }
        &self.0.core
    }

    fn mvcc(&self) -> &Arc<Mvcc> {
        &self.core().mvcc
    }
}

/// Memory, made again from the log.
fn restore(
    log: &Log,
    durable: &Durable,
    past: &Arc<LogPast>,
    env: &Env,
    options: DiskOptions,
) -> Result<Arc<Mvcc>> {
    let mut restore = Restore::new(
        MvccOptions {
            past: Some(past.clone()),
            warm_bytes: options.history_bytes as u64,
            ..MvccOptions::new(env.clone())
        },
        durable.floor,
    );
    for (id, ttl) in &durable.leases {
        restore.lease(*id, *ttl);
    }
    // What the floor sees, known once the records up to it have been read.
    let mut seen: Option<HashMap<Bytes, (KeyValue, u32)>> = Some(HashMap::default());
    let tell = |restore: &mut Restore, seen: HashMap<Bytes, (KeyValue, u32)>| {
        for (kv, index) in seen.into_values() {
            restore.at_floor(kv, index);
        }
    };
    // A store begins at a revision that did nothing, and so may one that was made from a snapshot.
    let mut floor_known = false;
    log.archive().replay(&mut |frame| {
        floor_known |= frame.revision == durable.floor;
        if let Some(seen) = &mut seen
            && frame.revision <= durable.floor
        {
            for (index, event) in frame.events {
                match event.kind {
                    EventKind::Put => drop(seen.insert(event.kv.key.clone(), (event.kv, index))),
                    EventKind::Delete => drop(seen.remove(&event.kv.key)),
                }
            }
            return;
        }
        if let Some(seen) = seen.take() {
            tell(&mut restore, seen);
        }
        let versions = frame.events.into_iter();
        let versions = versions.map(|(index, event)| Restored { kv: event.kv, kind: event.kind, index });
        restore.batch(frame.revision, versions.collect());
    })?;
    if !floor_known {
        past.without(durable.floor);
    }
    if let Some(seen) = seen {
        tell(&mut restore, seen);
    }
    Ok(Arc::new(restore.finish(durable.revision)))
}

impl Core {
    /// Answers once what was staged is durable.
    async fn durable<A>(&self, staged: Result<Staged<core::Waiting, A>>) -> Result<A> {
        match staged {
            Ok(Staged { answer, recorded: Some(waiting), .. }) => {
                self.wait(waiting).await?;
                Ok(answer)
            }
            Ok(Staged { answer, sequence, .. }) => {
                self.reached(sequence).await?;
                Ok(answer)
            }
            Err(error @ (Error::EmptyKey | Error::DuplicateKey { .. } | Error::Stopped { .. })) => Err(error),
            Err(error) => {
                // It may know of something that is not durable yet.
                self.reached(self.mvcc.staged()).await?;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
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
        let core = self.core();
        if let Some(quota) = core.options.quota_bytes
            && txn.may_put()
            && core.used() + bytes_of(&txn) > quota
        {
            if !core.mvcc.status().no_space {
                core.alarm(true).await?;
            }
            return Err(Error::NoSpace);
        }
        let staged = core.mvcc.stage(txn, |record| core.queue(record));
        core.durable(staged).await
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.mvcc().watch(range, options)
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.mvcc().request_progress(&range);
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        let core = self.core();
        let staged = core.mvcc.stage_compact(revision, |record| core.queue(record));
        core.durable(staged).await?;
        core.mvcc.tidy();
        core.compacted();
        Ok(())
    }

    fn wants_compaction(&self) -> bool {
        true
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

/// How many bytes a transaction may add, about.
fn bytes_of(txn: &Txn) -> u64 {
    let of = |op: &Op| match op {
        Op::Put { key, value, .. } => (key.len() + value.as_ref().map_or(0, Bytes::len)) as u64,
        Op::Txn(txn) => bytes_of(txn),
        Op::Range(..) | Op::Delete { .. } => 0,
    };
    txn.then.iter().chain(&txn.or_else).map(of).sum()
}

#[async_trait]
impl Leases for DiskStore {
    async fn grant(&self, id: i64, ttl: Duration) -> Result<Granted> {
        let core = self.core();
        let staged = core.mvcc.stage_grant(id, ttl, |record| core.queue(record));
        let granted = core.durable(staged).await?;
        expiry::start(core);
        Ok(granted)
    }

    async fn keep_alive(&self, id: i64) -> Result<Duration> {
        self.mvcc().keep_alive(id)
    }

    async fn revoke(&self, id: i64) -> Result<Revision> {
        let core = self.core();
        let staged = core.mvcc.stage_revoke(id, None, |record| core.queue(record));
        core.durable(staged).await
    }

    async fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus> {
        self.mvcc().time_to_live(id, keys)
    }

    async fn leases(&self) -> Result<Vec<i64>> {
        Ok(self.mvcc().leases().into_iter().map(|(id, _)| id).collect())
    }
}

#[async_trait]
impl Expire for Core {
    fn mvcc(&self) -> &Mvcc {
        &self.mvcc
    }

    async fn expire(&self, id: i64) -> Result<()> {
        let now = self.mvcc.now();
        let staged = self.mvcc.stage_revoke(id, Some(now), |record| self.queue(record));
        match self.durable(staged).await {
            // It was kept alive or revoked meanwhile.
            Ok(_) | Err(Error::LeaseNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Maintenance for DiskStore {
    async fn status(&self) -> Result<StoreStatus> {
        let core = self.core();
        let in_memory = core.mvcc.status();
        let size_bytes = core.used();
        Ok(StoreStatus {
            size_bytes,
            in_use_bytes: in_memory.in_use_bytes.min(size_bytes),
            quota_bytes: core.options.quota_bytes,
            ..in_memory
        })
    }

    async fn snapshot(&self) -> Result<SnapshotStream> {
        Ok(super::snapshot::take(self.mvcc()))
    }

    async fn defragment(&self) -> Result<()> {
        self.core().defragment().await
    }

    async fn disarm(&self) -> Result<()> {
        self.core().alarm(false).await
    }
}
