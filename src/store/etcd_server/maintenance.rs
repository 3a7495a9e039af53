//! The Maintenance service.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tonic::Status;

use super::proto::{self, AlarmAction, AlarmType, DowngradeAction};
use super::{Shared, error};
use crate::store::{Maintenance, SnapshotStream, StoreStatus};

/// A snapshot's length is a multiple of this, and what follows is its checksum: so etcdctl knows one.
const PAGE: u64 = 512;

fn maintenance(shared: &Shared) -> Result<&dyn Maintenance, Status> {
    shared.store.maintenance().ok_or_else(|| error::unsupported("upkeep"))
}

/// How the store stands; of one without upkeep, its revision.
async fn store_status(shared: &Shared) -> Result<StoreStatus, Status> {
    match shared.store.maintenance() {
        Some(maintenance) => maintenance.status().await.map_err(|error| error::status(&error)),
        None => Ok(StoreStatus { revision: shared.revision().await?, ..StoreStatus::default() }),
    }
}

pub(super) async fn status(shared: &Shared) -> Result<proto::StatusResponse, Status> {
    let status = store_status(shared).await?;
    let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    let alarm = format!("memberID:{} alarm:NOSPACE ", shared.options.member_id);
    Ok(proto::StatusResponse {
        header: Some(shared.header(status.revision)),
        version: shared.options.version.clone(),
        db_size: bytes(status.size_bytes),
        leader: shared.options.member_id,
        // There is no log of proposals but the revisions themselves.
        raft_index: status.revision.0,
        raft_term: super::TERM,
        raft_applied_index: status.revision.0,
        errors: status.no_space.then_some(alarm).into_iter().collect(),
        db_size_in_use: bytes(status.in_use_bytes),
        is_learner: false,
    })
}

pub(super) async fn alarm(
    shared: &Shared,
    request: proto::AlarmRequest,
) -> Result<proto::AlarmResponse, Status> {
    let status = store_status(shared).await?;
    let raised = status.no_space && matches!(request.alarm(), AlarmType::None | AlarmType::NoSpace);
    match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Get) => {}
        Ok(AlarmAction::Deactivate) => {
            let this = request.member_id == shared.options.member_id;
            if request.alarm() != AlarmType::NoSpace || !this {
                return Ok(proto::AlarmResponse {
                    header: Some(shared.header(status.revision)),
                    alarms: vec![],
                });
            }
            maintenance(shared)?.disarm().await.map_err(|error| error::status(&error))?;
        }
        // The store alone raises its alarm.
        _ => return Err(Status::unimplemented("etcdserver: alarms cannot be raised from outside")),
    }
    let alarm = proto::AlarmMember { member_id: shared.options.member_id, alarm: AlarmType::NoSpace.into() };
    Ok(proto::AlarmResponse {
        header: Some(shared.header(status.revision)),
        alarms: raised.then_some(alarm).into_iter().collect(),
    })
}

/// Its header is absent, as etcd leaves it.
pub(super) async fn defragment(shared: &Shared) -> Result<proto::HeaderResponse, Status> {
    maintenance(shared)?.defragment().await.map_err(|error| error::status(&error))?;
    Ok(proto::HeaderResponse::default())
}

/// There is nobody else to lead.
pub(super) fn move_leader(
    shared: &Shared,
    request: proto::MoveLeaderRequest,
) -> Result<proto::HeaderResponse, Status> {
    if request.target_id == shared.options.member_id {
        Ok(proto::HeaderResponse::default())
    } else {
        Err(error::BAD_LEADER_TRANSFEREE.into())
    }
}

pub(super) fn downgrade(request: &proto::DowngradeRequest) -> Status {
    match request.action() {
        DowngradeAction::Cancel => error::NO_INFLIGHT_DOWNGRADE.into(),
        DowngradeAction::Validate | DowngradeAction::Enable => error::INVALID_DOWNGRADE_TARGET.into(),
    }
}

/// The store's snapshot, filled up with zeroes to whole pages, and behind it the SHA-256 of all that.
/// How much remains is known exactly only at the end; until then it is what the store takes up.
pub(super) async fn snapshot(
    shared: Arc<Shared>,
) -> Result<impl Stream<Item = Result<proto::SnapshotResponse, Status>> + Send, Status> {
    let expected = store_status(&shared).await?.size_bytes;
    let pieces = maintenance(&shared)?.snapshot().await.map_err(|error| error::status(&error))?;
    let state = Snapshot { pieces, digest: Sha256::new(), sent: 0, expected, phase: Phase::Pieces };
    Ok(stream::try_unfold(state, Snapshot::next))
}

struct Snapshot {
    pieces: SnapshotStream,
    digest: Sha256,
    sent: u64,
    expected: u64,
    phase: Phase,
}

enum Phase {
    Pieces,
    Checksum,
    Done,
}

impl Snapshot {
    async fn next(mut self) -> Result<Option<(proto::SnapshotResponse, Self)>, Status> {
        let blob = match self.phase {
            Phase::Pieces => match self.pieces.next().await {
                Some(piece) => piece.map_err(|error| error::status(&error))?,
                None => {
                    self.phase = Phase::Checksum;
                    let missing = self.sent.next_multiple_of(PAGE) - self.sent;
                    Bytes::from(vec![0; missing as usize])
                }
            },
            Phase::Checksum => {
                self.phase = Phase::Done;
                Bytes::copy_from_slice(&self.digest.clone().finalize())
            }
            Phase::Done => return Ok(None),
        };
        let remaining_bytes = match self.phase {
            Phase::Pieces => {
                self.sent += blob.len() as u64;
                self.expected.saturating_sub(self.sent).max(1)
            }
            Phase::Checksum | Phase::Done => 0,
        };
        if !matches!(self.phase, Phase::Done) {
            self.digest.update(&blob);
        }
        Ok(Some((proto::SnapshotResponse { header: None, remaining_bytes, blob }, self)))
    }
}
