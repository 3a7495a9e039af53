//! A binary heap of slots from which any can be taken.
//!
//! A slot is in one heap at a time, so all heaps share one column that says where each slot is. What they sort by lies
//! beside the slot: sorting reads no pod, unless a plugin must be asked.

use std::time::Duration;

/// A pod's place in the queue's columns.
pub(super) type Slot = u32;

/// What a heap sorts by, first what stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// When it is due; nothing where that is no matter.
    pub(super) due: Duration,
    /// What the profile sorts by.
    pub(super) rank: i64,
    /// Never the same twice.
    pub(super) arrival: u64,
    pub(super) slot: Slot,
}

/// Slots, the first on top. Which of two is before the other is said anew at each call, and must be said alike.
#[derive(Debug, Default)]
pub(super) struct Heap(Vec<Turn>);

impl Heap {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<&Turn> {
        self.0.first()
    }

    /// Puts a slot in that is in no heap; `places` says by slot where it is.
    pub(super) fn push(&mut self, turn: Turn, places: &mut Vec<u32>, before: impl Fn(&Turn, &Turn) -> bool) {
        if places.len() <= turn.slot as usize {
            places.resize(turn.slot as usize + 1, 0);
        }
        self.0.push(turn);
        self.up(self.0.len() - 1, places, &before);
    }

    /// Takes the slot out that is first.
    pub(super) fn pop(&mut self, places: &mut [u32], before: impl Fn(&Turn, &Turn) -> bool) -> Option<Slot> {
        let slot = self.0.first()?.slot;
        self.take(0, places, &before);
        Some(slot)
    }

    /// Takes a slot out that is in this heap.
    pub(super) fn remove(&mut self, slot: Slot, places: &mut [u32], before: impl Fn(&Turn, &Turn) -> bool) {
        let at = places[slot as usize] as usize;
        debug_assert_eq!(self.0[at].slot, slot, "the column says where it is");
        self.take(at, places, &before);
    }

    fn take(&mut self, at: usize, places: &mut [u32], before: &impl Fn(&Turn, &Turn) -> bool) {
        self.0.swap_remove(at);
        if at < self.0.len() {
            // The last one, which stands here now, may belong further down or further up.
            let down = self.down(at, places, before);
            self.up(down, places, before);
        }
    }

    fn up(&mut self, mut at: usize, places: &mut [u32], before: &impl Fn(&Turn, &Turn) -> bool) {
        let turn = self.0[at];
        while at > 0 && before(&turn, &self.0[(at - 1) / 2]) {
            self.put(at, self.0[(at - 1) / 2], places);
            at = (at - 1) / 2;
        }
        self.put(at, turn, places);
    }

    fn down(&mut self, mut at: usize, places: &mut [u32], before: &impl Fn(&Turn, &Turn) -> bool) -> usize {
        let turn = self.0[at];
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.0.len() {
                break;
            }
            let second = right < self.0.len() && before(&self.0[right], &self.0[left]);
            let child = if second { right } else { left };
            if !before(&self.0[child], &turn) {
                break;
            }
            self.put(at, self.0[child], places);
            at = child;
        }
        self.put(at, turn, places);
        at
    }

    fn put(&mut self, at: usize, turn: Turn, places: &mut [u32]) {
        self.0[at] = turn;
        places[turn.slot as usize] = u32::try_from(at).expect("fewer than four billion pods");
    }
}
