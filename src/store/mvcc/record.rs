//! What is staged, and what becomes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::store::{Committed, Event, Result, Revision};

/// One change of the store: what a durable store writes down, in the order of its sequence.
#[derive(Clone, Debug)]
pub(in crate::store) struct Record {
    /// Its place among all records since the store was opened, from 1 on, without gaps.
    pub sequence: u64,
    /// The newest revision that is assigned, this record's own where it has events.
    pub revision: Revision,
    /// What the revision did; nothing where the record made none.
    pub events: Arc<[Event]>,
    /// What else the record says.
    pub change: Change,
}

/// What a record changes beside keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    /// Nothing: it is a transaction that wrote something.
    Commit,
    /// There is a lease more.
    Grant {
        /// Its number.
        id: i64,
        /// Its time to live, in whole seconds.
        ttl: Duration,
    },
    /// There is a lease less; the events delete its keys.
    Revoke {
        /// Its number.
        id: i64,
    },
    /// What is below this revision is forgotten.
    Compact {
        /// The new floor.
        floor: Revision,
    },
}

/// What came of staging something.
#[derive(Debug)]
pub(in crate::store) struct Staged<T, A = Committed> {
    /// The answer, to be given once `sequence` has been published.
    pub answer: A,
    /// The newest record that the answer knows of: its own, or, where nothing was written, the
    /// newest that had been staged.
    pub sequence: u64,
    /// What the closure made of the record; nothing where nothing was written.
    pub recorded: Option<T>,
}

/// Where what is no longer in memory is read. Calls may block, for about as long as a disk takes.
pub(in crate::store) trait Past: fmt::Debug + Send + Sync + 'static {
    /// The value that event `index` of a revision wrote. It is asked only for versions that a
    /// revision from the floor on sees.
    fn value(&self, revision: Revision, index: usize) -> Result<Bytes>;

    /// The events of a revision, which is not below the floor, without previous values.
    fn events(&self, revision: Revision) -> Result<Vec<Event>>;
}
