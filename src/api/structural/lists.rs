//! Nothing stands twice in a set, and no two items of a list have the same keys.
//!
//! Source: `schema/listtype` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::go::Number;
use super::schema::{ListType, Schema};
use super::trail::Trail;
use crate::api::field::{Error, Path};

impl Schema {
    /// What stands twice where it may stand once.
    #[must_use]
    pub fn duplicates(&self, path: &Path, value: &Value) -> Vec<Error> {
        let mut errors = Vec::new();
        walk(self, &Trail::root(path), value, &mut errors);
        errors
    }
}

fn walk(schema: &Schema, trail: &Trail<'_>, value: &Value, errors: &mut Vec<Error>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // Fields without names are looked at whatever names there are, as in Kubernetes.
                if let Some(super::schema::Additional::Schema(schema)) = &schema.additional {
                    walk(schema, &trail.key(key), value, errors);
                }
                if let Some(schema) = schema.properties.get(key) {
                    walk(schema, &trail.field(key), value, errors);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type {
                ListType::Atomic => {}
                ListType::Set => {
                    for index in repeated(items.iter().map(identity)) {
                        errors.push(Error::duplicate(&trail.index(index).path(), items[index].clone()));
                    }
                }
                ListType::Map => keyed(schema, trail, items, errors),
            }
            if let Some(schema) = &schema.items {
                for (index, value) in items.iter().enumerate() {
                    walk(schema, &trail.index(index), value, errors);
                }
            }
        }
        _ => {}
    }
}

fn keyed(schema: &Schema, trail: &Trail<'_>, items: &[Value], errors: &mut Vec<Error>) {
    let misfit = items.iter().position(|item| !item.is_null() && !item.is_object());
    if let Some(index) = misfit {
        let why = "must be an object for an array of list-type map";
        errors.push(Error::invalid(&trail.index(index).path(), items[index].clone(), why));
        return;
    }
    let keys: Vec<Value> = items
        .iter()
        .map(|item| {
            let own = schema.list_keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            Value::Object(own.collect::<Map<_, _>>())
        })
        .collect();
    for index in repeated(keys.iter().map(identity)) {
        errors.push(Error::duplicate(&trail.index(index).path(), keys[index].clone()));
    }
}

/// A text that is the same for the same values; numbers count by their kind, as in Go.
fn identity(value: &Value) -> String {
    match value {
        Value::Number(number) => match Number::of(number) {
            Number::Int(int) => format!("i{int}"),
            Number::Float(float) => format!("f{float}"),
        },
        other => other.to_string(),
    }
}

/// Where something stands for the second time; a third time tells nothing new.
fn repeated(items: impl Iterator<Item = String>) -> Vec<usize> {
    let mut times = BTreeMap::new();
    let mut found = Vec::new();
    for (index, item) in items.enumerate() {
        let count = times.entry(item).or_insert(0_usize);
        *count += 1;
        if *count == 2 {
            found.push(index);
        }
    }
    found
}
