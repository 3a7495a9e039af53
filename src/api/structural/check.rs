//! Whether a schema is structural.
//!
//! Judged on the JSON of the definition, so that paths and values are those that its author wrote.
//!
//! Source: `schema/{validation,complete,convert}.go` of `k8s.io/apiextensions-apiserver/pkg/apiserver`
//! (1.36).

use serde_json::{Map, Value};

use super::complete;
use super::parse::{self, ParseError};
use super::pattern::Pattern;
use super::raw::{flag, is_zero, text};
use crate::api::field::{Error, Path};

/// What keeps a schema from being structural, by sentence.
#[must_use]
pub fn check(path: &Path, schema: &Value) -> Vec<Error> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors);
    complete::values(schema, Some(schema), path, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

/// Fails where any part of a schema uses what definitions may not.
///
/// # Errors
///
/// The first that is found.
pub fn unsupported(schema: &Value) -> Result<(), ParseError> {
    let Some(map) = schema.as_object() else { return Ok(()) };
    parse::supported(map)?;
    children(map).try_for_each(|(_, child)| unsupported(child))
}

/// All schemas directly inside one, with the path that leads there.
pub(in crate::api) fn children(map: &Map<String, Value>) -> impl Iterator<Item = (ChildStep<'_>, &Value)> {
    let one = ["items", "additionalProperties", "not"].into_iter().filter_map(|name| {
        let child = map.get(name).filter(|child| child.is_object())?;
        Some((ChildStep::Field(name), child))
    });
    let many = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|name| {
        let list = map.get(name).and_then(Value::as_array).into_iter().flatten();
        list.enumerate().map(move |(index, child)| (ChildStep::Index(name, index), child))
    });
    let named = map.get("properties").and_then(Value::as_object).into_iter().flatten();
    let named = named.map(|(name, child)| (ChildStep::Key("properties", name), child));
    one.chain(many).chain(named)
}

/// The way from a schema to one directly inside it.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) enum ChildStep<'a> {
    Field(&'static str),
    Index(&'static str, usize),
    Key(&'static str, &'a str),
}

impl ChildStep<'_> {
    /// Whether the schema says nothing of structure: whether it stands in `allOf` and the like.
    pub(in crate::api) fn is_value_validation(self) -> bool {
        matches!(self, Self::Index(..) | Self::Field("not"))
    }

    pub(in crate::api) fn path(self, parent: &Path) -> Path {
        match self {
            Self::Field(name) => parent.child(name),
            Self::Index(name, index) => parent.child(name).index(index),
            Self::Key(name, key) => parent.child(name).key(key),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

fn invariants(schema: &Value, level: Level, path: &Path, errors: &mut Vec<Error>) {
    let at = |field: &str| path.child(field);
    let ty = text(schema, "type");
    let items = schema.get("items").filter(|items| items.is_object());
    if ty == "array" && items.is_none() {
        errors.push(Error::required(&at("items"), "must be specified"));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, &at("items"), errors);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        invariants(property, Level::Field, &at("properties").key(name), errors);
    }
    let additional = schema.get("additionalProperties").filter(|additional| !additional.is_null());
    if let Some(additional) = additional {
        if level == Level::Root {
            errors.push(Error::forbidden(&at("additionalProperties"), "must not be used at the root"));
        }
        if additional.is_object() {
            invariants(additional, Level::Field, &at("additionalProperties"), errors);
        }
    }
    let (int_or_string, preserve, embedded) = extensions(schema, path, errors);
    let skip_any_of = is_int_or_string(schema.get("anyOf"));
    let first_all_of = schema.get("allOf").and_then(|list| list.get(0));
    let skip_all_of = first_all_of.is_some_and(|first| is_int_or_string(first.get("anyOf")));
    let skip = Skip { any_of: skip_any_of, first_all_of: skip_all_of };
    values(schema, skip, level, path, errors);
    if embedded && ty != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(wrong_type(&at("type"), ty, why));
    } else if ty.is_empty() && !int_or_string && !preserve {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(Error::required(&at("type"), why));
    }
    if embedded && additional.is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(Error::forbidden(&at("additionalProperties"), why));
    }
    if level == Level::Root && !matches!(ty, "" | "object") {
        errors.push(Error::invalid(&at("type"), ty, "must be object at the root"));
    }
    let whole = level == Level::Root || embedded;
    let property = |name: &str| properties.and_then(|properties| properties.get(name));
    for name in ["kind", "apiVersion"] {
        if let Some(property) = property(name).filter(|_| whole)
            && text(property, "type") != "string"
        {
            let path = at("properties").key(name).child("type");
            errors.push(Error::invalid(&path, text(property, "type"), "must be string"));
        }
    }
    if let Some(metadata) = property("metadata") {
        self::metadata(metadata, whole, level, &at("properties").key("metadata"), errors);
    }
    if embedded && !preserve && properties.is_none_or(Map::is_empty) {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        errors.push(Error::required(&at("properties"), why));
    }
}

