//! What each revision did, as far as it is kept.
//!
//! The log reaches from the floor to the newest published revision. Its newest part holds the
//! events themselves; of what stands before, where events can be fetched from the past, it holds
//! only what compaction will need. It has a lock of its own, held for a few pushes, pops or clones,
//! for those who read events behind the writers' backs.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::Version;
use super::groups::Group;
use crate::store::{Event, Revision};

/// What a log entry costs beside its key and value.
pub(super) const ENTRY_BYTES: u64 = 256;

#[derive(Debug)]
pub(super) struct Log {
    /// The revision of the oldest batch; it is never empty, for revision 1 did nothing.
    first: Revision,
    /// The oldest revision whose events are in memory.
    warm: Revision,
    batches: VecDeque<Batch>,
    /// What the batches from the floor on cost.
    pub(super) kept_bytes: u64,
    /// What the warm ones cost.
    pub(super) warm_bytes: u64,
}

/// What one revision did.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Arc<[Event]>,
    /// The versions that it made, by event.
    pub(super) versions: Few<Version>,
    /// Who was told.
    pub(super) groups: Few<Group>,
    /// The keys that it deleted.
    pub(super) deleted: Vec<Bytes>,
    pub(super) cost: u64,
}

/// None, one, or several: nearly every revision writes one key.
#[derive(Debug, Default)]
pub(super) enum Few<T> {
    #[default]
    None,
    One(Arc<T>),
    Several(Vec<Arc<T>>),
}

impl<T> Few<T> {
    pub(super) fn push(&mut self, item: Arc<T>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(item),
            Self::One(first) => Self::Several(vec![first, item]),
            Self::Several(mut items) => {
                items.push(item);
                Self::Several(items)
            }
        };
    }

    pub(super) fn as_slice(&self) -> &[Arc<T>] {
        match self {
            Self::None => &[],
            Self::One(item) => std::slice::from_ref(item),
            Self::Several(items) => items,
        }
    }
}

/// Events that have gone to the past, and who was told of them.
type Cooled<'a> = (Arc<[Event]>, &'a [Arc<Group>]);

impl Log {
    /// A log whose oldest revision is `first`, which did nothing.
    pub(super) fn new(first: Revision) -> Self {
        Self { first, warm: first, batches: VecDeque::from([Batch::default()]), kept_bytes: 0, warm_bytes: 0 }
    }

    pub(super) fn first(&self) -> Revision {
        self.first
    }

    pub(super) fn warm(&self) -> Revision {
        self.warm
    }

    pub(super) fn next(&self) -> Revision {
        Revision(self.first.0 + self.batches.len() as u64)
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.kept_bytes += batch.cost;
        self.warm_bytes += batch.cost;
        self.batches.push_back(batch);
    }

    /// Puts another batch in place of the only one.
    pub(super) fn replace_first(&mut self, batch: Batch) {
        self.kept_bytes += batch.cost;
        self.warm_bytes += batch.cost;
        if let Some(first) = self.batches.front_mut() {
            *first = batch;
        }
    }

    /// All that there is has gone to the past.
    pub(super) fn cool_all(&mut self) {
        self.warm = self.next();
        self.warm_bytes = 0;
    }

    pub(super) fn get(&self, revision: Revision) -> Option<&Batch> {
        self.batches.get(usize::try_from(revision.0.checked_sub(self.first.0)?).ok()?)
    }

    /// The events of a revision, where they are in memory.
    pub(super) fn events(&self, revision: Revision) -> Option<&Arc<[Event]>> {
        if revision < self.warm { None } else { Some(&self.get(revision)?.events) }
    }

    /// The floor goes up from one revision to another: what is between them is kept no longer.
    pub(super) fn release(&mut self, from: Revision, to: Revision) {
        let between = (from.0..to.0).filter_map(|revision| self.get(Revision(revision)));
        self.kept_bytes -= between.map(|batch| batch.cost).sum::<u64>();
    }

    /// Forgets the oldest batch, which is not kept.
    pub(super) fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        if self.warm <= self.first {
            self.warm_bytes -= batch.cost;
            self.warm = self.first.next();
        }
        self.first = self.first.next();
        Some(batch)
    }

    /// Lets the events of the oldest warm batch go to the past; answers them and who was told.
    pub(super) fn cool(&mut self) -> Option<Cooled<'_>> {
        let index = usize::try_from(self.warm.0 - self.first.0).ok()?;
        let batch = self.batches.get_mut(index)?;
        self.warm = self.warm.next();
        self.warm_bytes -= batch.cost;
        Some((std::mem::take(&mut batch.events), batch.groups.as_slice()))
    }
}

/// What the events cost that a log keeps.
pub(super) fn cost(events: &[Event]) -> u64 {
    events.iter().map(|event| (event.kv.key.len() + event.kv.value.len()) as u64 + ENTRY_BYTES).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cools_is_counted_once() {
        let batch = |cost| Batch { cost, ..Batch::default() };
        let mut log = Log::new(Revision(1));
        for cost in [1, 2, 4] {
            log.push(batch(cost));
        }
        assert!(log.cool().is_some() && log.cool().is_some());
        assert_eq!((log.kept_bytes, log.warm_bytes, log.warm()), (7, 6, Revision(3)));
        assert!(log.events(Revision(2)).is_none() && log.events(Revision(3)).is_some());
        log.release(Revision(1), Revision(4));
        assert_eq!(log.kept_bytes, 4);
        for left in [6, 6, 4, 0] {
            log.pop();
            assert_eq!(log.warm_bytes, left);
        }
        assert_eq!((log.first(), log.next(), log.warm()), (Revision(5), Revision(5), Revision(5)));
    }
}
