//! Tables: rows and cells for people, made from the scheme's columns.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::jsonpath;
use crate::api::{Column, ColumnValue, Object, Resource};

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
        "description": "Name must be unique within a namespace.",
        "priority": 0,
    });
    let mut all = vec![name];
    all.extend(resource.columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    }));
    if resource.columns.is_empty() {
        all.push(json!({
            "name": "Age",
            "type": "date",
            "format": "",
            "description": "When the object was created.",
            "priority": 0,
        }));
    }
    Value::Array(all)
}

/// The row of an object.
pub(crate) fn row(object: &Object, include: IncludeObject, version: &str, now: Timestamp) -> Value {
    let tree = object.tree();
    let mut cells = vec![json!(object.name())];
    cells.extend(object.resource().columns.iter().map(|column| cell(column, &tree, now)));
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

fn cell(column: &Column, tree: &Value, now: Timestamp) -> Value {
    let path = match &column.value {
        ColumnValue::Function(function) => return function(tree, now),
        ColumnValue::Path(path) => path,
    };
    let found = jsonpath::find(tree, path);
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
    human_duration(now.as_second() - time.as_second()).into()
}

/// A duration in at most two units, the finer one only while it tells something; the rule is that
/// of `k8s.io/apimachinery/pkg/util/duration.HumanDuration` (1.36).
fn human_duration(seconds: i64) -> String {
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Revision, Scope};

    #[test]
    fn durations_show_two_units_at_most() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (180, "3m"),
            (3600, "60m"),
            (4 * 3600 + 60, "4h1m"),
            (30 * 3600, "30h"),
            (3 * 86400 + 3600, "3d1h"),
            (100 * 86400, "100d"),
            (800 * 86400, "2y70d"),
            (4000 * 86400, "10y"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(human_duration(seconds), wanted, "{seconds}");
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