/// A type that is another than it must be, or none.
fn wrong_type(path: &Path, ty: &str, why: &str) -> Error {
    if ty.is_empty() { Error::required(path, why) } else { Error::invalid(path, ty, why) }
}

/// Whether there may be numbers and texts, unknown fields, or a whole object here.
fn extensions(schema: &Value, path: &Path, errors: &mut Vec<Error>) -> (bool, bool, bool) {
    let int_or_string = flag(schema, "x-kubernetes-int-or-string");
    let own = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"];
    let [preserve, embedded] = own.map(|name| {
        let set = flag(schema, name);
        if set && int_or_string {
            let why = "must be false if x-kubernetes-int-or-string is true";
            errors.push(Error::invalid(&path.child(name), true, why));
        }
        set
    });
    (int_or_string, preserve, embedded)
}

fn metadata(metadata: &Value, whole: bool, level: Level, path: &Path, errors: &mut Vec<Error>) {
    if whole && text(metadata, "type") != "object" {
        let ty = text(metadata, "type");
        errors.push(Error::invalid(&path.child("type"), ty, "must be object"));
    }
    if level != Level::Root {
        return;
    }
    let allowed = |(name, value): (&String, &Value)| match name.as_str() {
        "type" | "default" => true,
        "properties" => value
            .as_object()
            .is_some_and(|properties| properties.keys().all(|name| name == "name" || name == "generateName")),
        _ => is_zero(value),
    };
    if !metadata.as_object().is_some_and(|map| map.iter().all(allowed)) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly \
                   specified";
        errors.push(Error::forbidden(path, why));
    }
}

/// Which alternatives are only another way to say `x-kubernetes-int-or-string`.
#[derive(Clone, Copy, Default)]
struct Skip {
    any_of: bool,
    first_all_of: bool,
}

/// Whether alternatives are an integer and a text, and nothing else.
fn is_int_or_string(any_of: Option<&Value>) -> bool {
    let is = |schema: &Value, ty: &str| {
        let others =
            |map: &Map<String, Value>| map.iter().all(|(name, value)| name == "type" || is_zero(value));
        text(schema, "type") == ty && schema.as_object().is_some_and(others)
    };
    match any_of.and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, other]) => is(one, "integer") && is(other, "string"),
        _ => false,
    }
}

/// Value validations, whose schemas say nothing of structure.
fn values(schema: &Value, skip: Skip, level: Level, path: &Path, errors: &mut Vec<Error>) {
    let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    if !skip.any_of {
        for (index, part) in list("anyOf") {
            nested(part, Skip::default(), level, &path.child("anyOf").index(index), errors);
        }
    }
    for (index, part) in list("allOf") {
        let skip = Skip { any_of: skip.first_all_of && index == 0, first_all_of: false };
        nested(part, skip, level, &path.child("allOf").index(index), errors);
    }
    for (index, part) in list("oneOf") {
        nested(part, Skip::default(), level, &path.child("oneOf").index(index), errors);
    }
    if let Some(not) = schema.get("not").filter(|not| !not.is_null()) {
        nested(not, Skip::default(), level, &path.child("not"), errors);
    }
    let pattern = text(schema, "pattern");
    if let Some(Err(error)) = (!pattern.is_empty()).then(|| Pattern::new(pattern)) {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(Error::invalid(&path.child("pattern"), pattern, why));
    }
}

fn nested(schema: &Value, skip: Skip, level: Level, path: &Path, errors: &mut Vec<Error>) {
    values(schema, skip, level, path, errors);
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        nested(items, Skip::default(), level, &path.child("items"), errors);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let path = path.child("properties").key(name);
        nested(property, Skip::default(), Level::Field, &path, errors);
    }
    let mut forbid = |name: &str, why: &str| errors.push(Error::forbidden(&path.child(name), why));
    let is_set = |name: &str| schema.get(name).is_some_and(|value| !is_zero(value));
    if is_set("type") {
        forbid("type", "must be empty to be structural");
    }
    if is_set("additionalProperties") || schema.get("additionalProperties").is_some_and(Value::is_object) {
        forbid("additionalProperties", "must be undefined to be structural");
    }
    if schema.get("default").is_some_and(|default| !default.is_null()) {
        forbid("default", "must be undefined to be structural");
    }
    for name in ["title", "description"] {
        if is_set(name) {
            forbid(name, "must be empty to be structural");
        }
    }
    for name in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        if is_set(name) {
            forbid(name, "must be false to be structural");
        }
    }
    if is_set("x-kubernetes-list-map-keys") {
        forbid("x-kubernetes-list-map-keys", "must be empty to be structural");
    }
    for name in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if schema.get(name).is_some_and(|value| !value.is_null()) {
            forbid(name, "must be undefined to be structural");
        }
    }
    if is_set("x-kubernetes-validations") {
        forbid("x-kubernetes-validations", "must be empty to be structural");
    }
    if properties.is_some_and(|properties| properties.contains_key("metadata")) {
        let path = path.child("properties").key("metadata");
        errors.push(Error::forbidden(&path, "must not be specified in a nested context"));
    }
}
