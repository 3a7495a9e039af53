//! The objects of one resource and what happened to them lately. Nothing here waits.
//!
//! The shelf is at a revision: it holds every object as of then, and every event after its floor.
//! Events are numbered; a watcher is the number of the next event that it has not looked at, in one
//! posting list. What is trimmed from the history raises the floor for new watches; a watcher that
//! is under way is only `Expired` when its own list has lost an event that it had not seen.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use super::objects::{Objects, Selection};
use super::posting::Postings;
use super::query::{Filter, ObjectEvent};
use super::unreadable::Stored;
use crate::api::{Object, ObjectKey, Resource, Revision};
use crate::store::{Error, Result};

/// What an event costs beside the body that it keeps.
const EVENT_BYTES: usize = 256;

pub(super) struct Shelf {
    row: Arc<Resource>,
    revision: Revision,
    /// All events after this revision are kept.
    floor: Revision,
    /// No state before this revision is read, though the event that led to it may be kept: the store has
    /// compacted it.
    compacted: Revision,
    objects: Objects,
    events: VecDeque<Record>,
    /// The number of the oldest event that is kept.
    first: u64,
    bytes: usize,
    budget: usize,
    pub(super) postings: Postings,
    /// How often the shelf was filled anew; a watcher of an earlier filling has missed something.
    pub(super) filling: u32,
    last_watcher: u64,
}

/// What one revision did to one key.
pub(super) struct Record {
    pub(super) revision: Revision,
    before: Option<Stored>,
    after: Option<Stored>,
    /// The state before, at this revision: what those are told for whom the object is gone.
    gone: OnceLock<Object>,
}

/// What a shelf held before it was filled anew: much, so it is dropped behind the lock, and those who
/// waited are woken there.
pub(super) struct Cleared {
    _objects: Objects,
    _events: VecDeque<Record>,
    postings: Postings,
}

impl Cleared {
    /// Everybody who waited: they have missed something.
    pub(super) fn woken(&self) -> Vec<Waker> {
        self.postings.take_all()
    }
}

impl Record {
    /// What this is to somebody who selects by `filter`; an error where nobody can tell.
    ///
    /// Source: `transform` and `prepareObjs` of kube-apiserver's `storage/etcd3/watcher.go` (1.36).
    pub(super) fn seen_by(&self, filter: &Filter) -> Option<Result<ObjectEvent>> {
        if !self.is_readable() {
            return self.unreadable_to(filter);
        }
        let (before, after) = self.sides();
        let selected = |object: &&Object| filter.matches(object);
        Some(Ok(match (before.filter(selected), after.filter(selected)) {
            (None, None) => return None,
            (None, Some(after)) => ObjectEvent::Added(after.clone()),
            (Some(_), Some(after)) => ObjectEvent::Modified(after.clone()),
            (Some(before), None) => {
                ObjectEvent::Deleted(self.gone.get_or_init(|| before.at(self.revision)).clone())
            }
        }))
    }

    /// The same, where one side cannot be read.
    fn unreadable_to(&self, filter: &Filter) -> Option<Result<ObjectEvent>> {
        if !filter.covers(self.subject()?.key()) {
            return None;
        }
        match (&self.before, &self.after) {
            (Some(Stored::Unreadable(value)), None) => {
                Some(Err(Error::UnreadableDeleted { value: value.clone() }))
            }
            (Some(Stored::Unreadable(_)), Some(Stored::Object(after))) if filter.selects_by_key() => {
                Some(Ok(ObjectEvent::Modified(after.clone())))
            }
            // Whether it was selected before, or is now, nobody knows.
            (_, Some(Stored::Unreadable(value))) | (Some(Stored::Unreadable(value)), Some(_)) => {
                Some(Err(Error::unreadable([value.clone()])))
            }
            (None | Some(Stored::Object(_)), None | Some(Stored::Object(_))) => None,
        }
    }

    fn is_readable(&self) -> bool {
        [&self.before, &self.after].into_iter().flatten().all(|side| side.object().is_some())
    }

    fn subject(&self) -> Option<&Stored> {
        self.after.as_ref().or(self.before.as_ref())
    }

    fn bytes(&self) -> usize {
        self.subject().and_then(Stored::object).map_or(0, |object| object.body().len()) + EVENT_BYTES
    }

