//! Bugs that somebody planted around an honest store. A harness that passes one over proves nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use windlass::store::disk::{DiskFile, DiskLock, Files};
use windlass::store::{
    Committed, Error, KeyRange, KeyValue, Leases, ListOptions, Maintenance, ObjectStore, Page, Result,
    Revision, Txn, WatchBatch, WatchOptions, WatchStream,
};

use super::runner::Subject;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Commits are acknowledged before they are synced: no sync happens once the log has begun.
    AcknowledgeBeforeSync,
    /// The directory is never synced.
    NoDirectorySync,
    /// A write never reaches the file, one of every 24.
    SkipWrite,
    /// Recovery passes over a record: of what was there when the store was opened, one revision in 7 is not
    /// shown.
    SkipRecord,
    /// A watch tells one revision in 5 twice.
    EventTwice,
    /// After a compaction, watches miss the oldest revision that is kept.
    EventLostAtCompaction,
    /// One bit of what is read at a past revision is wrong.
    FlippedByte,
}

/// Every bug, by what its test is called.
pub(super) const BUGS: [(&str, Subject); 7] = [
    (
        "acknowledge before fsync",
        Subject { files: |files| Broken::files(Bug::AcknowledgeBeforeSync, files), ..Subject::HONEST },
    ),
    (
        "no fsync of the directory",
        Subject { files: |files| Broken::files(Bug::NoDirectorySync, files), ..Subject::HONEST },
    ),
    ("skip a write", Subject { files: |files| Broken::files(Bug::SkipWrite, files), ..Subject::HONEST }),
    ("skip a record", Subject { store: |store| Broken::store(Bug::SkipRecord, store), ..Subject::HONEST }),
    (
        "deliver a watch event twice",
        Subject { store: |store| Broken::store(Bug::EventTwice, store), ..Subject::HONEST },
    ),
    (
        "lose a watch event at compaction",
        Subject { store: |store| Broken::store(Bug::EventLostAtCompaction, store), ..Subject::HONEST },
    ),
    (
        "serve a flipped byte",
        Subject { store: |store| Broken::store(Bug::FlippedByte, store), ..Subject::HONEST },
    ),
];

/// Something honest with a bug around it.
#[derive(Debug)]
struct Broken<T> {
    bug: Bug,
    inner: T,
    /// Writes or syncs so far, of all files.
    calls: Arc<AtomicU64>,
    /// The revision at which the store was opened.
    opened: Revision,
}

impl<T> Broken<T> {
    fn new(bug: Bug, inner: T) -> Self {
        Self { bug, inner, calls: Arc::default(), opened: Revision(0) }
    }
}

impl Broken<()> {
    fn files(bug: Bug, files: Arc<dyn Files>) -> Arc<dyn Files> {
        Arc::new(Broken::new(bug, files))
    }

    fn store(bug: Bug, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let opened = store.revision().now_or_never().and_then(Result::ok).unwrap_or_default();
        Arc::new(Broken { opened, ..Broken::new(bug, store) })
    }
}

impl Files for Broken<Arc<dyn Files>> {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let file = self.inner.open(name, create)?;
        Ok(Box::new(Broken { calls: self.calls.clone(), ..Broken::new(self.bug, file) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }

    fn sync_directory(&self) -> io::Result<()> {
        if self.bug == Bug::NoDirectorySync { Ok(()) } else { self.inner.sync_directory() }
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        self.inner.lock()
    }
}

impl DiskFile for Broken<Box<dyn DiskFile>> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        if self.bug == Bug::SkipWrite && self.calls.fetch_add(1, Ordering::Relaxed) % 24 == 23 {
            return Ok(());
        }
        self.inner.write_at(data, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.inner.preallocate(length)
    }

    fn sync(&self) -> io::Result<()> {
        if self.bug == Bug::AcknowledgeBeforeSync && self.calls.fetch_add(1, Ordering::Relaxed) >= 3 {
            return Ok(());
        }
        self.inner.sync()
    }
}

impl Broken<Arc<dyn ObjectStore>> {
    fn shows(&self, kv: &KeyValue) -> bool {
        self.bug != Bug::SkipRecord || kv.mod_revision > self.opened || !kv.mod_revision.0.is_multiple_of(7)
    }
}

#[async_trait]
impl ObjectStore for Broken<Arc<dyn ObjectStore>> {
    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        Ok(self.inner.get(key).await?.filter(|kv| self.shows(kv)))
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        let mut page = self.inner.list(range, options).await?;
        page.items.retain(|kv| self.shows(kv));
        if self.bug == Bug::FlippedByte
            && options.at.is_some()
            && let Some(kv) = page.items.iter_mut().find(|kv| !kv.value.is_empty())
        {
            let mut value = kv.value.to_vec();
            value[0] ^= 4;
            kv.value = Bytes::from(value);
        }
        Ok(page)
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        self.inner.commit(txn).await
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        let stream = self.inner.watch(range, options).await?;
        let floor = match (self.bug, self.inner.maintenance()) {
            (Bug::EventLostAtCompaction, Some(maintenance)) => maintenance.status().await?.floor,
            _ => Revision(0),
        };
        let (bug, compacted) = (self.bug, floor > Revision(1));
        let told = stream.flat_map(move |item: Result<WatchBatch, Error>| {
            let told = match (bug, item) {
                (Bug::EventTwice, Ok(batch)) if batch.revision.0.is_multiple_of(5) => {
                    vec![Ok(batch.clone()), Ok(batch)]
                }
                (Bug::EventLostAtCompaction, Ok(batch)) if compacted && batch.revision == floor => vec![],
                (_, item) => vec![item],
            };
            futures_util::stream::iter(told)
        });
        Ok(told.boxed())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.inner.leases()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.inner.maintenance()
    }
}
