//! The objects of one resource and what happened to them lately. Nothing here waits.
//!
//! The shelf is at a revision: it holds every object as of then, and every event after its floor.
//! Events are numbered; a watcher is the number of the next event that it has not looked at, in one
//! posting list. What is trimmed from the history raises the floor for new watches; a watcher that
//! is under way is only `Expired` when its own list has lost an event that it had not seen.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use super::posting::{Postings, Term};
use super::query::{Filter, ObjectEvent, ObjectPage};
use crate::api::{Object, ObjectKey, Resource, Revision};
use crate::env::HashMap;

/// What an event costs beside the body that it keeps.
const EVENT_BYTES: usize = 256;

pub(super) struct Shelf {
    row: Arc<Resource>,
    revision: Revision,
    /// All events after this revision are kept.
    floor: Revision,
    objects: BTreeSet<ByKey>,
    /// By position among the row's selectable fields, then by value.
    by_field: BTreeMap<usize, HashMap<Box<str>, BTreeSet<ByKey>>>,
    events: VecDeque<Record>,
    /// The number of the oldest event that is kept.
    first: u64,
    bytes: usize,
    budget: usize,
    pub(super) postings: Postings,
    /// How often the shelf was filled anew; a watcher of an earlier filling has missed something.
    pub(super) filling: u64,
    last_watcher: u64,
}

/// What one revision did to one object.
pub(super) struct Record {
    pub(super) revision: Revision,
    before: Option<Object>,
    after: Option<Object>,
    /// The state before, at this revision: what those are told for whom the object is gone.
    gone: OnceLock<Object>,
}

/// An object that stands where its key belongs.
struct ByKey(Object);

impl Borrow<ObjectKey> for ByKey {
    fn borrow(&self) -> &ObjectKey {
        self.0.key()
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key().cmp(other.0.key())
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

impl Record {
    /// What this is to somebody who selects by `filter`.
    pub(super) fn seen_by(&self, filter: &Filter) -> Option<ObjectEvent> {
        let before = self.before.as_ref().filter(|object| filter.matches(object));
        let after = self.after.as_ref().filter(|object| filter.matches(object));
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(ObjectEvent::Added(after.clone())),
            (Some(_), Some(after)) => Some(ObjectEvent::Modified(after.clone())),
            (Some(before), None) => {
                Some(ObjectEvent::Deleted(self.gone.get_or_init(|| before.at(self.revision)).clone()))
            }
        }
    }

    fn key(&self) -> Option<&ObjectKey> {
        self.after.as_ref().or(self.before.as_ref()).map(Object::key)
    }

    fn bytes(&self) -> usize {
        self.after.as_ref().or(self.before.as_ref()).map_or(0, |object| object.body().len()) + EVENT_BYTES
    }
}

impl Shelf {
    pub(super) fn new(row: Arc<Resource>, budget: usize) -> Self {
        Self {
            postings: Postings::new(&row),
            row,
            revision: Revision::NONE,
            floor: Revision::NONE,
            objects: BTreeSet::new(),
            by_field: BTreeMap::new(),
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

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key).map(|held| &held.0)
    }

    /// A number that no watcher had before.
    pub(super) fn watcher(&mut self) -> u64 {
        self.last_watcher += 1;
        self.last_watcher
    }

    /// Starts again from a list. What happened before it is unknown, so nobody can go on from there.
    /// Answers whom to wake.
    pub(super) fn fill(&mut self, objects: Vec<Object>, revision: Revision) -> Vec<Waker> {
        let woken = self.postings.take_all();
        self.filling += 1;
        self.first += self.events.len() as u64;
        self.events.clear();
        self.bytes = 0;
        self.postings = Postings::new(&self.row);
        self.objects.clear();
        self.by_field.clear();
        for object in objects {
            self.shelve(None, Some(&object));
        }
        self.revision = revision;
        self.floor = revision;
        woken
    }

    /// What one revision did; an object that is none is deleted. Answers whom to wake.
    pub(super) fn apply(
        &mut self,
        revision: Revision,
        changes: Vec<(ObjectKey, Option<Object>)>,
    ) -> Vec<Waker> {
        let mut woken = Vec::new();
        for (key, after) in changes {
            let before = self.get(&key).cloned();
            if before.is_none() && after.is_none() {
                continue;
            }
            self.shelve(before.as_ref(), after.as_ref());
            let number = self.first + self.events.len() as u64;
            woken.extend(self.postings.post(number, before.as_ref(), after.as_ref()));
            let record = Record { revision, before, after, gone: OnceLock::new() };
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
    }

    fn trim_one(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            let (before, after) = (oldest.before.as_ref(), oldest.after.as_ref());
            self.postings.trim(self.first, oldest.revision, before, after);
            self.first += 1;
            self.bytes -= oldest.bytes();
            self.floor = self.floor.max(oldest.revision);
        }
    }

