//! Removing and extracting parts of a tree by a set of fields.

use serde_json::Value;

use super::element::PathElement;
use super::item;
use super::schema::Schema;
use super::set::FieldSet;
use super::types::{Form, List, Map, Type};

static NOTHING: FieldSet = FieldSet::EMPTY;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Remove,
    Extract,
}

impl Schema {
    /// The tree without the fields and items of the set.
    ///
    /// A container from which something was removed stays, if empty; null stands for a tree of which
    /// nothing is left.
    #[must_use]
    pub fn remove(&self, tree: &Value, fields: &FieldSet) -> Value {
        node(self.root(), tree, fields, Mode::Remove)
    }

    /// The fields and items of the set alone.
    ///
    /// Give it [`leaves`](FieldSet::leaves): a map or struct that is in the set itself, with none of its
    /// fields, is extracted only if it is merged as a whole or empty.
    #[must_use]
    pub fn extract(&self, tree: &Value, fields: &FieldSet) -> Value {
        node(self.root(), tree, fields, Mode::Extract)
    }
}

fn node(ty: Type<'_>, tree: &Value, fields: &FieldSet, mode: Mode) -> Value {
    let (whole, empty) = match (ty.form(Some(tree)), tree) {
        (Form::Scalar(_), _) => return tree.clone(),
        (Form::List(list), Value::Array(items)) if !list.is_atomic() && !items.is_empty() => {
            return self::items(&list, items, fields, mode);
        }
        (Form::Map(map), Value::Object(entries)) if !map.atomic && !entries.is_empty() => {
            return self::entries(map, entries, fields, mode);
        }
        (Form::List(list), Value::Array(items)) => (list.is_atomic(), items.is_empty()),
        (Form::Map(map), Value::Object(entries)) => (map.atomic, entries.is_empty()),
        _ => (false, false),
    };
    if mode == Mode::Extract && (whole || empty) { tree.clone() } else { Value::Null }
}

/// What is left of a value from which something below it is removed: at least an empty container.
fn remainder(ty: Type<'_>, tree: &Value, fields: &FieldSet, mode: Mode) -> Value {
    match (node(ty, tree, fields, mode), tree) {
        (Value::Null, Value::Object(_)) if mode == Mode::Remove => Value::Object(serde_json::Map::new()),
        (Value::Null, Value::Array(_)) if mode == Mode::Remove => Value::Array(Vec::new()),
        (rest, _) => rest,
    }
}

fn items(list: &List<'_>, items: &[Value], fields: &FieldSet, mode: Mode) -> Value {
    let mut out = Vec::new();
    for item in items {
        // An item without an element is in no set.
        let element = item::element(list, item).ok();
        let named = element.as_ref().is_some_and(|element| fields.has(element));
        let below = element.as_ref().and_then(|element| fields.below(element));
        let kept = match mode {
            Mode::Extract => named || below.is_some(),
            Mode::Remove => !named,
        };
        if kept {
            out.push(match below {
                Some(below) => remainder(list.item, item, below, mode),
                None => item.clone(),
            });
        }
    }
    if out.is_empty() { Value::Null } else { Value::Array(out) }
}

fn entries(map: Map<'_>, entries: &serde_json::Map<String, Value>, fields: &FieldSet, mode: Mode) -> Value {
    let mut out = serde_json::Map::new();
    for (name, tree) in entries {
        let element = PathElement::field(name);
        let ty = map.child(name);
        let value = match (mode, fields.has(&element), fields.below(&element)) {
            (Mode::Remove, true, _) | (Mode::Extract, false, None) => continue,
            (Mode::Extract, true, below) => node(ty, tree, below.unwrap_or(&NOTHING), mode),
            (_, false, Some(below)) => remainder(ty, tree, below, mode),
            (Mode::Remove, false, None) => tree.clone(),
        };
        out.insert(name.clone(), value);
    }
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}
