//! Snapshots: a whole store as one stream of bytes.
//!
//! Memory and disk write and read the same stream, so that a store can move from one to the other:
//! the state that the floor sees, what every revision from the floor on did, and the leases. It
//! describes itself and is checked throughout:
//!
//! ```text
//! "windlass store 1\n"
//! block*            length of the body: u32 · kind: u8 · body · check: u32
//!   head            floor: u64 · revision: u64
//!   leases          (number: i64 · seconds: u64)*
//!   state           key and value*, in order: what the floor sees
//!   revision        revision: u64 · (put or deleted: u8 · key and value)*, from the floor on
//!   end             blocks before this one: u64
//! ```
//!
//! Numbers are little endian. A block's check is the CRC-32 of its place among the blocks (u64),
//! its kind and its body, so that blocks which are damaged, lost or in the wrong place are all found;
//! a stream that stops before its end is found by the end that is missing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::mvcc::{Mvcc, MvccOptions, Restore, Restored, SnapshotSource};
use super::{Error, Event, EventKind, KeyValue, Result, Revision, SnapshotStream};

const MAGIC: &[u8] = b"windlass store 1\n";
/// Blocks are closed when they are longer than this.
const BLOCK_BYTES: usize = 256 << 10;
/// A block that claims more than this is damaged.
const MAX_BLOCK_BYTES: usize = 1 << 30;

/// What etcdctl expects of the length of a snapshot, and behind it.
const ETCD_PAGE: u64 = 512;
const ETCD_CHECKSUM: usize = 32;

const HEAD: u8 = 1;
const LEASES: u8 = 2;
const STATE: u8 = 3;
const REVISION: u8 = 4;
const END: u8 = 5;

/// A part of a snapshot, in the order in which they come.
#[derive(Debug)]
pub(in crate::store) enum Piece {
    /// How far it reaches. Comes first.
    Head { floor: Revision, revision: Revision },
    /// Leases and their times to live. Comes before keys.
    Leases(Vec<(i64, Duration)>),
    /// Keys as the floor sees them.
    State(Vec<KeyValue>),
    /// What a revision did, without previous values; the floor's own comes first, and changes
    /// nothing of the state.
    Revision(Revision, Vec<Event>),
}

/// Writes a snapshot to a file, or wherever else bytes go; answers how many there were.
///
/// # Cancel safety
///
/// Dropped, it leaves part of a snapshot, which no store restores.
///
/// # Errors
///
/// The snapshot's own, and [`Error::Unavailable`] when it cannot be written.
pub async fn write(mut snapshot: SnapshotStream, to: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64> {
    let failed = |source: std::io::Error| Error::Unavailable {
        operation: "writing a snapshot",
        source: Box::new(source),
    };
    let mut length = 0;
    while let Some(bytes) = snapshot.next().await {
        let bytes = bytes?;
        length += bytes.len() as u64;
        to.write_all(&bytes).await.map_err(failed)?;
    }
    to.flush().await.map_err(failed)?;
    Ok(length)
}

/// A snapshot that is read from a file, or wherever else bytes come from.
pub fn read(from: impl AsyncRead + Unpin + Send + 'static) -> SnapshotStream {
    Box::pin(stream::try_unfold(from, |mut from| async move {
        let mut bytes = vec![0; BLOCK_BYTES];
        match from.read(&mut bytes).await {
            Ok(0) => Ok(None),
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some((bytes.into(), from)))
            }
            Err(source) => {
                Err(Error::Unavailable { operation: "reading a snapshot", source: Box::new(source) })
            }
        }
    }))
}

