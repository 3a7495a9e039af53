//! Requests in etcd's words, in the store's.
//!
//! Source: `server/etcdserver/api/v3rpc/key.go` and `server/etcdserver/apply.go` of etcd (3.5).

use std::cmp::Ordering;

use bytes::Bytes;
use tonic::Status;

use super::error;
use super::proto::{
    self, CompareResult, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, SortOrder, SortTarget,
    TxnRequest,
};
use super::proto::{compare::TargetUnion, request_op::Request};
use crate::store::{Compare, Condition, KeyRange, KeyValue, ListOptions, Op, Page, Relation, Revision, Txn};

/// The keys that `key` and `range_end` name: one where there is no end, all from `key` on where the
/// end is a zero byte, none where the end lies before the key.
pub(super) fn range(key: Bytes, range_end: Bytes) -> KeyRange {
    if range_end.is_empty() {
        KeyRange::single(key)
    } else if range_end == [0][..] {
        KeyRange { start: key, end: None }
    } else if range_end < key {
        KeyRange { end: Some(key.clone()), start: key }
    } else {
        KeyRange { start: key, end: Some(range_end) }
    }
}

/// A revision as etcd writes it.
pub(super) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// A key with its history, as etcd writes it.
pub(super) fn key_value(kv: KeyValue) -> proto::KeyValue {
    proto::KeyValue {
        key: kv.key,
        create_revision: signed(kv.create_revision),
        mod_revision: signed(kv.mod_revision),
        version: i64::try_from(kv.version).unwrap_or(i64::MAX),
        value: kv.value,
        lease: kv.lease,
    }
}

/// What a range request asks for beyond what a store lists: an order, a choice, and a limit that
/// counts behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    order: Option<(SortTarget, SortOrder)>,
    mod_revisions: (i64, i64),
    create_revisions: (i64, i64),
    limit: usize,
    keys_only: bool,
    /// Whether the store's page is the answer as it stands.
    plain: bool,
}

/// What to ask a store for, and what to do with its page.
pub(super) fn range_request(request: RangeRequest) -> Result<(KeyRange, ListOptions, Shape), Status> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY.into());
    }
    let (target, order) = (request.sort_target(), request.sort_order());
    let order = match (target, order) {
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => None,
        // Whatever is not the order that keys have anyway is sorted, upwards unless asked otherwise.
        (target, SortOrder::None) => Some((target, SortOrder::Ascend)),
        other => Some(other),
    };
    let mod_revisions = (request.min_mod_revision, request.max_mod_revision);
    let create_revisions = (request.min_create_revision, request.max_create_revision);
    let shape = Shape {
        order,
        mod_revisions,
        create_revisions,
        limit: usize::try_from(request.limit).unwrap_or(0),
        keys_only: request.keys_only,
        plain: order.is_none() && mod_revisions == (0, 0) && create_revisions == (0, 0),
    };
    let sorts_values = matches!(order, Some((SortTarget::Value, _)));
    let options = ListOptions {
        at: u64::try_from(request.revision).ok().filter(|at| *at > 0).map(Revision),
        limit: if shape.plain { shape.limit } else { 0 },
        count_only: request.count_only,
        keys_only: request.keys_only && !sorts_values,
        ..ListOptions::default()
    };
    Ok((range(request.key, request.range_end), options, shape))
}

impl Shape {
    /// The answer that a page makes. `header` is that of the whole answer.
    pub(super) fn answer(self, page: Page, header: proto::ResponseHeader) -> proto::RangeResponse {
        let Page { mut items, mut more, count, .. } = page;
        if !self.plain {
            // A bound that is 0 is none.
            let within = |(least, most): (i64, i64), revision: Revision| {
                let revision = signed(revision);
                (least == 0 || revision >= least) && (most == 0 || revision <= most)
            };
            items.retain(|kv| {
                within(self.mod_revisions, kv.mod_revision)
                    && within(self.create_revisions, kv.create_revision)
            });
            if let Some((target, order)) = self.order {
                items.sort_by(|a, b| match order {
                    SortOrder::Descend => compare(target, b, a),
                    _ => compare(target, a, b),
                });
            }
            if self.limit > 0 && items.len() > self.limit {
                items.truncate(self.limit);
                more = true;
            }
        }
        let keys_only = self.keys_only;
        let kvs = items.into_iter().map(|mut kv| {
            if keys_only {
                kv.value = Bytes::new();
            }
            key_value(kv)
        });
        proto::RangeResponse {
            header: Some(header),
            kvs: kvs.collect(),
            more,
            count: i64::try_from(count).unwrap_or(i64::MAX),
        }
    }
}

