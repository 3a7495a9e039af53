//! Reads under way.
//!
//! A read of a range takes a while, and what it reads must not be compacted meanwhile. It pins its
//! revision; compaction raises the floor at once but leaves what a pinned revision sees until it is
//! released. Neither waits for the other.
//!
//! The reader stores its pin and then looks at the floor; the writer stores the floor and then looks
//! at the pins, all sequentially consistent. So either the writer sees the pin, or the reader sees
//! that the floor has passed it and tries another revision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::Revision;

/// More reads at once than this share a lock.
const SLOTS: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Pins {
    /// The revisions that are pinned; 0 where a slot is free.
    slots: [AtomicU64; SLOTS],
    /// How often each revision is pinned that found no slot.
    more: Mutex<BTreeMap<Revision, usize>>,
    /// How many those are.
    count: AtomicU64,
}

/// A revision that stays readable until this is dropped.
#[derive(Debug)]
pub(super) struct Pin<'a> {
    pins: &'a Pins,
    revision: Revision,
    slot: Option<usize>,
}

impl Pins {
    /// Pins a revision. Look at the floor afterwards.
    pub(super) fn pin(&self, revision: Revision) -> Pin<'_> {
        Pin { pins: self, revision, slot: self.hold(revision) }
    }

    /// Pins a revision until it is released with what this answers.
    pub(super) fn hold(&self, revision: Revision) -> Option<usize> {
        let taken = |slot: &AtomicU64| slot.compare_exchange(0, revision.0, SeqCst, SeqCst).is_ok();
        let slot = self.slots.iter().position(taken);
        if slot.is_none() {
            let mut more = self.more();
            *more.entry(revision).or_default() += 1;
            self.count.store(more.len() as u64, SeqCst);
        }
        slot
    }

    /// Releases a revision that is held.
    pub(super) fn release(&self, revision: Revision, slot: Option<usize>) {
        if let Some(slot) = slot {
            self.slots[slot].store(0, SeqCst);
            return;
        }
        let mut more = self.more();
        if let Some(count) = more.get_mut(&revision) {
            *count -= 1;
            if *count == 0 {
                more.remove(&revision);
            }
        }
        self.count.store(more.len() as u64, SeqCst);
    }

    /// The oldest revision that is pinned. Raise the floor before.
    pub(super) fn oldest(&self) -> Option<Revision> {
        let slots = self.slots.iter().map(|slot| Revision(slot.load(SeqCst)));
        let oldest = slots.filter(|revision| *revision != Revision::NONE).min();
        if self.count.load(SeqCst) == 0 {
            return oldest;
        }
        let more = self.more().first_key_value().map(|(revision, _)| *revision);
        oldest.into_iter().chain(more).min()
    }

    fn more(&self) -> MutexGuard<'_, BTreeMap<Revision, usize>> {
        self.more.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.pins.release(self.revision, self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_counts_however_many_there_are() {
        let pins = Pins::default();
        assert_eq!(pins.oldest(), None);
        let held: Vec<_> = (1..100).rev().map(|at| pins.pin(Revision(at))).collect();
        for pin in held {
            let next = Revision(pin.revision.0 - 1);
            drop(pin);
            let left = if next == Revision::NONE { None } else { Some(Revision(1)) };
            assert_eq!(pins.oldest(), left);
        }
    }
}
