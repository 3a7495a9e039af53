//! Posting lists: which events touched which index value.
//!
//! An event is posted under every value that its object has or had: the whole resource, the
//! namespace, the object's key, and each declared field, old and new. A watcher reads the one list
//! that is most selective for it, so of a million watchers by `spec.nodeName` an event wakes the one
//! whose node it is, or two when the pod moves.
//!
//! Which field values an object has that cannot be read, nobody knows. So what happens to such a one is
//! posted under its key, and in one list that every watcher by a field reads beside its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::query::Filter;
use crate::api::{Object, ObjectKey, Resource, Revision};
use crate::env::HashMap;

/// The posting lists of one resource.
#[derive(Debug, Default)]
pub(super) struct Postings {
    all: Arc<Posting>,
    namespaces: HashMap<Box<str>, Arc<Posting>>,
    keys: HashMap<ObjectKey, Arc<Posting>>,
    /// By position among the row's selectable fields.
    fields: BTreeMap<usize, HashMap<Box<str>, Arc<Posting>>>,
    /// What may have touched any field.
    pub(super) any_field: Events,
    /// How many lists were touched for events.
    #[cfg(test)]
    pub(super) touched: usize,
}

/// The events that touched one index value, by their numbers, and who waits for the next.
#[derive(Debug, Default)]
pub(super) struct Posting(Mutex<Posted>);

/// Most lists have one watcher and no event, so that is what they have room for.
#[derive(Debug, Default)]
pub(super) struct Posted {
    events: Option<Box<Events>>,
    pub(super) waiting: Waiting,
    watchers: u32,
}

/// What touched the value.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Numbers of events that are still kept, oldest first.
    kept: VecDeque<u64>,
    /// The newest event that is no longer kept, and its revision.
    lost: Option<(u64, Revision)>,
}

/// Watchers that wait, in the order in which they were made.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "there are a million of these, and hardly any of them is many")]
pub(super) enum Waiting {
    #[default]
    Nobody,
    One(u64, Waker),
    Many(Box<BTreeMap<u64, Waker>>),
}

/// An index value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    All,
    Namespace(Box<str>),
    Key(ObjectKey),
    Field(usize, Box<str>),
}

impl Posting {
    /// Locked only by who holds the shelf's lock, for reading or writing.
    pub(super) fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Term {
    /// The most selective index value that everything selected has.
    pub(super) fn of(filter: &Filter, row: &Resource) -> Self {
        let namespace = filter.scope();
        if let Some(name) = filter.wanted("metadata.name")
            && let Some(namespace) = namespace.or((!row.namespaced()).then_some(""))
        {
            return Self::Key(ObjectKey::new(namespace, name));
        }
        let indexed = row.selectable.iter().enumerate().filter(|(_, field)| field.indexed);
        let field =
            indexed.filter_map(|(position, field)| Some((position, filter.wanted(&field.name)?))).next();
        match (field, namespace) {
            (Some((position, value)), _) => Self::Field(position, value.into()),
            (None, Some(namespace)) => Self::Namespace(namespace.into()),
            (None, None) => Self::All,
        }
    }
}

impl Postings {
    pub(super) fn new(row: &Resource) -> Self {
        let indexed = row.selectable.iter().enumerate().filter(|(_, field)| field.indexed);
        Self {
            fields: indexed.map(|(position, _)| (position, HashMap::default())).collect(),
            ..Self::default()
        }
    }

    /// Posts an event under every value of the object before and after; answers who waits for it,
    /// in the order in which they came.
    pub(super) fn post(&mut self, event: u64, before: Option<&Object>, after: Option<&Object>) -> Vec<Waker> {
        let mut woken = BTreeMap::new();
        #[cfg(test)]
        let mut touched = 0;
        self.each(before, after, true, |posting| {
            #[cfg(test)]
            {
                touched += 1;
            }
            posting.lock().post(event, &mut woken);
            true
        });
        #[cfg(test)]
        {
            self.touched += touched;
        }
        woken.into_values().collect()
    }

