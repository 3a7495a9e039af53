//! Strategic merge patch: a merge that knows the type of what it merges.
//!
//! For each field of the patch the table says how: objects are merged (or replaced), lists are
//! replaced (or merged by a key, or as sets), and a directive in the patch may say otherwise:
//!
//! | in the patch | what happens |
//! |---|---|
//! | `field: null` | the field is deleted |
//! | `$patch: replace` in an object | the patch's object stands instead |
//! | `$patch: delete` in an object | the object is emptied |
//! | `$patch: delete` in an item, with its key | the item is deleted |
//! | `$patch: replace` as an item | the patch's items stand instead |
//! | `$retainKeys: [a, b]` | of the object's fields only these stay |
//! | `$deleteFromPrimitiveList/field: [a]` | these items are deleted |
//! | `$setElementOrder/field: [{name: a}]` | the items stand in this order |

use std::fmt;

use serde_json::{Map, Value};

use super::Error;
use super::lists::{self, Identity};
use crate::api::Resource;
use crate::api::schema::table::{self, Entry, Shape, Strategy};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch as a whole or not at all.
///
/// # Errors
///
/// When the resource's type is not in the schema table, the patch is malformed, or it does not fit
/// the tree.
pub fn strategic(resource: &Resource, tree: &mut Value, patch: &Value) -> Result<(), Error> {
    let entry = resource.schema.as_deref().and_then(table::find).ok_or(Error::Unsupported)?;
    let (Value::Object(original), Value::Object(patch)) = (&*tree, patch) else {
        return Err(Error::Malformed("invalid JSON document".to_owned()));
    };
    *tree = Value::Object(merge_object(original.clone(), patch.clone(), Schema::Struct(entry))?);
    Ok(())
}

/// What is known of the object at hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema {
    /// A struct.
    Struct(&'static Entry),
    /// A map whose values have this shape.
    Map(&'static Shape),
    /// Nothing.
    Any,
}

impl Schema {
    fn of(shape: &'static Shape) -> Self {
        match shape.resolved() {
            Shape::Named(entry) => Self::Struct(entry),
            Shape::Map(value) => Self::Map(value),
            _ => Self::Any,
        }
    }

    /// How a field is merged, and what is known of its value, or of the items of its list.
    fn field(self, name: &str) -> Result<(Self, Strategy), Error> {
        let (shape, strategy) = match self {
            Self::Any => return Ok((Self::Any, Strategy::default())),
            Self::Map(value) => (value, Strategy::default()),
            Self::Struct(entry) => {
                let field = entry.field(name).ok_or_else(|| {
                    Error::Malformed(format!(
                        "unable to find api field in struct {} for the json field {name:?}",
                        entry.short()
                    ))
                })?;
                (&field.shape, field.patch.clone())
            }
        };
        Ok((
            match shape.resolved() {
                Shape::List(item) => Self::of(item),
                _ => Self::of(shape),
            },
            strategy,
        ))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Struct(entry) => entry.short(),
            Self::Map(_) | Self::Any => "map",
        })
    }
}

/// Merges one object's patch into it.
pub(super) fn merge_object(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Schema,
) -> Result<Map<String, Value>, Error> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => return Ok(patch),
            Some("delete") => return Ok(Map::new()),
            // Merging is what happens anyway.
            Some("merge") => {}
            _ => return Err(unknown_directive(&directive, &Value::Object(patch))),
        }
    }
    retain_keys(&mut original, &mut patch)?;
    let ordered: Vec<String> = patch.keys().filter(|key| key.starts_with(ORDER)).cloned().collect();
    for directive in ordered {
        order(&mut original, &mut patch, &directive, schema)?;
    }
    for (name, value) in patch {
        match name.strip_prefix(DELETE_FROM) {
            Some(name) => delete_from(&mut original, name, &value)?,
            None => merge_field(&mut original, name, value, schema)?,
        }
    }
    Ok(original)
}

