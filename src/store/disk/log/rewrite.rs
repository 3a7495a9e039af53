//! What is still needed of the log, written anew.
//!
//! Compaction forgets what is below its floor; the log forgets it when it is rewritten: every record
//! from the floor on is copied as it is, of those below only puts that the floor sees, and of leases
//! those that there are. The copy, a base, has the form of a file of the log, says itself where it ends,
//! and takes the place of all files it was made from with one rename.
//!
//! What is copied is verified first, so damage never gets a new checksum.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{self, Found, HEADER, Reader, SECTOR};
use super::file::{Identity, Known, LogFile};
use super::frame::{self, Kind};
use super::{Log, corrupt, unavailable};
use crate::store::disk::files::{DiskFile, Files};
use crate::store::{EventKind, Result, Revision};

/// How long batches of a base are, about.
const PIECE: usize = 256 << 10;
/// How much is written between syncs, so that none of them takes long.
const UNSYNCED: u64 = 8 << 20;

/// What is needed of the log at one moment, to be written piece by piece.
#[derive(Debug)]
pub(in crate::store::disk) struct Rewrite {
    sources: Vec<(Arc<LogFile>, u64)>,
    /// The number of the last file.
    last: u64,
    /// The number of the batch that the log goes on with.
    next: u64,
    state: State,
    identity: Identity,
    /// Which source is read, and where.
    source: usize,
    offset: u64,
    batches: u64,
    records: u64,
    step: Step,
}

/// What there is beside keys.
#[derive(Clone, Debug)]
pub(in crate::store::disk) struct State {
    pub(in crate::store::disk) revision: Revision,
    pub(in crate::store::disk) floor: Revision,
    pub(in crate::store::disk) leases: Vec<(i64, Duration)>,
    pub(in crate::store::disk) alarm: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Header,
    State,
    Records,
    End,
    Done,
}

