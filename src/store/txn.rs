//! Transactions: compare, then, or else.

use std::cmp::Ordering;

use bytes::Bytes;

use super::{KeyRange, KeyValue, Revision};

/// One atomic step: when every comparison holds, `then` happens, otherwise `or_else`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// What must hold of the state before.
    pub compare: Vec<Compare>,
    /// What happens when it does.
    pub then: Vec<Op>,
    /// What happens when it does not.
    pub or_else: Vec<Op>,
}

/// A comparison of what a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// What must hold of it.
    pub condition: Condition,
}

/// What must hold of a key. An absent key has revisions, version and lease 0 and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The revision of its last write compares so.
    ModRevision(Ordering, Revision),
    /// The revision of its creation compares so.
    CreateRevision(Ordering, Revision),
    /// Its version compares so.
    Version(Ordering, u64),
    /// Its value is this one; never holds of an absent key.
    Value(Bytes),
    /// Its lease is this one.
    Lease(i64),
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Reads a range, as the operations before it left it.
    Range(KeyRange),
    /// Writes a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The lease to attach the key to; 0 for none.
        lease: i64,
    },
    /// Deletes every key of a range.
    Delete(KeyRange),
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whether the comparisons held, that is, which branch ran.
    pub succeeded: bool,
    /// The revision that the branch made; the newest one where it wrote nothing.
    pub revision: Revision,
    /// What each operation of the branch did.
    pub results: Vec<OpResult>,
}

/// What one operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResult {
    /// What the range held.
    Range(Vec<KeyValue>),
    /// What the key held before.
    Put(Option<KeyValue>),
    /// What was deleted.
    Deleted(Vec<KeyValue>),
}

impl Txn {
    /// A transaction that does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One comparison more.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// One operation more, for when the comparisons hold.
    #[must_use]
    pub fn then(mut self, op: Op) -> Self {
        self.then.push(op);
        self
    }

    /// One operation more, for when they do not.
    #[must_use]
    pub fn or_else(mut self, op: Op) -> Self {
        self.or_else.push(op);
        self
    }
}

impl Compare {
    /// The key is absent.
    #[must_use]
    pub fn missing(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), condition: Condition::CreateRevision(Ordering::Equal, Revision::NONE) }
    }

    /// The key is there.
    #[must_use]
    pub fn exists(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), condition: Condition::CreateRevision(Ordering::Greater, Revision::NONE) }
    }

    /// The key was last written at this revision.
    #[must_use]
    pub fn unchanged_since(key: impl Into<Bytes>, revision: Revision) -> Self {
        Self { key: key.into(), condition: Condition::ModRevision(Ordering::Equal, revision) }
    }

    /// Whether the comparison holds of what its key holds.
    #[must_use]
    pub fn holds(&self, held: Option<&KeyValue>) -> bool {
        let of = |get: fn(&KeyValue) -> Revision| held.map_or(Revision::NONE, get);
        match &self.condition {
            Condition::ModRevision(order, than) => of(|kv| kv.mod_revision).cmp(than) == *order,
            Condition::CreateRevision(order, than) => of(|kv| kv.create_revision).cmp(than) == *order,
            Condition::Version(order, than) => held.map_or(0, |kv| kv.version).cmp(than) == *order,
            Condition::Value(value) => held.is_some_and(|kv| kv.value == value),
            Condition::Lease(lease) => held.map_or(0, |kv| kv.lease) == *lease,
        }
    }
}

impl Op {
    /// Writes a key, without a lease.
    #[must_use]
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: 0 }
    }

    /// Deletes every key of a range.
    #[must_use]
    pub fn delete(range: KeyRange) -> Self {
        Self::Delete(range)
    }

    /// Reads a key.
    #[must_use]
    pub fn get(key: impl Into<Bytes>) -> Self {
        Self::Range(KeyRange::single(key))
    }
}
