//! What can go wrong in a store.

use super::Revision;

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
    /// Nothing more can be stored until something is compacted or deleted.
    #[error("database space exceeded")]
    NoSpace,
    /// Anything else; trying again may help.
    #[error("{operation}: {source}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
