//! Values sealed at rest: a store over any store, whose values below are ciphertext.
//!
//! Keys, revisions, versions and leases stay in the clear: the store below orders and compares them.
//! Only values are sealed, each under its own storage key (see `sealer`), so that whoever reads the
//! disk, a backup or a snapshot learns which objects there are and how long, and nothing of what
//! they hold; and whoever writes there can put back an old value of the same key, or remove one, and
//! otherwise plant nothing that opens.
//!
//! What compares values cannot be asked of the store below. A commit with such comparisons reads
//! what they compare, decides them in the clear, and commits on condition that what it read still
//! stands as it was (by revisions, which every store compares); when it does not, it begins again.
//! Some other commit has succeeded in between, so that the system as a whole moves on.

mod keys;
mod sealer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

pub use self::keys::{EncryptionKey, EncryptionKeys};
use self::sealer::Sealer;
use super::{
    Committed, Compare, Condition, Error, Event, KeyRange, KeyValue, Leases, ListOptions, Maintenance,
    ObjectStore, Op, OpResult, Page, Relation, Result, Revision, Txn, WatchBatch, WatchOptions, WatchStream,
};

/// Keys rewritten at once.
const PAGE: usize = 256;

/// A store whose values are sealed at rest in the store below it.
///
/// # Contract
///
/// That of [`ObjectStore`], and whatever the store below can do besides. A value that does not open is
/// never served: what reads it fails with [`Error::Corrupt`], which names its key, and a watch that
/// should deliver it ends so; who asks for values sealed hears it of that value alone, from
/// [`ObjectStore::open`]. Snapshots hold the values sealed. A quota counts them sealed: 83
/// bytes and the name of their key longer.
///
/// # Cancel safety
///
/// As for [`ObjectStore::commit`]; [`Encrypted::rotate`] can be dropped and called again.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use windlass::store::{Encrypted, EncryptionKey, EncryptionKeys, MemoryStore, ObjectStore, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let below = MemoryStore::new();
/// let keys = EncryptionKeys::new(EncryptionKey::new("2026", [7; 32]));
/// let store = Encrypted::new(Arc::new(below.clone()), keys);
/// store.put("/a", "secret").await?;
/// assert_eq!(store.get(b"/a").await?.unwrap().value, "secret");
/// assert!(below.get(b"/a").await?.unwrap().value.starts_with(b"windlass:enc:aes256gcm:v1:2026:"));
/// # Ok::<(), windlass::store::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Encrypted {
    inner: Arc<dyn ObjectStore>,
    sealer: Arc<Sealer>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}

impl Encrypted {
    /// How many bytes longer than its value a sealed one is, beside the name of its key.
    pub const OVERHEAD_BYTES: usize = sealer::OVERHEAD;

