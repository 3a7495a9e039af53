//! Leases: keys that go away unless somebody says in time that they shall stay.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Result, Revision};

/// The longest time to live: 9,000,000,000 seconds.
///
/// Source: `MaxLeaseTTL` of etcd's `server/lease/lessor.go` (3.5).
pub const MAX_LEASE_TTL: Duration = Duration::from_secs(9_000_000_000);

/// Leases of a store.
///
/// # Contract
///
/// - A lease has a number that is not 0 and a time to live in whole seconds, at least one; a store
///   may make it longer than was asked for, and says so.
/// - A key is attached to the lease that its last write named, and to no other.
/// - Once its time is over without a [`Leases::keep_alive`], a lease is revoked: every key that is
///   attached to it is deleted, all in one revision that watches see like any other; none where
///   there is no such key. It never happens before its time, by the store's own clock.
/// - A lease outlives a restart of the store, with its whole time to live before it again.
///
/// # Cancel safety
///
/// As for [`super::ObjectStore::commit`].
#[async_trait]
pub trait Leases: Send + Sync {
    /// Makes a lease, numbered `id`, or as the store likes where that is 0.
    ///
    /// # Errors
    ///
    /// [`super::Error::LeaseExists`] and [`super::Error::LeaseTtlTooLarge`].
    async fn grant(&self, id: i64, ttl: Duration) -> Result<Granted>;

    /// Begins a lease's time anew; answers its time to live.
    ///
    /// # Errors
    ///
    /// [`super::Error::LeaseNotFound`].
    async fn keep_alive(&self, id: i64) -> Result<Duration>;

    /// Ends a lease and deletes its keys, in one revision; answers the store's revision then.
    ///
    /// # Errors
    ///
    /// [`super::Error::LeaseNotFound`].
    async fn revoke(&self, id: i64) -> Result<Revision>;

    /// How a lease stands, and, where asked for, which keys are attached to it, in order.
    ///
    /// # Errors
    ///
    /// [`super::Error::LeaseNotFound`].
    async fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus>;

    /// The numbers of all leases, in order.
    async fn leases(&self) -> Result<Vec<i64>>;
}

/// A lease that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its number.
    pub id: i64,
    /// Its time to live.
    pub ttl: Duration,
}

/// How a lease stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The time to live that it was granted.
    pub granted: Duration,
    /// What is left of it.
    pub remaining: Duration,
    /// The keys that are attached to it, where asked for.
    pub keys: Vec<Bytes>,
}
