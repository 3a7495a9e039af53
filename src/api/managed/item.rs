//! The items of a list that is merged: what tells them apart.

use serde_json::Value;

use super::element::PathElement;
use super::invalid::Problem;
use super::types::{Form, List, Merge};

/// The element by which a list's item is found.
///
/// A key that the item does not have counts as its default, and where it has none, the item is one
/// without that key.
pub(super) fn element(list: &List<'_>, item: &Value) -> Result<PathElement, String> {
    match &list.merge {
        Merge::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        Merge::Keys(keys) if !keys.is_empty() => keyed(list, keys, item),
        Merge::Keys(_) | Merge::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null".to_owned())
            }
            scalar => Ok(PathElement::Value(scalar.clone())),
        },
    }
}

fn keyed(list: &List<'_>, keys: &[&str], item: &Value) -> Result<PathElement, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let value = match fields.get(*key) {
            Some(value) => Some(value),
            None => match list.item.form(None) {
                Form::Map(map) => map.field(key).and_then(|field| field.default),
                _ => {
                    return Err(format!(
                        "couldn't find default value for {key}: associative list may not have non-map types"
                    ));
                }
            },
        };
        found.extend(value.map(|value| (*key, value.clone())));
    }
    if found.is_empty() {
        let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have \
             default values for any key fields)",
            keys.join(" ")
        ));
    }
    Ok(PathElement::key(found))
}

/// The elements of all items, in order; problems stand instead where an item has none.
pub(super) fn elements<'v>(
    list: &List<'_>,
    items: &'v [Value],
    problems: &mut Vec<Problem>,
) -> Vec<(PathElement, &'v Value)> {
    let mut out = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        match element(list, item) {
            Ok(element) => out.push((element, item)),
            Err(why) => problems.push(Problem::new(format!("element {at}: {why}"))),
        }
    }
    out
}

/// A list's items; none where the value is no list.
pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
