//! Pods that wait for events, by what they wait for.
//!
//! The plugins that reject pods are few, so thousands of pods wait for a handful of sets of kinds. An event is held
//! against each set, and only where they meet against the pods.

use super::heap::Slot;
use crate::sched::EventKinds;

/// Where a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    group: u32,
    at: u32,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    groups: Vec<(EventKinds, Vec<Slot>)>,
}

impl Waiting {
    /// A pod waits for events of these kinds.
    pub(super) fn insert(&mut self, kinds: EventKinds, slot: Slot) -> Seat {
        let groups = &self.groups;
        let known = groups.iter().position(|(own, _)| *own == kinds);
        let group = known.or_else(|| groups.iter().position(|(_, slots)| slots.is_empty()));
        let group = group.unwrap_or_else(|| {
            self.groups.push((kinds, Vec::new()));
            self.groups.len() - 1
        });
        let (own, slots) = &mut self.groups[group];
        *own = kinds;
        slots.push(slot);
        let number = |number: usize| u32::try_from(number).expect("fewer than four billion pods");
        Seat { group: number(group), at: number(slots.len() - 1) }
    }

    /// A pod waits no more. Returns who has its seat now, if somebody has.
    pub(super) fn remove(&mut self, seat: Seat) -> Option<Slot> {
        let (_, slots) = &mut self.groups[seat.group as usize];
        slots.swap_remove(seat.at as usize);
        slots.get(seat.at as usize).copied()
    }

    /// Adds to `slots` the pods that wait for one of these kinds.
    pub(super) fn meeting(&self, kinds: EventKinds, slots: &mut Vec<Slot>) {
        for (_, own) in self.groups.iter().filter(|(own, _)| own.meets(kinds)) {
            slots.extend_from_slice(own);
        }
    }
}
