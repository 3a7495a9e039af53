//! The table of leases.
//!
//! A lease goes through three states, because what is staged is not visible yet: granted, standing
//! once that is published, and revoked until that is published too. Transactions see it from the
//! grant to the revocation, readers while it is published to be there. Its time begins when its
//! grant is published, and anew when the store is opened again.
//!
//! Source: etcd's `server/lease/lessor.go` (3.5): a time to live above the maximum is refused, one
//! below the minimum lengthened; the keys of a lease are deleted in order; a lease whose time is over
//! cannot be renewed; recovered leases have all their time before them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::env::Stream;
use crate::store::lease::MAX_LEASE_TTL;
use crate::store::{Error, LeaseStatus, Result};

/// The shortest time to live.
const MIN_LEASE_TTL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct LeaseTable {
    leases: BTreeMap<i64, Lease>,
    /// When the time of standing leases is over.
    due: BTreeSet<(Instant, i64)>,
    numbers: Stream,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    state: LeaseState,
    keys: BTreeSet<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    Granted,
    Standing { due: Instant },
    Revoked { due: Instant },
}

impl LeaseTable {
    pub(super) fn new(numbers: Stream) -> Self {
        Self { leases: BTreeMap::new(), due: BTreeSet::new(), numbers }
    }

    /// The number and time to live that a lease will have.
    pub(super) fn choose(&self, id: i64, ttl: Duration) -> Result<(i64, Duration)> {
        if ttl > MAX_LEASE_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let ttl = Duration::from_secs(whole).max(MIN_LEASE_TTL);
        if id != 0 {
            return if self.leases.contains_key(&id) {
                Err(Error::LeaseExists { id })
            } else {
                Ok((id, ttl))
            };
        }
        loop {
            let id = (self.numbers.next_u64() >> 1).cast_signed();
            if id != 0 && !self.leases.contains_key(&id) {
                return Ok((id, ttl));
            }
        }
    }

    pub(super) fn grant(&mut self, id: i64, ttl: Duration) {
        self.leases.insert(id, Lease { ttl, state: LeaseState::Granted, keys: BTreeSet::new() });
    }

    /// The grant is published; answers whether this lease is now the first whose time will be over.
    pub(super) fn stand(&mut self, id: i64, now: Instant) -> bool {
        let Some(lease) = self.leases.get_mut(&id) else { return false };
        // It may be revoked by now, by a record that is published after this one.
        let due = now + lease.ttl;
        if lease.state == LeaseState::Granted {
            lease.state = LeaseState::Standing { due };
            self.due.insert((due, id));
        }
        self.due.first() == Some(&(due, id))
    }

    /// Whether transactions see the lease.
    pub(super) fn exists(&self, id: i64) -> bool {
        self.leases.get(&id).is_some_and(|lease| !matches!(lease.state, LeaseState::Revoked { .. }))
    }

    fn visible(&self, id: i64) -> Option<(&Lease, Instant)> {
        let lease = self.leases.get(&id)?;
        match lease.state {
            LeaseState::Granted => None,
            LeaseState::Standing { due } | LeaseState::Revoked { due } => Some((lease, due)),
        }
    }

    /// Begins a lease's time anew.
    pub(super) fn keep_alive(&mut self, id: i64, now: Instant) -> Result<Duration> {
        let missing = Error::LeaseNotFound { id };
        let Some(lease) = self.leases.get_mut(&id) else { return Err(missing) };
        match lease.state {
            LeaseState::Standing { due } if due > now => {
                let anew = now + lease.ttl;
                lease.state = LeaseState::Standing { due: anew };
                self.due.remove(&(due, id));
                self.due.insert((anew, id));
                Ok(lease.ttl)
            }
            _ => Err(missing),
        }
    }

    /// The keys that a revocation deletes, in order; with `over`, only if the lease's time is over
    /// by then.
    pub(super) fn revocable(&self, id: i64, over: Option<Instant>) -> Result<Vec<Bytes>> {
        match self.leases.get(&id) {
            Some(Lease { state: LeaseState::Standing { due }, keys, .. })
                if over.is_none_or(|now| *due <= now) =>
            {
                Ok(keys.iter().cloned().collect())
            }
            // Granted, but nobody can know yet.
            _ => Err(Error::LeaseNotFound { id }),
        }
    }

    pub(super) fn revoke(&mut self, id: i64) {
        if let Some(lease) = self.leases.get_mut(&id)
            && let LeaseState::Standing { due } = lease.state
        {
            lease.state = LeaseState::Revoked { due };
            self.due.remove(&(due, id));
        }
    }

    /// The revocation is published.
    pub(super) fn forget(&mut self, id: i64) {
        self.leases.remove(&id);
    }

    /// A key goes from one lease to another; 0 is none.
    pub(super) fn attach(&mut self, key: &Bytes, from: i64, to: i64) {
        if from == to {
            return;
        }
        if let Some(lease) = self.leases.get_mut(&from) {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.leases.get_mut(&to) {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn status(&self, id: i64, keys: bool, now: Instant) -> Result<LeaseStatus> {
        let (lease, due) = self.visible(id).ok_or(Error::LeaseNotFound { id })?;
        Ok(LeaseStatus {
            granted: lease.ttl,
            remaining: due.saturating_duration_since(now),
            keys: if keys { lease.keys.iter().cloned().collect() } else { Vec::new() },
        })
    }

    /// The leases that readers see, with their times to live.
    pub(super) fn all(&self) -> Vec<(i64, Duration)> {
        let visible = self.leases.iter().filter(|(_, lease)| lease.state != LeaseState::Granted);
        visible.map(|(id, lease)| (*id, lease.ttl)).collect()
    }

    /// When the next lease's time is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The leases whose time is over, in the order in which it was.
    pub(super) fn over(&self, now: Instant) -> Vec<i64> {
        self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect()
    }
}
