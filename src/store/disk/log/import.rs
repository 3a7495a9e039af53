//! The base that a store begins with when it is made from a snapshot: no file of its own comes before.

use std::io;
use std::time::Duration;

use super::file::Identity;
use super::frame::{self, Kind};
use super::{batch, recovery, unavailable};
use crate::store::disk::files::{DiskFile, Files};
use crate::store::{Event, EventKind, KeyValue, Result, Revision};

const PIECE: usize = 256 << 10;

/// A base that is being made from a snapshot.
#[derive(Debug)]
pub(in crate::store::disk) struct Import<'a> {
    files: &'a dyn Files,
    file: Box<dyn DiskFile>,
    identity: Identity,
    length: u64,
    floor: Revision,
    newest: Revision,
    /// What the floor sees, until it is written in the order of revisions.
    state: Vec<KeyValue>,
    batch: Vec<u8>,
    batches: u64,
    records: u64,
}

impl<'a> Import<'a> {
    /// Begins to write the base of a store that is not there yet.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] when it is, and when the disk fails.
    pub(in crate::store::disk) fn begin(files: &'a dyn Files, salt: u32) -> Result<Self> {
        let io = |source| unavailable("beginning a store from a snapshot", source);
        if files.names().map_err(io)?.iter().any(|name| Identity::parse(name).is_some()) {
            return Err(io(io::Error::new(io::ErrorKind::AlreadyExists, "there is a store already")));
        }
        let identity = Identity { base: true, number: 0, salt };
        let file = files.open(&temporary(identity), true).map_err(io)?;
        file.set_len(0).map_err(io)?;
        let header = identity.header();
        file.write_at(&header, 0).map_err(io)?;
        let mut import = Self {
            files,
            file,
            identity,
            length: header.len() as u64,
            floor: Revision(1),
            newest: Revision(1),
            state: Vec::new(),
            batch: Vec::new(),
            batches: 0,
            records: 0,
        };
        batch::begin(&mut import.batch);
        Ok(import)
    }

    /// From where to where the snapshot reaches.
    pub(in crate::store::disk) fn head(&mut self, floor: Revision, newest: Revision) {
        (self.floor, self.newest) = (floor, newest);
    }

    /// Leases.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] when the disk fails.
    pub(in crate::store::disk) fn leases(&mut self, leases: &[(i64, Duration)]) -> Result<()> {
        leases
            .iter()
            .try_for_each(|(id, ttl)| self.record(self.floor, Kind::Grant { id: *id, ttl: *ttl }, []))
    }

    /// Keys as the floor sees them.
    pub(in crate::store::disk) fn state(&mut self, keys: Vec<KeyValue>) {
        self.state.extend(keys);
    }

    /// What a revision did, the floor's first.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] when the disk fails.
    pub(in crate::store::disk) fn revision(&mut self, at: Revision, events: &[Event]) -> Result<()> {
        // The floor's own revision is not in the state twice; where it is not known, the state is
        // all that is left of it.
        let covered = at == self.floor && !events.is_empty();
        self.write_state(|kv| !(covered && kv.mod_revision == at))?;
        if events.is_empty() {
            return Ok(());
        }
        self.record(at, Kind::Commit, (0..).zip(events))
    }

    fn write_state(&mut self, kept: impl Fn(&KeyValue) -> bool) -> Result<()> {
        let mut state = std::mem::take(&mut self.state);
        state.retain(kept);
        state.sort_by_key(|kv| kv.mod_revision);
        let put = |kv| Event { kind: EventKind::Put, kv, previous: None };
        let events: Vec<_> = state.into_iter().map(put).collect();
        let same = |a: &Event, b: &Event| a.kv.mod_revision == b.kv.mod_revision;
        events
            .chunk_by(same)
            .try_for_each(|events| self.record(events[0].kv.mod_revision, Kind::Commit, (0..).zip(events)))
    }

    fn record<'e>(
        &mut self,
        revision: Revision,
        kind: Kind,
        events: impl IntoIterator<Item = (u32, &'e Event)>,
    ) -> Result<()> {
        frame::write(&mut self.batch, self.identity.salt, revision, kind, events);
        self.records += 1;
        if self.batch.len() >= PIECE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        batch::finish(&mut self.batch, self.identity.salt, self.batches);
        let written = self.file.write_at(&self.batch, self.length);
        written.map_err(|source| unavailable("writing a store from a snapshot", source))?;
        self.length += self.batch.len() as u64;
        self.batches += 1;
        batch::begin(&mut self.batch);
        Ok(())
    }

    /// Verifies what was written and makes it the store.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] when the disk fails, and [`crate::store::Error::Corrupt`] when it does so
    /// without saying it.
    pub(in crate::store::disk) fn finish(mut self) -> Result<()> {
        let io = |source| unavailable("making a store from a snapshot", source);
        self.write_state(|_| true)?;
        self.record(self.newest, Kind::Compact { floor: self.floor }, [])?;
        frame::write(
            &mut self.batch,
            self.identity.salt,
            self.newest,
            Kind::End { records: self.records, next: 0 },
            [],
        );
        self.write()?;
        self.file.sync().map_err(io)?;
        let name = temporary(self.identity);
        recovery::verify_base(self.files, &name, self.identity.number)?;
        self.files.rename(&name, &self.identity.name()).map_err(io)?;
        self.files.sync_directory().map_err(io)
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        // Nothing of this name is left of one that finished.
        let _ = self.files.remove(&temporary(self.identity));
    }
}

fn temporary(identity: Identity) -> String {
    format!("{}.new", identity.name())
}
