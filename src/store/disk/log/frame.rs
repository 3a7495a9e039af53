//! A record as bytes.
//!
//! A frame is a header, then the events of one revision. Its checksum covers all of it (revision,
//! keys, values, and what else there is), starts from the salt of the file, and is looked at
//! whenever the frame is read, by whomever. All numbers are little-endian.
//!
//! ```text
//! frame: checksum u32 │ length of the events u32 │ revision u64 │ kind u32 │ events u32 │ two numbers u64
//! event: created u64 │ version u64 │ lease i64 │ key length u32 │ value length u32 │ index u32 │ kind u32 │ key │ value
//! ```

use std::time::Duration;

use bytes::Bytes;

use crate::store::{Event, EventKind, KeyValue, Revision};

/// Length of a frame's header.
pub(in crate::store::disk) const FRAME: usize = 40;
const EVENT: usize = 40;

/// What a record says beside its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::disk) enum Kind {
    /// Nothing: it is a transaction.
    Commit,
    /// There is a lease more.
    Grant { id: i64, ttl: Duration },
    /// There is a lease less.
    Revoke { id: i64 },
    /// What is below this revision is forgotten.
    Compact { floor: Revision },
    /// The alarm was raised or taken back.
    Alarm { raised: bool },
    /// The base ends here, after so many records, and the log goes on with this batch.
    End { records: u64, next: u64 },
}

/// A record that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::disk) struct Frame {
    /// Its revision where it has events, otherwise the newest before it.
    pub(in crate::store::disk) revision: Revision,
    pub(in crate::store::disk) kind: Kind,
    /// What the revision did, each with its place among all that the revision did.
    pub(in crate::store::disk) events: Vec<(u32, Event)>,
}

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::disk) struct Head {
    /// Its revision where it has events, otherwise the newest before it.
    pub(in crate::store::disk) revision: Revision,
    pub(in crate::store::disk) kind: Kind,
    /// How many events.
    pub(in crate::store::disk) events: u32,
}

/// The length of the frame that begins here, header included; `bytes` hold at least a header.
pub(in crate::store::disk) fn length(bytes: &[u8]) -> usize {
    FRAME + number(bytes, 4) as usize
}

/// The revision of the frame that begins here and how many events it has.
pub(in crate::store::disk) fn revision(bytes: &[u8]) -> (Revision, u32) {
    (Revision(long(bytes, 8)), number(bytes, 20))
}

/// The checksum that the frame says it has.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    number(bytes, 0)
}

/// Whether a whole frame has the checksum that it says.
pub(in crate::store::disk) fn is_intact(bytes: &[u8], salt: u32) -> bool {
    sum(salt, &bytes[4..]) == checksum(bytes)
}

/// Appends a frame.
pub(in crate::store::disk) fn write<'a>(
    out: &mut Vec<u8>,
    salt: u32,
    revision: Revision,
    kind: Kind,
    events: impl IntoIterator<Item = (u32, &'a Event)>,
) {
    let at = out.len();
    let (code, a, b) = match kind {
        Kind::Commit => (0, 0, 0),
        Kind::Grant { id, ttl } => (1, id as u64, ttl.as_secs()),
        Kind::Revoke { id } => (2, id as u64, 0),
        Kind::Compact { floor } => (3, floor.0, 0),
        Kind::Alarm { raised } => (4, u64::from(raised), 0),
        Kind::End { records, next } => (5, records, next),
    };
    out.resize(at + FRAME, 0);
    let mut count = 0u32;
    for (index, event) in events {
        let kv = &event.kv;
        let deleted = event.kind == EventKind::Delete;
        for long in [kv.create_revision.0, kv.version, kv.lease as u64] {
            out.extend_from_slice(&long.to_le_bytes());
        }
        for short in [kv.key.len() as u32, kv.value.len() as u32, index, u32::from(deleted)] {
            out.extend_from_slice(&short.to_le_bytes());
        }
        out.extend_from_slice(&kv.key);
        out.extend_from_slice(&kv.value);
        count += 1;
    }
    let length = (out.len() - at - FRAME) as u32;
    let header = &mut out[at..at + FRAME];
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..16].copy_from_slice(&revision.0.to_le_bytes());
    header[16..20].copy_from_slice(&u32::to_le_bytes(code));
    header[20..24].copy_from_slice(&count.to_le_bytes());
    header[24..32].copy_from_slice(&a.to_le_bytes());
    header[32..40].copy_from_slice(&b.to_le_bytes());
    let sum = sum(salt, &out[at + 4..]);
    out[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the header of a frame whose checksum is right; nothing where it makes no sense all the same.
pub(in crate::store::disk) fn head(bytes: &[u8]) -> Option<Head> {
    let (revision, events) = revision(bytes);
    let (a, b) = (long(bytes, 24), long(bytes, 32));
    let kind = match number(bytes, 16) {
        0 => Kind::Commit,
        1 => Kind::Grant { id: a as i64, ttl: Duration::from_secs(b) },
        2 => Kind::Revoke { id: a as i64 },
        3 => Kind::Compact { floor: Revision(a) },
        4 => Kind::Alarm { raised: a != 0 },
        5 => Kind::End { records: a, next: b },
        _ => return None,
    };
    Some(Head { revision, kind, events })
}

/// Reads a whole frame whose checksum is right; nothing where it makes no sense all the same.
pub(in crate::store::disk) fn read(bytes: &[u8]) -> Option<Frame> {
    let Head { revision, kind, events: count } = head(bytes)?;
    let mut rest = bytes.get(FRAME..)?;
    let mut events = Vec::new();
    for _ in 0..count {
        let header = rest.get(..EVENT)?;
        let (key, value) = (number(header, 24) as usize, number(header, 28) as usize);
        let body = rest.get(EVENT..EVENT + key + value)?;
        let event = Event {
            kind: if number(header, 36) == 0 { EventKind::Put } else { EventKind::Delete },
            kv: KeyValue {
                // Copies: a part would keep the whole piece that was read.
                key: Bytes::copy_from_slice(&body[..key]),
                value: Bytes::copy_from_slice(&body[key..]),
                create_revision: Revision(long(header, 0)),
                mod_revision: revision,
                version: long(header, 8),
                lease: long(header, 16) as i64,
            },
            previous: None,
        };
        events.push((number(header, 32), event));
        rest = &rest[EVENT + key + value..];
    }
    rest.is_empty().then_some(Frame { revision, kind, events })
}

/// A checksum that starts from a salt.
pub(super) fn sum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}