impl Rewrite {
    /// All that is durable in `log` now, in files that are no longer written.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub(in crate::store::disk) fn sealed(log: &mut Log, state: State) -> io::Result<Self> {
        let files = log.archive.files();
        let last = log.seal()?;
        let ends = |file: Arc<LogFile>| {
            let end = file.known().end;
            (file, end)
        };
        Ok(Self {
            sources: files.into_iter().map(ends).collect(),
            last,
            next: log.next,
            state,
            identity: Identity { base: true, number: last, salt: log.random.next_u64() as u32 },
            source: 0,
            offset: SECTOR,
            batches: 0,
            records: 0,
            step: Step::Header,
        })
    }

    /// The next piece of the copy; an empty one when it is complete. `sees` answers whether a put of this key at this
    /// revision is what the floor sees of it.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Corrupt`] where what is to be copied is damaged, [`crate::store::Error::Unavailable`] where the disk
    /// fails.
    fn piece(&mut self, sees: &dyn Fn(&[u8], Revision) -> bool, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        if self.step == Step::Header {
            *out = self.identity.header();
            self.step = Step::State;
            return Ok(());
        }
        if self.step == Step::Done {
            return Ok(());
        }
        batch::begin(out);
        if self.step == Step::State {
            let State { revision, floor, alarm, .. } = self.state;
            for (id, ttl) in std::mem::take(&mut self.state.leases) {
                self.write(out, floor, Kind::Grant { id, ttl });
            }
            if alarm {
                self.write(out, floor, Kind::Alarm { raised: true });
            }
            // Also says which revision is the newest, where no record of it is kept.
            self.write(out, revision, Kind::Compact { floor });
            self.step = Step::Records;
        }
        while self.step == Step::Records && out.len() < PIECE {
            self.copy_batch(sees, out)?;
        }
        if self.step == Step::End {
            let kind = Kind::End { records: self.records, next: self.next };
            self.write(out, self.state.revision, kind);
            self.step = Step::Done;
        }
        batch::finish(out, self.identity.salt, self.batches);
        self.batches += 1;
        Ok(())
    }

    fn write(&mut self, out: &mut Vec<u8>, revision: Revision, kind: Kind) {
        frame::write(out, self.identity.salt, revision, kind, []);
        self.records += 1;
    }

    /// Copies what is needed of the next batch.
    fn copy_batch(&mut self, sees: &dyn Fn(&[u8], Revision) -> bool, out: &mut Vec<u8>) -> Result<()> {
        let Some((source, end)) = self.sources.get(self.source).cloned() else {
            self.step = Step::End;
            return Ok(());
        };
        if self.offset >= end {
            (self.source, self.offset) = (self.source + 1, SECTOR);
            return Ok(());
        }
        let salt = source.identity.salt;
        let io = |source| unavailable("reading the log", source);
        let mut reader = Reader::new(&*source.file, end, PIECE);
        // Whatever the reader has read already, at least one batch.
        let from = self.offset;
        while self.offset < end && (self.offset == from || self.offset < from + PIECE as u64) {
            let header = match batch::look(&mut reader, salt, self.offset).map_err(io)? {
                Found::Batch(header) => header,
                Found::Else(what) => return Err(corrupt(&source.name, self.offset, what)),
            };
            let frames = reader.bytes(self.offset + HEADER as u64, header.length as usize).map_err(io)?;
            let mut rest = frames;
            while !rest.is_empty() {
                let (bytes, others) = rest.split_at(frame::length(rest));
                let read = frame::read(bytes)
                    .ok_or_else(|| corrupt(&source.name, self.offset, "a record makes no sense"))?;
                rest = others;
                if read.events.is_empty() {
                    continue;
                }
                let all = read.revision >= self.state.floor;
                let kept = |(_, event): &&(u32, crate::store::Event)| {
                    all || event.kind == EventKind::Put && sees(&event.kv.key, read.revision)
                };
                let kept: Vec<_> = read.events.iter().filter(kept).collect();
                if !kept.is_empty() {
                    let events = kept.into_iter().map(|(index, event)| (*index, event));
                    frame::write(out, self.identity.salt, read.revision, Kind::Commit, events);
                    self.records += 1;
                }
            }
            self.offset += header.padded();
        }
        Ok(())
    }

    /// Writes the base and makes it durable, under a name that means nothing yet; nothing where
    /// `go_on` said no. Takes long, and needs nothing of the log.
    ///
    /// # Errors
    ///
    /// As [`Rewrite::piece`]. What was written has been removed then, if it could be.
    pub(in crate::store::disk) fn write_base(
        mut self,
        files: &dyn Files,
        sees: &dyn Fn(&[u8], Revision) -> bool,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Base>> {
        let name = self.identity.name();
        let temporary = format!("{name}.new");
        match self.write_to(files, &temporary, sees, go_on) {
            Ok(Some((file, known))) => {
                let file = LogFile::new(self.identity, file, known);
                Ok(Some(Base { temporary, file, last: self.last }))
            }
            Ok(None) => {
                let _ = files.remove(&temporary);
                Ok(None)
            }
            Err(error) => {
                let _ = files.remove(&temporary);
                Err(error)
            }
        }
    }

    fn write_to(
        &mut self,
        files: &dyn Files,
        name: &str,
        sees: &dyn Fn(&[u8], Revision) -> bool,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<(Box<dyn DiskFile>, Known)>> {
        let io = |source| unavailable("rewriting the log", source);
        let file = files.open(name, true).map_err(io)?;
        file.set_len(0).map_err(io)?;
        let (mut known, mut piece) = (Known::new(), Vec::new());
        let (mut length, mut synced) = (0, 0);
        loop {
            if !go_on() {
                return Ok(None);
            }
            self.piece(sees, &mut piece)?;
            if piece.is_empty() {
                break;
            }
            file.write_at(&piece, length).map_err(io)?;
            if length > 0 {
                let frames = &piece[HEADER..HEADER + frame::number(&piece, 16) as usize];
                known.add(length, HEADER as u64, frames);
            }
            length += piece.len() as u64;
            if length - synced > UNSYNCED {
                file.sync().map_err(io)?;
                synced = length;
            }
        }
        file.sync().map_err(io)?;
        Ok(Some((file, known)))
    }
}

/// A base that is durable and has no name yet.
#[derive(Debug)]
pub(in crate::store::disk) struct Base {
    temporary: String,
    file: LogFile,
    last: u64,
}

impl Log {
    /// Lets a base take the place of the files that it was made from.
    ///
    /// # Errors
    ///
    /// Whatever the disk says. The log goes on with its old files then; which of the two it opens
    /// with next is the disk's choice, and either is whole. As long as the old ones are there, opening
    /// does not take it for granted that the base's name is durable.
    pub(in crate::store::disk) fn install(&mut self, base: Base) -> io::Result<()> {
        self.files.rename(&base.temporary, &base.file.name)?;
        self.files.sync_directory()?;
        let replaced: Vec<_> = {
            let mut files = self.archive.write();
            let (replaced, kept): (Vec<_>, Vec<_>) =
                files.drain(..).partition(|file| file.identity.number <= base.last);
            files.push(Arc::new(base.file));
            files.extend(kept);
            replaced
        };
        for file in replaced {
            // What cannot be removed now is removed when the store is opened.
            let _ = self.files.remove(&file.name);
        }
        Ok(())
    }
}
