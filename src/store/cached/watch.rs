//! A watch of objects: a position in one posting list.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::objects::Selection;
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
    filter: Box<Filter>,
    posting: Arc<Posting>,
    filling: u32,
    /// The number of the next event to look at.
    next: u64,
    /// Nothing up to this revision is delivered.
    after: Revision,
    /// Everything up to this revision has been delivered.
    told: Revision,
    bookmarks: bool,
    /// The last call for bookmarks that was answered.
    called: u32,
    /// The state that is still to be delivered.
    initial: Option<Box<Selection>>,
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
        let (reached, mut initial) = (shelf.revision(), None);
        let (next, after) = match query.from {
            _ if query.initial => {
                initial = Some(shelf.select(filter.clone(), reached));
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
        let told = if initial.is_some() { Revision::NONE } else { after };
        Ok(Self {
            row,
            id,
            filter: Box::new(filter),
            posting,
            filling,
            next,
            after,
            told,
            bookmarks: query.bookmarks,
            called,
            initial: initial.map(|initial| Box::new(initial.starting(None))),
            taken: VecDeque::new(),
            ended: false,
        })
    }

    /// Takes more of the state, which needs no lock.
    fn look_at_state(&mut self, mut initial: Box<Selection>) {
        let mut objects = Vec::new();
        let more = initial.take(&mut objects, TAKE, usize::MAX);
        self.taken.extend(objects.into_iter().map(ObjectEvent::Added));
        if more {
            self.initial = Some(initial);
        } else {
            self.taken.push_back(ObjectEvent::Bookmark { revision: initial.revision, initial_end: true });
        }
    }

    fn look(&mut self, state: &RowState) -> Look {
        if state.shelf.filling != self.filling {
            return Look::Expired;
        }
        let posted = self.posting.lock();
        if posted.has_lost(self.next, self.after) {
            return Look::Expired;
        }
        let mut looked = 0;
        for number in posted.from(self.next).take(SCAN) {
            looked += 1;
            self.next = number + 1;
            let record = state.shelf.record(number).filter(|record| record.revision > self.after);
            self.taken.extend(record.and_then(|record| record.seen_by(&self.filter)));
            if self.taken.len() == TAKE {
                break;
            }
        }
        if !self.taken.is_empty() {
            return Look::Events;
        }
        if looked > 0 {
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
            if let Some(initial) = this.initial.take() {
                this.look_at_state(initial);
                continue;
            }
            let row = this.row.clone();
            // Wakers are dropped behind the locks: one may own a task, and that a watch.
            let mut replaced = [None, None];
            let look = {
                let state = row.read();
                let look = this.look(&state);
                if let Look::Nothing = look {
                    replaced[0] = this.posting.lock().waiting.insert(this.id, context.waker().clone());
                    if this.bookmarks {
                        replaced[1] = row.bookmarkers().insert(this.id, context.waker().clone());
                    }
                    // A watcher that waits holds no room for events.
                    this.taken = VecDeque::new();
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
            let waiting = self.posting.lock().waiting.remove(self.id);
            let term = Term::of(&self.filter, &self.row.resource);
            state.shelf.postings.leave(&term, &self.posting);
            [waiting, self.bookmarks.then(|| self.row.bookmarkers().remove(&self.id)).flatten()]
        };
        drop(wakers);
    }
}

impl fmt::Debug for ObjectWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watch of {} after {}", self.row.resource.qualified(), self.told)
    }
}
