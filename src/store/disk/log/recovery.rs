//! Opening the log: what a crash has left, and what is damage.
//!
//! Batches have numbers without gaps, and one is written only after the one before was synced. So
//! where the chain of intact batches ends, there are two cases:
//!
//! - Nothing of a later batch is there. What stands where the chain ends, if anything, is the batch
//!   that a crash has cut: it was never acknowledged, and goes as a whole. (Or it is the newest batch,
//!   acknowledged, and damaged since: nothing on the disk tells the two apart. Closing the store, and
//!   opening it, write an empty batch behind, so that this can only be a batch after which the
//!   machine or the process stopped at once.)
//! - The header of a later batch is there. Then the batch at the end of the chain had been synced:
//!   it is damaged, and the store is not opened.
//!
//! The same for a file's header, which is durable before the first batch is written behind it: a
//! damaged one is one that was never completed only if nothing follows it. A base is
//! complete before it gets its name, so that nothing in it may be amiss. Files have numbers without
//! gaps, so that a missing one is noticed.
//!
//! What was found good need not be durable: it may be in the machine's memory alone, since the process that
//! wrote it died before its sync, or after one that failed (which leaves pages clean that never
//! reached the disk). So the last batch is written once more, the same bytes, and synced,
//! before anything is read from it; where there is none yet, the header. The same holds of names: a sync of the directory that failed may have
//! lost one that still shows, and none that succeeds later need bring it back. A name is known to be durable
//! where something was done that comes only after its sync: where there is a batch in a file of the log, and
//! where what a base has replaced is gone. Otherwise the file is given its name once more before anything
//! relies on it.

use std::io;
use std::sync::Arc;

use super::batch::{self, Found, HEADER, Header, Reader, SECTOR};
use super::file::{Identity, Known, LogFile};
use super::frame::{self, Head, Kind};
use super::{Archive, Filling, Log, corrupt, unavailable};
use crate::env::Stream;
use crate::store::Result;
use crate::store::disk::files::{DiskFile, Files};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// A file that is there.
struct Candidate {
    name: String,
    file: Box<dyn DiskFile>,
    length: u64,
    identity: Result<Identity, &'static str>,
}

/// Where the chain of batches ends.
struct Stop {
    offset: u64,
    why: &'static str,
    /// Where the last batch of this file begins, if it has one.
    last: Option<u64>,
}

