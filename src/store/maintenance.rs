//! What an operator asks of a store: how big it is, a copy of it, room.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use super::{Result, Revision};

/// The upkeep of a store.
///
/// # Contract
///
/// A store with a quota that a write would exceed answers it with [`super::Error::NoSpace`] and
/// raises its alarm. From then on it refuses every commit that may put and every grant of a lease,
/// and goes on to read, watch, delete and compact, until somebody has made room and calls
/// [`Maintenance::disarm`]; as etcd does.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// How the store stands.
    async fn status(&self) -> Result<StoreStatus>;

    /// The whole store at one revision, as bytes that only a store of its own kind reads: everything
    /// from the compaction floor on, and the leases. Writers do not wait for it.
    async fn snapshot(&self) -> Result<SnapshotStream>;

    /// Gives room that compaction has freed back to the system.
    async fn defragment(&self) -> Result<()>;

    /// Takes the alarm back. It is raised again by the next write that exceeds the quota.
    async fn disarm(&self) -> Result<()>;
}

/// The bytes of a snapshot, in pieces.
pub type SnapshotStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// How a store stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatus {
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that can be read or watched from.
    pub floor: Revision,
    /// What the store takes up, in memory or on disk.
    pub size_bytes: u64,
    /// What of it is in use; the rest defragmentation gives back.
    pub in_use_bytes: u64,
    /// What it may take up.
    pub quota_bytes: Option<u64>,
    /// Whether the alarm is raised.
    pub no_space: bool,
}
