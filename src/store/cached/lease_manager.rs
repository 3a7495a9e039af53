//! The lease that objects with the same time to live share.
//!
//! A lease for each object would be as many calls of the store as objects, and on etcd each is a round of
//! consensus. So a lease is granted for a little longer than was asked for, and serves all who come
//! while that little lasts, up to so many.
//!
//! Source: `lease_manager.go` of kube-apiserver's `storage/etcd3` (1.36).

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::env::{Clock, Env, Stream};
use crate::store::lease::MAX_LEASE_TTL;
use crate::store::{Error, Leases, Result};

/// How much longer than asked for a lease is granted, at most.
const LONGEST_REUSE: Duration = Duration::from_secs(60);
/// The same, in hundredths of what was asked for.
const REUSE_PERCENT: u64 = 5;
/// How many objects one lease serves.
const MOST_OBJECTS: u32 = 1000;

pub(super) struct LeaseManager {
    clock: Clock,
    /// Numbers are drawn here, so that they follow from the seed whatever the store is.
    numbers: Stream,
    last: Mutex<Option<Shared>>,
}

/// The lease that was granted last.
struct Shared {
    id: i64,
    /// It does not end before.
    end: Instant,
    /// Objects that it was given to, whether or not they were committed.
    objects: u32,
}

/// A lease for one object.
pub(super) struct Lease {
    pub(super) id: i64,
    /// Whether others were given it before.
    pub(super) shared: bool,
}

impl LeaseManager {
    pub(super) fn new(env: &Env) -> Self {
        let numbers = env.random.stream("store/cached/leases");
        Self { clock: env.clock.clone(), numbers, last: Mutex::default() }
    }

    /// A lease that lasts for `ttl` and a little longer. Cancel safe: a lease whose grant nobody waited for
    /// ends by itself.
    pub(super) async fn lease(&self, leases: &dyn Leases, ttl: Duration) -> Result<Lease> {
        if ttl > MAX_LEASE_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        let mut last = self.last.lock().await;
        let now = self.clock.instant();
        let reuse = Duration::from_secs(ttl.as_secs() * REUSE_PERCENT / 100).min(LONGEST_REUSE);
        if let Some(shared) = &mut *last
            && (now + ttl..=now + ttl + reuse).contains(&shared.end)
            && shared.objects < MOST_OBJECTS
        {
            shared.objects += 1;
            return Ok(Lease { id: shared.id, shared: true });
        }
        let id = self.grant(leases, ttl + reuse).await?;
        *last = Some(Shared { id, end: now + ttl + reuse, objects: 1 });
        Ok(Lease { id, shared: false })
    }

    async fn grant(&self, leases: &dyn Leases, ttl: Duration) -> Result<i64> {
        loop {
            // 0 would let the store draw one.
            let number = (self.numbers.next_u64() >> 1).cast_signed().max(1);
            match leases.grant(number, ttl).await {
                Err(Error::LeaseExists { .. }) => {}
                granted => return Ok(granted?.id),
            }
        }
    }

    /// The lease is gone before its time: it is given to nobody any more.
    pub(super) async fn forget(&self, id: i64) {
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|shared| shared.id == id) {
            *last = None;
        }
    }
}
