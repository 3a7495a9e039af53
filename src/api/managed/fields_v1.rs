//! FieldsV1: how a set of fields is written.
//!
//! An object whose names are path elements. An element that is in the set and has nothing below it holds
//! `{}`; one that has both holds `".": {}` first; one that holds others only is not in the set itself.
//! Follows structured-merge-diff 6 (`fieldpath/serialize.go`).

use serde_json::{Map, Value};

use super::element::PathElement;
use super::set::{FieldSet, Node};
use super::value;

/// FieldsV1 that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}, error found in {place:?}")]
pub struct FieldsV1Error {
    /// What is wrong, in Kubernetes' words.
    pub why: String,
    /// The elements that lead there, with slashes between them.
    pub place: String,
}

impl FieldSet {
    /// Reads a set.
    ///
    /// Elements of a kind that nobody knows are passed over, as Kubernetes does.
    ///
    /// # Errors
    ///
    /// When a name is no path element, or a value no object.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, FieldsV1Error> {
        Ok(read(fields, &mut Vec::new())?.children)
    }

    /// Reads a set from JSON text.
    ///
    /// # Errors
    ///
    /// As [`from_fields_v1`](Self::from_fields_v1), and when the text is no JSON.
    pub fn from_json(text: &str) -> Result<Self, FieldsV1Error> {
        let fields = serde_json::from_str(text)
            .map_err(|error| FieldsV1Error { why: error.to_string(), place: String::new() })?;
        Self::from_fields_v1(&fields)
    }

    /// The set as JSON text, byte for byte as Kubernetes writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write(self, false, &mut out);
        out
    }

    /// The set as a tree. Names stand in the order that the tree's maps keep; [`to_json`](Self::to_json)
    /// has Kubernetes' order.
    #[must_use]
    pub fn to_fields_v1(&self) -> Value {
        Value::Object(tree(self))
    }
}

fn read(fields: &Value, place: &mut Vec<String>) -> Result<Node, FieldsV1Error> {
    let wrong = |why: String, place: &[String]| FieldsV1Error { why, place: place.join("/") };
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Ok(Node { member: true, children: FieldSet::new() }),
        other => {
            let mut text = String::new();
            value::write_json(other, &mut text);
            let first = text.chars().next().unwrap_or_default();
            return Err(wrong(format!("ReadMapCB: expect {{ or n, but found {first}"), place));
        }
    };
    let mut node = Node { member: map.contains_key("."), children: FieldSet::new() };
    for (name, below) in map.iter().filter(|(name, _)| *name != ".") {
        place.push(name.clone());
        let element = PathElement::parse(name)
            .map_err(|why| wrong(format!("parsing key as path element: {why}"), place))?;
        if let Some(element) = element {
            node.children.set(element, read(below, place)?);
        }
        place.pop();
    }
    node.member |= node.children.is_empty();
    Ok(node)
}

fn write(set: &FieldSet, member: bool, out: &mut String) {
    out.push('{');
    let mut first = true;
    if member && !set.is_empty() {
        out.push_str("\".\":{}");
        first = false;
    }
    for (element, node) in set.nodes() {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        value::quote(&element.to_fields_v1(), false, out);
        out.push(':');
        write(&node.children, node.member, out);
    }
    out.push('}');
}

fn tree(set: &FieldSet) -> Map<String, Value> {
    let mut out = Map::new();
    for (element, node) in set.nodes() {
        let mut below = Map::new();
        if node.member && !node.children.is_empty() {
            below.insert(".".to_owned(), Value::Object(Map::new()));
        }
        below.extend(tree(&node.children));
        out.insert(element.to_fields_v1(), Value::Object(below));
    }
    out
}