/// The snapshot of an [`Mvcc`], read while writers go on.
pub(in crate::store) fn take(mvcc: &Arc<Mvcc>) -> SnapshotStream {
    struct Taking {
        source: SnapshotSource,
        blocks: u64,
        stage: Stage,
    }
    enum Stage {
        Begin,
        State,
        Revisions(Revision),
        End,
        Done,
    }
    let taking = Taking { source: mvcc.snapshot(), blocks: 0, stage: Stage::Begin };
    Box::pin(stream::try_unfold(taking, |mut taking| async move {
        let mut out = BytesMut::new();
        let source = &mut taking.source;
        let mut block = |kind, body: &[u8]| {
            close(&mut out, taking.blocks, kind, body);
            taking.blocks += 1;
        };
        let mut body = Vec::new();
        let next = match taking.stage {
            Stage::Begin => {
                body.put_u64_le(source.floor().0);
                body.put_u64_le(source.revision().0);
                block(HEAD, &body);
                body.clear();
                for (id, ttl) in source.leases() {
                    body.put_i64_le(*id);
                    body.put_u64_le(ttl.as_secs());
                }
                block(LEASES, &body);
                let blocks = out;
                out = BytesMut::from(MAGIC);
                out.unsplit(blocks);
                Stage::State
            }
            Stage::State => {
                while body.len() < BLOCK_BYTES {
                    let keys = source.next_keys(64)?;
                    if keys.is_empty() {
                        break;
                    }
                    keys.iter().for_each(|kv| put_kv(&mut body, kv));
                }
                if body.is_empty() {
                    Stage::Revisions(source.floor())
                } else {
                    block(STATE, &body);
                    Stage::State
                }
            }
            Stage::Revisions(mut revision) => {
                let mut length = 0;
                while length < BLOCK_BYTES && revision <= source.revision() {
                    body.clear();
                    body.put_u64_le(revision.0);
                    for event in source.events(revision)?.iter() {
                        body.put_u8(u8::from(event.kind == EventKind::Delete));
                        put_kv(&mut body, &event.kv);
                    }
                    block(REVISION, &body);
                    length += body.len();
                    revision = revision.next();
                }
                if length == 0 { Stage::End } else { Stage::Revisions(revision) }
            }
            Stage::End => {
                let before = taking.blocks;
                close(&mut out, before, END, &before.to_le_bytes());
                Stage::Done
            }
            Stage::Done => return Ok(None),
        };
        taking.stage = next;
        Ok(Some((out.freeze(), taking)))
    }))
}

fn close(out: &mut BytesMut, place: u64, kind: u8, body: &[u8]) {
    out.reserve(body.len() + 9);
    out.put_u32_le(body.len() as u32);
    out.put_u8(kind);
    out.put_slice(body);
    out.put_u32_le(check(place, kind, body));
}

fn check(place: u64, kind: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(&[kind]);
    hasher.update(body);
    hasher.finalize()
}

fn put_kv(out: &mut Vec<u8>, kv: &KeyValue) {
    out.put_u32_le(kv.key.len() as u32);
    out.put_u32_le(kv.value.len() as u32);
    out.put_u64_le(kv.create_revision.0);
    out.put_u64_le(kv.mod_revision.0);
    out.put_u64_le(kv.version);
    out.put_i64_le(kv.lease);
    out.put_slice(&kv.key);
    out.put_slice(&kv.value);
}

fn get_kv(body: &mut Bytes) -> Option<KeyValue> {
    let key = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
    let value = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
    let create_revision = Revision(body.try_get_u64_le().ok()?);
    let mod_revision = Revision(body.try_get_u64_le().ok()?);
    let version = body.try_get_u64_le().ok()?;
    let lease = body.try_get_i64_le().ok()?;
    if body.len() < key + value {
        return None;
    }
    // Copies, which do not hold on to the whole block.
    let key = Bytes::copy_from_slice(&body.split_to(key));
    let value = Bytes::copy_from_slice(&body.split_to(value));
    Some(KeyValue { key, value, create_revision, mod_revision, version, lease })
}

/// Reads a snapshot piece by piece.
pub(in crate::store) struct Reader {
    from: SnapshotStream,
    buffer: BytesMut,
    /// Where the buffer begins.
    position: u64,
    blocks: u64,
    /// How far the snapshot says to reach, and how far it has been read.
    head: Option<(Revision, Revision)>,
    next: Revision,
    ended: bool,
}

impl Reader {
    pub(in crate::store) fn new(from: SnapshotStream) -> Self {
        let (buffer, next) = (BytesMut::new(), Revision::NONE);
        Self { from, buffer, position: 0, blocks: 0, head: None, next, ended: false }
    }

