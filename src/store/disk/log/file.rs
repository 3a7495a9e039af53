//! One file of the log: its header, and where its revisions are.

use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::batch::{self, Found, HEADER, Header, Reader, SECTOR};
use super::frame::{self, FRAME, Frame, long, number, sum};
use super::{corrupt, unavailable};
use crate::store::disk::files::{DiskFile, Files};
use crate::store::{Result, Revision};

const MAGIC: &[u8; 8] = b"windlass";
const FORMAT: u32 = 1;
/// Where the checksum of a file's header is.
const SUM: usize = 28;
/// How far apart marks are, and how much is read at once to find a record.
const APART: u64 = 16 << 10;

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::disk) struct Identity {
    /// Whether it is a base, which stands for every file up to its number.
    pub(super) base: bool,
    pub(super) number: u64,
    /// What the checksums in it start from: drawn by chance, so that no value that somebody stores
    /// looks like a part of the log.
    pub(super) salt: u32,
}

/// An open file of the log. What is known of it covers only what is durable.
#[derive(Debug)]
pub(in crate::store::disk) struct LogFile {
    pub(super) identity: Identity,
    pub(super) name: String,
    pub(super) file: Box<dyn DiskFile>,
    known: RwLock<Known>,
}

/// What is known of a file.
#[derive(Debug)]
pub(super) struct Known {
    /// Where what is durable ends.
    pub(super) end: u64,
    /// Where some of the revisions are, in order.
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    revision: Revision,
    offset: u64,
    /// How many bytes of frames its batch has from here on.
    left: u64,
}

impl Identity {
    /// The name of the file.
    pub(super) fn name(&self) -> String {
        format!("{}-{:016x}", if self.base { "base" } else { "log" }, self.number)
    }

    /// What a name says: whether it is a base, and its number.
    pub(super) fn parse(name: &str) -> Option<(bool, u64)> {
        let (kind, number) = name.split_once('-')?;
        let base = match kind {
            "base" => true,
            "log" => false,
            _ => return None,
        };
        let number = u64::from_str_radix(number, 16).ok()?;
        let identity = Self { base, number, salt: 0 };
        (identity.name() == name).then_some((base, number))
    }

    /// The header, a sector long.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(SECTOR as usize);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&u32::from(self.base).to_le_bytes());
        header.extend_from_slice(&self.number.to_le_bytes());
        header.extend_from_slice(&self.salt.to_le_bytes());
        header.extend_from_slice(&sum(0, &header).to_le_bytes());
        header.resize(SECTOR as usize, 0);
        header
    }

    /// Reads a header; what is wrong with it where something is.
    pub(super) fn read(header: &[u8]) -> Result<Self, &'static str> {
        if header[..8] != *MAGIC {
            return Err("the file does not begin as a file of the store");
        }
        if sum(0, &header[..SUM]) != number(header, SUM) || header[SUM + 4..].iter().any(|byte| *byte != 0) {
            return Err("the checksum of the file's header is wrong");
        }
        if number(header, 8) != FORMAT {
            return Err("the file is of a format that this version does not know");
        }
        Ok(Self { base: number(header, 12) != 0, number: long(header, 16), salt: number(header, 24) })
    }
}

impl Known {
    /// Of a file that has only its header.
    pub(super) fn new() -> Self {
        Self { end: SECTOR, marks: Vec::new() }
    }

    /// Takes in a durable batch that begins at `offset`; its frames are `frames`.
    pub(super) fn add(&mut self, offset: u64, header_length: u64, frames: &[u8]) {
        let (mut at, mut rest) = (offset + header_length, frames);
        while rest.len() >= FRAME {
            let (revision, events) = frame::revision(rest);
            if events > 0 && self.marks.last().is_none_or(|mark| mark.offset + APART <= at) {
                self.marks.push(Mark { revision, offset: at, left: rest.len() as u64 });
            }
            let length = frame::length(rest);
            at += length as u64;
            rest = rest.get(length..).unwrap_or_default();
        }
        self.end = batch::padded(at);
    }
}

