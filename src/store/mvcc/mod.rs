//! The heart of the stores in memory and on disk: every key with its versions, what each revision
//! did, who watches, and leases.
//!
//! # Staging and publishing
//!
//! A transaction is *staged*: decided, given the next revision, and applied, under the writers'
//! lock. Comparisons and what a transaction reads see everything that has been staged. Nobody else
//! does, until it is *published*: reads, watches and the revision itself go up to the published
//! revision only. The store in memory publishes at once; the one on disk when what is staged has
//! been synced, so that the next batch fills meanwhile. What is staged and cannot be made durable is
//! given up for good ([`Mvcc::stop`]); nobody has seen it.
//!
//! # Reading
//!
//! Reads of the newest state take no lock, but for one that counts more than it reads, which locks the
//! keys' chunks for two searches (see `census`); those of the past lock a version, or the log, for as long
//! as it takes to copy a pointer. One index finds a key's entry, the entry has its
//! versions newest first, and a reader passes over those that are newer than the revision it reads
//! (see `entry`, `index`). A writer makes a whole transaction's versions before it publishes its
//! revision, with one store that releases what the reader's load acquires; so a reader sees all of
//! a transaction or nothing. Compaction cuts versions off behind; a read of a range pins its
//! revision against that (see `pins`), a read of one key looks at the floor afterwards.
//!
//! # The past
//!
//! One floor governs past reads and new watches alike. The newest value of each key is in memory. A
//! store that has older values elsewhere says so by giving a [`Past`]; then a value leaves memory
//! when the one that takes its place is published, and events when there are too many.

mod census;
mod entry;
pub(in crate::store) mod expiry;
mod floor;
mod groups;
mod index;
mod leases;
mod log;
mod pins;
mod plan;
mod read;
mod record;
mod restore;
mod snapshot;
mod watcher;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::census::Census;
use self::index::Index;
use self::leases::LeaseTable;
use self::log::Log;
use self::pins::Pins;
use self::writer::Writer;
use super::{LeaseStatus, Result, Revision, StoreStatus};
use crate::env::Env;

#[allow(unused_imports, reason = "for the store on disk, which is behind a feature")]
pub(in crate::store) use self::record::{Change, Past, Record, Staged};
pub(in crate::store) use self::restore::{Restore, Restored};
pub(in crate::store) use self::snapshot::SnapshotSource;

/// How often a writer tries to get the lock before it sleeps, and how long it pauses in between.
const TRIES: usize = 32;
const PAUSES: usize = 8;

/// Keys, history, watchers and leases. See the [module](self).
pub(in crate::store) struct Mvcc {
    env: Env,
    index: Index,
    /// The newest revision that is visible.
    published: AtomicU64,
    /// The oldest revision that can be read or watched from.
    floor: AtomicU64,
    pins: Pins,
    /// How many keys there are; held for a count, or for a key that comes or goes.
    census: Mutex<Census>,
    log: Mutex<Log>,
    /// Taken before the log's lock and those of the groups.
    writer: Mutex<Writer>,
    past: Option<Arc<dyn Past>>,
    history: Option<HistoryLimit>,
    quota_bytes: Option<u64>,
    warm_bytes: u64,
    /// The next lease is over sooner than it was, or the store has gone.
    due_changed: Arc<Notify>,
    expiring: AtomicBool,
}

/// How an [`Mvcc`] keeps what it is given.
#[derive(Debug)]
pub(in crate::store) struct MvccOptions {
    /// The clock of leases, and where their numbers come from.
    pub(in crate::store) env: Env,
    /// How much history there may be; none for no bound.
    pub(in crate::store) history: Option<HistoryLimit>,
    /// How many bytes keys, values and history may take up in memory; none for no bound. A write
    /// that finds more raises the alarm.
    pub(in crate::store) quota_bytes: Option<u64>,
    /// Where old values and events are; none where all are in memory.
    pub(in crate::store) past: Option<Arc<dyn Past>>,
    /// With a past: how many bytes of events are kept in memory all the same.
    pub(in crate::store) warm_bytes: u64,
}

/// A bound on what all revisions from the floor on have written, in bytes of keys and values with
/// some more for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum HistoryLimit {
    /// What exceeds it is compacted.
    Compact(u64),
    /// While it is exceeded, puts are refused with [`super::Error::NoSpace`].
    NoSpace(u64),
}