    /// The next piece; nothing once the snapshot has ended as it should.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] names the place where it is not what a store has written.
    pub(in crate::store) async fn next(&mut self) -> Result<Option<Piece>> {
        if self.ended {
            return Ok(None);
        }
        if self.position == 0 {
            self.fill(MAGIC.len()).await?;
            if self.buffer[..MAGIC.len()] != *MAGIC {
                return Err(self.corrupt("is not a snapshot of a store"));
            }
            self.skip(MAGIC.len());
        }
        self.fill(5).await?;
        let length = self.buffer[..4].try_into().map_or(0, u32::from_le_bytes) as usize;
        if length > MAX_BLOCK_BYTES {
            return Err(self.corrupt("has an impossible length"));
        }
        self.fill(length + 9).await?;
        let kind = self.buffer[4];
        let claimed = self.buffer[length + 5..length + 9].try_into().map_or(0, u32::from_le_bytes);
        if check(self.blocks, kind, &self.buffer[5..length + 5]) != claimed {
            return Err(self.corrupt("does not match its checksum"));
        }
        let mut block = self.buffer.split_to(length + 9).freeze();
        let piece = self.piece(kind, block.split_off(5).split_to(length));
        let piece = piece.ok_or_else(|| self.corrupt("is not what was to come"))?;
        self.position += length as u64 + 9;
        self.blocks += 1;
        if self.ended {
            // etcd's API fills a snapshot up to whole pages and puts the SHA-256 of all behind it, which
            // etcdctl keeps in its file; every block has its own check, so it is not looked at again.
            let missing = (self.position.next_multiple_of(ETCD_PAGE) - self.position) as usize;
            while self.buffer.len() <= missing + ETCD_CHECKSUM && self.more().await? {}
            let filled = self.buffer.len() == missing + ETCD_CHECKSUM
                && self.buffer[..missing].iter().all(|byte| *byte == 0);
            return if self.buffer.is_empty() || filled {
                Ok(None)
            } else {
                Err(self.corrupt("stands behind the end"))
            };
        }
        Ok(piece)
    }

    /// What a block says, if it is in its place; nothing in that of the end.
    fn piece(&mut self, kind: u8, mut body: Bytes) -> Option<Option<Piece>> {
        let Some((floor, revision)) = self.head else {
            let (floor, revision) =
                (Revision(body.try_get_u64_le().ok()?), Revision(body.try_get_u64_le().ok()?));
            self.head = Some((floor, revision));
            self.next = floor;
            let sane = kind == HEAD && body.is_empty() && floor != Revision::NONE && floor <= revision;
            return sane.then_some(Some(Piece::Head { floor, revision }));
        };
        let begun = self.next > floor;
        let piece = match kind {
            LEASES if self.blocks == 1 => {
                let mut leases = Vec::new();
                while !body.is_empty() {
                    let (id, ttl) = (body.try_get_i64_le().ok()?, body.try_get_u64_le().ok()?);
                    leases.push((id, Duration::from_secs(ttl)));
                }
                Piece::Leases(leases)
            }
            STATE if !begun => {
                let mut keys = Vec::new();
                while !body.is_empty() {
                    keys.push(get_kv(&mut body)?);
                }
                Piece::State(keys)
            }
            REVISION => {
                let at = Revision(body.try_get_u64_le().ok()?);
                if at != self.next || at > revision {
                    return None;
                }
                self.next = at.next();
                let mut events = Vec::new();
                while !body.is_empty() {
                    let kind = if body.try_get_u8().ok()? == 0 { EventKind::Put } else { EventKind::Delete };
                    events.push(Event { kind, kv: get_kv(&mut body)?, previous: None });
                }
                Piece::Revision(at, events)
            }
            END if self.next == revision.next() => {
                self.ended = true;
                return (body.try_get_u64_le().ok()? == self.blocks && body.is_empty()).then_some(None);
            }
            _ => return None,
        };
        Some(Some(piece))
    }

    fn skip(&mut self, length: usize) {
        self.buffer.advance(length);
        self.position += length as u64;
    }

    /// Reads until there are so many bytes.
    async fn fill(&mut self, length: usize) -> Result<()> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(self.corrupt("is cut off"));
            }
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<bool> {
        while let Some(bytes) = self.from.next().await {
            let bytes = bytes?;
            self.buffer.extend_from_slice(&bytes);
            if !bytes.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::Corrupt {
            what: format!("snapshot: block {} at byte {} {what}", self.blocks, self.position).into(),
        }
    }
}

