//! What watches deliver.

use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use super::{Error, KeyValue, Revision};

/// How to watch a range.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The first revision to deliver; what happens from now on where none is given.
    pub from: Option<Revision>,
    /// Deliver also what the key held before. A store that has it at hand may do so unasked.
    pub previous: bool,
    /// Leave the values as they are stored, where the store seals them:
    /// [`ObjectStore::open`](super::ObjectStore::open) opens each.
    pub sealed: bool,
}

impl WatchOptions {
    /// From this revision on, itself included.
    #[must_use]
    pub fn from(revision: Revision) -> Self {
        Self { from: Some(revision), ..Self::default() }
    }

    /// Deliver also what the key held before.
    #[must_use]
    pub fn with_previous(mut self) -> Self {
        self.previous = true;
        self
    }

    /// With values as they are stored.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self
    }
}

/// The batches of a watch, until an error ends it.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchBatch, Error>> + Send>>;

/// Everything that one revision did to the watched range; without events, the news that the
/// watch has seen all up to this revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    /// The revision.
    pub revision: Revision,
    /// What it did, in the order of its operations. Watches of one range share them.
    pub events: Arc<[Event]>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// What the key holds now. Of a deleted key: its name, the revision that deleted it as
    /// `mod_revision`, and nothing else.
    pub kv: KeyValue,
    /// What it held before: there where asked for, if there was anything, and not a promise otherwise.
    pub previous: Option<KeyValue>,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was written.
    Put,
    /// It was deleted.
    Delete,
}