impl MvccOptions {
    /// Everything in memory, without bounds.
    pub(in crate::store) fn new(env: Env) -> Self {
        Self { env, history: None, quota_bytes: None, past: None, warm_bytes: 64 << 20 }
    }
}

impl fmt::Debug for Mvcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mvcc").field("revision", &self.published()).field("floor", &self.floor()).finish()
    }
}

impl Mvcc {
    /// Whether a history that is full stays so until somebody compacts it.
    pub(in crate::store) fn waits_for_compaction(&self) -> bool {
        matches!(self.history, Some(HistoryLimit::NoSpace(_)))
    }

    /// An empty store at revision 1.
    pub(in crate::store) fn new(options: MvccOptions) -> Self {
        Self::starting(options, Revision(1))
    }

    fn starting(options: MvccOptions, at: Revision) -> Self {
        let MvccOptions { env, history, quota_bytes, past, warm_bytes } = options;
        let leases = LeaseTable::new(env.random.stream("store/leases"));
        Self {
            env,
            index: Index::default(),
            published: AtomicU64::new(at.0),
            floor: AtomicU64::new(at.0),
            pins: Pins::default(),
            census: Mutex::default(),
            log: Mutex::new(Log::new(at)),
            writer: Mutex::new(Writer::new(at, at, leases)),
            past,
            history,
            quota_bytes,
            warm_bytes,
            due_changed: Arc::new(Notify::new()),
            expiring: AtomicBool::new(false),
        }
    }

    /// The newest revision that is visible.
    pub(in crate::store) fn published(&self) -> Revision {
        Revision(self.published.load(Ordering::Acquire))
    }

    /// Lets readers see everything up to a revision: its versions are in their entries.
    fn set_published(&self, revision: Revision) {
        self.published.store(revision.0, Ordering::Release);
    }

    /// The oldest revision that can be read or watched from.
    pub(in crate::store) fn floor(&self) -> Revision {
        Revision(self.floor.load(Ordering::SeqCst))
    }

    /// Before anything is cut: who misses it then sees the new floor.
    fn set_floor(&self, floor: Revision) {
        self.floor.store(floor.0, Ordering::SeqCst);
    }

    /// Waits for the writers' lock. It is held for about a microsecond, less than it takes to put a
    /// thread to sleep and to wake it.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        for _ in 0..TRIES {
            match self.writer.try_lock() {
                Ok(writer) => return writer,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => (0..PAUSES).for_each(|_| std::hint::spin_loop()),
            }
        }
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, by the clock of leases.
    pub(in crate::store) fn now(&self) -> Instant {
        self.env.clock.instant()
    }

    /// How the store stands, as far as memory goes.
    pub(in crate::store) fn status(&self) -> StoreStatus {
        let writer = self.writer();
        let log_bytes = self.log().warm_bytes;
        StoreStatus {
            revision: self.published(),
            floor: self.floor(),
            size_bytes: writer.used_bytes + log_bytes,
            in_use_bytes: writer.used_bytes + log_bytes,
            quota_bytes: self.quota_bytes,
            no_space: writer.no_space,
        }
    }

    /// Raises the alarm: puts and grants are refused until [`Mvcc::disarm`].
    pub(in crate::store) fn arm(&self) {
        self.writer().no_space = true;
    }

    /// Takes the alarm back.
    pub(in crate::store) fn disarm(&self) {
        self.writer().no_space = false;
    }

    /// Begins a lease's time anew.
    pub(in crate::store) fn keep_alive(&self, id: i64) -> Result<Duration> {
        self.writer().leases.keep_alive(id, self.env.clock.instant())
    }

    /// How a lease stands.
    pub(in crate::store) fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus> {
        self.writer().leases.status(id, keys, self.env.clock.instant())
    }

    /// The store that sees to leases has gone, though somebody may still watch.
    pub(in crate::store) fn end_expiry(&self) {
        self.due_changed.notify_one();
    }

    /// All leases, with their times to live.
    pub(in crate::store) fn leases(&self) -> Vec<(i64, Duration)> {
        self.writer().leases.all()
    }
}

impl Drop for Mvcc {
    fn drop(&mut self) {
        self.end_expiry();
    }
}
