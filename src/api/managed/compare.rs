//! The difference of two trees, as sets of fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::PathElement;
use super::filter::Filter;
use super::invalid::{Invalid, Problem};
use super::item;
use super::schema::Schema;
use super::set::{FieldSet, Node};
use super::types::{Form, List, Map, Type};
use super::{validate, value};

/// How far down parts are asked whether they are equal before they are walked. Further down that could
/// cost more than it saves.
const SHALLOW: usize = 8;

/// What differs between two trees. No path is in more than one of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What only the old tree has.
    pub removed: FieldSet,
    /// What both have, with different values.
    pub modified: FieldSet,
    /// What only the new tree has.
    pub added: FieldSet,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// What a filter lets through.
    pub(super) fn filtered(self, filter: Option<&Filter>) -> Self {
        match filter {
            None => self,
            Some(filter) => Self {
                removed: filter.keep(self.removed),
                modified: filter.keep(self.modified),
                added: filter.keep(self.added),
            },
        }
    }
}

impl Schema {
    /// Compares two trees of this type.
    ///
    /// A field that Kubernetes writes though it says nothing, such as a `spec`, counts as there whether it
    /// is written or not; `metadata.managedFields` is looked over.
    ///
    /// # Errors
    ///
    /// When one of them does not fit the type where they differ.
    pub fn compare(&self, old: &Value, new: &Value) -> Result<Comparison, Invalid> {
        let mut problems = Vec::new();
        let found = node(self.root(), Some(old), Some(new), 0, &mut problems);
        let fields = |node: Node| node.children;
        Invalid::check(problems).map(|()| Comparison {
            removed: fields(found.removed),
            modified: fields(found.modified),
            added: fields(found.added),
        })
    }
}

/// What differs at and below an element.
#[derive(Default)]
struct Difference {
    removed: Node,
    modified: Node,
    added: Node,
}

impl Difference {
    /// A value that is compared as a whole.
    fn whole(old: Option<&Value>, new: Option<&Value>) -> Self {
        let mut out = Self::default();
        match (old, new) {
            (None, _) => out.added.member = true,
            (_, None) => out.removed.member = true,
            (Some(old), Some(new)) => out.modified.member = !value::equal(old, new),
        }
        out
    }

    /// One that is walked entry by entry: only that it comes or goes says something of it.
    fn entries(old: Option<&Value>, new: Option<&Value>) -> Self {
        let mut out = Self::default();
        out.added.member = old.is_none();
        out.removed.member = new.is_none();
        out
    }

    fn set(&mut self, element: &PathElement, below: Self) {
        let parts = [
            (&mut self.removed, below.removed),
            (&mut self.modified, below.modified),
            (&mut self.added, below.added),
        ];
        for (part, below) in parts {
            if !below.is_empty() {
                part.children.set(element.clone(), below);
            }
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            removed: self.removed.union(other.removed),
            modified: self.modified.union(other.modified),
            added: self.added.union(other.added),
        }
    }

    fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }
}

fn node(
    ty: Type<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Difference {
    if depth < SHALLOW && old == new {
        return Difference::default();
    }
    let mut out = Difference::default();
    for form in ty.forms(old, new) {
        let found = match form {
            Form::Nothing => {
                problems.push(Problem::new("schema error: invalid atom: inlined"));
                Difference::entries(old, new)
            }
            Form::Scalar(kind) => {
                let wrong = (validate::scalar(kind, old, "lhs: "), validate::scalar(kind, new, "rhs: "));
                match wrong {
                    (Some(old), Some(new)) => {
                        problems.extend([old, new]);
                        Difference::default()
                    }
                    _ => Difference::whole(old, new),
                }
            }
            Form::Map(map) => self::map(map, old, new, depth, problems),
            Form::List(list) => self::list(&list, old, new, depth, problems),
        };
        out = out.and(found);
    }
    out
}

/// A child's difference, whose problems stand below it.
fn below(
    element: &dyn std::fmt::Display,
    ty: Type<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Difference {
    let before = problems.len();
    let found = node(ty, old, new, depth + 1, problems);
    for problem in &mut problems[before..] {
        problem.path.insert_str(0, &element.to_string());
    }
    found
}

fn map(
    map: Map<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Difference {
    let (before, after) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let zeros = map.zeros();
    let empty =
        |fields: Option<&serde_json::Map<String, Value>>| fields.is_none_or(serde_json::Map::is_empty);
    // Two empty ones are a leaf, so that empty and null stay different.
    if map.atomic || (empty(before) && empty(after) && zeros.is_empty()) {
        return Difference::whole(old, new);
    }
    let mut out = Difference::entries(old, new);
    let zero = |name: &str| zeros.iter().find(|(known, _)| *known == name).map(|(_, zero)| zero);
    let mut child = |name: &str, old: Option<&Value>, new: Option<&Value>| {
        let old = old.or_else(|| before.and_then(|_| zero(name)));
        let new = new.or_else(|| after.and_then(|_| zero(name)));
        if map.is_managed_fields(name) {
            return;
        }
        let found = below(&format_args!(".{name}"), map.child(name), old, new, depth, problems);
        if !found.is_same() {
            out.set(&PathElement::field(name), found);
        }
    };
    for (name, new) in after.into_iter().flatten() {
        child(name, before.and_then(|fields| fields.get(name)), Some(new));
    }
    let has = |fields: Option<&serde_json::Map<String, Value>>, name: &str| {
        fields.is_some_and(|fields| fields.contains_key(name))
    };
    for (name, old) in before.into_iter().flatten().filter(|(name, _)| !has(after, name)) {
        child(name, Some(old), None);
    }
    // What neither says comes or goes with what it is part of.
    if before.is_some() != after.is_some() {
        for (name, _) in zeros.iter().filter(|(name, _)| !has(before, name) && !has(after, name)) {
            child(name, None, None);
        }
    }
    out
}

fn list(
    list: &List<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Difference {
    let (before, after) = (item::items(old), item::items(new));
    if list.is_atomic() || (before.is_empty() && after.is_empty()) {
        return Difference::whole(old, new);
    }
    let mut by_element: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for (element, item) in item::elements(list, before, problems) {
        by_element.entry(element).or_default().0.push(item);
    }
    for (element, item) in item::elements(list, after, problems) {
        by_element.entry(element).or_default().1.push(item);
    }
    let mut out = Difference::entries(old, new);
    for (element, (before, after)) in by_element {
        let found = items(list.item, &element, &before, &after, depth, problems);
        out.set(&element, found);
    }
    out
}

/// Items that cannot be told apart are compared together and as a whole.
fn items(
    ty: Type<'_>,
    element: &PathElement,
    before: &[&Value],
    after: &[&Value],
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Difference {
    let (many_before, many_after) = (before.len() > 1, after.len() > 1);
    let mut out = match (only(before), only(after)) {
        (None, None) if many_before && many_after => {
            let same =
                before.len() == after.len() && before.iter().zip(after).all(|(a, b)| value::equal(a, b));
            let mut out = Difference::default();
            out.modified.member = !same;
            return out;
        }
        (None, None) => Difference::default(),
        (old, new) => below(element, ty, old, new, depth, problems),
    };
    out.removed.member |= many_before;
    out.added.member |= many_after;
    out
}

fn only<'v>(items: &[&'v Value]) -> Option<&'v Value> {
    match items {
        [only] => Some(only),
        _ => None,
    }
}
