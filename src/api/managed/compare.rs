//! The difference of two trees, as sets of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::element::{Path, PathElement};
use super::filter::Filter;
use super::invalid::{Invalid, Problem};
use super::item;
use super::schema::Schema;
use super::set::FieldSet;
use super::types::{Form, List, Map, Type};
use super::{validate, value};

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
                removed: filter.apply(&self.removed),
                modified: filter.apply(&self.modified),
                added: filter.apply(&self.added),
            },
        }
    }
}

impl Schema {
    /// Compares two trees of this type.
    ///
    /// # Errors
    ///
    /// When one of them does not fit the type.
    pub fn compare(&self, old: &Value, new: &Value) -> Result<Comparison, Invalid> {
        let mut walk = Walk { path: Vec::new(), out: Comparison::default() };
        let problems = walk.node(self.root(), Some(old), Some(new));
        Invalid::check(problems).map(|()| walk.out)
    }
}

struct Walk {
    path: Path,
    out: Comparison,
}

/// Whether a value was compared as a whole.
#[derive(PartialEq, Eq)]
enum Compared {
    Whole,
    ByEntry,
}

impl Walk {
    fn node(&mut self, ty: Type<'_>, old: Option<&Value>, new: Option<&Value>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut compared = Compared::ByEntry;
        for form in ty.forms(old, new) {
            compared = match form {
                Form::Nothing => {
                    problems.push(Problem::new("schema error: invalid atom: inlined"));
                    Compared::ByEntry
                }
                Form::Scalar(kind) => {
                    let wrong = (validate::scalar(kind, old, "lhs: "), validate::scalar(kind, new, "rhs: "));
                    match wrong {
                        (Some(old), Some(new)) => {
                            problems.extend([old, new]);
                            Compared::ByEntry
                        }
                        _ => self.whole(old, new),
                    }
                }
                Form::Map(map) => self.map(map, old, new, &mut problems),
                Form::List(list) => self.list(&list, old, new, &mut problems),
            };
        }
        if compared == Compared::ByEntry {
            match (old, new) {
                (None, _) => self.out.added.insert(&self.path),
                (_, None) => self.out.removed.insert(&self.path),
                _ => {}
            }
        }
        problems
    }

    fn whole(&mut self, old: Option<&Value>, new: Option<&Value>) -> Compared {
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            (Some(old), Some(new)) if !value::equal(old, new) => self.out.modified.insert(&self.path),
            _ => {}
        }
        Compared::Whole
    }

    fn below(
        &mut self,
        element: PathElement,
        ty: Type<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        problems: &mut Vec<Problem>,
    ) {
        self.path.push(element);
        let found = self.node(ty, old, new);
        let element = self.path.pop();
        problems.extend(found.into_iter().map(|problem| match &element {
            Some(element) => problem.below(element),
            None => problem,
        }));
    }

    fn map(
        &mut self,
        map: Map<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        problems: &mut Vec<Problem>,
    ) -> Compared {
        let names: BTreeSet<&String> = [old, new]
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flat_map(serde_json::Map::keys)
            .collect();
        // Two empty ones are a leaf, so that empty and null stay different.
        if map.atomic || names.is_empty() {
            return self.whole(old, new);
        }
        for name in names {
            let (old, new) = (field(old, name), field(new, name));
            self.below(PathElement::field(name), map.child(name), old, new, problems);
        }
        Compared::ByEntry
    }

    fn list(
        &mut self,
        list: &List<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        problems: &mut Vec<Problem>,
    ) -> Compared {
        let (before, after) = (item::items(old), item::items(new));
        if list.is_atomic() || (before.is_empty() && after.is_empty()) {
            return self.whole(old, new);
        }
        let mut by_element: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (element, item) in item::elements(list, before, problems) {
            by_element.entry(element).or_default().0.push(item);
        }
        for (element, item) in item::elements(list, after, problems) {
            by_element.entry(element).or_default().1.push(item);
        }
        for (element, (before, after)) in by_element {
            self.items(list.item, element, &before, &after, problems);
        }
        Compared::ByEntry
    }

    /// Items that cannot be told apart are compared together and as a whole.
    fn items(
        &mut self,
        ty: Type<'_>,
        element: PathElement,
        before: &[&Value],
        after: &[&Value],
        problems: &mut Vec<Problem>,
    ) {
        let marked = |path: &Path| -> Path { path.iter().chain([&element]).cloned().collect() };
        match (before, after) {
            ([] | [_], [] | [_]) => {
                self.below(element, ty, before.first().copied(), after.first().copied(), problems);
            }
            ([_, _, ..], [_, _, ..]) => {
                let same =
                    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| value::equal(a, b));
                if !same {
                    self.out.modified.insert(&marked(&self.path));
                }
            }
            ([_, _, ..], _) => {
                self.out.removed.insert(&marked(&self.path));
                if let Some(only) = after.first() {
                    self.below(element, ty, None, Some(only), problems);
                }
            }
            (_, [_, _, ..]) => {
                self.out.added.insert(&marked(&self.path));
                if let Some(only) = before.first() {
                    self.below(element, ty, Some(only), None, problems);
                }
            }
        }
    }
}

fn field<'v>(tree: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    tree.and_then(Value::as_object).and_then(|fields| fields.get(name))
}
