//! Whether a tree fits its type.

use std::collections::BTreeSet;

use serde_json::Value;

use super::element::PathElement;
use super::invalid::{Invalid, Problem};
use super::item;
use super::schema::Schema;
use super::types::{Form, List, Map, Scalar, Type};
use super::value;

/// Whether items that cannot be told apart are allowed.
///
/// What is applied may have none; objects that live may, since other writes are not checked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They are.
    Allowed,
    /// They are not.
    Refused,
}

impl Schema {
    /// Checks a tree against the type; `metadata.managedFields` is looked over.
    ///
    /// # Errors
    ///
    /// When a field is not declared, a value is of another type, or items of a list that is merged
    /// cannot be told apart and that is refused.
    pub fn validate(&self, tree: &Value, duplicates: Duplicates) -> Result<(), Invalid> {
        Invalid::check(node(self.root(), tree, duplicates))
    }
}

fn node(ty: Type<'_>, tree: &Value, duplicates: Duplicates) -> Vec<Problem> {
    match (ty.form(Some(tree)), tree) {
        (Form::Nothing, _) => vec![Problem::new("schema error: invalid atom: inlined")],
        (_, Value::Null) => Vec::new(),
        (Form::Scalar(kind), _) => scalar(kind, Some(tree), "").into_iter().collect(),
        (Form::List(list), Value::Array(items)) => self::list(&list, items, duplicates),
        (Form::List(_), _) => vec![Problem::new(format!("expected list, got &{{{}}}", value::plain(tree)))],
        (Form::Map(map), Value::Object(fields)) => self::map(map, fields, duplicates),
        (Form::Map(_), _) => vec![Problem::new(format!("expected map, got &{{{}}}", value::plain(tree)))],
    }
}

/// What is wrong with a scalar; nothing with one that is absent or null.
pub(super) fn scalar(kind: Scalar, tree: Option<&Value>, side: &str) -> Option<Problem> {
    let tree = tree.filter(|tree| !tree.is_null())?;
    let why = match kind {
        Scalar::Numeric if !tree.is_number() => {
            format!("expected numeric (int or float), got {}", value::type_name(tree))
        }
        Scalar::String if !tree.is_string() => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", value::syntax(tree))
        }
        Scalar::Boolean if !tree.is_boolean() => {
            format!("expected boolean, got &{{{}}}", value::plain(tree))
        }
        Scalar::Untyped if tree.is_array() || tree.is_object() => {
            format!("expected any scalar, got &{{{}}}", value::plain(tree))
        }
        _ => return None,
    };
    Some(Problem::new(format!("{side}{why}")))
}

fn list(list: &List<'_>, items: &[Value], duplicates: Duplicates) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let element = if list.is_atomic() {
            PathElement::Index(i64::try_from(at).unwrap_or(i64::MAX))
        } else {
            match item::element(list, item) {
                Ok(element) => element,
                Err(why) => {
                    problems.push(Problem::new(format!("element {at}: {why}")));
                    return problems;
                }
            }
        };
        if !seen.insert(element.clone()) && duplicates == Duplicates::Refused {
            problems.push(Problem::new(format!("duplicate entries for key {element}")));
        }
        let below = node(list.item, item, duplicates);
        problems.extend(below.into_iter().map(|problem| problem.below(&element)));
    }
    problems
}

fn map(map: Map<'_>, fields: &serde_json::Map<String, Value>, duplicates: Duplicates) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, tree) in fields.iter().filter(|(name, _)| !map.is_managed_fields(name)) {
        let ty = map.child(name);
        if matches!(ty, Type::Nothing) {
            problems.push(Problem::new("field not declared in schema").below(&PathElement::field(name)));
            // The first is told, and none after it.
            break;
        }
        let found = node(ty, tree, duplicates);
        problems.extend(found.into_iter().map(|problem| problem.below(&PathElement::field(name))));
    }
    problems
}