fn compare(target: SortTarget, a: &KeyValue, b: &KeyValue) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => a.value.cmp(&b.value),
    }
}

/// The operation of a put.
pub(super) fn put(request: PutRequest) -> Result<Op, Status> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY.into());
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(error::VALUE_PROVIDED.into());
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(error::LEASE_PROVIDED.into());
    }
    Ok(Op::Put {
        key: request.key,
        value: (!request.ignore_value).then_some(request.value),
        lease: (!request.ignore_lease).then_some(request.lease),
        previous: request.prev_kv,
    })
}

/// The operation of a deletion.
pub(super) fn delete(request: DeleteRangeRequest) -> Result<Op, Status> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY.into());
    }
    Ok(Op::Delete { range: range(request.key, request.range_end), previous: request.prev_kv })
}

/// What the answers of a transaction's two branches look like.
#[derive(Debug)]
pub(super) struct Shapes {
    pub(super) then: Vec<OpShape>,
    pub(super) or_else: Vec<OpShape>,
}

/// What the answer of one operation looks like.
#[derive(Debug)]
pub(super) enum OpShape {
    Range(Shape),
    Put,
    Delete,
    Txn(Shapes),
}

/// A transaction of at most `max_ops` operations a branch, those of transactions within counted on
/// top of the longest of compares and branches without.
pub(super) fn txn(request: TxnRequest, max_ops: usize) -> Result<(Txn, Shapes), Status> {
    let longest = request.compare.len().max(request.success.len()).max(request.failure.len());
    let Some(rest) = max_ops.checked_sub(longest) else { return Err(error::TOO_MANY_OPS.into()) };
    let mut compare = Vec::with_capacity(request.compare.len());
    for each in request.compare {
        compare.extend(compare_request(each)?);
    }
    let (then, then_shapes) = branch(request.success, rest)?;
    let (or_else, else_shapes) = branch(request.failure, rest)?;
    Ok((Txn { compare, then, or_else }, Shapes { then: then_shapes, or_else: else_shapes }))
}

fn branch(requests: Vec<proto::RequestOp>, max_ops: usize) -> Result<(Vec<Op>, Vec<OpShape>), Status> {
    let (mut ops, mut shapes) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    for request in requests {
        let (op, shape) = match request.request {
            Some(Request::Range(request)) => {
                let (range, options, shape) = range_request(request)?;
                (Op::Range(range, options), OpShape::Range(shape))
            }
            Some(Request::Put(request)) => (put(request)?, OpShape::Put),
            Some(Request::DeleteRange(request)) => (delete(request)?, OpShape::Delete),
            Some(Request::Txn(request)) => {
                let (txn, shapes) = txn(request, max_ops)?;
                (Op::Txn(txn), OpShape::Txn(shapes))
            }
            None => return Err(error::KEY_NOT_FOUND.into()),
        };
        ops.push(op);
        shapes.push(shape);
    }
    Ok((ops, shapes))
}