impl Log {
    /// Opens the log of these files, or begins one; tells `visit` of every record, in order.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Corrupt`], and [`crate::store::Error::Unavailable`] where the disk fails.
    pub(in crate::store::disk) fn open(
        files: Arc<dyn Files>,
        random: Stream,
        segment_bytes: u64,
        visit: &mut dyn FnMut(Head),
    ) -> Result<Self> {
        let listing = |source| unavailable("listing the store's files", source);
        let mut names = files.names().map_err(listing)?;
        if finish_naming(&*files, &names)? {
            names = files.names().map_err(listing)?;
        }
        let known = || names.iter().filter_map(|name| Identity::parse(name));
        let base = known().filter(|(base, _)| *base).map(|(_, number)| number).max();
        let archive = Arc::new(Archive::default());
        let mut expected = 0;
        let replaced = |name: &str| {
            Identity::parse(name)
                .zip(base)
                .is_some_and(|((is_base, number), base)| number < base || number == base && !is_base)
        };
        if let Some(number) = base {
            if names.iter().any(|name| replaced(name)) {
                name_again(&*files, &Identity { base: true, number, salt: 0 }.name())?;
            }
            let candidate = Candidate::open(&*files, true, number)?;
            let (file, next) = candidate.read_base(visit)?;
            expected = next;
            archive.write().push(Arc::new(file));
        }
        // What a base has replaced, and what was never completed.
        for name in &names {
            if replaced(name) || name.ends_with(".new") {
                files.remove(name).map_err(|source| unavailable("removing what was replaced", source))?;
            }
        }

        let first = base.map_or(1, |base| base + 1);
        let mut numbers: Vec<u64> =
            known().filter(|(base, number)| !base && *number >= first).map(|(_, number)| number).collect();
        numbers.sort_unstable();
        // A store that begins, by itself or with a snapshot; any other base was made beside a file.
        if numbers.is_empty() && first == 1 {
            let mut log = Self::begin(files, random, segment_bytes, archive, first, expected)?;
            log.cover()?;
            return Ok(log);
        }
        for (number, wanted) in numbers.iter().copied().chain([0]).zip(first..) {
            if number != wanted && (wanted == first || number != 0) {
                let name = Identity { base: false, number: wanted, salt: 0 }.name();
                return Err(corrupt(&name, 0, "the file is missing"));
            }
        }
        let mut candidates = Vec::new();
        for number in numbers {
            candidates.push(Candidate::open(&*files, false, number)?);
        }
        // The last file may never have been completed.
        if let Some(last) = candidates.last()
            && last.identity.is_err()
            && last.is_empty_behind(SECTOR)?
        {
            let last = candidates.pop().filter(|_| !candidates.is_empty());
            last.map_or(Ok(()), |last| remove_left(&*files, &last.name))?;
        }

        let mut stops: Vec<(Candidate, Identity, Known, Stop)> = Vec::new();
        let mut active = 0;
        for candidate in candidates {
            let identity = candidate.identity.map_err(|what| corrupt(&candidate.name, 0, what))?;
            let before = expected;
            let (known, stop) = candidate.read_log(identity, &mut expected, visit)?;
            if expected > before {
                active = stops.len();
            }
            stops.push((candidate, identity, known, stop));
        }
        if stops.is_empty() {
            // The first file was never completed.
            let mut log = Self::begin(files, random, segment_bytes, archive, first, expected)?;
            log.cover()?;
            return Ok(log);
        }
        find_later(&stops[active..], expected)?;

        // What is behind the end of the chain goes, the last file first, so that none is missed.
        for (candidate, ..) in stops.drain(active + 1..).rev() {
            remove_left(&*files, &candidate.name)?;
        }
        if stops[active].3.last.is_none() {
            name_again(&*files, &stops[active].0.name)?;
        }
        let (candidate, _, _, stop) = &stops[active];
        let io = |source| unavailable("cutting what a crash has left", source);
        candidate.clear(stop.offset).map_err(io)?;
        candidate.rewrite(stop).map_err(io)?;
        let (offset, capacity) = (stop.offset, candidate.length);
        for (candidate, identity, known, _) in stops {
            archive.write().push(Arc::new(LogFile::new(identity, candidate.file, known)));
        }
        let active = archive.files().pop().expect("the file where the chain ends was put there");
        active.file.sync().map_err(io)?;
        files.sync_directory().map_err(io)?;
        let mut log = Self {
            files,
            archive,
            random,
            segment_bytes,
            active,
            capacity,
            ahead: None,
            doubtful: false,
            offset,
            next: expected,
            buffer: Vec::new(),
        };
        log.cover()?;
        Ok(log)
    }

    /// A log that begins with file `first` and batch `next`.
    fn begin(
        files: Arc<dyn Files>,
        random: Stream,
        segment_bytes: u64,
        archive: Arc<Archive>,
        first: u64,
        next: u64,
    ) -> Result<Self> {
        let io = |source| unavailable("beginning the log", source);
        let identity = Identity { base: false, number: first, salt: random.next_u64() as u32 };
        let room = segment_bytes.next_multiple_of(SECTOR).max(2 * SECTOR);
        let file = super::file::create(&*files, &identity.name(), identity, room).map_err(io)?;
        files.sync_directory().map_err(io)?;
        let known = Known::new();
        let active = Arc::new(LogFile::new(identity, file, known));
        archive.write().push(active.clone());
        Ok(Self {
            files,
            archive,
            random,
            segment_bytes,
            active,
            capacity: room,
            ahead: None,
            doubtful: false,
            offset: SECTOR,
            next,
            buffer: Vec::new(),
        })
    }

    /// Writes an empty batch, so that damage to the one before is told from a crash.
    ///
    /// # Errors
    ///
    /// [`crate::store::Error::Unavailable`] where the disk fails.
    pub(in crate::store::disk) fn cover(&mut self) -> Result<()> {
        self.append(|_: &mut Filling<'_>| {}).map_err(|source| unavailable("writing the log", source))
    }
}

impl Candidate {
    fn open(files: &dyn Files, base: bool, number: u64) -> Result<Self> {
        Self::open_named(files, Identity { base, number, salt: 0 }.name(), base, number)
    }

