//! The store: ordered keys, byte values, revisions and watches, on etcd's contract.
//!
//! [`ObjectStore`] is the trait that backends implement and wrappers wrap. It knows no kinds: keys
//! and values are bytes. [`Cached`] stands above any store and holds decoded
//! [`Object`](crate::api::Object)s, the indexes by which they are found, and the watches that
//! everybody uses.

pub mod cached;
pub mod compactor;
pub mod conformance;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "encryption")]
pub mod encrypted;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(feature = "etcd-server")]
pub mod etcd_server;
pub mod faulty;
pub mod lease;
pub mod maintenance;
pub mod memory;
#[cfg_attr(not(feature = "disk"), allow(dead_code, reason = "the store on disk stands on it too"))]
mod mvcc;
mod range;
pub mod snapshot;
mod txn;
mod watch;

use async_trait::async_trait;
use bytes::Bytes;

pub use crate::api::Revision;
pub use cached::Cached;
#[cfg(feature = "encryption")]
pub use encrypted::{Encrypted, EncryptionKey, EncryptionKeys};
pub use error::Error;
#[cfg(feature = "etcd")]
pub use etcd::{EtcdOptions, EtcdStore, EtcdTls};
pub use faulty::{Faults, Faulty};
pub use lease::{Granted, LeaseStatus, Leases};
pub use maintenance::{Maintenance, SnapshotStream, StoreStatus};
pub use memory::{HistoryFull, MemoryOptions, MemoryStore};
pub use range::KeyRange;
pub use txn::{Committed, Compare, Condition, Op, OpResult, Relation, Txn};
pub use watch::{Event, EventKind, WatchBatch, WatchOptions, WatchStream};

/// What a store's methods answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A key with its value and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The revision at which the key was created, since it was last deleted.
    pub create_revision: Revision,
    /// The revision of the last write.
    pub mod_revision: Revision,
    /// Writes since the key was created; the first makes 1.
    pub version: u64,
    /// The lease that the key is attached to; 0 for none.
    pub lease: i64,
}

/// How to list a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Read as of this revision; the newest where none is given.
    pub at: Option<Revision>,
    /// At most so many keys; all where 0.
    pub limit: usize,
    /// Count only: [`Page::items`] stays empty.
    pub count_only: bool,
    /// Leave out the values: each is empty.
    pub keys_only: bool,
    /// Leave the values as they are stored, where the store seals them: [`ObjectStore::open`] opens each.
    pub sealed: bool,
}

impl ListOptions {
    /// As of a revision.
    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }

    /// At most so many keys; all where 0.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Count only.
    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }

    /// Without values.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// With values as they are stored.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self
    }
}

/// Part of a range, at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The revision that was read: the one asked for, or the newest.
    pub revision: Revision,
    /// Keys in order.
    pub items: Vec<KeyValue>,
    /// Whether the range holds more behind the last item.
    pub more: bool,
    /// How many keys the whole range holds at that revision.
    pub count: usize,
}

