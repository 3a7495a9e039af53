//! Transactions: compare, then, or else.

use bytes::Bytes;

use super::{Error, KeyRange, KeyValue, ListOptions, Page, Result, Revision};

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

/// A comparison of what keys hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The keys. The condition must hold of each that is there; where none is, of an absent key.
    pub range: KeyRange,
    /// What must hold of them.
    pub condition: Condition,
}

/// What must hold of a key. An absent key has revisions, version and lease 0 and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The revision of its last write compares so.
    ModRevision(Relation, Revision),
    /// The revision of its creation compares so.
    CreateRevision(Relation, Revision),
    /// Its version compares so.
    Version(Relation, u64),
    /// Its value compares so, bytewise; never holds of an absent key, as in etcd.
    Value(Relation, Bytes),
    /// Its lease compares so.
    Lease(Relation, i64),
}

/// How what is held stands to what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Greater.
    Greater,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Reads a range, as the operations before it left it, or as of a past revision.
    Range(KeyRange, ListOptions),
    /// Writes a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value; none to keep the one that the key has ([`Error::KeyNotFound`] where it is
        /// absent).
        value: Option<Bytes>,
        /// The lease to attach the key to, 0 for none ([`Error::LeaseNotFound`] where there is no
        /// such lease); none to keep the one that the key has ([`Error::KeyNotFound`] where it is
        /// absent).
        lease: Option<i64>,
        /// Answer what the key held before.
        previous: bool,
    },
    /// Deletes every key of a range.
    Delete {
        /// The keys.
        range: KeyRange,
        /// Answer what was deleted.
        previous: bool,
    },
    /// A transaction within: what it compares is the state before the outermost one, and what it
    /// writes shares the one revision.
    Txn(Txn),
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
    /// What the range held. The page's revision is that of the state which was read: once the
    /// transaction has written something, the one that it makes.
    Range(Page),
    /// What the key held before, where asked for and where there was anything.
    Put(Option<KeyValue>),
    /// What was deleted.
    Deleted {
        /// How many keys.
        count: usize,
        /// What they held, where asked for.
        previous: Vec<KeyValue>,
    },
    /// What the transaction within did.
    Txn(Committed),
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

    /// Refuses what could not be done as a whole, whichever branch will run, as etcd does: an empty
    /// key, and one key that a branch writes twice. Deletions may overlap each other.
    ///
    /// Source: `checkTxnRequest` and `checkIntervals` of etcd's `server/etcdserver/api/v3rpc/key.go`
    /// (3.5).
    ///
    /// # Errors
    ///
    /// [`Error::EmptyKey`] and [`Error::DuplicateKey`].
    pub fn check(&self) -> Result<()> {
        match self {
            // What nearly every write is.
            Self { compare, then, or_else }
                if compare.is_empty() && or_else.is_empty() && then.len() == 1 =>
            {
                match &then[0] {
                    Op::Txn(txn) => txn.check(),
                    op => op.named_key().map_or(Ok(()), not_empty),
                }
            }
            _ => self.writes().map(drop),
        }
    }

    /// What the transaction may write, whichever branches run.
    fn writes(&self) -> Result<Writes<'_>> {
        for compare in &self.compare {
            compare.range.as_single().map_or(Ok(()), not_empty)?;
        }
        let mut all = Writes::default();
        for branch in [&self.then, &self.or_else] {
            let mut writes = Writes::default();
            for op in branch {
                op.named_key().map_or(Ok(()), not_empty)?;
                match op {
                    Op::Put { key, .. } => writes.join(Writes { puts: vec![key], deletes: vec![] })?,
                    Op::Delete { range, .. } => writes.join(Writes { puts: vec![], deletes: vec![range] })?,
                    Op::Txn(txn) => writes.join(txn.writes()?)?,
                    Op::Range(..) => {}
                }
            }
            all.puts.append(&mut writes.puts);
            all.deletes.append(&mut writes.deletes);
        }
        Ok(all)
    }

    /// Whether any branch may put.
    #[must_use]
    pub fn may_put(&self) -> bool {
        self.then.iter().chain(&self.or_else).any(|op| match op {
            Op::Range(..) | Op::Delete { .. } => false,
            Op::Put { .. } => true,
            Op::Txn(txn) => txn.may_put(),
        })
    }

    /// Whether any branch may write.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.then.iter().chain(&self.or_else).any(|op| match op {
            Op::Range(..) => false,
            Op::Put { .. } | Op::Delete { .. } => true,
            Op::Txn(txn) => txn.may_write(),
        })
    }
}

