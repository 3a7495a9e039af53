//! What a commit is asked to do, as one transaction of the store.

use std::sync::Arc;

use bytes::Bytes;

use super::unreadable::Unreadable;
use crate::api::{Object, Revision};
use crate::store::{Compare, KeyRange, KeyValue, ListOptions, Op, OpResult, Txn};

/// One change of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// Stores an object that is not there.
    Create(Object),
    /// Replaces an object that was last written at `from`.
    Update {
        /// The new state. Its own revision does not matter.
        object: Object,
        /// The revision of the state that it replaces.
        from: Revision,
    },
    /// Deletes an object that was last written at `from`.
    Delete {
        /// The state that is deleted.
        object: Object,
        /// Its revision.
        from: Revision,
    },
    /// Deletes what cannot be read, where it was not written again meanwhile.
    Discard(Arc<Unreadable>),
    /// Writes a key that is no object, such as an allocator's.
    Raw {
        /// What must hold.
        compare: Vec<Compare>,
        /// What to do.
        op: Op,
    },
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All changes happened at this revision.
    Committed(Revision),
    /// Nothing happened.
    Conflict {
        /// The first change that could not happen.
        index: usize,
        /// The object as it is; none where it is absent, or where the change is raw.
        current: Option<Object>,
    },
    /// Nothing happened either: what is there cannot be read.
    Unreadable {
        /// The first change that could not happen.
        index: usize,
        /// What is there in its way.
        value: Arc<Unreadable>,
    },
}

impl Change {
    /// The object that is written or deleted.
    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Self::Create(object) | Self::Update { object, .. } | Self::Delete { object, .. } => Some(object),
            Self::Discard(_) | Self::Raw { .. } => None,
        }
    }

    /// The object that will be there afterwards.
    pub(super) fn written(&self) -> Option<&Object> {
        match self {
            Self::Create(object) | Self::Update { object, .. } => Some(object),
            Self::Delete { .. } | Self::Discard(_) | Self::Raw { .. } => None,
        }
    }

    /// How a conflict looks at what is there. An object's value is left sealed, so that one that does not
    /// open is no other failure than any that cannot be read; one that is compared must be open.
    fn look(&self) -> ListOptions {
        match self {
            Self::Raw { .. } => ListOptions::default(),
            _ => ListOptions::default().sealed(),
        }
    }

    fn compare(&self) -> Vec<Compare> {
        match self {
            Self::Create(object) => vec![Compare::missing(storage_key(object))],
            Self::Update { object, from } | Self::Delete { object, from } => {
                vec![Compare::unchanged_since(storage_key(object), *from)]
            }
            Self::Discard(value) => vec![Compare::unchanged_since(value.key.clone(), value.revision)],
            Self::Raw { compare, .. } => compare.clone(),
        }
    }

    fn op(&self, lease: i64) -> Op {
        match self {
            Self::Create(object) | Self::Update { object, .. } => {
                Op::put_leased(storage_key(object), object.body().clone(), lease)
            }
            Self::Delete { object, .. } => Op::delete(KeyRange::single(storage_key(object))),
            Self::Discard(value) => Op::delete(KeyRange::single(value.key.clone())),
            Self::Raw { op, .. } => op.clone(),
        }
    }
}

/// Where an object is stored.
pub(super) fn storage_key(object: &Object) -> Bytes {
    // Boxed, so that the store keeps no room for more.
    let key = object.resource().storage_key(object.namespace(), Some(object.name()));
    Bytes::from(key.into_bytes().into_boxed_slice())
}

/// The transaction: all comparisons, all operations, and otherwise a look at every key compared,
/// so that a conflict can be told without asking again. What is written is attached to `lease`, 0 for none.
pub(super) fn plan(changes: &[Change], lease: i64) -> Txn {
    let (mut compare, mut look) = (Vec::new(), Vec::new());
    for change in changes {
        let own = change.compare();
        look.extend(own.iter().map(|own| Op::Range(own.range.clone(), change.look())));
        compare.extend(own);
    }
    Txn { compare, then: changes.iter().map(|change| change.op(lease)).collect(), or_else: look }
}

/// The first change whose comparisons do not hold of what the transaction looked at, with what its
/// key holds.
pub(super) fn conflict(changes: &[Change], looked: &[OpResult]) -> (usize, Option<KeyValue>) {
    let mut looked = looked.iter();
    for (index, change) in changes.iter().enumerate() {
        for compare in change.compare() {
            let held = match looked.next() {
                Some(OpResult::Range(page)) => &page.items[..],
                _ => &[],
            };
            if !compare.holds(held) {
                return (index, held.first().cloned());
            }
        }
    }
    (0, None)
}
