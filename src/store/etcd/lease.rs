//! Leases, which etcd keeps.

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{LeaseGrantOptions, LeaseTimeToLiveOptions};

use super::failure::Failure;
use super::members::Repeat;
use super::{EtcdStore, convert};
use crate::store::{Error, Granted, LeaseStatus, Leases, ObjectStore, Result, Revision};

/// What a call about a lease that failed tells its caller.
fn failed(failure: Failure, id: i64, operation: &'static str) -> Error {
    match failure {
        Failure::LeaseNotFound => Error::LeaseNotFound { id },
        Failure::LeaseExists => Error::LeaseExists { id },
        failure => failure.into_error(operation),
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.try_into().unwrap_or(0))
}

#[async_trait]
impl Leases for EtcdStore {
    async fn grant(&self, id: i64, ttl: Duration) -> Result<Granted> {
        let whole = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)).max(1);
        let ttl = whole.try_into().unwrap_or(i64::MAX);
        let answer = self
            .members
            .call(Repeat::Unsent, |link| async move {
                link.lease.clone().grant(ttl, Some(LeaseGrantOptions::new().with_id(id))).await
            })
            .await
            .map_err(|failure| failed(failure, id, "granting a lease"))?;
        Ok(Granted { id: answer.id(), ttl: seconds(answer.ttl()) })
    }

    async fn keep_alive(&self, id: i64) -> Result<Duration> {
        // Its time begins anew however often it is asked.
        let ttl = self
            .members
            .call(Repeat::Freely, |link| async move {
                let (mut keeper, mut answers) = link.lease.clone().keep_alive(id).await?;
                // The client keeps the first answer to itself, so a second is asked for.
                keeper.keep_alive().await?;
                Ok(answers.message().await?.map_or(0, |answer| answer.ttl()))
            })
            .await
            .map_err(|failure| failed(failure, id, "keeping a lease alive"))?;
        match ttl {
            1.. => Ok(seconds(ttl)),
            _ => Err(Error::LeaseNotFound { id }),
        }
    }

    async fn revoke(&self, id: i64) -> Result<Revision> {
        let answer = self
            .members
            .call(Repeat::Unsent, |link| async move { link.lease.clone().revoke(id).await })
            .await
            .map_err(|failure| failed(failure, id, "revoking a lease"))?;
        Ok(convert::revision(answer.header().map_or(0, |header| header.revision())))
    }

    async fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus> {
        let mut options = LeaseTimeToLiveOptions::new();
        if keys {
            options = options.with_keys();
        }
        let answer = self
            .members
            .call(Repeat::Freely, |link| {
                let options = options.clone();
                async move { link.lease.clone().time_to_live(id, Some(options)).await }
            })
            .await
            .map_err(|failure| failed(failure, id, "looking up a lease"))?;
        // A lease that is not there, or past its time, has none to live.
        if answer.ttl() < 0 {
            return Err(Error::LeaseNotFound { id });
        }
        let mut keys: Vec<_> = answer.keys().iter().map(|key| key.clone().into()).collect();
        keys.sort();
        Ok(LeaseStatus { granted: seconds(answer.granted_ttl()), remaining: seconds(answer.ttl()), keys })
    }

    async fn leases(&self) -> Result<Vec<i64>> {
        // The member answers from what it has applied; this makes that everything.
        self.revision().await?;
        let answer = self
            .members
            .call(Repeat::Freely, |link| async move { link.lease.clone().leases().await })
            .await
            .map_err(|failure| failure.into_error("listing leases"))?;
        let mut ids: Vec<_> = answer.leases().iter().map(|lease| lease.id()).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}
