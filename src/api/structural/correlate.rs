//! A value beside the one that it replaces, matched as far as a schema tells which belongs to which.
//!
//! Source: `CorrelatedObject` of `k8s.io/apiserver/pkg/cel/common` (1.36).

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::go;
use super::schema::{ListType, Schema, Type};

/// A value, the value that stood in its place, and their schema.
#[derive(Debug)]
pub(super) struct Correlated<'a> {
    pub(super) value: &'a Value,
    pub(super) old: &'a Value,
    schema: &'a Schema,
    equal: OnceCell<bool>,
    old_items: OnceCell<OldItems<'a>>,
}

impl<'a> Correlated<'a> {
    pub(super) fn new(value: &'a Value, old: &'a Value, schema: &'a Schema) -> Self {
        Self { value, old, schema, equal: OnceCell::new(), old_items: OnceCell::new() }
    }

    /// A field that both have and the schema knows.
    pub(super) fn key(&self, name: &str) -> Option<Self> {
        let (value, old) = (self.value.as_object()?.get(name)?, self.old.as_object()?.get(name)?);
        Some(Self::new(value, old, self.schema.field(name)?))
    }

    /// An item of a list whose items have keys.
    pub(super) fn index(&self, index: usize) -> Option<Self> {
        let value = self.value.as_array()?.get(index)?;
        let old = self.old_items().get(value)?;
        Some(Self::new(value, old, self.schema.items.as_deref()?))
    }

    fn old_items(&self) -> &OldItems<'a> {
        self.old_items.get_or_init(|| OldItems::of(self.schema, self.old))
    }

    /// Whether nothing has changed, the order of a list with keys aside. What the schema does not know
    /// counts as changed.
    pub(super) fn is_unchanged(&self) -> bool {
        *self.equal.get_or_init(|| match (self.value, self.old) {
            (Value::Array(new), Value::Array(old)) => {
                if new.len() != old.len() {
                    return false;
                }
                if self.schema.list_type != ListType::Map {
                    return go::same(self.value, self.old);
                }
                (0..new.len()).all(|index| self.index(index).is_some_and(|item| item.is_unchanged()))
            }
            (Value::Object(new), Value::Object(old)) => {
                new.len() == old.len()
                    && new.keys().all(|key| self.key(key).is_some_and(|field| field.is_unchanged()))
            }
            (new, old) => go::same(new, old),
        })
    }
}

/// The items of a list, by their keys.
#[derive(Debug, Default)]
pub(super) struct OldItems<'a> {
    keys: &'a [String],
    items: BTreeMap<String, &'a Value>,
}

impl<'a> OldItems<'a> {
    /// The items of a list of type `map`; of any other none is found again.
    pub(super) fn of(schema: &'a Schema, list: &'a Value) -> Self {
        let Value::Array(list) = list else { return Self::default() };
        if schema.ty != Some(Type::Array) || schema.list_type != ListType::Map {
            return Self::default();
        }
        let mut items = BTreeMap::new();
        for item in list {
            if let Some(key) = key_of(&schema.list_keys, item) {
                items.entry(key).or_insert(item);
            }
        }
        Self { keys: &schema.list_keys, items }
    }

    /// The item with the keys of this one.
    pub(super) fn get(&self, item: &Value) -> Option<&'a Value> {
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&key_of(self.keys, item)?).copied()
    }
}

/// The values of an item's keys; none where one is absent or no scalar.
fn key_of(keys: &[String], item: &Value) -> Option<String> {
    let item = item.as_object()?;
    if keys.is_empty() {
        return None;
    }
    let mut all = String::new();
    for key in keys {
        match item.get(key)? {
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                all.push('\0');
                all.push_str(&value.to_string());
            }
            _ => return None,
        }
    }
    Some(all)
}