    /// Posts an event of an object whose fields nobody knows; answers who waits for it.
    pub(super) fn post_unreadable(&mut self, event: u64, key: &ObjectKey) -> Vec<Waker> {
        let mut woken = BTreeMap::new();
        self.each_of_key(key, true, &mut |posting| {
            posting.lock().post(event, &mut woken);
            true
        });
        self.any_field.kept.push_back(event);
        let by_field = self.fields.values().flat_map(HashMap::values);
        by_field.for_each(|posting| posting.lock().waiting.drain(&mut woken));
        woken.into_values().collect()
    }

    /// Takes such an event, the oldest that is kept, out of every list.
    pub(super) fn trim_unreadable(&mut self, event: u64, revision: Revision, key: &ObjectKey) {
        self.each_of_key(key, false, &mut |posting| posting.lock().trim(event, revision));
        self.any_field.trim(event, revision);
    }

    /// Takes an event, the oldest that is kept, out of every list.
    pub(super) fn trim(
        &mut self,
        event: u64,
        revision: Revision,
        before: Option<&Object>,
        after: Option<&Object>,
    ) {
        self.each(before, after, false, |posting| posting.lock().trim(event, revision));
    }

    /// Calls `visit` once for each list of the values that the object has or had; a list for which
    /// it answers false is dropped.
    fn each(
        &mut self,
        before: Option<&Object>,
        after: Option<&Object>,
        make: bool,
        mut visit: impl FnMut(&Posting) -> bool,
    ) {
        let Some(object) = after.or(before) else { return };
        self.each_of_key(object.key(), make, &mut visit);
        for (position, lists) in &mut self.fields {
            fn value(object: Option<&Object>, position: usize) -> Option<&str> {
                let object = object?;
                object.field(&object.resource().selectable.get(position)?.name)
            }
            let (old, new) = (value(before, *position), value(after, *position));
            for value in old.into_iter().chain(new.filter(|new| old != Some(*new))) {
                visit_in(lists, value, make, &mut visit);
            }
        }
    }

    /// The same, of the lists of what its key tells.
    fn each_of_key(&mut self, key: &ObjectKey, make: bool, visit: &mut impl FnMut(&Posting) -> bool) {
        visit(&self.all);
        if !key.namespace.is_empty() {
            visit_in(&mut self.namespaces, key.namespace.as_str(), make, visit);
        }
        visit_in(&mut self.keys, key, make, visit);
    }

    /// The list of a value, for one watcher more.
    pub(super) fn join(&mut self, term: &Term) -> Arc<Posting> {
        let posting = match term {
            Term::All => self.all.clone(),
            Term::Namespace(namespace) => self.namespaces.entry(namespace.clone()).or_default().clone(),
            Term::Key(key) => self.keys.entry(key.clone()).or_default().clone(),
            Term::Field(position, value) => {
                self.fields.entry(*position).or_default().entry(value.clone()).or_default().clone()
            }
        };
        posting.lock().watchers += 1;
        posting
    }

    /// One watcher less. `posting` may be of an earlier set of lists, and is not touched then.
    pub(super) fn leave(&mut self, term: &Term, posting: &Arc<Posting>) {
        let idle = {
            let mut posted = posting.lock();
            posted.watchers -= 1;
            posted.idle()
        };
        if !idle {
            return;
        }
        let ours = |held: Option<&Arc<Posting>>| held.is_some_and(|held| Arc::ptr_eq(held, posting));
        match term {
            Term::All => {}
            Term::Namespace(namespace) => {
                if ours(self.namespaces.get(namespace)) {
                    self.namespaces.remove(namespace);
                }
            }
            Term::Key(key) => {
                if ours(self.keys.get(key)) {
                    self.keys.remove(key);
                }
            }
            Term::Field(position, value) => {
                if let Some(lists) = self.fields.get_mut(position).filter(|lists| ours(lists.get(value))) {
                    lists.remove(value);
                }
            }
        }
    }