/// A comparison; none where it holds whatever is there.
fn compare_request(request: proto::Compare) -> Result<Option<Compare>, Status> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY.into());
    }
    let relation = match CompareResult::try_from(request.result) {
        Ok(CompareResult::Equal) => Relation::Equal,
        Ok(CompareResult::Greater) => Relation::Greater,
        Ok(CompareResult::Less) => Relation::Less,
        Ok(CompareResult::NotEqual) => Relation::NotEqual,
        // A relation that nobody knows holds, as in etcd.
        Err(_) => return Ok(None),
    };
    // What is compared with another kind of value than its own is compared with 0, or with nothing.
    let union = request.target_union;
    let never = || Condition::ModRevision(Relation::Less, Revision::NONE);
    let counted = |than: i64, condition: &dyn Fn(Relation, u64) -> Condition| match u64::try_from(than) {
        Ok(than) => Some(condition(relation, than)),
        // Everything that is counted is greater than a negative number.
        Err(_) if matches!(relation, Relation::Greater | Relation::NotEqual) => None,
        Err(_) => Some(never()),
    };
    let condition = match CompareTarget::try_from(request.target) {
        Ok(CompareTarget::Version) => {
            let than = if let Some(TargetUnion::Version(than)) = union { than } else { 0 };
            counted(than, &Condition::Version)
        }
        Ok(CompareTarget::Create) => {
            let than = if let Some(TargetUnion::CreateRevision(than)) = union { than } else { 0 };
            counted(than, &|relation, than| Condition::CreateRevision(relation, Revision(than)))
        }
        Ok(CompareTarget::Mod) => {
            let than = if let Some(TargetUnion::ModRevision(than)) = union { than } else { 0 };
            counted(than, &|relation, than| Condition::ModRevision(relation, Revision(than)))
        }
        Ok(CompareTarget::Value) => {
            let than = if let Some(TargetUnion::Value(than)) = union { than } else { Bytes::new() };
            Some(Condition::Value(relation, than))
        }
        Ok(CompareTarget::Lease) => {
            let than = if let Some(TargetUnion::Lease(than)) = union { than } else { 0 };
            Some(Condition::Lease(relation, than))
        }
        // A target that nobody knows equals whatever it is compared with.
        Err(_) if relation == Relation::Equal => None,
        Err(_) => Some(never()),
    };
    Ok(condition.map(|condition| Compare { range: range(request.key, request.range_end), condition }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, version: u64, create: u64, modified: u64, value: &str) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            create_revision: Revision(create),
            mod_revision: Revision(modified),
            version,
            lease: 0,
        }
    }

    fn shaped(request: RangeRequest) -> (Vec<String>, bool, i64) {
        let (_, options, shape) = range_request(RangeRequest { key: "a".into(), ..request }).unwrap();
        let items = vec![kv("a", 3, 2, 7, "z"), kv("b", 1, 5, 5, "y"), kv("c", 2, 3, 4, "x")];
        let shown = if options.limit == 0 { 3 } else { options.limit.min(3) };
        let page = Page {
            revision: Revision(9),
            more: shown < 3,
            count: 3,
            items: items.into_iter().take(shown).collect(),
        };
        let answer = shape.answer(page, proto::ResponseHeader::default());
        let keys = answer.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned());
        (keys.collect(), answer.more, answer.count)
    }

    fn ordered(target: SortTarget, order: SortOrder, limit: i64) -> String {
        let request = RangeRequest {
            sort_target: target.into(),
            sort_order: order.into(),
            limit,
            ..RangeRequest::default()
        };
        shaped(request).0.concat()
    }

    #[test]
    fn order_comes_before_the_limit() {
        assert_eq!(ordered(SortTarget::Key, SortOrder::None, 2), "ab");
        assert_eq!(ordered(SortTarget::Key, SortOrder::Descend, 2), "cb");
        assert_eq!(ordered(SortTarget::Mod, SortOrder::None, 2), "cb");
        assert_eq!(ordered(SortTarget::Create, SortOrder::Descend, 0), "bca");
        assert_eq!(ordered(SortTarget::Version, SortOrder::Ascend, 0), "bca");
        assert_eq!(ordered(SortTarget::Value, SortOrder::Ascend, 1), "c");
    }

    #[test]
    fn bounds_leave_the_count_alone() {
        let request = RangeRequest { min_mod_revision: 5, max_create_revision: 5, ..RangeRequest::default() };
        assert_eq!(shaped(request.clone()), (vec!["a".into(), "b".into()], false, 3));
        assert_eq!(shaped(RangeRequest { limit: 1, ..request }), (vec!["a".into()], true, 3));
    }

    #[test]
    fn ends_of_ranges() {
        let between = |key: &'static str, end: &'static [u8]| range(key.into(), Bytes::from_static(end));
        assert_eq!(between("a", b""), KeyRange::single("a"));
        assert_eq!(between("a", b"\0"), KeyRange { start: "a".into(), end: None });
        assert_eq!(between("a", b"c"), KeyRange::between("a", "c"));
        assert!(!between("c", b"a").contains(b"b") && !between("c", b"a").contains(b"c"));
    }

    #[test]
    fn a_comparison_with_a_negative_number_is_decided_beforehand() {
        let compare = |result: CompareResult| {
            compare_request(proto::Compare {
                result: result.into(),
                target: CompareTarget::Version.into(),
                key: "a".into(),
                target_union: Some(TargetUnion::Version(-1)),
                ..proto::Compare::default()
            })
            .unwrap()
        };
        assert_eq!(compare(CompareResult::Greater), None);
        assert_eq!(compare(CompareResult::NotEqual), None);
        assert!(!compare(CompareResult::Less).unwrap().holds(&[kv("a", 1, 1, 1, "")]));
        assert!(!compare(CompareResult::Equal).unwrap().holds([]));
    }
}