    fn shelve(&mut self, before: Option<&Object>, after: Option<&Object>) {
        match (before, after) {
            (_, Some(after)) => {
                self.objects.replace(ByKey(after.clone()));
            }
            (Some(before), None) => {
                self.objects.remove(before.key());
            }
            (None, None) => {}
        }
        for (position, field) in self.row.selectable.iter().enumerate().filter(|(_, field)| field.indexed) {
            let sets = self.by_field.entry(position).or_default();
            let old = before.and_then(|before| before.field(&field.name));
            let new = after.and_then(|after| after.field(&field.name));
            if let (Some(before), Some(old)) = (before, old.filter(|old| Some(*old) != new))
                && let Some(set) = sets.get_mut(old)
            {
                set.remove(before.key());
                if set.is_empty() {
                    sets.remove(old);
                }
            }
            if let (Some(after), Some(new)) = (after, new) {
                match sets.get_mut(new) {
                    Some(set) => set.replace(ByKey(after.clone())),
                    None => sets.entry(new.into()).or_default().replace(ByKey(after.clone())),
                };
            }
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

    /// Everything selected, by key.
    pub(super) fn select<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Object> {
        self.candidates(filter, None).filter(|object| filter.matches(object))
    }

    /// One page of what is selected, as of `at`, which is not below the floor.
    pub(super) fn page(
        &self,
        filter: &Filter,
        at: Revision,
        limit: Option<usize>,
        after: Option<&ObjectKey>,
    ) -> ObjectPage {
        // What later events changed is read from what they found.
        let mut undone: BTreeMap<&ObjectKey, Option<&Object>> = BTreeMap::new();
        let later = self.events.iter().rev().take_while(|record| record.revision > at);
        undone.extend(later.filter_map(|record| Some((record.key()?, record.before.as_ref()))));

        let revision = at.min(self.revision);
        let now = self.candidates(filter, after).filter(|object| !undone.contains_key(object.key()));
        if undone.is_empty() {
            return page_of(revision, now.filter(|object| filter.matches(object)), limit);
        }
        let then = undone.values().flatten().copied();
        let then = then.filter(|object| after.is_none_or(|after| object.key() > after));
        let mut all: Vec<_> = now.chain(then).filter(|object| filter.matches(object)).collect();
        all.sort_unstable_by_key(|object| object.key());
        page_of(revision, all.into_iter(), limit)
    }

    /// A superset of what is selected, behind `after`, by key.
    fn candidates<'a>(
        &'a self,
        filter: &Filter,
        after: Option<&ObjectKey>,
    ) -> Box<dyn Iterator<Item = &'a Object> + 'a> {
        let above = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        match Term::of(filter, &self.row) {
            Term::All => Box::new(self.objects.range((above, Bound::Unbounded)).map(|held| &held.0)),
            Term::Namespace(namespace) => {
                let first = ObjectKey::new(namespace.clone(), "");
                let above = match above {
                    Bound::Excluded(after) if after >= first => Bound::Excluded(after),
                    _ => Bound::Included(first),
                };
                let behind = self.objects.range((above, Bound::Unbounded)).map(|held| &held.0);
                Box::new(behind.take_while(move |object| *object.key().namespace == *namespace))
            }
            Term::Key(key) => {
                let found = self.get(&key).filter(|_| after.is_none_or(|after| key > *after));
                Box::new(found.into_iter())
            }
            Term::Field(position, value) => {
                let set = self.by_field.get(&position).and_then(|sets| sets.get(&value));
                let behind = set.map(|set| set.range((above, Bound::Unbounded)).map(|held| &held.0));
                Box::new(behind.into_iter().flatten())
            }
        }
    }
}

/// One page of objects that are in order.
pub(super) fn page_of<'a>(
    revision: Revision,
    mut matching: impl Iterator<Item = &'a Object>,
    limit: Option<usize>,
) -> ObjectPage {
    let items = matching.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    let remaining = matching.count();
    ObjectPage { revision, items, more: remaining > 0, remaining }
}
