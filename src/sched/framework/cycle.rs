//! One pod's turn: what every plugin sees of it.

use std::any::Any;

use super::super::{PodInfo, Snapshot};

/// One attempt to place one pod.
pub struct Cycle<'a> {
    /// The pod.
    pub pod: &'a PodInfo,
    /// The nodes, as they are for the whole attempt.
    pub snapshot: &'a Snapshot,
    notes: Notes,
}

/// What plugins leave for later points, one value of a type.
pub(in crate::sched) type Notes = Vec<Box<dyn Any + Send + Sync>>;

impl<'a> Cycle<'a> {
    /// An attempt to place `pod` on one of the nodes of `snapshot`.
    #[must_use]
    pub fn new(pod: &'a PodInfo, snapshot: &'a Snapshot) -> Self {
        Self { pod, snapshot, notes: Vec::new() }
    }

    /// An attempt for a pod of the same class as an earlier one, which left these notes.
    pub(in crate::sched) fn resumed(pod: &'a PodInfo, snapshot: &'a Snapshot, notes: Notes) -> Self {
        Self { pod, snapshot, notes }
    }

    /// What plugins noted.
    pub(in crate::sched) fn into_notes(self) -> Notes {
        self.notes
    }

    /// Keeps a note for the later points of this attempt, one of each type. A plugin's own type
    /// makes it that plugin's own note.
    pub fn note<T: Any + Send + Sync>(&mut self, note: T) {
        self.notes.retain(|old| !old.is::<T>());
        self.notes.push(Box::new(note));
    }

    /// Takes the note of this type away.
    pub fn forget<T: Any + Send + Sync>(&mut self) {
        self.notes.retain(|old| !old.is::<T>());
    }

    /// The note of this type, to be changed.
    pub fn noted_mut<T: Any + Send + Sync>(&mut self) -> Option<&mut T> {
        self.notes.iter_mut().find_map(|note| note.downcast_mut())
    }

    /// The note of this type.
    #[must_use]
    pub fn noted<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.notes.iter().find_map(|note| note.downcast_ref())
    }
}
