//! What one sync covers, as bytes.
//!
//! A batch begins at a multiple of [`SECTOR`] and is filled up to one, so that no write touches a
//! sector which an earlier sync covered. Its header has a checksum of its own, and says the number of the
//! batch, how long its frames are, and the digest of their checksums: a batch is there as a whole
//! or not at all. Numbers have no gaps.
//!
//! ```text
//! magic u32 │ checksum u32 │ number u64 │ length of the frames u32 │ their digest u32 │ how many u32 │ 0 u32
//! ```

use std::io;

use super::frame::{self, FRAME, long, number, sum};
use crate::store::disk::files::DiskFile;

/// What disks write as a whole, at least. etcd's log reckons with the same (`minSectorSize` in
/// `server/storage/wal/decoder.go`, 3.5).
pub(in crate::store::disk) const SECTOR: u64 = 512;
/// Length of a batch's header.
pub(super) const HEADER: usize = 32;
const MAGIC: u32 = 0x4254_4c57;

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: u64,
    /// Length of the frames in bytes.
    pub(super) length: u32,
    pub(super) digest: u32,
    pub(super) count: u32,
}

/// What there is where a batch should begin.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch, whole: header and frames, without what fills it up.
    Batch(Header),
    /// Something else, for this reason.
    Else(&'static str),
}

impl Header {
    /// Reads a header; nothing where there is none or its checksum is wrong.
    pub(super) fn read(bytes: &[u8], salt: u32) -> Option<Self> {
        (number(bytes, 0) == MAGIC && sum(salt, &bytes[8..HEADER]) == number(bytes, 4)).then(|| Self {
            number: long(bytes, 8),
            length: number(bytes, 16),
            digest: number(bytes, 20),
            count: number(bytes, 24),
        })
    }

    /// The length of the whole batch, filled up.
    pub(super) fn padded(&self) -> u64 {
        padded(HEADER as u64 + u64::from(self.length))
    }
}

/// A length filled up to whole sectors.
pub(super) fn padded(length: u64) -> u64 {
    length.next_multiple_of(SECTOR)
}

/// Makes room for a header in an empty buffer; frames follow.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER, 0);
}

/// Completes a batch whose frames are written.
pub(super) fn finish(out: &mut Vec<u8>, salt: u32, batch: u64) {
    let frames = &out[HEADER..];
    let (digest, count) = digest(frames, salt).unwrap_or_default();
    let length = frames.len() as u32;
    out[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    out[8..16].copy_from_slice(&batch.to_le_bytes());
    out[16..20].copy_from_slice(&length.to_le_bytes());
    out[20..24].copy_from_slice(&digest.to_le_bytes());
    out[24..28].copy_from_slice(&count.to_le_bytes());
    let checksum = sum(salt, &out[8..HEADER]);
    out[4..8].copy_from_slice(&checksum.to_le_bytes());
    out.resize(padded(out.len() as u64) as usize, 0);
}

/// The digest of frames' checksums and how many frames there are; nothing where they do not fit.
fn digest(frames: &[u8], salt: u32) -> Option<(u32, u32)> {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    let (mut rest, mut count) = (frames, 0);
    while !rest.is_empty() {
        if rest.len() < FRAME || rest.len() < frame::length(rest) {
            return None;
        }
        hasher.update(&rest[..4]);
        rest = &rest[frame::length(rest)..];
        count += 1;
    }
    Some((hasher.finalize(), count))
}

/// Looks at what begins at `offset`.
pub(super) fn look(reader: &mut Reader<'_>, salt: u32, offset: u64) -> io::Result<Found> {
    if offset + HEADER as u64 > reader.length {
        return Ok(Found::Else("the file ends where a batch should begin"));
    }
    let Some(header) = Header::read(reader.bytes(offset, HEADER)?, salt) else {
        return Ok(Found::Else("the header of a batch is damaged or missing"));
    };
    if offset + header.padded() > reader.length {
        return Ok(Found::Else("the file ends within a batch"));
    }
    let whole = reader.bytes(offset, header.padded() as usize)?;
    let (frames, filling) = whole[HEADER..].split_at(header.length as usize);
    if digest(frames, salt) != Some((header.digest, header.count)) {
        return Ok(Found::Else("a batch is not what its header says"));
    }
    let mut rest = frames;
    while !rest.is_empty() {
        let (frame, others) = rest.split_at(frame::length(rest));
        if !frame::is_intact(frame, salt) {
            return Ok(Found::Else("the checksum of a record is wrong"));
        }
        rest = others;
    }
    if filling.iter().any(|byte| *byte != 0) {
        return Ok(Found::Else("what fills up a batch is not zero"));
    }
    Ok(Found::Batch(header))
}

/// Reads a file in large pieces.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a dyn DiskFile,
    /// Where the file ends, or where one should stop.
    pub(super) length: u64,
    piece: usize,
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> Reader<'a> {
    /// Reads `file` up to `length`, about `piece` bytes at a time.
    pub(super) fn new(file: &'a dyn DiskFile, length: u64, piece: usize) -> Self {
        Self { file, length, piece, buffer: Vec::new(), start: 0 }
    }

    /// So many bytes from `offset` on; they must not reach beyond the length.
    pub(super) fn bytes(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let held = self.start..self.start + self.buffer.len() as u64;
        if !held.contains(&offset) || offset + count as u64 > held.end {
            let wanted = (count.max(self.piece) as u64).min(self.length.saturating_sub(offset));
            self.buffer.resize(wanted as usize, 0);
            self.start = offset;
            if let Err(error) = self.file.read_at(&mut self.buffer, offset) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let from = (offset - self.start) as usize;
        self.buffer
            .get(from..from + count)
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before"))
    }
}