fn merge_field(
    original: &mut Map<String, Value>,
    name: String,
    patch: Value,
    schema: Schema,
) -> Result<(), Error> {
    let merged = match (original.remove(&name), patch) {
        (_, Value::Null) => None,
        (Some(Value::Object(target)), Value::Object(patch)) => {
            let (schema, strategy) = schema.field(&name)?;
            Some(Value::Object(if strategy.replace { patch } else { merge_object(target, patch, schema)? }))
        }
        (Some(Value::Array(target)), Value::Array(patch)) => {
            let (schema, strategy) = schema.field(&name)?;
            Some(Value::Array(if strategy.merge {
                lists::merge(target, patch, schema, strategy.key)?
            } else {
                patch
            }))
        }
        (_, patch) => fresh(patch),
    };
    if let Some(merged) = merged {
        original.insert(name, merged);
    }
    Ok(())
}

/// What a patch's value is where it meets nothing: without nulls and directives. None where it is
/// a directive itself.
pub(super) fn fresh(mut patch: Value) -> Option<Value> {
    match &mut patch {
        Value::Object(map) => {
            if map.contains_key(DIRECTIVE) {
                return None;
            }
            map.retain(|_, value| !value.is_null());
            *map = std::mem::take(map)
                .into_iter()
                .filter(|(name, _)| !is_directive(name))
                .filter_map(|(name, value)| fresh(value).map(|value| (name, value)))
                .collect();
        }
        Value::Array(items) => *items = std::mem::take(items).into_iter().filter_map(fresh).collect(),
        _ => {}
    }
    Some(patch)
}

fn is_directive(name: &str) -> bool {
    name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(ORDER)
}

/// `$retainKeys`: what the patch sets must be among them.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), Error> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let wrong = || Error::Malformed("invalid patch format of retainKeys".to_owned());
    let retained = retained.as_array().ok_or_else(wrong)?;
    let keeps = |name: &str| retained.iter().any(|kept| kept.as_str() == Some(name));
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !keeps(name)) {
        return Err(wrong());
    }
    original.retain(|name, _| keeps(name));
    Ok(())
}

/// `$deleteFromPrimitiveList/<name>`.
fn delete_from(original: &mut Map<String, Value>, name: &str, unwanted: &Value) -> Result<(), Error> {
    let unwanted = unwanted
        .as_array()
        .ok_or_else(|| Error::Malformed("invalid patch format of primitive list".to_owned()))?;
    if let Some(Value::Array(list)) = original.get_mut(name) {
        *list = lists::without(std::mem::take(list), unwanted);
    }
    Ok(())
}

/// `$setElementOrder/<name>`: merges that list too, since its order needs both.
fn order(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    directive: &str,
    schema: Schema,
) -> Result<(), Error> {
    let wrong = || Error::Malformed("invalid patch format of setElementOrder list".to_owned());
    let Some(Value::Array(wanted)) = patch.remove(directive) else { return Err(wrong()) };
    let name = &directive[ORDER.len()..];
    let (_, strategy) = schema.field(name)?;
    let identity = Identity::of(strategy.key);
    let live = match original.get(name) {
        Some(list) => list.as_array().ok_or_else(wrong)?.clone(),
        None => Vec::new(),
    };
    // Deletions come first, or they would undo what the order needs.
    if let Some(unwanted) = patch.remove(&format!("{DELETE_FROM}{name}")) {
        delete_from(original, name, &unwanted)?;
    }
    if let Some(list) = patch.remove(name) {
        let items = match &list {
            Value::Array(items) => items,
            Value::Null => &Vec::new(),
            _ => return Err(wrong()),
        };
        lists::check_order(items, &wanted, identity)?;
        merge_field(original, name.to_owned(), list, schema)?;
    }
    if let Some(Value::Array(merged)) = original.get_mut(name) {
        *merged = lists::arrange(std::mem::take(merged), &wanted, &live, identity)?;
    }
    Ok(())
}

pub(super) fn unknown_directive(directive: &Value, patch: &Value) -> Error {
    let directive = directive.as_str().map_or_else(|| directive.to_string(), str::to_owned);
    Error::Malformed(format!("unknown patch type: {directive} in map: {patch}"))
}