    /// The object before and after.
    fn sides(&self) -> (Option<&Object>, Option<&Object>) {
        (self.before.as_ref().and_then(Stored::object), self.after.as_ref().and_then(Stored::object))
    }
}

impl Shelf {
    pub(super) fn new(row: Arc<Resource>, budget: usize) -> Self {
        Self {
            postings: Postings::new(&row),
            objects: Objects::new(&row),
            row,
            revision: Revision::NONE,
            floor: Revision::NONE,
            compacted: Revision::NONE,
            events: VecDeque::new(),
            first: 0,
            bytes: 0,
            budget,
            filling: 0,
            last_watcher: 0,
        }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    /// The oldest revision whose state is held.
    pub(super) fn oldest(&self) -> Revision {
        self.floor.max(self.compacted)
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.all().get(key)
    }

    /// A number that no watcher had before.
    pub(super) fn watcher(&mut self) -> u64 {
        self.last_watcher += 1;
        self.last_watcher
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Starts again from a list. What happened before it is unknown, so nobody can go on from there.
    pub(super) fn fill(&mut self, objects: Objects, revision: Revision) -> Cleared {
        self.filling += 1;
        self.first += self.events.len() as u64;
        self.bytes = 0;
        self.revision = revision;
        self.floor = revision;
        Cleared {
            _objects: std::mem::replace(&mut self.objects, objects),
            _events: std::mem::take(&mut self.events),
            postings: std::mem::replace(&mut self.postings, Postings::new(&self.row)),
        }
    }

    /// What one revision did; a key under which nothing stands is deleted. Answers whom to wake.
    pub(super) fn apply(
        &mut self,
        revision: Revision,
        changes: Vec<(ObjectKey, Option<Stored>)>,
    ) -> Vec<Waker> {
        let mut woken = Vec::new();
        for (key, after) in changes {
            let before = self.objects.stored(&key);
            if before.is_none() && after.is_none() {
                continue;
            }
            self.objects.shelve(&self.row, before.as_ref(), after.as_ref());
            let number = self.first + self.events.len() as u64;
            let record = Record { revision, before, after, gone: OnceLock::new() };
            woken.extend(if record.is_readable() {
                let (before, after) = record.sides();
                self.postings.post(number, before, after)
            } else {
                self.postings.post_unreadable(number, &key)
            });
            self.bytes += record.bytes();
            self.events.push_back(record);
        }
        self.revision = self.revision.max(revision);
        while self.bytes > self.budget {
            self.trim_one();
        }
        woken
    }

    /// Forgets the events before `revision`.
    pub(super) fn compact(&mut self, revision: Revision) {
        while self.events.front().is_some_and(|oldest| oldest.revision < revision) {
            self.trim_one();
        }
        self.floor = self.floor.max(Revision(revision.0.saturating_sub(1)).min(self.revision));
        self.compacted = self.compacted.max(revision.min(self.revision));
    }

    fn trim_one(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            if oldest.is_readable() {
                let (before, after) = oldest.sides();
                self.postings.trim(self.first, oldest.revision, before, after);
            } else if let Some(subject) = oldest.subject() {
                self.postings.trim_unreadable(self.first, oldest.revision, subject.key());
            }
            self.first += 1;
            self.bytes -= oldest.bytes();
            self.floor = self.floor.max(oldest.revision);
        }
    }

    /// The number of the first event after `revision`.
    pub(super) fn position(&self, revision: Revision) -> u64 {
        self.first + self.events.partition_point(|record| record.revision <= revision) as u64
    }

    /// The number that the next event will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    pub(super) fn record(&self, number: u64) -> Option<&Record> {
        self.events.get(number.checked_sub(self.first)? as usize)
    }

    /// What is selected, as of `at`, which is not before the oldest.
    pub(super) fn select(&self, filter: Filter, at: Revision) -> Selection {
        let mut selection = self.objects.select(&self.row, filter, at.min(self.revision));
        // What later events changed is read from what they found.
        let later = self.events.iter().rev().take_while(|record| record.revision > at);
        selection.undo(later.filter_map(|record| Some((record.subject()?.clone(), record.before.clone()))));
        selection
    }
}
