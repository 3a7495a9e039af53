//! Commits: changes as one transaction of the store, and what the feeder is left of them.

use std::time::Duration;

use super::Cached;
use super::change::{self, Change, Outcome};
use super::unreadable::Stored;
use crate::store::{Error, ObjectStore, Result};

impl Cached {
    /// Makes several changes, all of them or none, in one revision.
    ///
    /// # Errors
    ///
    /// What the store answers. A conflict is not an error but an [`Outcome`].
    ///
    /// # Cancel safety
    ///
    /// As for [`ObjectStore::commit`].
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Outcome> {
        self.commit_leased(&changes, 0).await
    }

    /// The same, but objects that are written go by themselves after `ttl`, or a little later: 5 % and at
    /// most a minute, as in Kubernetes, so that many share a lease of the store. Each later write decides
    /// anew whether they do. In a store without [leases](ObjectStore::leases) they stay.
    ///
    /// # Errors
    ///
    /// As for [`Cached::commit`], and what the store answers to a grant.
    ///
    /// # Cancel safety
    ///
    /// As for [`ObjectStore::commit`].
    pub async fn commit_expiring(&self, changes: Vec<Change>, ttl: Duration) -> Result<Outcome> {
        let Some(leases) = self.store.leases() else { return self.commit(changes).await };
        loop {
            let lease = self.leases.lease(leases, ttl).await?;
            match self.commit_leased(&changes, lease.id).await {
                // Somebody has revoked it, and nothing was committed: a new one does.
                Err(Error::LeaseNotFound { .. }) if lease.shared => self.leases.forget(lease.id).await,
                done => return done,
            }
        }
    }

    async fn commit_leased(&self, changes: &[Change], lease: i64) -> Result<Outcome> {
        let left: Vec<_> = changes
            .iter()
            .filter_map(|change| {
                let object = change.written()?;
                let cache = self.peek(object.resource())?;
                let left = cache.handover.leave(change::storage_key(object), object.clone());
                Some((cache, left))
            })
            .collect();
        let committed = match self.store.commit(change::plan(changes, lease)).await {
            Ok(committed) => committed,
            // It may have happened all the same: what was left stays for a while.
            Err(error @ (Error::Unavailable { .. } | Error::Stopped { .. })) => return Err(error),
            Err(error) => {
                left.into_iter().for_each(|(_, left)| left.withdraw());
                return Err(error);
            }
        };
        if committed.succeeded {
            for (cache, left) in left {
                // Where the feeder has been here already, what it did not take it never will.
                if cache.read().shelf.revision() < committed.revision {
                    left.stay();
                } else {
                    left.withdraw();
                }
            }
            return Ok(Outcome::Committed(committed.revision));
        }
        left.into_iter().for_each(|(_, left)| left.withdraw());
        let (index, held) = change::conflict(changes, &committed.results);
        let object = changes.get(index).and_then(Change::object);
        let current = match (object, held) {
            (Some(object), Some(kv)) => {
                let opened = self.store.open(&kv.key, &kv.value);
                match Stored::of(object.resource(), object.key(), &kv, opened, |_| None) {
                    Stored::Object(current) => Some(current),
                    Stored::Unreadable(value) => return Ok(Outcome::Unreadable { index, value }),
                }
            }
            _ => None,
        };
        Ok(Outcome::Conflict { index, current })
    }
}
