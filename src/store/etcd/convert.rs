//! The contract's words in etcd's, and etcd's answers in the contract's.

use bytes::Bytes;
use etcd_client as etcd;
use etcd_client::proto::{PbEvent, PbKeyValue, PbRangeResponse, PbTxnOpResponse, PbTxnResponse};

use crate::store::{
    Committed, Compare, Condition, Event, EventKind, KeyRange, KeyValue, ListOptions, Op, OpResult, Page,
    Relation, Revision, Txn,
};

/// A range as etcd takes it: a key, and an end unless it is that key alone.
///
/// etcd spells "without end" as an end of one zero byte, and takes an empty end for one key, an empty
/// key for none at all. Where a range holds nothing it is some range that holds nothing there either.
pub(super) fn bounds(range: &KeyRange) -> (Vec<u8>, Option<Vec<u8>>) {
    if let Some(key) = range.as_single() {
        return (key.to_vec(), None);
    }
    if is_empty(range) {
        return (vec![1], Some(vec![1]));
    }
    let start = if range.start.is_empty() { vec![0] } else { range.start.to_vec() };
    (start, Some(range.end.as_ref().map_or_else(|| vec![0], |end| end.to_vec())))
}

/// Whether a range holds no key, whatever there is.
pub(super) fn is_empty(range: &KeyRange) -> bool {
    range.end.as_ref().is_some_and(|end| *end <= range.start)
}

/// A revision as etcd takes it.
pub(super) fn number(revision: Revision) -> i64 {
    revision.0.try_into().unwrap_or(i64::MAX)
}

/// A revision that etcd says.
pub(super) fn revision(number: i64) -> Revision {
    Revision(number.try_into().unwrap_or(0))
}

/// A read.
pub(super) fn get(range: &KeyRange, options: ListOptions) -> (Vec<u8>, etcd::GetOptions) {
    let (key, end) = bounds(range);
    let mut get = etcd::GetOptions::new().with_limit(options.limit.try_into().unwrap_or(i64::MAX));
    if let Some(end) = end {
        get = get.with_range(end);
    }
    if let Some(at) = options.at {
        get = get.with_revision(number(at));
    }
    if options.count_only {
        get = get.with_count_only();
    }
    if options.keys_only {
        get = get.with_keys_only();
    }
    (key, get)
}

/// A transaction.
pub(super) fn txn(txn: &Txn) -> etcd::Txn {
    etcd::Txn::new()
        .when(txn.compare.iter().map(compare).collect::<Vec<_>>())
        .and_then(txn.then.iter().map(op).collect::<Vec<_>>())
        .or_else(txn.or_else.iter().map(op).collect::<Vec<_>>())
}

fn compare(compare: &Compare) -> etcd::Compare {
    let (key, end) = bounds(&compare.range);
    let held = match &compare.condition {
        Condition::ModRevision(by, than) => etcd::Compare::mod_revision(key, relation(*by), number(*than)),
        Condition::CreateRevision(by, than) => {
            etcd::Compare::create_revision(key, relation(*by), number(*than))
        }
        Condition::Version(by, than) => {
            etcd::Compare::version(key, relation(*by), (*than).try_into().unwrap_or(i64::MAX))
        }
        Condition::Value(by, than) => etcd::Compare::value(key, relation(*by), than.to_vec()),
        Condition::Lease(by, than) => etcd::Compare::lease(key, relation(*by), *than),
    };
    match end {
        Some(end) => held.with_range(end),
        None => held,
    }
}

fn relation(relation: Relation) -> etcd::CompareOp {
    match relation {
        Relation::Equal => etcd::CompareOp::Equal,
        Relation::NotEqual => etcd::CompareOp::NotEqual,
        Relation::Less => etcd::CompareOp::Less,
        Relation::Greater => etcd::CompareOp::Greater,
    }
}

