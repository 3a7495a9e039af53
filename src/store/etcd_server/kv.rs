//! The KV service: reads and writes.

use tonic::Status;

use super::convert::{self, OpShape, Shapes, signed};
use super::proto::{self, response_op::Response};
use super::{Shared, error};
use crate::store::{Committed, OpResult, Revision, Txn};

/// Whether a request may read more than one key.
pub(super) fn is_long(request: &proto::RangeRequest) -> bool {
    !request.range_end.is_empty()
}

pub(super) async fn range(
    shared: &Shared,
    request: proto::RangeRequest,
) -> Result<proto::RangeResponse, Status> {
    let (range, options, shape) = convert::range_request(request)?;
    let at = options.at;
    let page = shared.store.list(range, options).await.map_err(|error| error::status(&error))?;
    // A header tells the newest revision, whichever was read.
    let newest = match at {
        None => page.revision,
        Some(_) => shared.revision().await?,
    };
    Ok(shape.answer(page, shared.header(newest)))
}

pub(super) async fn put(
    shared: &Shared,
    (request, length): (proto::PutRequest, usize),
) -> Result<proto::PutResponse, Status> {
    let op = convert::put(request)?;
    shared.check_length(length)?;
    let (committed, result) = one(shared, op).await?;
    let OpResult::Put(previous) = result else { return Err(mismatch()) };
    Ok(proto::PutResponse {
        header: Some(shared.header(committed)),
        prev_kv: previous.map(convert::key_value),
    })
}

pub(super) async fn delete_range(
    shared: &Shared,
    (request, length): (proto::DeleteRangeRequest, usize),
) -> Result<proto::DeleteRangeResponse, Status> {
    let op = convert::delete(request)?;
    shared.check_length(length)?;
    let (committed, result) = one(shared, op).await?;
    let OpResult::Deleted { count, previous } = result else { return Err(mismatch()) };
    Ok(proto::DeleteRangeResponse {
        header: Some(shared.header(committed)),
        deleted: i64::try_from(count).unwrap_or(i64::MAX),
        prev_kvs: previous.into_iter().map(convert::key_value).collect(),
    })
}

/// Commits one operation.
async fn one(shared: &Shared, op: crate::store::Op) -> Result<(Revision, OpResult), Status> {
    let committed = shared.store.commit(Txn::new().then(op)).await.map_err(|error| error::status(&error))?;
    let result = committed.results.into_iter().next().ok_or_else(mismatch)?;
    Ok((committed.revision, result))
}

pub(super) async fn txn(
    shared: &Shared,
    (request, length): (proto::TxnRequest, usize),
) -> Result<proto::TxnResponse, Status> {
    let (txn, shapes) = convert::txn(request, shared.options.max_txn_ops)?;
    if txn.may_write() {
        shared.check_length(length)?;
    }
    let committed = shared.store.commit(txn).await.map_err(|error| error::status(&error))?;
    let header = shared.header(committed.revision);
    // Until the transaction has written, what it reads is at the revision before the one it makes.
    let wrote = wrote(&committed);
    let before = Revision(committed.revision.0 - u64::from(wrote));
    let mut now = before;
    let mut answer = txn_answer(committed, shapes, &mut now)?;
    answer.header = Some(header);
    Ok(answer)
}

/// Whether a transaction has written anything.
fn wrote(committed: &Committed) -> bool {
    committed.results.iter().any(|result| match result {
        OpResult::Range(_) => false,
        OpResult::Put(_) => true,
        OpResult::Deleted { count, .. } => *count > 0,
        OpResult::Txn(committed) => wrote(committed),
    })
}

/// The answer of a transaction, whose operations begin at the revision `now`. Of headers within,
/// etcd fills in the revision alone, and that of a transaction within it leaves empty.
fn txn_answer(
    committed: Committed,
    shapes: Shapes,
    now: &mut Revision,
) -> Result<proto::TxnResponse, Status> {
    let Committed { succeeded, revision, results } = committed;
    let shapes = if succeeded { shapes.then } else { shapes.or_else };
    let mut responses = Vec::with_capacity(results.len());
    for (result, shape) in results.into_iter().zip(shapes) {
        let writes = matches!(&result, OpResult::Put(_) | OpResult::Deleted { count: 1.., .. });
        if writes {
            *now = revision;
        }
        let header = proto::ResponseHeader { revision: signed(*now), ..proto::ResponseHeader::default() };
        let response = match (result, shape) {
            (OpResult::Range(page), OpShape::Range(shape)) => Response::Range(shape.answer(page, header)),
            (OpResult::Put(previous), OpShape::Put) => Response::Put(proto::PutResponse {
                header: Some(header),
                prev_kv: previous.map(convert::key_value),
            }),
            (OpResult::Deleted { count, previous }, OpShape::Delete) => {
                Response::DeleteRange(proto::DeleteRangeResponse {
                    header: Some(header),
                    deleted: i64::try_from(count).unwrap_or(i64::MAX),
                    prev_kvs: previous.into_iter().map(convert::key_value).collect(),
                })
            }
            (OpResult::Txn(inner), OpShape::Txn(shapes)) => {
                // What it wrote has the revision of the whole.
                let inner = Committed { revision, ..inner };
                Response::Txn(txn_answer(inner, shapes, now)?)
            }
            _ => return Err(mismatch()),
        };
        responses.push(proto::ResponseOp { response: Some(response) });
    }
    Ok(proto::TxnResponse { header: Some(proto::ResponseHeader::default()), succeeded, responses })
}

/// Compaction is done when it is answered, physically too.
pub(super) async fn compact(
    shared: &Shared,
    request: proto::CompactionRequest,
) -> Result<proto::CompactionResponse, Status> {
    let revision = Revision(u64::try_from(request.revision).unwrap_or(0));
    shared.store.compact(revision).await.map_err(|error| error::status(&error))?;
    Ok(proto::CompactionResponse { header: Some(shared.header(shared.revision().await?)) })
}

/// The store has answered something else than was asked.
fn mismatch() -> Status {
    Status::internal("etcdserver: the store's answer does not match the request")
}
