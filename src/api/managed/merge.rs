//! Merging what is applied into what is there.
//!
//! Nothing is removed here: every value of the configuration stands in the answer, and every other that
//! the live tree has. The items of a list that is merged stand in the order of the configuration, and
//! those of the live tree alone keep their places between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::element::PathElement;
use super::invalid::{Invalid, Problem};
use super::item;
use super::schema::Schema;
use super::types::{Form, List, Map, Type};
use super::validate;

impl Schema {
    /// Merges a configuration into a live tree of this type.
    ///
    /// # Errors
    ///
    /// When one of them does not fit the type, or the configuration has items that cannot be told apart.
    pub fn merge(&self, live: &Value, config: &Value) -> Result<Value, Invalid> {
        let mut problems = Vec::new();
        let merged = node(self.root(), Some(live), Some(config), &mut problems);
        Invalid::check(problems).map(|()| merged.unwrap_or_default())
    }
}

/// The merged value; none where two values that are no leaves leave nothing.
fn node(
    ty: Type<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    // Of two forms, the configuration's decides.
    let mut merged = None;
    for form in ty.forms(live, config) {
        merged = match form {
            Form::Nothing => {
                problems.push(Problem::new("schema error: invalid atom: inlined"));
                None
            }
            Form::Scalar(kind) => {
                let wrong = (validate::scalar(kind, live, "lhs: "), validate::scalar(kind, config, "rhs: "));
                match wrong {
                    (Some(live), Some(config)) => {
                        problems.extend([live, config]);
                        None
                    }
                    _ => whole(live, config),
                }
            }
            Form::Map(map) => entries(map, live, config, problems),
            Form::List(list) => items(&list, live, config, problems),
        };
    }
    merged
}

fn whole(live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    config.or(live).cloned()
}

fn below(
    element: &PathElement,
    ty: Type<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let mut found = Vec::new();
    let merged = node(ty, live, config, &mut found);
    problems.extend(found.into_iter().map(|problem| problem.below(element)));
    merged
}

fn entries(
    map: Map<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let (here, wanted) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
    let names: BTreeSet<&String> =
        [here, wanted].into_iter().flatten().flat_map(serde_json::Map::keys).collect();
    // Two empty ones are a leaf, so that empty and null stay different.
    if map.atomic || names.is_empty() {
        return whole(live, config);
    }
    let mut out = serde_json::Map::new();
    for name in names {
        let (live, config) =
            (here.and_then(|fields| fields.get(name)), wanted.and_then(|fields| fields.get(name)));
        if let Some(value) = below(&PathElement::field(name), map.child(name), live, config, problems) {
            out.insert(name.clone(), value);
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn items(
    list: &List<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let (here, wanted) = (item::items(live), item::items(config));
    if list.is_atomic() || (here.is_empty() && wanted.is_empty()) {
        return whole(live, config);
    }
    let mut found = Vec::new();
    let wanted = item::elements(list, wanted, &mut found);
    let mut by_element = BTreeMap::new();
    for (element, item) in &wanted {
        if by_element.insert(element, *item).is_some() {
            found.push(Problem::new(format!("duplicate entries for key {element}")));
        }
    }
    let here = item::elements(list, here, &mut found);
    if !found.is_empty() {
        problems.append(&mut found);
        return None;
    }
    let merged: Vec<Value> = Zipper::new(&here, &wanted)
        .filter_map(|(element, live, config)| below(element, list.item, live, config, problems))
        .collect();
    (!merged.is_empty()).then_some(Value::Array(merged))
}

type Item<'v> = (PathElement, &'v Value);

/// What two lists' items become, in their order: each with the live and the applied item.
struct Zipper<'a, 'v> {
    live: &'a [Item<'v>],
    config: &'a [Item<'v>],
    /// The live item of each element; null where there are several, since none of them is merged.
    by_element: BTreeMap<&'a PathElement, &'v Value>,
    wanted: BTreeSet<&'a PathElement>,
    placed: BTreeSet<&'a PathElement>,
    /// The elements of both lists that are not placed yet, as the configuration orders them.
    shared: std::vec::IntoIter<&'a PathElement>,
    next_shared: Option<&'a PathElement>,
}

impl<'a, 'v> Zipper<'a, 'v> {
    fn new(live: &'a [Item<'v>], config: &'a [Item<'v>]) -> Self {
        let mut by_element = BTreeMap::new();
        for (element, item) in live {
            by_element.entry(element).and_modify(|item| *item = &Value::Null).or_insert(*item);
        }
        let shared: Vec<_> =
            config.iter().map(|(element, _)| element).filter(|el| by_element.contains_key(el)).collect();
        let mut shared = shared.into_iter();
        Self {
            live,
            config,
            by_element,
            wanted: config.iter().map(|(element, _)| element).collect(),
            placed: BTreeSet::new(),
            next_shared: shared.next(),
            shared,
        }
    }

    /// Takes the next item of the configuration, with the live one of its element.
    fn take_config(&mut self) -> Option<(&'a PathElement, Option<&'v Value>, Option<&'v Value>)> {
        let ((element, item), rest) = self.config.split_first()?;
        self.config = rest;
        self.placed.insert(element);
        if self.next_shared == Some(element) {
            self.next_shared = self.shared.next();
        }
        Some((element, self.by_element.get(element).copied(), Some(item)))
    }
}

impl<'a, 'v> Iterator for Zipper<'a, 'v> {
    type Item = (&'a PathElement, Option<&'v Value>, Option<&'v Value>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(((element, item), rest)) = self.live.split_first() else { return self.take_config() };
            if !self.wanted.contains(element) {
                self.live = rest;
                return Some((element, Some(item), None));
            }
            // A shared item stands where the configuration has it: here if it is that one's turn, and
            // otherwise it is passed over.
            let both = self.config.first().is_some_and(|(first, _)| first == element);
            if both {
                self.live = rest;
                return self.take_config();
            }
            if self.next_shared.is_some_and(|next| next != element) {
                self.live = rest;
                continue;
            }
            if self.placed.contains(element) {
                self.live = rest;
            }
            if let Some(item) = self.take_config() {
                return Some(item);
            }
        }
    }
}
