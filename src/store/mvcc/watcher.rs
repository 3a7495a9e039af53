//! A watcher: a position in the history.
//!
//! It holds no queue that anybody else fills. When polled it takes what is next: first what its group
//! was not posted because it came later, found by scanning the log; then the group's postings. Only
//! when nothing is left does it leave its waker, under the lock of the group, which every commit that
//! concerns it takes, so that no revision is lost between catching up and waiting.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::Mvcc;
use super::groups::{Group, Place};
use crate::store::{Error, Event, KeyRange, Result, Revision, WatchBatch, WatchOptions, WatchStream};

/// Log entries looked at, at most, before the lock is released.
const SCAN: u64 = 128;
/// Batches taken at once.
const TAKE: usize = 64;

struct Watcher {
    mvcc: Arc<Mvcc>,
    group: Arc<Group>,
    id: u64,
    /// The next revision to look at.
    next: Revision,
    /// Everything up to here has been told.
    told: Revision,
    previous: bool,
    taken: VecDeque<WatchBatch>,
    place: Option<Place>,
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

impl Mvcc {
    /// Watches a range.
    pub(in crate::store) fn watch(
        self: &Arc<Self>,
        range: KeyRange,
        options: WatchOptions,
    ) -> Result<WatchStream> {
        if range.as_single().is_some_and(|key| key.is_empty()) {
            return Err(Error::EmptyKey);
        }
        let mut writer = self.writer();
        let now = self.published().next();
        let from = options.from.filter(|from| *from != Revision::NONE).unwrap_or(now);
        let oldest = self.floor();
        if from < oldest {
            return Err(Error::Compacted { oldest });
        }
        let group = writer.groups.join(range, now);
        let id = writer.groups.id();
        drop(writer);
        Ok(Box::pin(Watcher {
            mvcc: self.clone(),
            group,
            id,
            next: from,
            // What is told is what the caller knows already: all before `from`.
            told: Revision(from.0 - 1),
            previous: options.previous,
            taken: VecDeque::new(),
            place: None,
            ended: false,
        }))
    }

    /// Whether somebody watches exactly this range.
    #[cfg(test)]
    pub(in crate::store) fn is_watched(&self, range: &KeyRange) -> bool {
        self.writer().groups.find(range).is_some()
    }

    /// Asks the watchers of exactly this range to say how far they are.
    pub(in crate::store) fn request_progress(&self, range: &KeyRange) {
        let mut wakers = Vec::new();
        {
            let writer = self.writer();
            let Some(group) = writer.groups.find(range) else { return };
            let mut posted = group.posted();
            posted.progress = self.published();
            posted.wake(&mut wakers);
        }
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Watcher {
    /// Takes what there is; waits where there is nothing. Answers also the waker that was replaced.
    fn look(&mut self, waker: &Waker) -> Result<(Look, Option<Waker>)> {
        if self.next < self.group.since {
            return Ok((self.scan()?, None));
        }
        let mut cold = Vec::new();
        {
            let mut posted = self.group.posted();
            if posted.trimmed >= self.next {
                return Ok((Look::Compacted, None));
            }
            for (revision, events) in posted.from(self.next).take(TAKE) {
                match events {
                    Some(events) => {
                        self.taken.push_back(WatchBatch { revision, events: events.clone() });
                        self.next = revision.next();
                    }
                    None => cold.push(revision),
                }
                if !cold.is_empty() && events.is_some() {
                    // Cold ones come first, and are fetched first.
                    self.taken.clear();
                    break;
                }
            }
            if cold.is_empty() {
                if !self.taken.is_empty() {
                    return Ok((Look::Batches, None));
                }
                if posted.progress > self.told {
                    self.taken.push_back(WatchBatch { revision: posted.progress, events: Arc::default() });
                    return Ok((Look::Batches, None));
                }
                let (place, replaced) = posted.wait(self.id, self.place, waker);
                self.place = Some(place);
                return Ok((Look::Nothing, replaced));
            }
        }
        for revision in cold {
            let events = self.fetch(revision)?;
            let Some(events) = events else { return Ok((Look::Compacted, None)) };
            self.take(revision, &events);
        }
        Ok((if self.taken.is_empty() { Look::Again } else { Look::Batches }, None))
    }

    fn scan(&mut self) -> Result<Look> {
        let end = self.group.since.min(Revision(self.next.0 + SCAN));
        let warm: Vec<Arc<[Event]>> = {
            let log = self.mvcc.log();
            let revisions = (self.next.0..end.0).map(Revision);
            revisions.map_while(|revision| log.events(revision).cloned()).collect()
        };
        // What the log has lost meanwhile it had lost for good.
        if self.next < self.mvcc.floor() {
            return Ok(Look::Compacted);
        }
        if warm.is_empty() {
            let Some(events) = self.fetch(self.next)? else { return Ok(Look::Compacted) };
            self.take(self.next, &events);
        }
        for events in warm {
            self.take(self.next, &events);
        }
        Ok(if self.taken.is_empty() { Look::Again } else { Look::Batches })
    }

    /// Takes what a revision, which is the next, did to the range.
    fn take(&mut self, revision: Revision, events: &Arc<[Event]>) {
        let events = self.group.pick(events);
        if !events.is_empty() {
            self.taken.push_back(WatchBatch { revision, events });
        }
        self.next = revision.next();
    }

    /// The events of a revision that may not be in memory; none where it is compacted.
    fn fetch(&self, revision: Revision) -> Result<Option<Arc<[Event]>>> {
        let pin = self.mvcc.pins.pin(revision);
        if self.mvcc.floor() > revision {
            return Ok(None);
        }
        let mut events = self.mvcc.events(revision)?;
        if self.previous && self.mvcc.past.is_some() {
            let mut owned = events.to_vec();
            let range = &self.group.range;
            let bare = |event: &&mut Event| event.previous.is_none() && range.contains(&event.kv.key);
            for event in owned.iter_mut().filter(bare) {
                event.previous = self.mvcc.before(&event.kv.key, revision)?;
            }
            events = owned.into();
        }
        drop(pin);
        Ok(Some(events))
    }
}

impl Stream for Watcher {
    type Item = Result<WatchBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        while this.taken.is_empty() {
            // A waker may own a task, and that a watcher: it is dropped behind the lock.
            let (look, replaced) = match this.look(context.waker()) {
                Ok(looked) => looked,
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            drop(replaced);
            match look {
                Look::Batches | Look::Again => {}
                Look::Nothing => return Poll::Pending,
                Look::Compacted => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Error::Compacted { oldest: this.mvcc.floor() })));
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
        let mut writer = self.mvcc.writer();
        let waker = self.group.posted().leave(self.place);
        writer.groups.leave(&self.group);
        drop(writer);
        drop(waker);
    }
}