impl LogFile {
    pub(super) fn new(identity: Identity, file: Box<dyn DiskFile>, known: Known) -> Self {
        Self { name: identity.name(), identity, file, known: RwLock::new(known) }
    }

    pub(super) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn learn(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first revision that has events here.
    pub(super) fn first(&self) -> Option<Revision> {
        self.known().marks.first().map(|mark| mark.revision)
    }

    /// The record of a revision, if it is here.
    pub(super) fn find(&self, wanted: Revision) -> Result<Option<Frame>> {
        let (mark, end) = {
            let known = self.known();
            let behind = known.marks.partition_point(|mark| mark.revision <= wanted);
            let Some(mark) = behind.checked_sub(1).map(|index| known.marks[index]) else { return Ok(None) };
            (mark, known.end)
        };
        let mut reader = Reader::new(&*self.file, end, APART as usize);
        let mut at = mark.offset;
        self.walk(&mut reader, &mut at, mark.left, wanted).map_err(|error| match error {
            Walk::Disk(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                unavailable("reading the log", source)
            }
            Walk::Disk(_) => corrupt(&self.name, at, "a record reaches beyond the end of the file"),
            Walk::Damage(what) => corrupt(&self.name, at, what),
        })
    }

    /// Reads every record that has events, in order.
    pub(super) fn replay(&self, visit: &mut dyn FnMut(Frame)) -> Result<()> {
        let end = self.known().end;
        let io = |source| unavailable("reading the log", source);
        let mut reader = Reader::new(&*self.file, end, 1 << 20);
        let mut offset = SECTOR;
        while offset < end {
            let header = match batch::look(&mut reader, self.identity.salt, offset).map_err(io)? {
                Found::Batch(header) => header,
                Found::Else(what) => return Err(corrupt(&self.name, offset, what)),
            };
            let mut rest = reader.bytes(offset + HEADER as u64, header.length as usize).map_err(io)?;
            while !rest.is_empty() {
                let (bytes, others) = rest.split_at(frame::length(rest));
                if frame::revision(bytes).1 > 0 {
                    visit(
                        frame::read(bytes)
                            .ok_or_else(|| corrupt(&self.name, offset, "a record makes no sense"))?,
                    );
                }
                rest = others;
            }
            offset += header.padded();
        }
        Ok(())
    }

    fn walk(
        &self,
        reader: &mut Reader<'_>,
        at: &mut u64,
        mut left: u64,
        wanted: Revision,
    ) -> Result<Option<Frame>, Walk> {
        let salt = self.identity.salt;
        loop {
            while left == 0 {
                *at = batch::padded(*at);
                if *at >= reader.length {
                    return Ok(None);
                }
                let header = Header::read(reader.bytes(*at, HEADER)?, salt)
                    .ok_or(Walk::Damage("the header of a batch is damaged"))?;
                *at += HEADER as u64;
                left = u64::from(header.length);
            }
            let header = reader.bytes(*at, FRAME)?;
            let (length, (revision, events)) = (frame::length(header), frame::revision(header));
            if length as u64 > left {
                return Err(Walk::Damage("a record is longer than its batch"));
            }
            if events > 0 && revision > wanted {
                return Ok(None);
            }
            if events > 0 && revision == wanted {
                let whole = reader.bytes(*at, length)?;
                if !frame::is_intact(whole, salt) {
                    return Err(Walk::Damage("the checksum of a record is wrong"));
                }
                return frame::read(whole).map(Some).ok_or(Walk::Damage("a record makes no sense"));
            }
            *at += length as u64;
            left -= length as u64;
        }
    }
}

enum Walk {
    Disk(io::Error),
    Damage(&'static str),
}

impl From<io::Error> for Walk {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Makes a file with its header and room, durable but for its name.
pub(super) fn create(
    files: &dyn Files,
    name: &str,
    identity: Identity,
    room: u64,
) -> io::Result<Box<dyn DiskFile>> {
    let file = files.open(name, true)?;
    file.set_len(0)?;
    file.preallocate(room)?;
    file.write_at(&identity.header(), 0)?;
    // Of a sync that fails for want of room nothing is known either.
    file.sync().map_err(io::Error::other)?;
    Ok(file)
}