fn op(op: &Op) -> etcd::TxnOp {
    match op {
        Op::Range(range, options) => {
            let (key, get) = get(range, *options);
            etcd::TxnOp::get(key, Some(get))
        }
        Op::Put { key, value, lease, previous } => {
            let mut put = etcd::PutOptions::new();
            if value.is_none() {
                put = put.with_ignore_value();
            }
            put = match lease {
                Some(lease) => put.with_lease(*lease),
                None => put.with_ignore_lease(),
            };
            if *previous {
                put = put.with_prev_key();
            }
            etcd::TxnOp::put(key.to_vec(), value.as_deref().unwrap_or_default(), Some(put))
        }
        Op::Delete { range, previous } => {
            let (key, end) = bounds(range);
            let mut delete = etcd::DeleteOptions::new();
            if let Some(end) = end {
                delete = delete.with_range(end);
            }
            if *previous {
                delete = delete.with_prev_key();
            }
            etcd::TxnOp::delete(key, Some(delete))
        }
        Op::Txn(inner) => etcd::TxnOp::txn(txn(inner)),
    }
}

/// What a transaction did. `revision` is the one that the outermost made or left.
pub(super) fn committed(asked: &Txn, answer: PbTxnResponse, revision: Revision) -> Committed {
    let branch = if answer.succeeded { &asked.then } else { &asked.or_else };
    let results = branch
        .iter()
        .zip(answer.responses)
        .map(|(op, response)| match (op, response.response) {
            (Op::Range(_, options), Some(PbTxnOpResponse::ResponseRange(range))) => {
                OpResult::Range(page(range, options.at))
            }
            (_, Some(PbTxnOpResponse::ResponsePut(put))) => OpResult::Put(put.prev_kv.map(key_value)),
            (_, Some(PbTxnOpResponse::ResponseDeleteRange(delete))) => OpResult::Deleted {
                count: delete.deleted.try_into().unwrap_or(0),
                previous: delete.prev_kvs.into_iter().map(key_value).collect(),
            },
            (Op::Txn(inner), Some(PbTxnOpResponse::ResponseTxn(answer))) => {
                OpResult::Txn(committed(inner, answer, revision))
            }
            // Not what was asked: no server of etcd's API answers so.
            (_, _) => OpResult::Put(None),
        })
        .collect();
    Committed { succeeded: answer.succeeded, revision, results }
}

/// What a range held; `at` is the revision that was asked for.
pub(super) fn page(answer: PbRangeResponse, at: Option<Revision>) -> Page {
    Page {
        revision: at
            .filter(|at| *at > Revision::NONE)
            .unwrap_or_else(|| revision(answer.header.map_or(0, |header| header.revision))),
        items: answer.kvs.into_iter().map(key_value).collect(),
        more: answer.more,
        count: answer.count.try_into().unwrap_or(0),
    }
}

/// A key with its value.
pub(super) fn key_value(kv: PbKeyValue) -> KeyValue {
    KeyValue {
        key: kv.key.into(),
        value: kv.value.into(),
        create_revision: revision(kv.create_revision),
        mod_revision: revision(kv.mod_revision),
        version: kv.version.try_into().unwrap_or(0),
        lease: kv.lease,
    }
}

/// A change; none where it says nothing.
pub(super) fn event(event: PbEvent) -> Option<Event> {
    let kv = event.kv?;
    let deleted = event.r#type == etcd::EventType::Delete as i32;
    Some(Event {
        kind: if deleted { EventKind::Delete } else { EventKind::Put },
        kv: if deleted {
            KeyValue {
                key: kv.key.into(),
                value: Bytes::new(),
                create_revision: Revision::NONE,
                mod_revision: revision(kv.mod_revision),
                version: 0,
                lease: 0,
            }
        } else {
            key_value(kv)
        },
        previous: event.prev_kv.map(key_value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_spelled_as_etcd_does() {
        let spelled = |range: &KeyRange| {
            let (key, end) = bounds(range);
            format!(
                "{} {}",
                key.escape_ascii(),
                end.map_or_else(String::new, |end| end.escape_ascii().to_string())
            )
        };
        for (range, expected) in [
            (KeyRange::all(), r"\x00 \x00"),
            (KeyRange::single("a"), "a "),
            (KeyRange::prefix("a/"), "a/ a0"),
            (KeyRange::prefix(vec![0xff]), r"\xff \x00"),
            (KeyRange::between("", "b"), r"\x00 b"),
            // An empty end means one key to etcd, and an empty key is refused.
            (KeyRange::between("a", ""), r"\x01 \x01"),
            (KeyRange::between("b", "a"), r"\x01 \x01"),
            (KeyRange::single(""), " "),
        ] {
            assert_eq!(spelled(&range), expected, "{range:?}");
        }
    }
}
