//! A watcher: a position in the history.
//!
//! It holds no queue that anybody else fills. When polled it takes what is next from the log: first
//! what its group did not post because it came later, found by scanning; then by the group's
//! postings. Only when nothing is left does it leave its waker, under the lock that every commit
//! takes, so that no revision is lost between catching up and waiting.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::Shared;
use super::groups::Group;
use super::state::State;
use crate::store::{Error, Event, Result, Revision, WatchBatch};

/// Log entries looked at, at most, before the lock is released.
const SCAN: u64 = 1024;
/// Batches taken at once.
const TAKE: usize = 64;

pub(super) struct Watcher {
    shared: Arc<Shared>,
    group: Arc<Group>,
    id: u64,
    /// The next revision to look at.
    next: Revision,
    /// Everything up to here has been told.
    told: Revision,
    previous: bool,
    taken: VecDeque<WatchBatch>,
    ended: bool,
}

/// What a look at the history brought.
enum Look {
    Batches,
    Nothing,
    /// There is more to scan.
    Again,
    Compacted,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        group: Arc<Group>,
        id: u64,
        next: Revision,
        told: Revision,
        previous: bool,
    ) -> Self {
        Self { shared, group, id, next, told, previous, taken: VecDeque::new(), ended: false }
    }

    fn look(&mut self, state: &State) -> Look {
        if self.next < self.group.since {
            return self.scan(state);
        }
        let mut posted = self.group.posted();
        posted.trim(state.floor());
        if posted.trimmed >= self.next {
            return Look::Compacted;
        }
        let start = posted.revisions.partition_point(|revision| *revision < self.next);
        for revision in posted.revisions.range(start..).take(TAKE) {
            self.taken.push_back(pick(state, &self.group, *revision, self.previous));
            self.next = revision.next();
        }
        if !self.taken.is_empty() {
            return Look::Batches;
        }
        if posted.progress > self.told {
            self.taken.push_back(WatchBatch { revision: state.newest(), events: Arc::default() });
            return Look::Batches;
        }
        Look::Nothing
    }

    fn scan(&mut self, state: &State) -> Look {
        if self.next < state.floor() {
            return Look::Compacted;
        }
        let end = self.group.since.min(Revision(self.next.0 + SCAN));
        while self.next < end && self.taken.len() < TAKE {
            let batch = pick(state, &self.group, self.next, self.previous);
            self.next = self.next.next();
            if !batch.events.is_empty() {
                self.taken.push_back(batch);
            }
        }
        if self.taken.is_empty() { Look::Again } else { Look::Batches }
    }
}

/// What a revision did to a group's range.
fn pick(state: &State, group: &Group, revision: Revision, previous: bool) -> WatchBatch {
    let touched = state.events(revision).iter().filter(|event| group.range.contains(&event.kv.key));
    let events = touched.map(|event| Event {
        kind: event.kind,
        kv: event.kv.clone(),
        previous: event.previous.clone().filter(|_| previous),
    });
    WatchBatch { revision, events: events.collect() }
}

impl Stream for Watcher {
    type Item = Result<WatchBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        while this.taken.is_empty() {
            // Dropped behind the lock: a waker may own a task, and that a watcher.
            let mut replaced: Option<Waker> = None;
            let shared = this.shared.clone();
            let state = shared.read();
            let look = this.look(&state);
            if let Look::Nothing = look {
                replaced = this.group.posted().waiting.insert(this.id, context.waker().clone());
            }
            let oldest = state.floor();
            drop(state);
            drop(replaced);
            match look {
                Look::Batches | Look::Again => {}
                Look::Nothing => return Poll::Pending,
                Look::Compacted => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Error::Compacted { oldest })));
                }
            }
        }
        let batch = this.taken.pop_front();
        if let Some(batch) = &batch {
            this.told = batch.revision;
        }
        Poll::Ready(batch.map(Ok))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.shared.write();
        let waker = self.group.posted().waiting.remove(&self.id);
        state.groups.leave(&self.group);
        drop(state);
        drop(waker);
    }
}