/// A store that holds what a snapshot says.
pub(in crate::store) async fn restore(options: MvccOptions, from: SnapshotStream) -> Result<Mvcc> {
    let mut reader = Reader::new(from);
    let Some(Piece::Head { floor, revision }) = reader.next().await? else {
        return Err(reader.corrupt("is not its head"));
    };
    let mut restore = Restore::new(options, floor);
    while let Some(piece) = reader.next().await? {
        match piece {
            Piece::Head { .. } => return Err(reader.corrupt("is a second head")),
            Piece::Leases(leases) => {
                leases.into_iter().for_each(|(id, ttl)| restore.lease(id, ttl));
            }
            Piece::State(keys) => keys.into_iter().for_each(|kv| restore.at_floor(kv, 0)),
            Piece::Revision(at, events) if at == floor => restore.floor_events(events),
            Piece::Revision(at, events) => {
                let versions = events.into_iter().enumerate();
                let versions = versions.map(|(index, Event { kind, kv, .. })| Restored {
                    kv,
                    kind,
                    index: index as u32,
                });
                restore.batch(at, versions.collect());
            }
        }
    }
    Ok(restore.finish(revision))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::{
        KeyRange, ListOptions, Maintenance, MemoryOptions, MemoryStore, ObjectStore, ObjectStoreExt, Op, Txn,
        WatchOptions,
    };

    async fn example() -> MemoryStore {
        let store = MemoryStore::new();
        for number in 0..2_000 {
            store.put(format!("/k/{:03}", number % 300), vec![b'v'; number]).await.unwrap();
        }
        store.delete("/k/007").await.unwrap();
        store.compact(Revision(1_000)).await.unwrap();
        let both = Txn::new().then(Op::put("/a", "1")).then(Op::delete(KeyRange::prefix("/k/29")));
        store.commit(both).await.unwrap();
        store
    }

    async fn bytes(store: &MemoryStore) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = write(store.snapshot().await.unwrap(), &mut bytes).await.unwrap();
        assert_eq!(length, bytes.len() as u64);
        bytes
    }

    async fn restored(bytes: Vec<u8>) -> Result<MemoryStore> {
        MemoryStore::restore(MemoryOptions::default(), read(std::io::Cursor::new(bytes))).await
    }

    #[tokio::test]
    async fn a_restored_store_has_the_same_past_and_future() {
        let store = example().await;
        let again = restored(bytes(&store).await).await.unwrap();
        let newest = store.revision().await.unwrap();
        assert_eq!(again.revision().await.unwrap(), newest);
        for at in [1_000, 1_001, 1_500, newest.0 - 1, newest.0] {
            let options = ListOptions::default().at(Revision(at));
            let read =
                |store: MemoryStore| async move { store.list(KeyRange::all(), options).await.unwrap() };
            assert_eq!(read(store.clone()).await, read(again.clone()).await, "at {at}");
        }
        let below = ListOptions::default().at(Revision(999));
        assert!(matches!(again.list(KeyRange::all(), below).await, Err(Error::Compacted { .. })));
        let watch = |store: MemoryStore| async move {
            let watch =
                store.watch(KeyRange::all(), WatchOptions::from(Revision(1_001)).with_previous()).await;
            let mut watch = watch.unwrap();
            let mut told = Vec::new();
            while let Some(batch) = watch.next().now_or_never() {
                told.push(batch.unwrap().unwrap());
            }
            told
        };
        let told = watch(store.clone()).await;
        assert_eq!(told.len(), 1_003);
        assert_eq!(told, watch(again.clone()).await);
        assert_eq!(again.put("/k/000", "x").await.unwrap(), newest.next());
    }

    #[tokio::test]
    async fn writers_do_not_disturb_a_snapshot() {
        let store = example().await;
        let newest = store.revision().await.unwrap();
        let mut snapshot = store.snapshot().await.unwrap();
        let mut pieces = vec![snapshot.next().await.unwrap()];
        for number in 0..100 {
            store.put(format!("/k/{number:03}"), "later").await.unwrap();
            store.compact(store.revision().await.unwrap()).await.unwrap();
            pieces.extend(snapshot.next().await);
        }
        while let Some(piece) = snapshot.next().await {
            pieces.push(piece);
        }
        let from: SnapshotStream = Box::pin(stream::iter(pieces));
        let again = MemoryStore::restore(MemoryOptions::default(), from).await.unwrap();
        assert_eq!(again.revision().await.unwrap(), newest);
        let page = again.list(KeyRange::all(), ListOptions::default()).await.unwrap();
        assert_eq!(page.count, 290);
        assert!(page.items.iter().all(|kv| kv.value != "later"));
    }

    #[tokio::test]
    async fn damage_is_found_and_named() {
        let store = MemoryStore::new();
        for number in 0..4 {
            store.put(format!("/k/{number}"), "value").await.unwrap();
        }
        let whole = bytes(&store).await;
        let error = |bytes: Vec<u8>| async move {
            match restored(bytes).await {
                Err(Error::Corrupt { what }) => what.to_string(),
                other => panic!("{other:?}"),
            }
        };
        for length in 0..whole.len() {
            let what = error(whole[..length].to_vec()).await;
            assert!(what.contains("is cut off"), "{what}");
        }
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 0x10;
            let what = error(flipped).await;
            assert!(what.starts_with("snapshot: block "), "{what}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(error(longer).await.contains("stands behind the end"));
    }
}