/// What a branch writes.
#[derive(Default)]
struct Writes<'a> {
    /// In order.
    puts: Vec<&'a Bytes>,
    deletes: Vec<&'a KeyRange>,
}

impl<'a> Writes<'a> {
    /// These and others, which must not meet.
    fn join(&mut self, other: Writes<'a>) -> Result<()> {
        for put in &other.puts {
            if self.puts.binary_search(put).is_ok() || self.deletes.iter().any(|range| range.contains(put)) {
                return Err(Error::DuplicateKey { key: (*put).clone() });
            }
        }
        let struck = |put: &&&Bytes| other.deletes.iter().any(|range| range.contains(put));
        if let Some(put) = self.puts.iter().find(struck) {
            return Err(Error::DuplicateKey { key: (*put).clone() });
        }
        for put in other.puts {
            let at = self.puts.partition_point(|held| *held < put);
            self.puts.insert(at, put);
        }
        self.deletes.extend(other.deletes);
        Ok(())
    }
}

fn not_empty(key: &Bytes) -> Result<()> {
    if key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

impl Compare {
    /// A comparison of one key.
    #[must_use]
    pub fn key(key: impl Into<Bytes>, condition: Condition) -> Self {
        Self { range: KeyRange::single(key), condition }
    }

    /// The key is absent.
    #[must_use]
    pub fn missing(key: impl Into<Bytes>) -> Self {
        Self::key(key, Condition::CreateRevision(Relation::Equal, Revision::NONE))
    }

    /// The key is there.
    #[must_use]
    pub fn exists(key: impl Into<Bytes>) -> Self {
        Self::key(key, Condition::CreateRevision(Relation::Greater, Revision::NONE))
    }

    /// The key was last written at this revision.
    #[must_use]
    pub fn unchanged_since(key: impl Into<Bytes>, revision: Revision) -> Self {
        Self::key(key, Condition::ModRevision(Relation::Equal, revision))
    }

    /// Whether the comparison holds of what its range holds.
    #[must_use]
    pub fn holds<'a>(&self, held: impl IntoIterator<Item = &'a KeyValue>) -> bool {
        let mut held = held.into_iter();
        match held.next() {
            None => self.holds_of(None),
            Some(first) => self.holds_of(Some(first)) && held.all(|kv| self.holds_of(Some(kv))),
        }
    }

    fn holds_of(&self, held: Option<&KeyValue>) -> bool {
        let of = |get: fn(&KeyValue) -> Revision| held.map_or(Revision::NONE, get);
        match &self.condition {
            Condition::ModRevision(relation, than) => relation.holds(&of(|kv| kv.mod_revision), than),
            Condition::CreateRevision(relation, than) => relation.holds(&of(|kv| kv.create_revision), than),
            Condition::Version(relation, than) => relation.holds(&held.map_or(0, |kv| kv.version), than),
            Condition::Value(relation, value) => held.is_some_and(|kv| relation.holds(&kv.value, value)),
            Condition::Lease(relation, lease) => relation.holds(&held.map_or(0, |kv| kv.lease), lease),
        }
    }
}

impl Relation {
    /// Whether `held` stands so to `than`.
    #[must_use]
    pub fn holds<T: Ord + ?Sized>(self, held: &T, than: &T) -> bool {
        match self {
            Self::Equal => held == than,
            Self::NotEqual => held != than,
            Self::Less => held < than,
            Self::Greater => held > than,
        }
    }
}

impl Op {
    /// Writes a key, without a lease.
    #[must_use]
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: Some(value.into()), lease: Some(0), previous: false }
    }

    /// Writes a key and attaches it to a lease.
    #[must_use]
    pub fn put_leased(key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) -> Self {
        Self::Put { key: key.into(), value: Some(value.into()), lease: Some(lease), previous: false }
    }

    /// Deletes every key of a range.
    #[must_use]
    pub fn delete(range: KeyRange) -> Self {
        Self::Delete { range, previous: false }
    }

    /// Reads a key.
    #[must_use]
    pub fn get(key: impl Into<Bytes>) -> Self {
        Self::Range(KeyRange::single(key), ListOptions::default())
    }

    /// The same, which also answers what was there before. Changes nothing of a read.
    #[must_use]
    pub fn with_previous(mut self) -> Self {
        if let Self::Put { previous, .. } | Self::Delete { previous, .. } = &mut self {
            *previous = true;
        }
        self
    }

    /// The one key that the operation names.
    fn named_key(&self) -> Option<&Bytes> {
        match self {
            Self::Put { key, .. } => Some(key),
            Self::Range(range, _) | Self::Delete { range, .. } => range.as_single(),
            Self::Txn(_) => None,
        }
    }
}
