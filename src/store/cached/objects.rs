//! The objects of one resource, and by which field values they are found.
//!
//! What a list or a watch begins with is read from a [`Selection`], which stands still and needs no
//! lock.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::posting::Term;
use super::query::{Filter, ObjectPage};
use super::sorted::{Place, Sorted, order, order_text};
use super::stats::Stats;
use super::unreadable::{Stored, Unreadable, Unreadables};
use crate::api::{Object, ObjectKey, Resource, Revision};
use crate::env::HashMap;
use crate::store::{Error, Result};

#[derive(Default)]
pub(super) struct Objects {
    all: Sorted,
    stats: Stats,
    unreadable: Unreadables,
    /// By position among the row's selectable fields; then by value.
    fields: Vec<(usize, HashMap<Box<str>, Held>)>,
}

/// The objects of one field value: mostly few, and where there are as many values as objects, one.
enum Held {
    One(Object),
    Many(Sorted),
}

/// A key that sorts as the store sorts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreOrder(pub(super) ObjectKey);

impl Ord for StoreOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for StoreOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Everything that a filter may select, as of one revision.
pub(super) struct Selection {
    pub(super) revision: Revision,
    filter: Filter,
    /// A superset of what is selected, as it is now.
    now: Sorted,
    /// What has changed since the revision, newest first, and what it was before each change.
    later: Vec<(Stored, Option<Stored>)>,
    /// What of it was otherwise at the revision, and how.
    undone: BTreeMap<StoreOrder, Option<Object>>,
    /// What cannot be read of it, where it is looked at: whether it is selected, nobody may know.
    unreadable: Unreadables,
    /// Only this namespace of it, where not all.
    namespace: Option<Box<str>>,
    /// Whether it is one object that is selected, by its key.
    single: bool,
    place: Place,
}

impl Objects {
    pub(super) fn new(row: &Resource) -> Self {
        let indexed = row.selectable.iter().enumerate().filter(|(_, field)| field.indexed);
        let fields = indexed.map(|(position, _)| (position, HashMap::default())).collect();
        Self { fields, ..Self::default() }
    }

    /// Of all objects of a resource, in order.
    pub(super) fn of(row: &Resource, objects: Vec<Object>, unreadable: Unreadables) -> Self {
        let mut new = Self { unreadable, ..Self::new(row) };
        for object in &objects {
            new.index(row, None, Some(object));
            new.stats.change(None, Some(object));
        }
        new.all = Sorted::of(objects);
        new
    }

    pub(super) fn all(&self) -> &Sorted {
        &self.all
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats
    }

    /// What stands under a key.
    pub(super) fn stored(&self, key: &ObjectKey) -> Option<Stored> {
        let unreadable = || self.unreadable.get(key).cloned().map(Stored::Unreadable);
        self.all.get(key).cloned().map(Stored::Object).or_else(unreadable)
    }

    /// Makes `after` stand where `before` stood.
    pub(super) fn shelve(&mut self, row: &Resource, before: Option<&Stored>, after: Option<&Stored>) {
        match (before, after) {
            (Some(Stored::Unreadable(before)), Some(Stored::Object(_)) | None) => {
                self.unreadable.remove(&before.object);
            }
            (_, Some(Stored::Unreadable(after))) => self.unreadable.insert(after.clone()),
            _ => {}
        }
        let (before, after) = (before.and_then(Stored::object), after.and_then(Stored::object));
        match (before, after) {
            (_, Some(after)) => drop(self.all.insert(after.clone())),
            (Some(before), None) => drop(self.all.remove(before.key())),
            (None, None) => {}
        }
        self.stats.change(before, after);
        self.index(row, before, after);
    }

    fn index(&mut self, row: &Resource, before: Option<&Object>, after: Option<&Object>) {
        for (position, values) in &mut self.fields {
            let Some(field) = row.selectable.get(*position) else { continue };
            let old = before.and_then(|before| before.field(&field.name));
            let new = after.and_then(|after| after.field(&field.name));
            if let (Some(before), Some(old)) = (before, old.filter(|old| Some(*old) != new))
                && let Some(held) = values.get_mut(old)
                && held.remove(before.key())
            {
                values.remove(old);
            }
            if let (Some(after), Some(new)) = (after, new) {
                match values.get_mut(new) {
                    Some(held) => held.insert(after.clone()),
                    None => drop(values.insert(new.into(), Held::One(after.clone()))),
                }
            }
        }
    }

    /// What a filter selects, as it is now.
    pub(super) fn select(&self, row: &Resource, filter: Filter, revision: Revision) -> Selection {
        let term = Term::of(&filter, row);
        let now = match &term {
            Term::All | Term::Namespace(_) => self.all.clone(),
            Term::Key(key) => Sorted::of(self.all.get(key).cloned()),
            Term::Field(position, value) => {
                let values = self.fields.iter().find(|(held, _)| held == position);
                match values.and_then(|(_, values)| values.get(value)) {
                    None => Sorted::default(),
                    Some(Held::One(object)) => Sorted::of([object.clone()]),
                    Some(Held::Many(sorted)) => sorted.clone(),
                }
            }
        };
        let (namespace, single) = (filter.scope().map(Box::from), matches!(term, Term::Key(_)));
        let (later, undone, place) = (Vec::new(), BTreeMap::new(), Place::default());
        let unreadable = self.unreadable.clone();
        Selection { revision, filter, now, later, undone, unreadable, namespace, single, place }
    }
}

