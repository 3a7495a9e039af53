//! A watch of objects: a position in one posting list.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::posting::{Posting, Term};
use super::query::{Filter, ObjectEvent, WatchQuery};
use super::row::{Phase, Row, RowState};
use crate::store::{Error, Result, Revision};

/// Events looked at, at most, before the lock is released.
const SCAN: usize = 512;
/// Events taken at once.
const TAKE: usize = 64;

/// What happens to the objects that a watch selects, until an error ends it, or the end of its
/// resource. [`Error::Compacted`]: an event that it should deliver next is no longer kept.
///
/// It holds a position and not a queue: being slow costs nobody but itself. Dropping it ends the
/// watch.
pub struct ObjectWatch {
    row: Arc<Row>,
    id: u64,
    filter: Filter,
    term: Term,
    posting: Arc<Posting>,
    filling: u64,
    /// The number of the next event to look at.
    next: u64,
    /// Nothing up to this revision is delivered.
    after: Revision,
    /// Everything up to this revision has been delivered.
    told: Revision,
    bookmarks: bool,
    /// The last call for bookmarks that was answered.
    called: u64,
    taken: VecDeque<ObjectEvent>,
    ended: bool,
}

enum Look {
    Events,
    /// There is more to scan.
    Again,
    Nothing,
    Expired,
    Closed,
}

impl ObjectWatch {
    /// Takes its place in a row that has been filled.
    pub(super) fn start(row: Arc<Row>, query: &WatchQuery) -> Result<Self> {
        let filter = query.filter();
        let term = Term::of(&filter, &row.resource);
        let mut guard = row.write();
        let state = &mut *guard;
        let shelf = &mut state.shelf;
        let (reached, mut taken) = (shelf.revision(), VecDeque::new());
        let (next, after) = match query.from {
            _ if query.initial => {
                taken.extend(shelf.select(&filter).cloned().map(ObjectEvent::Added));
                taken.push_back(ObjectEvent::Bookmark { revision: reached, initial_end: true });
                (shelf.end(), reached)
            }
            Some(from) if from < shelf.floor() => {
                return Err(Error::Compacted { oldest: shelf.floor().next() });
            }
            Some(from) => (shelf.position(from), from),
            None => (shelf.end(), reached),
        };
        let (id, filling, called) = (shelf.watcher(), shelf.filling, state.bookmarks);
        let posting = shelf.postings.join(&term);
        drop(guard);
        Ok(Self {
            row,
            id,
            filter,
            term,
            posting,
            filling,
            next,
            after,
            told: after,
            bookmarks: query.bookmarks,
            called,
            taken,
            ended: false,
        })
    }

    fn look(&mut self, state: &RowState) -> Look {
        if state.shelf.filling != self.filling {
            return Look::Expired;
        }
        let posted = self.posting.lock();
        if posted.has_lost(self.next, self.after) {
            return Look::Expired;
        }
        let start = posted.events.partition_point(|number| *number < self.next);
        for number in posted.events.range(start..).take(SCAN) {
            self.next = number + 1;
            let record = state.shelf.record(*number).filter(|record| record.revision > self.after);
            self.taken.extend(record.and_then(|record| record.seen_by(&self.filter)));
            if self.taken.len() == TAKE {
                break;
            }
        }
        if !self.taken.is_empty() {
            return Look::Events;
        }
        if start < posted.events.len() {
            return Look::Again;
        }
        if self.bookmarks && self.called < state.bookmarks && state.shelf.revision() > self.told {
            self.called = state.bookmarks;
            let revision = state.shelf.revision();
            self.taken.push_back(ObjectEvent::Bookmark { revision, initial_end: false });
            return Look::Events;
        }
        if state.phase == Phase::Closed { Look::Closed } else { Look::Nothing }
    }
}

impl Stream for ObjectWatch {
    type Item = Result<ObjectEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        while this.taken.is_empty() {
            let row = this.row.clone();
            // Wakers are dropped behind the locks: one may own a task, and that a watch.
            let mut replaced = [None, None];
            let look = if this.bookmarks {
                let mut state = row.write();
                let look = this.look(&state);
                if let Look::Nothing = look {
                    replaced[0] = this.posting.lock().waiting.insert(this.id, context.waker().clone());
                    replaced[1] = state.bookmarkers.insert(this.id, context.waker().clone());
                }
                look
            } else {
                let state = row.read();
                let look = this.look(&state);
                if let Look::Nothing = look {
                    replaced[0] = this.posting.lock().waiting.insert(this.id, context.waker().clone());
                }
                look
            };
            drop(replaced);
            match look {
                Look::Events | Look::Again => {}
                Look::Nothing => return Poll::Pending,
                Look::Closed => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Look::Expired => {
                    this.ended = true;
                    let oldest = row.read().shelf.floor().next();
                    return Poll::Ready(Some(Err(Error::Compacted { oldest })));
                }
            }
        }
        let event = this.taken.pop_front();
        if let Some(event) = &event {
            // The state is delivered by key, so only its end says how far it is.
            if this.taken.is_empty() {
                this.told = this.told.max(event.revision());
            }
        }
        Poll::Ready(event.map(Ok))
    }
}

impl Drop for ObjectWatch {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.row.write();
            let waiting = self.posting.lock().waiting.remove(&self.id);
            state.shelf.postings.leave(&self.term, &self.posting);
            [waiting, state.bookmarkers.remove(&self.id)]
        };
        drop(wakers);
    }
}

impl fmt::Debug for ObjectWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watch of {} after {}", self.row.resource.qualified(), self.told)
    }
}
