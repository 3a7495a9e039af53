//! What is no longer in memory, read from the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::log::Archive;
use crate::store::mvcc::Past;
use crate::store::{Error, Event, Result, Revision};

/// The log as the past of the store.
#[derive(Debug)]
pub(super) struct LogPast {
    archive: Arc<Archive>,
    /// What is below has been dropped from the log.
    floor: AtomicU64,
    /// This revision did nothing that is known.
    without: AtomicU64,
}

impl LogPast {
    pub(super) fn new(archive: Arc<Archive>, floor: Revision) -> Self {
        Self { archive, floor: AtomicU64::new(floor.0), without: AtomicU64::new(0) }
    }

    /// Says that there is no record of a revision, and need be none.
    pub(super) fn without(&self, revision: Revision) {
        self.without.store(revision.0, Ordering::SeqCst);
    }

    /// Says that what is below has been, or is about to be, dropped from the log.
    pub(super) fn dropped_below(&self, floor: Revision) {
        self.floor.fetch_max(floor.0, Ordering::SeqCst);
    }

    /// Of a reader that was overtaken by compaction nothing is missing.
    fn or_compacted<T>(&self, revision: Revision, error: Error) -> Result<T> {
        let oldest = Revision(self.floor.load(Ordering::SeqCst));
        if revision < oldest && matches!(error, Error::Corrupt { .. }) {
            return Err(Error::Compacted { oldest });
        }
        Err(error)
    }
}

impl Past for LogPast {
    fn value(&self, revision: Revision, index: usize) -> Result<Bytes> {
        // The floor may see a version that is older than itself: what is missing here is damage.
        let frame = self.archive.record(revision)?;
        let found = frame.events.into_iter().find(|(place, _)| *place as usize == index);
        found.map(|(_, event)| event.kv.value).ok_or_else(|| Error::Corrupt {
            what: format!("event {index} of revision {revision} is missing").into(),
        })
    }

    fn events(&self, revision: Revision) -> Result<Vec<Event>> {
        if revision.0 == self.without.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        match self.archive.record(revision) {
            Ok(frame) => Ok(frame.events.into_iter().map(|(_, event)| event).collect()),
            Err(error) => self.or_compacted(revision, error),
        }
    }
}
