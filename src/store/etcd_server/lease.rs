//! The Lease service.

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use tonic::{Status, Streaming};

use super::proto::{self, LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use super::{Shared, error};
use crate::store::{Error, Leases};

fn leases(shared: &Shared) -> Result<&dyn Leases, Status> {
    shared.store.leases().ok_or_else(|| error::unsupported("leases"))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(super) async fn grant(
    shared: &Shared,
    request: proto::LeaseGrantRequest,
) -> Result<proto::LeaseGrantResponse, Status> {
    // A time to live below the shortest becomes the shortest, a negative one too.
    let ttl = Duration::from_secs(u64::try_from(request.ttl).unwrap_or(0).max(1));
    let granted = leases(shared)?.grant(request.id, ttl).await.map_err(|error| error::status(&error))?;
    Ok(proto::LeaseGrantResponse {
        header: Some(shared.header(shared.revision().await?)),
        id: granted.id,
        ttl: seconds(granted.ttl),
        error: String::new(),
    })
}

pub(super) async fn revoke(
    shared: &Shared,
    request: proto::LeaseRevokeRequest,
) -> Result<proto::LeaseRevokeResponse, Status> {
    let revision = leases(shared)?.revoke(request.id).await.map_err(|error| error::status(&error))?;
    Ok(proto::LeaseRevokeResponse { header: Some(shared.header(revision)) })
}

/// A lease that is not there has -1 seconds left.
pub(super) async fn time_to_live(
    shared: &Shared,
    request: proto::LeaseTimeToLiveRequest,
) -> Result<proto::LeaseTimeToLiveResponse, Status> {
    let found = leases(shared)?.time_to_live(request.id, request.keys).await;
    let header = Some(shared.header(shared.revision().await?));
    let answer = proto::LeaseTimeToLiveResponse { header, id: request.id, ..Default::default() };
    match found {
        Ok(status) => Ok(proto::LeaseTimeToLiveResponse {
            ttl: seconds(status.remaining),
            granted_ttl: seconds(status.granted),
            keys: status.keys,
            ..answer
        }),
        Err(Error::LeaseNotFound { .. }) => Ok(proto::LeaseTimeToLiveResponse { ttl: -1, ..answer }),
        Err(error) => Err(error::status(&error)),
    }
}

pub(super) async fn list(shared: &Shared) -> Result<proto::LeaseLeasesResponse, Status> {
    let ids = leases(shared)?.leases().await.map_err(|error| error::status(&error))?;
    Ok(proto::LeaseLeasesResponse {
        header: Some(shared.header(shared.revision().await?)),
        leases: ids.into_iter().map(|id| proto::LeaseStatus { id }).collect(),
    })
}

/// An answer to each request, in turn. A lease that is not there has 0 seconds to live.
pub(super) fn keep_alive(
    shared: Arc<Shared>,
    requests: Streaming<LeaseKeepAliveRequest>,
) -> impl Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send {
    stream::try_unfold((shared, requests), |(shared, mut requests)| async move {
        let Some(request) = requests.message().await? else { return Ok(None) };
        // Read before: whoever sees this revision knows that the lease was alive at it.
        let header = Some(shared.header(shared.revision().await?));
        let ttl = match leases(&shared)?.keep_alive(request.id).await {
            Ok(ttl) => seconds(ttl),
            Err(Error::LeaseNotFound { .. }) => 0,
            Err(error) => return Err(error::status(&error)),
        };
        Ok(Some((LeaseKeepAliveResponse { header, id: request.id, ttl }, (shared, requests))))
    })
}