impl Held {
    fn insert(&mut self, object: Object) {
        match self {
            Self::One(held) if held.key() == object.key() => *held = object,
            Self::One(held) => {
                let mut many = Sorted::of([held.clone()]);
                many.insert(object);
                *self = Self::Many(many);
            }
            Self::Many(many) => drop(many.insert(object)),
        }
    }

    /// Answers whether none is left.
    fn remove(&mut self, key: &ObjectKey) -> bool {
        match self {
            Self::One(held) => held.key() == key,
            Self::Many(many) => {
                many.remove(key);
                many.is_empty()
            }
        }
    }
}

impl Selection {
    /// Takes note of what has changed since its revision, newest first. Called under the lock, so that
    /// it sorts nothing yet.
    pub(super) fn undo(&mut self, later: impl Iterator<Item = (Stored, Option<Stored>)>) {
        self.later.extend(later);
    }

    /// Ready to be read, from a key on. Called behind the lock.
    pub(super) fn starting(mut self, start: Option<&str>) -> Self {
        // Where the namespace begins: no name is before the empty one.
        let first = self.namespace.as_deref().map(|namespace| ObjectKey::new(namespace, ""));
        let begin =
            first.map_or(Place::default(), |first| self.now.place(|held| order(held, &first).is_lt()));
        let place = |start| self.now.place(|held| order_text(held, start).is_lt());
        self.place = start.map_or(begin, |start| begin.max(place(start)));
        let from = |key: &ObjectKey| start.is_none_or(|start| order_text(key, start).is_ge());
        for (subject, before) in std::mem::take(&mut self.later) {
            let key = subject.key();
            if self.in_scope(key) && from(key) {
                let before = match before {
                    Some(Stored::Unreadable(before)) => {
                        self.unreadable.insert(before);
                        None
                    }
                    before => {
                        self.unreadable.remove(key);
                        before.as_ref().and_then(Stored::object).cloned()
                    }
                };
                self.undone.insert(StoreOrder(key.clone()), before);
            }
        }
        self.unreadable = self.unreadable.only(|key| self.in_scope(key) && from(key));
        self
    }

    /// The first key that may be selected, and cannot be read.
    pub(super) fn unreadable(&self) -> Option<&Arc<Unreadable>> {
        self.unreadable.iter().find(|value| self.filter.covers(&value.object))
    }

    /// The next object, in order; `None` also where so many were looked at in vain.
    fn next(&mut self, looks: &mut usize) -> Option<Object> {
        while *looks > 0 {
            *looks -= 1;
            let now = self.now.at(self.place).filter(|now| self.in_scope(now.key()));
            let undone_first = match (now, self.undone.first_key_value()) {
                (Some(now), Some((then, _))) => order(&then.0, now.key()).is_le(),
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (None, None) => return None,
            };
            let object = if undone_first {
                let (key, then) = self.undone.pop_first()?;
                if now.is_some_and(|now| *now.key() == key.0) {
                    self.place = self.now.next(self.place);
                }
                then
            } else {
                let now = now.cloned();
                self.place = self.now.next(self.place);
                now
            };
            if let Some(object) = object.filter(|object| self.filter.matches(object)) {
                return Some(object);
            }
        }
        None
    }

    fn in_scope(&self, key: &ObjectKey) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| key.namespace == namespace)
    }

    fn is_done(&self) -> bool {
        self.undone.is_empty() && self.now.at(self.place).is_none_or(|now| !self.in_scope(now.key()))
    }

    /// Takes some of what is selected, in order; false once there is no more.
    pub(super) fn take(&mut self, into: &mut Vec<Object>, limit: usize, mut looks: usize) -> bool {
        while into.len() < limit && looks > 0 {
            into.extend(self.next(&mut looks));
            if self.is_done() {
                return false;
            }
        }
        !self.is_done()
    }

    /// One page: at most `limit` that were taken and, where there are as many, what of `all` is left. Fails
    /// where the page would have to hold what cannot be read.
    pub(super) fn page(self, items: Vec<Object>, limit: usize, all: &Sorted) -> Result<ObjectPage> {
        let last = items.last().filter(|_| items.len() == limit).map(Object::key);
        let within = |key: &ObjectKey| last.is_none_or(|last| order(key, last).is_lt());
        let wanted = |value: &&Arc<Unreadable>| within(&value.object) && self.filter.covers(&value.object);
        let missing: Vec<_> = self.unreadable.iter().filter(wanted).cloned().collect();
        if !missing.is_empty() {
            return Err(Error::unreadable(missing));
        }
        let left = last.filter(|_| !self.single).map_or(0, |last| self.left(all, last));
        Ok(ObjectPage::new(self.revision, items, left, self.filter.selects_all()))
    }

    /// How many keys there were behind `last`, the last object that was taken, selected or not.
    fn left(&self, all: &Sorted, last: &ObjectKey) -> usize {
        let end = match &self.namespace {
            Some(namespace) => all.place(|held| {
                order(held, &ObjectKey::new(&**namespace, "")).is_lt() || held.namespace == **namespace
            }),
            None => all.place(|_| true),
        };
        let now = all.rank(end) - all.rank(all.behind(last));
        let was = self.undone.values().flatten().count();
        let is = self.undone.keys().filter(|key| all.get(&key.0).is_some()).count();
        let unreadable = self.unreadable.iter().filter(|value| order(&value.object, last).is_gt()).count();
        now + was - is + unreadable
    }
}
