//! What a copy of the past needs to know of the floor.
#![cfg_attr(not(feature = "disk"), allow(dead_code, reason = "for the store on disk"))]

use super::Mvcc;
use crate::store::Revision;

impl Mvcc {
    /// The oldest revision that anybody may still be reading: the floor, or one below that is pinned.
    pub(in crate::store) fn safe_floor(&self) -> Revision {
        let floor = self.floor();
        self.pins.oldest().map_or(floor, |pinned| pinned.min(floor))
    }

    /// Which revision wrote what the key holds at `revision`, if it is there then and still known.
    pub(in crate::store) fn version_at(&self, key: &[u8], revision: Revision) -> Option<Revision> {
        self.index.with(key, |entry| entry.written_at(revision)).flatten()
    }
}