    fn open_named(files: &dyn Files, name: String, base: bool, number: u64) -> Result<Self> {
        let io = |source| unavailable("opening a file of the log", source);
        let file = files.open(&name, false).map_err(io)?;
        let length = file.len().map_err(io)?;
        let identity = if length < SECTOR {
            Err("the file ends within its header")
        } else {
            let mut header = vec![0; SECTOR as usize];
            file.read_at(&mut header, 0).map_err(io)?;
            Identity::read(&header).and_then(|identity| {
                let right = identity.number == number && identity.base == base;
                right.then_some(identity).ok_or("the file has another one's name")
            })
        };
        Ok(Self { name, file, length, identity })
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&*self.file, self.length, PIECE)
    }

    /// Whether there is nothing but zeroes from `offset` on.
    fn is_empty_behind(&self, offset: u64) -> Result<bool> {
        Ok(self.last_nonzero(offset).map_err(|source| unavailable("reading the log", source))?.is_none())
    }

    /// The last sector from `offset` on that is not all zeroes.
    fn last_nonzero(&self, offset: u64) -> io::Result<Option<u64>> {
        let (mut reader, mut at, mut last) = (self.reader(), offset, None);
        while at < self.length {
            let sector = reader.bytes(at, SECTOR.min(self.length - at) as usize)?;
            if sector.iter().any(|byte| *byte != 0) {
                last = Some(at);
            }
            at += SECTOR;
        }
        Ok(last)
    }

    /// Overwrites what is not zero from `offset` on.
    fn clear(&self, offset: u64) -> io::Result<()> {
        let Some(last) = self.last_nonzero(offset)? else { return Ok(()) };
        let zeroes = vec![0; PIECE];
        let (mut at, end) = (offset, (last + SECTOR).min(self.length));
        while at < end {
            let piece = (end - at).min(PIECE as u64);
            self.file.write_at(&zeroes[..piece as usize], at)?;
            at += piece;
        }
        self.file.sync()
    }

    /// Writes the last batch once more; the header, where there is none.
    fn rewrite(&self, stop: &Stop) -> io::Result<()> {
        let last = stop.last.unwrap_or(0);
        let mut bytes = vec![0; (stop.offset - last) as usize];
        self.file.read_at(&mut bytes, last)?;
        self.file.write_at(&bytes, last)
    }

    /// Reads the batches of a file of the log, as long as they are the ones expected.
    fn read_log(
        &self,
        identity: Identity,
        expected: &mut u64,
        visit: &mut dyn FnMut(Head),
    ) -> Result<(Known, Stop)> {
        let (mut reader, mut known) = (self.reader(), Known::new());
        let (mut offset, mut last) = (SECTOR, None);
        loop {
            let why = match self.look(&mut reader, identity.salt, offset)? {
                Found::Batch(header) if header.number == *expected => {
                    self.take(&mut reader, offset, header, &mut known, visit)?;
                    last = Some(offset);
                    offset += header.padded();
                    *expected += 1;
                    continue;
                }
                Found::Batch(_) => "a batch is missing before this one",
                Found::Else(why) => why,
            };
            return Ok((known, Stop { offset, why, last }));
        }
    }

    /// Reads a base; answers also with which batch the log goes on.
    fn read_base(self, visit: &mut dyn FnMut(Head)) -> Result<(LogFile, u64)> {
        let identity = self.identity.map_err(|what| corrupt(&self.name, 0, what))?;
        let (mut known, mut offset) = (Known::new(), SECTOR);
        let (mut records, mut next) = (0u64, None);
        {
            let mut reader = self.reader();
            for number in 0.. {
                if offset == self.length && next.is_some() {
                    break;
                }
                let header = match self.look(&mut reader, identity.salt, offset)? {
                    Found::Batch(header) if header.number == number && next.is_none() => header,
                    Found::Batch(_) => return Err(corrupt(&self.name, offset, "a batch is out of place")),
                    Found::Else(why) => return Err(corrupt(&self.name, offset, why)),
                };
                let mut count = |head: Head| {
                    if let Kind::End { records: all, next: goes_on } = head.kind {
                        next = Some((all, goes_on));
                    } else {
                        records += 1;
                        visit(head);
                    }
                };
                self.take(&mut reader, offset, header, &mut known, &mut count)?;
                offset += header.padded();
            }
        }
        match next {
            Some((all, next)) if all == records => Ok((LogFile::new(identity, self.file, known), next)),
            _ => Err(corrupt(&self.name, offset, "records are missing")),
        }
    }

