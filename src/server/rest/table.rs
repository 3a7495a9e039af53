//! Tables: rows and cells for people, made from the scheme's columns.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::jsonpath;
use crate::api::{Column, ColumnValue, Description, Object, Resource, Scheme, duration, schema};

/// What goes into a row beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata.
    #[default]
    Metadata,
    /// The object.
    Object,
}

/// The `columnDefinitions` of a resource.
pub(crate) fn columns(resource: &Resource) -> Value {
    let name = json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": described(&Description::NAME),
        "priority": 0,
    });
    let mut all = Vec::new();
    if !names_itself(resource) {
        all.push(name);
    }
    all.extend(resource.columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": described(&column.description),
            "priority": column.priority,
        })
    }));
    if resource.columns.is_empty() {
        all.push(json!({
            "name": "Age",
            "type": "date",
            "format": "",
            "description": described(&Description::AGE),
            "priority": 0,
        }));
    }
    Value::Array(all)
}

/// What a column means, in words. Those of fields are found once, for all built-in kinds.
fn described(description: &Description) -> &str {
    static FIELDS: OnceLock<BTreeMap<(&str, &str), String>> = OnceLock::new();
    match description {
        Description::Text(words) => words,
        Description::Field { of, field } => {
            FIELDS.get_or_init(fields).get(&(*of, *field)).map_or("", String::as_str)
        }
    }
}

/// What the fields mean that the columns of built-in kinds are described by.
fn fields() -> BTreeMap<(&'static str, &'static str), String> {
    let scheme = Scheme::builtin();
    let columns = scheme.iter().flat_map(|row| &row.columns).map(|column| &column.description);
    let wanted =
        columns.chain([&Description::NAME, &Description::AGE]).filter_map(|described| match described {
            Description::Field { of, field } => Some((*of, *field)),
            Description::Text(_) => None,
        });
    schema::fields(scheme.iter().map(|row| (&*row.group, &*row.version)), wanted)
}

/// Whether one of the columns is the name already: of an event it is the last thing to show, and
/// only to those who want all.
fn names_itself(resource: &Resource) -> bool {
    resource.columns.iter().any(|column| column.name == "Name" && column.format == "name")
}

/// The row of an object.
pub(crate) fn row(object: &Object, include: IncludeObject, version: &str, now: Timestamp) -> Value {
    let tree = object.tree();
    let mut cells = Vec::new();
    if !names_itself(object.resource()) {
        cells.push(json!(object.name()));
    }
    let one = object.resource().custom.is_some();
    cells.extend(object.resource().columns.iter().map(|column| cell(column, &tree, one, now)));
    if object.resource().columns.is_empty() {
        cells.push(age(tree["metadata"].get("creationTimestamp"), now));
    }
    let mut row = json!({ "cells": cells });
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => row["object"] = metadata(&tree, version),
        IncludeObject::Object => row["object"] = (*tree).clone(),
    }
    row
}

/// A table without rows.
pub(crate) fn table(version: &str, list_metadata: Value, columns: Value, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": list_metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// An object's metadata as `PartialObjectMetadata`.
pub(crate) fn metadata(tree: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": tree.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new())),
    })
}

/// A cell; of a custom resource it holds `one` value, whatever its path finds.
fn cell(column: &Column, tree: &Value, one: bool, now: Timestamp) -> Value {
    let path = match &column.value {
        ColumnValue::Function(function) => return function(tree, now),
        ColumnValue::Path(path) => path,
    };
    let mut found = jsonpath::find(tree, path);
    if one {
        found.truncate(1);
    }
    let Some(first) = found.first() else { return Value::Null };
    match (column.kind.as_ref(), first) {
        ("date", _) => age(Some(first), now),
        ("integer", Value::Number(number)) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|float| float as i64))
            .map_or(Value::Null, Value::from),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => (*first).clone(),
        ("integer" | "number" | "boolean", _) => Value::Null,
        // Several values stand behind one another with a space, as kubectl's own paths print them.
        _ => found.iter().map(|value| text(value)).collect::<Vec<_>>().join(" ").into(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long ago a time was, for people.
fn age(time: Option<&Value>, now: Timestamp) -> Value {
    let Some(text) = time.and_then(Value::as_str) else { return "<unknown>".into() };
    let Ok(time) = text.parse::<Timestamp>() else { return "<invalid>".into() };
    duration::since(Some(time), now).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Revision, Scope};

    #[test]
    fn columns_are_described_as_their_fields_are() {
        let scheme = Scheme::builtin();
        let all = |row: &Resource| columns(row).as_array().unwrap().clone();
        // What every object has, and where nothing else is shown.
        let accounts = all(scheme.api_kind("v1", "ServiceAccount").unwrap());
        let described = |column: &Value| column["description"].as_str().unwrap().to_owned();
        assert!(
            described(&accounts[0]).starts_with("Name must be unique within a namespace. Is required when")
        );
        assert!(
            described(&accounts[1]).starts_with("CreationTimestamp is a timestamp representing the server")
        );
        let api = crate::api::schema::openapi_v3(&scheme, "", "v1");
        let node =
            all(scheme.api_kind("v1", "Pod").unwrap()).into_iter().find(|own| own["name"] == "Node").unwrap();
        let field = "/components/schemas/io.k8s.api.core.v1.PodSpec/properties/nodeName/description";
        assert_eq!(Some(&node["description"]), api.pointer(field));
        // Kubernetes names fields that do not exist for these.
        let silent = ["Handler", "BinaryVersion", "EmulationVersion"];
        for row in scheme.iter() {
            for column in all(row) {
                let (name, said) = (column["name"].as_str().unwrap(), described(&column));
                assert_eq!(said.is_empty(), silent.contains(&name), "{} {name}", row.kind);
            }
        }
    }

    #[test]
    fn cells_follow_the_columns() {
        let column = |name: &'static str, kind: &'static str, path: &'static str| Column {
            name: name.into(),
            kind: kind.into(),
            format: "".into(),
            description: "".into(),
            priority: 0,
            value: ColumnValue::Path(path.into()),
        };
        let mut resource = Resource::new("x.io", "v1", "Thing", "things", Scope::Namespaced);
        resource.columns = vec![
            column("Size", "integer", ".spec.size"),
            column("Hosts", "string", ".spec.hosts[*]"),
            column("None", "string", ".spec.none"),
            column("Age", "date", ".metadata.creationTimestamp"),
        ];
        let tree = json!({
            "metadata": {"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z"},
            "spec": {"size": 3, "hosts": ["x", "y"]},
        });
        let object = Object::from_tree(Arc::new(resource), Revision(3), tree).unwrap();
        let now = "2020-01-01T00:01:00Z".parse().unwrap();
        let row = row(&object, IncludeObject::Metadata, "v1", now);
        assert_eq!(row["cells"], json!(["a", 3, "x y", null, "60s"]));
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(row["object"]["metadata"]["resourceVersion"], "3");
        assert_eq!(columns(object.resource()).as_array().unwrap().len(), 5);
    }
}