/// Ordered keys with revisions, transactions and watches.
///
/// # Contract
///
/// - A key is any non-empty byte string, a value any byte string. Keys are ordered bytewise.
/// - The store is at a revision, starting at 1 when empty. A commit that writes makes exactly one
///   new revision, whatever the number of keys it writes; one that writes nothing makes none.
/// - Every revision at or above the compaction floor can be read and watched from. Below it,
///   reads and watches fail with [`Error::Compacted`]; above the newest, reads fail with
///   [`Error::FutureRevision`].
/// - Strict serializability: once a call has answered, every later call sees its effect. A commit
///   that was answered is durable, as far as the store promises durability at all; until it is, no
///   read and no watch sees it.
/// - A store may keep values in another form than it was given them, such as sealed. Reads and watches
///   answer what was given, or fail with [`Error::Corrupt`] as a whole. Who would rather know which value
///   it is asks for them sealed and opens each by [`ObjectStore::open`]; to a store that keeps values as
///   they are, both are the same.
/// - What a store can do besides, it says by answering [`ObjectStore::leases`] and
///   [`ObjectStore::maintenance`]; a wrapper can do what its store can.
///
/// # Ordering
///
/// Watches deliver revisions in order, all events of one revision in one batch, each once.
///
/// # Idempotence
///
/// `commit` is not idempotent; a caller that lost its answer finds out by comparing revisions.
/// `compact` at or below the floor fails with [`Error::Compacted`].
///
/// # Cancel safety
///
/// Dropping a read loses nothing. A commit that is dropped may or may not happen, as if its answer
/// were lost; it never happens in part.
///
/// # Errors
///
/// See [`Error`]: what a caller branches on is a variant.
///
/// # Example
///
/// ```
/// use windlass::store::{Compare, MemoryStore, ObjectStore, ObjectStoreExt, Op, Txn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let create = Txn::new().when(Compare::missing("/a")).then(Op::put("/a", "1"));
/// assert!(store.commit(create.clone()).await?.succeeded);
/// assert!(!store.commit(create).await?.succeeded);
/// assert_eq!(store.get(b"/a").await?.unwrap().value, "1");
/// # Ok::<(), windlass::store::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// The newest revision that is visible.
    async fn revision(&self) -> Result<Revision>;

    /// Reads a key.
    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>>;

    /// Reads a range, in order, at one revision.
    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page>;

    /// One atomic step: when every comparison holds, `then` happens, otherwise `or_else`.
    ///
    /// Operations of one branch happen in order, see each other's effects, and share one revision;
    /// a branch that writes one key twice is refused with [`Error::DuplicateKey`], as etcd does.
    async fn commit(&self, txn: Txn) -> Result<Committed>;

    /// Watches a range from a revision on (`options.from`, itself included), or from now.
    ///
    /// The stream ends with an error: [`Error::Compacted`] when what it should deliver next is no
    /// longer kept. Dropping it cancels the watch.
    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream>;

    /// Asks the watches of exactly this range to say how far they are: each soon delivers a batch,
    /// without events where it has none, at a revision not older than the newest one now. One that has
    /// said so already need not again.
    ///
    /// A store whose watches say so of their own accord, within a second or so, need not implement
    /// this.
    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        let _ = range;
        Ok(())
    }

    /// Opens the value of a key that was read or watched sealed ([`ListOptions::sealed`],
    /// [`WatchOptions::sealed`]): fails with [`Error::Corrupt`] where it does not open.
    ///
    /// A wrapper that hands these options to the store below must hand this on too.
    fn open(&self, key: &[u8], sealed: &Bytes) -> Result<Bytes> {
        let _ = key;
        Ok(sealed.clone())
    }

    /// Forgets the history below `revision`: it stays readable itself.
    async fn compact(&self, revision: Revision) -> Result<()>;

    /// Whether what a key holds is kept otherwise than this store would keep it now, as under an encryption
    /// key that has been replaced: an update that changes nothing then writes it anew. Never where the key
    /// is absent, nor in a store that keeps values as they are.
    async fn is_stale(&self, key: &[u8]) -> Result<bool> {
        let _ = key;
        Ok(false)
    }

    /// Whether history is kept until somebody compacts it, and somebody should: an API server does where it
    /// is not told otherwise. Not so in a store that compacts by itself, nor in one that is to keep all.
    fn wants_compaction(&self) -> bool {
        false
    }

    /// The store's leases, if it has any; where it has none, a key's lease is always 0, and a put
    /// that names another is refused with [`Error::LeaseNotFound`].
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }

    /// The store's upkeep, if it has any.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }
}

/// What every store can do besides: sugar over [`ObjectStore`].
pub trait ObjectStoreExt: ObjectStore {
    /// Writes a key, whatever it held.
    fn put(
        &self,
        key: impl Into<Bytes> + Send,
        value: impl Into<Bytes> + Send,
    ) -> impl Future<Output = Result<Revision>> + Send {
        let committed = self.commit(Txn::new().then(Op::put(key, value)));
        async move { Ok(committed.await?.revision) }
    }

    /// Deletes a key; answers whether it was there.
    fn delete(&self, key: impl Into<Bytes> + Send) -> impl Future<Output = Result<bool>> + Send {
        let committed = self.commit(Txn::new().then(Op::delete(KeyRange::single(key))));
        async move {
            let results = committed.await?.results;
            Ok(results.iter().any(|result| matches!(result, OpResult::Deleted { count: 1.., .. })))
        }
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}

macro_rules! forward {
    ($($holder:ty),*) => {$(
        #[async_trait]
        impl<S: ObjectStore + ?Sized> ObjectStore for $holder {
            async fn revision(&self) -> Result<Revision> {
                (**self).revision().await
            }
            async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
                (**self).get(key).await
            }
            async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
                (**self).list(range, options).await
            }
            async fn commit(&self, txn: Txn) -> Result<Committed> {
                (**self).commit(txn).await
            }
            async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
                (**self).watch(range, options).await
            }
            async fn request_progress(&self, range: KeyRange) -> Result<()> {
                (**self).request_progress(range).await
            }
            fn open(&self, key: &[u8], sealed: &Bytes) -> Result<Bytes> {
                (**self).open(key, sealed)
            }
            async fn compact(&self, revision: Revision) -> Result<()> {
                (**self).compact(revision).await
            }
            async fn is_stale(&self, key: &[u8]) -> Result<bool> {
                (**self).is_stale(key).await
            }
            fn wants_compaction(&self) -> bool {
                (**self).wants_compaction()
            }
            fn leases(&self) -> Option<&dyn Leases> {
                (**self).leases()
            }
            fn maintenance(&self) -> Option<&dyn Maintenance> {
                (**self).maintenance()
            }
        }
    )*};
}
forward!(std::sync::Arc<S>, Box<S>);
