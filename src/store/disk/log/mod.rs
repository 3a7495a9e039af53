//! The engine: a log in files of fixed size, preallocated.
//!
//! The directory holds `log-…1`, `log-…2` and so on, each a header and then batches ([`batch`]) of
//! records ([`frame`]); a batch is what one sync covers. `base-…n`, where there is one, stands for
//! all files up to `log-…n`: it holds what of them is still needed (see [`rewrite`]). The file behind the
//! one that is being written is made ahead, so that a full disk is met while there is still room.
//!
//! A record is found by its revision: revisions ascend through base and files, every file keeps in
//! memory where one record in each 16 KiB is, and the rest is walked.
//!
//! What can be damaged, and what says so, is told in [`recovery`].

mod batch;
mod file;
pub(super) mod frame;
mod import;
mod recovery;
mod rewrite;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use self::batch::{HEADER, SECTOR};
use self::file::{Identity, Known, LogFile};
use self::frame::{Frame, Kind};

use super::files::Files;
use crate::env::Stream;
use crate::store::{Error, Event, Result, Revision};

pub(super) use frame::Head;
pub(super) use import::Import;
pub(super) use rewrite::{Rewrite, State};

/// The log, as its one writer has it.
#[derive(Debug)]
pub(super) struct Log {
    files: Arc<dyn Files>,
    archive: Arc<Archive>,
    random: Stream,
    segment_bytes: u64,
    /// The file that is being written, the last of the archive, and how long it may become.
    active: Arc<LogFile>,
    capacity: u64,
    /// The file behind it, if it is there already.
    ahead: Option<Arc<LogFile>>,
    /// Where the next batch goes, and its number.
    offset: u64,
    next: u64,
    buffer: Vec<u8>,
    /// The name of a file may be lost, though it shows.
    doubtful: bool,
}

/// The files of the log, as readers have them.
#[derive(Debug, Default)]
pub(super) struct Archive(RwLock<Vec<Arc<LogFile>>>);

/// A batch that is being put together.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    buffer: &'a mut Vec<u8>,
    salt: u32,
}

impl Filling<'_> {
    /// One record more.
    pub(super) fn push<'e>(
        &mut self,
        revision: Revision,
        kind: Kind,
        events: impl IntoIterator<Item = (u32, &'e Event)>,
    ) {
        frame::write(self.buffer, self.salt, revision, kind, events);
    }
}

impl Log {
    /// What readers need.
    pub(super) fn archive(&self) -> &Arc<Archive> {
        &self.archive
    }

    /// Writes a batch and makes it durable. After an error the log must not be written any more.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub(super) fn append(&mut self, fill: impl Fn(&mut Filling<'_>)) -> io::Result<()> {
        self.fill(&fill);
        if self.offset + self.buffer.len() as u64 > self.capacity {
            self.roll(self.buffer.len() as u64)?;
            // The next file has another salt.
            self.fill(&fill);
        }
        self.active.file.write_at(&self.buffer, self.offset)?;
        self.active.file.sync()?;
        let length = frame::number(&self.buffer, 16) as usize;
        let frames = &self.buffer[HEADER..HEADER + length];
        self.active.learn().add(self.offset, HEADER as u64, frames);
        self.offset += self.buffer.len() as u64;
        self.next += 1;
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    fn fill(&mut self, fill: &impl Fn(&mut Filling<'_>)) {
        let salt = self.active.identity.salt;
        batch::begin(&mut self.buffer);
        fill(&mut Filling { buffer: &mut self.buffer, salt });
        batch::finish(&mut self.buffer, salt, self.next);
    }

    /// Makes the next file where the one that is written is half full and there is none.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; the log goes on as long as there is room in its last file.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        if self.ahead.is_none() && self.offset > self.capacity / 2 {
            self.ahead = Some(self.make(self.active.identity.number + 1, 0)?);
        }
        Ok(())
    }

    /// Goes on in the next file, so that no other one is written any more; answers its predecessor's
    /// number.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; nothing has changed then.
    pub(super) fn seal(&mut self) -> io::Result<u64> {
        let sealed = self.active.identity.number;
        self.roll(0)?;
        Ok(sealed)
    }

    fn roll(&mut self, wanted: u64) -> io::Result<()> {
        let room = wanted + SECTOR;
        let next = match self.ahead.take() {
            Some(ahead) if ahead.file.len()? >= room => ahead,
            _ => self.make(self.active.identity.number + 1, room)?,
        };
        self.capacity = next.file.len()?;
        self.offset = SECTOR;
        self.archive.write().push(next.clone());
        self.active = next;
        Ok(())
    }

    fn make(&mut self, number: u64, room: u64) -> io::Result<Arc<LogFile>> {
        if self.doubtful {
            return Err(io::Error::other("a sync of the directory has failed before"));
        }
        let identity = Identity { base: false, number, salt: self.random.next_u64() as u32 };
        let room = room.max(self.segment_bytes).next_multiple_of(SECTOR);
        let file = match file::create(&*self.files, &identity.name(), identity, room) {
            Ok(file) => file,
            Err(error) => {
                // Half a file would take the room that somebody may need to make some.
                let _ = self.files.remove(&identity.name());
                return Err(error);
            }
        };
        // Whatever it fails with, also for want of room: a later sync that succeeds may not bring the name
        // back, so no file is made any more, and the store stops.
        self.files.sync_directory().map_err(|error| {
            self.doubtful = true;
            io::Error::other(error)
        })?;
        Ok(Arc::new(LogFile::new(identity, file, Known::new())))
    }
}

impl Archive {
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Arc<LogFile>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> Vec<Arc<LogFile>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes are written: in the base, and behind it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let mut bytes = (0, 0);
        for file in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let end = file.known().end;
            if file.identity.base { bytes.0 += end } else { bytes.1 += end }
        }
        bytes
    }

    /// Reads every record that has events, in order.
    ///
    /// # Errors
    ///
    /// As [`Archive::record`].
    pub(super) fn replay(&self, visit: &mut dyn FnMut(Frame)) -> Result<()> {
        self.files().iter().try_for_each(|file| file.replay(visit))
    }

    /// The record of a revision.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] where it is damaged or, though the caller knows that it is needed, not
    /// there; [`Error::Unavailable`] where the disk fails.
    pub(super) fn record(&self, revision: Revision) -> Result<Frame> {
        let files = self.files();
        let holder = files.iter().rev().find(|file| file.first().is_some_and(|first| first <= revision));
        match holder.map(|file| file.find(revision)).transpose()?.flatten() {
            Some(frame) => Ok(frame),
            None => {
                let name = holder.map_or("log", |file| file.name.as_str());
                Err(Error::Corrupt {
                    what: format!("{name}: the record of revision {revision} is missing").into(),
                })
            }
        }
    }
}

/// The error that names damage.
pub(super) fn corrupt(file: &str, offset: u64, what: &str) -> Error {
    Error::Corrupt { what: format!("{file} at byte {offset}: {what}").into() }
}

/// The error of a disk that fails.
pub(super) fn unavailable(operation: &'static str, source: io::Error) -> Error {
    Error::Unavailable { operation, source: source.into() }
}
