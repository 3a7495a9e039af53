//! What a snapshot reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Mvcc;
use crate::store::{Event, KeyValue, Result, Revision};

/// The store at one moment. What it needs is kept until it is dropped; writers do not wait for it.
#[derive(Debug)]
pub(in crate::store) struct SnapshotSource {
    mvcc: Arc<Mvcc>,
    floor: Revision,
    revision: Revision,
    leases: Vec<(i64, Duration)>,
    slot: Option<usize>,
    /// The next key to read.
    start: Bytes,
}

impl Mvcc {
    /// The store as it is now.
    pub(in crate::store) fn snapshot(self: &Arc<Self>) -> SnapshotSource {
        // No writer raises the floor meanwhile, or publishes.
        let writer = self.writer();
        let (floor, revision) = (self.floor(), self.published());
        SnapshotSource {
            mvcc: self.clone(),
            floor,
            revision,
            leases: writer.leases.all(),
            slot: self.pins.hold(floor),
            start: Bytes::new(),
        }
    }
}

impl SnapshotSource {
    pub(in crate::store) fn floor(&self) -> Revision {
        self.floor
    }

    pub(in crate::store) fn revision(&self) -> Revision {
        self.revision
    }

    pub(in crate::store) fn leases(&self) -> &[(i64, Duration)] {
        &self.leases
    }

    /// The next keys that the floor sees, at most so many; none when there are no more.
    pub(in crate::store) fn next_keys(&mut self, limit: usize) -> Result<Vec<KeyValue>> {
        let keys = self.mvcc.keys_from(&self.start, self.floor, limit)?;
        if let Some(last) = keys.last() {
            self.start = Bytes::from([&last.key[..], &[0]].concat());
        }
        Ok(keys)
    }

    /// What a revision did, from the floor up to the newest.
    pub(in crate::store) fn events(&self, revision: Revision) -> Result<Arc<[Event]>> {
        self.mvcc.events(revision)
    }
}

impl Drop for SnapshotSource {
    fn drop(&mut self) {
        self.mvcc.pins.release(self.floor, self.slot);
    }
}
