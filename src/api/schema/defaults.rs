//! Structural defaults: fields whose default depends on nothing else.

use serde_json::Value;

use super::table::{Entry, Shape};

/// Fills in absent fields, at every depth, of structs that are there.
pub(super) fn fill(entry: &'static Entry, tree: &mut Value) {
    let Value::Object(map) = tree else { return };
    for field in entry.fields() {
        match map.get_mut(field.name) {
            Some(value) => fill_shape(&field.shape, value),
            None => {
                if let Some(default) = &field.default {
                    map.insert(field.name.to_owned(), default.clone());
                }
            }
        }
    }
}

fn fill_shape(shape: &'static Shape, tree: &mut Value) {
    match (shape.resolved(), tree) {
        (Shape::Named(entry), tree) => fill(entry, tree),
        (Shape::List(item), Value::Array(items)) => {
            items.iter_mut().for_each(|value| fill_shape(item, value));
        }
        (Shape::Map(item), Value::Object(map)) => {
            map.values_mut().for_each(|value| fill_shape(item, value));
        }
        _ => {}
    }
}
