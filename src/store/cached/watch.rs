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
use super::sorted::order;
use crate::store::{Error, Result, Revision};

/// Events looked at, at most, before the lock is released.
const SCAN: usize = 512;
/// Events taken at once.
const TAKE: usize = 64;

/// What happens to the objects that a watch selects, until an error ends it, or the end of its
/// resource. [`Error::Compacted`]: an event that it should deliver next is no longer kept.
/// [`Error::Unreadable`]: an object that it may select has come to be one that cannot be read, or is one
/// of those with which it begins, or has ceased to be one, and whether it was selected nobody knows.
/// [`Error::UnreadableDeleted`]: such a one was deleted.
///
/// It holds a position and not a queue: being slow costs nobody but itself. Dropping it ends the
/// watch.
pub struct ObjectWatch {
    row: Arc<Row>,
    id: u64,
    filter: Box<Filter>,
    posting: Arc<Posting>,
    /// Whether the list is of a field.
    by_field: bool,
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
    taken: VecDeque<Result<ObjectEvent>>,
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
            by_field: matches!(term, Term::Field(..)),
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
        let taken = objects.len();
        let unreadable = initial.unreadable().cloned();
        if let Some(unreadable) = &unreadable {
            objects.retain(|object| order(object.key(), &unreadable.object).is_lt());
        }
        let reached = !more || objects.len() < taken;
        self.taken.extend(objects.into_iter().map(|object| Ok(ObjectEvent::Added(object))));
        match unreadable.filter(|_| reached) {
            Some(unreadable) => self.taken.push_back(Err(Error::unreadable([unreadable]))),
            None if more => self.initial = Some(initial),
            None => {
                let revision = initial.revision;
                self.taken.push_back(Ok(ObjectEvent::Bookmark { revision, initial_end: true }));
            }
        }
    }

    fn look(&mut self, state: &RowState) -> Look {
        if state.shelf.filling != self.filling {
            return Look::Expired;
        }
        let posted = self.posting.lock();
        let any_field = Some(&state.shelf.postings.any_field).filter(|_| self.by_field);
        let lists = [posted.events(), any_field];
        if lists.iter().flatten().any(|events| events.has_lost(self.next, self.after)) {
            return Look::Expired;
        }
        let [own, any_field] = lists.map(|events| events.map(|events| events.from(self.next)));
        let mut looked = 0;
        for number in merged(own.into_iter().flatten(), any_field.into_iter().flatten()).take(SCAN) {
            looked += 1;
            self.next = number + 1;
            let record = state.shelf.record(number).filter(|record| record.revision > self.after);
            let seen = record.and_then(|record| record.seen_by(&self.filter));
            let ends = matches!(seen, Some(Err(_)));
            self.taken.extend(seen);
            if ends || self.taken.len() == TAKE {
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
            self.taken.push_back(Ok(ObjectEvent::Bookmark { revision, initial_end: false }));
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
        match &event {
            // The state is delivered by key, so only its end says how far it is.
            Some(Ok(event)) if this.taken.is_empty() => this.told = this.told.max(event.revision()),
            Some(Err(_)) => this.ended = true,
            _ => {}
        }
        Poll::Ready(event)
    }
}

/// Both, in order. What is in one is not in the other.
fn merged(one: impl Iterator<Item = u64>, other: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second < first => other.next(),
        (None, _) => other.next(),
        _ => one.next(),
    })
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