    fn look(&self, reader: &mut Reader<'_>, salt: u32, offset: u64) -> Result<Found> {
        batch::look(reader, salt, offset).map_err(|source| unavailable("reading the log", source))
    }

    /// Takes in a batch that is intact.
    fn take(
        &self,
        reader: &mut Reader<'_>,
        offset: u64,
        header: Header,
        known: &mut Known,
        visit: &mut dyn FnMut(Head),
    ) -> Result<()> {
        let frames = reader
            .bytes(offset + HEADER as u64, header.length as usize)
            .map_err(|source| unavailable("reading the log", source))?;
        known.add(offset, HEADER as u64, frames);
        let (mut rest, mut at) = (frames, offset + HEADER as u64);
        while !rest.is_empty() {
            let (frame, others) = rest.split_at(frame::length(rest));
            visit(frame::head(frame).ok_or_else(|| corrupt(&self.name, at, "a record makes no sense"))?);
            at += frame.len() as u64;
            rest = others;
        }
        Ok(())
    }
}

/// Removes a file behind the end of the chain, durably, so that the one before it can go.
fn remove_left(files: &dyn Files, name: &str) -> Result<()> {
    let removed = files.remove(name).and_then(|()| files.sync_directory());
    removed.map_err(|source| unavailable("removing what a crash has left", source))
}

/// What a file is called while it is given its name once more.
const AGAIN: &str = ".again";

/// Gives a file its name once more, durably: it may show and yet be lost on the disk.
fn name_again(files: &dyn Files, name: &str) -> Result<()> {
    let again = format!("{name}{AGAIN}");
    let named = files
        .rename(name, &again)
        .and_then(|()| files.rename(&again, name))
        .and_then(|()| files.sync_directory());
    named.map_err(|source| unavailable("naming a file once more", source))
}

/// Ends what [`name_again`] began before a crash; answers whether there was any.
fn finish_naming(files: &dyn Files, names: &[String]) -> Result<bool> {
    let mut any = false;
    for again in names {
        let Some(name) = again.strip_suffix(AGAIN) else { continue };
        any = true;
        files
            .rename(again, name)
            .and_then(|()| files.sync_directory())
            .map_err(|source| unavailable("naming a file once more", source))?;
    }
    Ok(any)
}

/// Verifies a base that has not got its name yet.
pub(super) fn verify_base(files: &dyn Files, name: &str, number: u64) -> Result<()> {
    Candidate::open_named(files, name.to_owned(), true, number)?.read_base(&mut |_| ())?;
    Ok(())
}

/// Refuses to open the log where the chain of batches ends before a later batch.
fn find_later(files: &[(Candidate, Identity, Known, Stop)], expected: u64) -> Result<()> {
    // Where the next batch should have been: in the first place that is not empty.
    let mut damaged: Option<(&str, u64, &str)> = None;
    for (candidate, identity, _, stop) in files {
        let io = |source| unavailable("reading the log", source);
        let (mut reader, mut at) = (candidate.reader(), stop.offset);
        while at + HEADER as u64 <= candidate.length {
            let header = reader.bytes(at, HEADER).map_err(io)?;
            if damaged.is_none() && header.iter().any(|byte| *byte != 0) {
                let why = if at == stop.offset { stop.why } else { "a batch is damaged at its beginning" };
                damaged = Some((&candidate.name, at, why));
            }
            if Header::read(header, identity.salt).is_some_and(|header| header.number > expected) {
                let (name, offset, why) = damaged.unwrap_or((&candidate.name, at, stop.why));
                return Err(corrupt(name, offset, why));
            }
            at += SECTOR;
        }
    }
    Ok(())
}
