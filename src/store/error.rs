//! What can go wrong in a store.

use std::sync::Arc;

use super::Revision;
use super::cached::Unreadable;

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The revision asked for has been compacted; `oldest` is the oldest that can be read.
    #[error("required revision has been compacted: the oldest that is kept is {oldest}")]
    Compacted {
        /// The compaction floor.
        oldest: Revision,
    },
    /// The revision asked for has not happened; `newest` is the newest that has.
    #[error("required revision is a future revision: the newest is {newest}")]
    FutureRevision {
        /// The newest revision.
        newest: Revision,
    },
    /// One branch of a transaction writes this key twice.
    #[error("duplicate key given in txn request: {key:?}")]
    DuplicateKey {
        /// The key.
        key: bytes::Bytes,
    },
    /// The key is empty.
    #[error("key is not provided")]
    EmptyKey,
    /// A write that keeps what its key has names an absent key.
    #[error("key not found")]
    KeyNotFound,
    /// There is no such lease.
    #[error("requested lease not found: {id:016x}")]
    LeaseNotFound {
        /// The number asked for.
        id: i64,
    },
    /// There is a lease of this number already.
    #[error("lease already exists: {id:016x}")]
    LeaseExists {
        /// The number asked for.
        id: i64,
    },
    /// The time to live is more than [`super::lease::MAX_LEASE_TTL`].
    #[error("too large lease TTL")]
    LeaseTtlTooLarge,
    /// Nothing more can be stored until something is compacted or deleted.
    #[error("database space exceeded")]
    NoSpace,
    /// The store does not do what it was asked for, and asking again does not help: it is bigger than
    /// the store takes, or not permitted. Nothing of it happened.
    #[error("refused: {why}")]
    Refused {
        /// Why.
        why: Arc<str>,
    },
    /// What is stored is damaged; nothing of it was served. `what` names the file, the place and
    /// what is wrong with it.
    #[error("corrupt store: {what}")]
    Corrupt {
        /// Where and what.
        what: Arc<str>,
    },
    /// These keys hold no objects that can be read. Only [`Cached`](super::Cached) fails so; what does not
    /// need these objects goes on.
    #[error("cannot be read: {}{}", list(values), if *more { ", and more" } else { "" })]
    Unreadable {
        /// Which, and why: at least one, and at most [`Unreadable::MOST`].
        values: Vec<Arc<Unreadable>>,
        /// Whether there are more of them.
        more: bool,
    },
    /// A watch of [`Cached`](super::Cached) should tell that an object was deleted, and its last state
    /// cannot be read.
    #[error("was deleted, and could not be read: {value}")]
    UnreadableDeleted {
        /// Which, and why.
        value: Arc<Unreadable>,
    },
    /// The store has stopped for good, because it could not keep what it promises; it must be opened
    /// anew. Whether a commit that fails so has happened shows then.
    #[error("the store has stopped: {why}")]
    Stopped {
        /// Why.
        why: Arc<str>,
    },
    /// Anything else; trying again may help. A commit that fails so may have happened all the same.
    #[error("{operation}: {source}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn list(values: &[Arc<Unreadable>]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// Objects cannot be read: so many of them are named as may be.
    pub(super) fn unreadable(values: impl IntoIterator<Item = Arc<Unreadable>>) -> Self {
        let mut values = values.into_iter();
        let named = values.by_ref().take(Unreadable::MOST).collect();
        Self::Unreadable { values: named, more: values.next().is_some() }
    }
}