    /// Seals what is written to `inner` with the first of some keys.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, keys: EncryptionKeys) -> Self {
        Self { inner, sealer: Arc::new(Sealer::new(keys)) }
    }

    /// Writes again what is [stale](ObjectStore::is_stale) here, that is, not sealed with the first key, or
    /// not sealed at all; answers how many keys that were. Afterwards the other keys are needed only for the
    /// history, until that is compacted. Values and leases stay; each rewritten key has one version more,
    /// which watches see.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] at the first value that does not open; what was rewritten before stays so.
    pub async fn rotate(&self, range: KeyRange) -> Result<usize> {
        let (mut rest, mut count) = (range, 0);
        loop {
            let page = self.inner.list(rest.clone(), ListOptions::default().limit(PAGE)).await?;
            for kv in &page.items {
                if self.sealer.is_current(&kv.value) {
                    continue;
                }
                let value = self.sealer.seal(&kv.key, &self.sealer.open(&kv.key, &kv.value)?);
                let op = Op::Put { key: kv.key.clone(), value: Some(value), lease: None, previous: false };
                // Whoever wrote it meanwhile has sealed it with the first key.
                let unchanged = Compare::unchanged_since(kv.key.clone(), kv.mod_revision);
                count += usize::from(self.inner.commit(Txn::new().when(unchanged).then(op)).await?.succeeded);
            }
            let Some(last) = page.items.last().filter(|_| page.more) else { return Ok(count) };
            rest.start = Bytes::from([&last.key[..], &[0]].concat());
        }
    }

    fn open_kv(&self, mut kv: KeyValue) -> Result<KeyValue> {
        kv.value = self.sealer.open(&kv.key, &kv.value)?;
        Ok(kv)
    }

    fn open_page(&self, mut page: Page, options: ListOptions) -> Result<Page> {
        if !options.keys_only && !options.sealed {
            page.items = page.items.into_iter().map(|kv| self.open_kv(kv)).collect::<Result<_>>()?;
        }
        Ok(page)
    }

    fn open_batch(&self, batch: WatchBatch, previous: bool) -> Result<WatchBatch> {
        let open = |event: &Event| {
            let kv = match event.kind {
                super::EventKind::Put => self.open_kv(event.kv.clone())?,
                super::EventKind::Delete => event.kv.clone(),
            };
            let previous =
                event.previous.clone().filter(|_| previous).map(|kv| self.open_kv(kv)).transpose()?;
            Ok(Event { kind: event.kind, kv, previous })
        };
        let events = batch.events.iter().map(open).collect::<Result<_>>()?;
        Ok(WatchBatch { revision: batch.revision, events })
    }

    fn open_results(&self, txn: &Txn, mut committed: Committed) -> Result<Committed> {
        let ops = if committed.succeeded { &txn.then } else { &txn.or_else };
        let opened = ops.iter().zip(committed.results).map(|(op, result)| {
            Ok(match (op, result) {
                (Op::Range(_, options), OpResult::Range(page)) => {
                    OpResult::Range(self.open_page(page, *options)?)
                }
                (Op::Txn(txn), OpResult::Txn(inner)) => OpResult::Txn(self.open_results(txn, inner)?),
                (_, OpResult::Put(previous)) => {
                    OpResult::Put(previous.map(|kv| self.open_kv(kv)).transpose()?)
                }
                (_, OpResult::Deleted { count, previous }) => {
                    let previous = previous.into_iter().map(|kv| self.open_kv(kv)).collect::<Result<_>>()?;
                    OpResult::Deleted { count, previous }
                }
                (_, other) => other,
            })
        });
        committed.results = opened.collect::<Result<_>>()?;
        Ok(committed)
    }

    /// The transaction for the store below: puts sealed, and comparisons of values replaced by what
    /// they came to, in the order in which [`compared_values`] names them.
    fn sealed(&self, txn: &Txn, decided: &mut VecDeque<bool>) -> Txn {
        let mut compare = Vec::with_capacity(txn.compare.len());
        for asked in &txn.compare {
            match asked.condition {
                Condition::Value(..) if decided.pop_front().unwrap_or_default() => {}
                Condition::Value(..) => compare.push(never()),
                _ => compare.push(asked.clone()),
            }
        }
        let mut branch = |ops: &[Op]| ops.iter().map(|op| self.sealed_op(op, decided)).collect();
        Txn { compare, then: branch(&txn.then), or_else: branch(&txn.or_else) }
    }

    fn sealed_op(&self, op: &Op, decided: &mut VecDeque<bool>) -> Op {
        match op {
            Op::Put { key, value, lease, previous } => {
                let value = value.as_ref().map(|value| self.sealer.seal(key, value));
                Op::Put { key: key.clone(), value, lease: *lease, previous: *previous }
            }
            Op::Txn(txn) => Op::Txn(self.sealed(txn, decided)),
            op => op.clone(),
        }
    }

    /// What a comparison of values comes to now, and what must stand for it to stay so.
    async fn decide(&self, compare: &Compare) -> Result<(bool, Vec<Compare>)> {
        let page = self.inner.list(compare.range.clone(), ListOptions::default()).await?;
        let opened = self.open_page(page, ListOptions::default())?;
        let unchanged = |kv: &KeyValue| Compare::unchanged_since(kv.key.clone(), kv.mod_revision);
        let of_range = |condition| Compare { range: compare.range.clone(), condition };
        let Some(first) = opened.items.first() else {
            // It stays empty.
            return Ok((false, vec![of_range(Condition::CreateRevision(Relation::Equal, Revision::NONE))]));
        };
        let against = opened.items.iter().find(|kv| !compare.holds([*kv]));
        Ok(match against {
            // One key is enough, as long as it stands.
            Some(kv) => (false, vec![unchanged(kv)]),
            // Nothing new comes, and not everything goes.
            None => {
                let nothing_new = Condition::ModRevision(Relation::Less, opened.revision.next());
                (true, vec![of_range(nothing_new), unchanged(first)])
            }
        })
    }
}

