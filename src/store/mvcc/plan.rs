//! What a transaction will do, decided before it does anything.
//!
//! Deciding compares, chooses the branches, reads what is asked of past revisions and refuses what
//! cannot be done. What is left, steps in order, cannot fail.

use bytes::Bytes;

use super::{Mvcc, Writer};
use crate::store::{Compare, Error, KeyRange, KeyValue, ListOptions, Op, OpResult, Result, Revision, Txn};

/// The branch that runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) succeeded: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    Put {
        key: Bytes,
        value: Option<Bytes>,
        lease: Option<i64>,
        previous: bool,
    },
    Delete {
        range: KeyRange,
        previous: bool,
    },
    /// Reads what the steps before left.
    Range(KeyRange, ListOptions),
    /// Has been read already.
    Ready(OpResult),
    Txn(Plan),
}

impl Mvcc {
    /// Chooses the branches of a transaction and refuses what they cannot do.
    pub(super) fn plan(&self, writer: &Writer, txn: Txn) -> Result<Plan> {
        let chosen = self.choose(txn);
        self.check(writer, chosen)
    }

    fn choose(&self, txn: Txn) -> (bool, Vec<Chosen>) {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded { txn.then } else { txn.or_else };
        let ops = ops.into_iter().map(|op| match op {
            Op::Txn(inner) => {
                let (succeeded, ops) = self.choose(inner);
                Chosen::Txn(succeeded, ops)
            }
            op => Chosen::Op(op),
        });
        (succeeded, ops.collect())
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare.range.as_single() {
            Some(key) => compare.holds(self.live(key).as_ref()),
            None => compare.holds(&self.live_range(&compare.range)),
        }
    }

    fn check(&self, writer: &Writer, (succeeded, ops): (bool, Vec<Chosen>)) -> Result<Plan> {
        let steps = ops.into_iter().map(|op| {
            Ok(match op {
                Chosen::Txn(succeeded, ops) => Step::Txn(self.check(writer, (succeeded, ops))?),
                Chosen::Op(Op::Put { key, value, lease, previous }) => {
                    self.check_put(writer, &key, value.is_none(), lease)?;
                    Step::Put { key, value, lease, previous }
                }
                Chosen::Op(Op::Delete { range, previous }) => Step::Delete { range, previous },
                Chosen::Op(Op::Range(range, options)) => match options.at {
                    Some(at) if at != Revision::NONE => {
                        Step::Ready(OpResult::Range(self.list_assigned(writer, &range, at, options)?))
                    }
                    _ => Step::Range(range, options),
                },
                Chosen::Op(Op::Txn(_)) => unreachable!("a transaction within was chosen from"),
            })
        });
        Ok(Plan { succeeded, steps: steps.collect::<Result<_>>()? })
    }

    /// Refuses a put that names no lease there is, or keeps what is not there.
    pub(super) fn check_put(
        &self,
        writer: &Writer,
        key: &[u8],
        keeps_value: bool,
        lease: Option<i64>,
    ) -> Result<()> {
        if let Some(id) = lease.filter(|id| *id != 0 && !writer.leases.exists(*id)) {
            return Err(Error::LeaseNotFound { id });
        }
        if (keeps_value || lease.is_none()) && !self.index.with(key, |entry| entry.is_live()).unwrap_or(false)
        {
            return Err(Error::KeyNotFound);
        }
        Ok(())
    }

    /// The newest that a key holds, published or not; only under the writers' lock.
    pub(super) fn live(&self, key: &[u8]) -> Option<KeyValue> {
        self.index.with(key, |entry| entry.live()).flatten()
    }

    /// The newest that the keys of a range hold, published or not; only under the writers' lock.
    pub(super) fn live_range(&self, range: &KeyRange) -> Vec<KeyValue> {
        if let Some(key) = range.as_single() {
            return self.live(key).into_iter().collect();
        }
        let mut live = Vec::new();
        self.index.scan(range, |entry| {
            live.extend(entry.live());
            std::ops::ControlFlow::Continue(())
        });
        live
    }
}

/// An operation that runs.
enum Chosen {
    Op(Op),
    Txn(bool, Vec<Self>),
}