    /// Everybody who waits, in the order in which they came.
    pub(super) fn take_all(&self) -> Vec<Waker> {
        let lists = self.namespaces.values().chain(self.keys.values());
        let lists = lists.chain(self.fields.values().flat_map(HashMap::values)).chain([&self.all]);
        let mut woken = BTreeMap::new();
        lists.for_each(|posting| posting.lock().waiting.drain(&mut woken));
        woken.into_values().collect()
    }

    #[cfg(test)]
    pub(super) fn lists(&self) -> usize {
        self.namespaces.len() + self.keys.len() + self.fields.values().map(HashMap::len).sum::<usize>()
    }
}

impl Events {
    /// Whether an event from number `next` on, and after revision `after`, is no longer kept.
    pub(super) fn has_lost(&self, next: u64, after: Revision) -> bool {
        self.lost.is_some_and(|(number, revision)| number >= next && revision > after)
    }

    /// Numbers of the events that are kept, from `next` on, oldest first.
    pub(super) fn from(&self, next: u64) -> impl Iterator<Item = u64> {
        self.kept.range(self.kept.partition_point(|number| *number < next)..).copied()
    }

    /// Takes an event out, if it is the oldest here.
    fn trim(&mut self, event: u64, revision: Revision) {
        if self.kept.front() == Some(&event) {
            self.kept.pop_front();
            self.lost = Some((event, revision));
        }
    }
}

impl Posted {
    /// What touched the value; none where nothing has yet.
    pub(super) fn events(&self) -> Option<&Events> {
        self.events.as_deref()
    }

    fn post(&mut self, event: u64, woken: &mut BTreeMap<u64, Waker>) {
        self.events.get_or_insert_default().kept.push_back(event);
        self.waiting.drain(woken);
    }

    /// Takes an event out, if it is the oldest here; answers whether anything is left.
    fn trim(&mut self, event: u64, revision: Revision) -> bool {
        if let Some(events) = &mut self.events {
            events.trim(event, revision);
        }
        !self.idle()
    }

    fn idle(&self) -> bool {
        self.watchers == 0 && self.events.as_ref().is_none_or(|events| events.kept.is_empty())
    }
}

impl Waiting {
    /// One more, or the same with another waker; answers what is to be dropped, behind the locks.
    pub(super) fn insert(&mut self, id: u64, waker: Waker) -> Option<Waker> {
        match self {
            Self::Nobody => *self = Self::One(id, waker),
            Self::One(held, old) if *held == id => return Some(std::mem::replace(old, waker)),
            Self::One(..) => {
                let mut many = BTreeMap::from([(id, waker)]);
                self.drain(&mut many);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => return many.insert(id, waker),
        }
        None
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Waker> {
        match self {
            Self::One(held, _) if *held == id => match std::mem::take(self) {
                Self::One(_, waker) => Some(waker),
                Self::Nobody | Self::Many(_) => None,
            },
            Self::Nobody | Self::One(..) => None,
            Self::Many(many) => many.remove(&id),
        }
    }

    /// Moves everybody who waits.
    fn drain(&mut self, into: &mut BTreeMap<u64, Waker>) {
        match std::mem::take(self) {
            Self::Nobody => {}
            Self::One(id, waker) => drop(into.insert(id, waker)),
            Self::Many(mut many) => into.append(&mut many),
        }
    }
}

fn visit_in<K, Q>(
    lists: &mut HashMap<K, Arc<Posting>>,
    value: &Q,
    make: bool,
    visit: &mut impl FnMut(&Posting) -> bool,
) where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q> + for<'a> From<Borrowed<'a, Q>>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(posting) = lists.get(value) {
        if !visit(posting) {
            lists.remove(value);
        }
    } else if make {
        visit(lists.entry(K::from(Borrowed(value))).or_default());
    }
}

/// A borrowed index value, from which an owned one is made only where a list is new.
struct Borrowed<'a, Q: ?Sized>(&'a Q);

impl From<Borrowed<'_, str>> for Box<str> {
    fn from(value: Borrowed<'_, str>) -> Self {
        value.0.into()
    }
}

impl From<Borrowed<'_, ObjectKey>> for ObjectKey {
    fn from(value: Borrowed<'_, ObjectKey>) -> Self {
        value.0.clone()
    }
}
