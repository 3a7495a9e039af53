//! Reaching into an object's tree.

use serde_json::{Map, Value};

/// The text at a path of fields; empty where there is none.
pub(crate) fn text<'a>(tree: &'a Value, path: &[&str]) -> &'a str {
    at(tree, path).and_then(Value::as_str).unwrap_or_default()
}

/// What stands at a path of fields; `null` counts as absent.
pub(crate) fn at<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |value, field| value.get(field)).filter(|value| !value.is_null())
}

/// The map in a field, made where there is none.
pub(crate) fn map_mut<'a>(tree: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    let slot = &mut tree[field];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("it was just made one")
}

/// `metadata`, made where there is none.
pub(crate) fn metadata_mut(tree: &mut Value) -> &mut Map<String, Value> {
    map_mut(tree, "metadata")
}

/// Makes `target`'s field what `source`'s is, absence included.
pub(crate) fn copy_field(target: &mut Map<String, Value>, source: Option<&Map<String, Value>>, field: &str) {
    match source.and_then(|source| source.get(field)) {
        Some(value) => {
            target.insert(field.to_owned(), value.clone());
        }
        None => {
            target.remove(field);
        }
    }
}

/// The texts of a list; what is no text is left out.
pub(crate) fn texts<'a>(tree: &'a Value, path: &[&str]) -> Vec<&'a str> {
    at(tree, path)
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(tree: &Value) -> Vec<&str> {
    texts(tree, &["metadata", "finalizers"])
}

/// Makes `metadata.finalizers` these.
pub(crate) fn set_finalizers(tree: &mut Value, finalizers: Vec<String>) {
    let metadata = metadata_mut(tree);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
}