/// The comparisons of values that a transaction makes, and those within it.
fn compared_values<'a>(txn: &'a Txn, found: &mut Vec<&'a Compare>) {
    found.extend(txn.compare.iter().filter(|compare| matches!(compare.condition, Condition::Value(..))));
    for op in txn.then.iter().chain(&txn.or_else) {
        if let Op::Txn(txn) = op {
            compared_values(txn, found);
        }
    }
}

/// A comparison that holds of nothing: no revision is less than none.
fn never() -> Compare {
    Compare::key(Bytes::from_static(b"\0"), Condition::ModRevision(Relation::Less, Revision::NONE))
}

#[async_trait]
impl ObjectStore for Encrypted {
    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.inner.get(key).await?.map(|kv| self.open_kv(kv)).transpose()
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.open_page(self.inner.list(range, options).await?, options)
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let mut compares = Vec::new();
        compared_values(&txn, &mut compares);
        if compares.is_empty() {
            let committed = self.inner.commit(self.sealed(&txn, &mut VecDeque::new())).await?;
            return self.open_results(&txn, committed);
        }
        txn.check()?;
        loop {
            let (mut decided, mut guards) = (VecDeque::new(), Vec::new());
            for compare in &compares {
                let (holds, stands) = self.decide(compare).await?;
                decided.push_back(holds);
                guards.extend(stands);
            }
            let sealed = Op::Txn(self.sealed(&txn, &mut decided));
            let guarded = Txn { compare: guards, then: vec![sealed], or_else: Vec::new() };
            let mut committed = self.inner.commit(guarded).await?;
            if committed.succeeded {
                return match committed.results.pop() {
                    Some(OpResult::Txn(inner)) => self.open_results(&txn, inner),
                    other => Err(Error::Unavailable {
                        operation: "committing a transaction within",
                        source: format!("it was answered with {other:?}").into(),
                    }),
                };
            }
        }
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        let (previous, sealed) = (options.previous, options.sealed);
        let watch = self.inner.watch(range, options).await?;
        if sealed {
            return Ok(watch);
        }
        let state = Some((watch, self.clone()));
        // What does not open ends the watch.
        Ok(Box::pin(stream::unfold(state, move |state| async move {
            let (mut watch, store) = state?;
            let item = watch.next().await?.and_then(|batch| store.open_batch(batch, previous));
            let goes_on = item.is_ok();
            Some((item, goes_on.then_some((watch, store))))
        })))
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.inner.request_progress(range).await
    }

    fn open(&self, key: &[u8], sealed: &Bytes) -> Result<Bytes> {
        self.sealer.open(key, &self.inner.open(key, sealed)?)
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }

    /// What is not sealed with the first key is stale, and so is what is not sealed at all.
    async fn is_stale(&self, key: &[u8]) -> Result<bool> {
        let Some(kv) = self.inner.get(key).await? else { return Ok(false) };
        Ok(!self.sealer.is_current(&kv.value) || self.inner.is_stale(key).await?)
    }

    fn wants_compaction(&self) -> bool {
        self.inner.wants_compaction()
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.inner.leases()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.inner.maintenance()
    }
}
