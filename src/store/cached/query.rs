//! What is asked of the cache, and what it answers.

use crate::api::selector::{FieldSelector, LabelSelector};
use crate::api::{Object, ObjectKey, Revision};

/// Which objects to list, and as of when.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only objects with such labels.
    pub labels: LabelSelector,
    /// Only objects with such fields.
    pub fields: FieldSelector,
    /// As of when.
    pub at: At,
    /// At most so many; all where none is given, or 0.
    pub limit: Option<usize>,
    /// Only objects whose key (`namespace/name`, or `name` in cluster scope) is this or behind it, as the
    /// store orders keys: [`ObjectPage::next`] of the page before. It need be no object's key.
    pub start: Option<String>,
}

/// As of when to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// Everything that was committed before the call.
    #[default]
    Newest,
    /// Any revision that is not older than this.
    AtLeast(Revision),
    /// This revision.
    Exact(Revision),
}

/// Objects of one resource, at one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectPage {
    /// The revision that was read.
    pub revision: Revision,
    /// The objects, by namespace and name.
    pub items: Vec<Object>,
    /// Where the next page starts: right behind the last item; none where nothing is left. Whether what
    /// is left matches is not looked into, as in Kubernetes, so that the next page may be empty.
    pub next: Option<String>,
    /// How many objects are left; none where they are selected by labels or fields, for only looking at
    /// each would tell.
    pub remaining: Option<usize>,
}

/// Which objects to watch, and from when.
#[derive(Clone, Debug, Default)]
pub struct WatchQuery {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only objects with such labels.
    pub labels: LabelSelector,
    /// Only objects with such fields.
    pub fields: FieldSelector,
    /// Deliver what happened after this revision; after everything that was committed before the
    /// call, where none is given.
    pub from: Option<Revision>,
    /// First deliver the state, not older than `from`, as [`ObjectEvent::Added`] and a bookmark.
    pub initial: bool,
    /// From time to time say how far the watch has come, though nothing happened.
    pub bookmarks: bool,
}

/// What happens to the objects that a watch selects.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectEvent {
    /// It was created, or has come to match.
    Added(Object),
    /// It was changed.
    Modified(Object),
    /// It was deleted, or has ceased to match: its last state that matched, at the revision at which
    /// that ended.
    Deleted(Object),
    /// Everything up to this revision has been delivered.
    Bookmark {
        /// The revision.
        revision: Revision,
        /// Whether this ends the initial state.
        initial_end: bool,
    },
}

impl ObjectEvent {
    /// The revision of what happened.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => object.revision(),
            Self::Bookmark { revision, .. } => *revision,
        }
    }

    /// The object it happened to; none for a bookmark.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => Some(object),
            Self::Bookmark { .. } => None,
        }
    }
}

/// What a list or a watch selects.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) namespace: Option<String>,
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
}

impl Filter {
    /// Whether an object is selected. A field that the row does not declare selects nothing.
    pub(super) fn matches(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| object.key().namespace == *namespace)
            && self.labels.selects(object)
            && self.fields.matches(object).unwrap_or(false)
    }

    /// Whether it selects all of its namespace, or of all namespaces.
    pub(super) fn selects_all(&self) -> bool {
        self.labels.requirements.is_empty() && self.fields.terms.is_empty()
    }

    /// The namespace outside of which it selects nothing, where there is one.
    pub(super) fn scope(&self) -> Option<&str> {
        self.namespace.as_deref().or_else(|| self.wanted("metadata.namespace"))
    }

    /// Whether an object of this name may be selected, whatever else it is.
    pub(super) fn covers(&self, key: &ObjectKey) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
            && self.fields.terms.iter().all(|term| match key_field(&term.field, key) {
                Some(value) => (value == term.value) == term.equal,
                None => true,
            })
    }

    /// Whether every object that it covers is selected.
    pub(super) fn selects_by_key(&self) -> bool {
        let key = ObjectKey::default();
        self.labels.requirements.is_empty()
            && self.fields.terms.iter().all(|term| key_field(&term.field, &key).is_some())
    }

    /// The value that a field must have, if one is asked for.
    pub(super) fn wanted(&self, field: &str) -> Option<&str> {
        let term = self.fields.terms.iter().find(|term| term.equal && term.field == field)?;
        Some(&term.value)
    }
}

impl ObjectPage {
    /// Of these items, behind which so many objects are left.
    pub(super) fn new(revision: Revision, items: Vec<Object>, left: usize, selects_all: bool) -> Self {
        let next = items.last().filter(|_| left > 0).map(|last| format!("{}\0", last.key()));
        Self { revision, items, next, remaining: selects_all.then_some(left) }
    }
}

/// The field, where an object's key tells it.
fn key_field<'a>(field: &str, key: &'a ObjectKey) -> Option<&'a str> {
    match field {
        "metadata.name" => Some(&key.name),
        "metadata.namespace" => Some(&key.namespace),
        _ => None,
    }
}

impl ListQuery {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            namespace: self.namespace.clone().filter(|namespace| !namespace.is_empty()),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
        }
    }
}

impl WatchQuery {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            namespace: self.namespace.clone().filter(|namespace| !namespace.is_empty()),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
        }
    }
}
