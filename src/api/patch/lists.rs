//! Merging lists: by a key, or as sets of scalars, and in the order that the patch asks for.

use serde_json::{Map, Value};

use super::Error;
use super::strategic::{self, DIRECTIVE, Schema};

/// What tells the items of a list apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Identity<'a> {
    /// The value of this field.
    Key(&'a str),
    /// The item itself.
    Whole,
}

impl<'a> Identity<'a> {
    /// How a list with this merge key tells its items apart.
    pub(super) fn of(key: &'a str) -> Self {
        if key.is_empty() { Self::Whole } else { Self::Key(key) }
    }

    fn id(self, item: &Value) -> Result<&Value, Error> {
        match self {
            Self::Whole => Ok(item),
            Self::Key(key) => object(item)?.get(key).ok_or_else(|| {
                Error::Malformed(format!("map: {item} does not contain declared merge key: {key}"))
            }),
        }
    }

    fn position(self, list: &[Value], item: &Value) -> Result<Option<usize>, Error> {
        let id = self.id(item)?;
        for (at, other) in list.iter().enumerate() {
            // An item of the tree without the key matches nothing.
            if self.id(other).ok() == Some(id) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// Merges the items of a patch's list into a tree's.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    schema: Schema,
    key: &str,
) -> Result<Vec<Value>, Error> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    check_items(&original, &patch)?;
    let of_objects = original.iter().chain(&patch).any(Value::is_object);
    let (identity, original, patch, merged) = if of_objects {
        if key.is_empty() {
            return Err(Error::Malformed(format!("cannot merge lists without merge key for {schema}")));
        }
        let (original, patch) = take_directives(original, patch, key)?;
        let merged = merge_objects(original.clone(), patch.clone(), schema, key)?;
        (Identity::Key(key), original, patch, merged)
    } else {
        let mut merged = Vec::new();
        for item in original.iter().chain(&patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        (Identity::Whole, original, patch, merged)
    };
    arrange(merged, &patch, &original, identity)
}

/// The list without these items.
pub(super) fn without(list: Vec<Value>, unwanted: &[Value]) -> Vec<Value> {
    list.into_iter().filter(|item| !unwanted.contains(item)).collect()
}

/// Puts a list in order: its items that `wanted` names stand as there, the others keep their order
/// in `live`, and where both orders allow it, an item stays before those that it stood before.
pub(super) fn arrange(
    list: Vec<Value>,
    wanted: &[Value],
    live: &[Value],
    identity: Identity<'_>,
) -> Result<Vec<Value>, Error> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in list {
        match identity.position(wanted, &item)? {
            Some(rank) => named.push((rank, identity.position(live, &item)?, item)),
            None => others.push((identity.position(live, &item)?, item)),
        }
    }
    named.sort_by_key(|(rank, _, _)| *rank);
    others.sort_by_key(|(rank, _)| *rank);
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, here, item) in named {
        while let Some((_, other)) =
            others.next_if(|(there, _)| matches!((there, here), (Some(there), Some(here)) if *there < here))
        {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others.map(|(_, item)| item));
    Ok(out)
}

/// Refuses a patch whose items do not stand in the order that the patch itself demands.
pub(super) fn check_order(patch: &[Value], order: &[Value], identity: Identity<'_>) -> Result<(), Error> {
    let kept: Vec<_> = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).collect();
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in &kept {
        let id = identity.id(item)?;
        let mut found = false;
        for other in rest.by_ref() {
            if identity.id(other)? == id {
                found = true;
                break;
            }
        }
        if !found {
            return Err(Error::Malformed(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(patch),
                Value::from(order)
            )));
        }
    }
    Ok(())
}

/// All items must be of one type, and none a list.
fn check_items(original: &[Value], patch: &[Value]) -> Result<(), Error> {
    let mut items = original.iter().chain(patch);
    let Some(first) = items.next() else { return Ok(()) };
    if original.iter().chain(patch).any(Value::is_array) {
        return Err(Error::Unprocessable("lists of lists are not supported".to_owned()));
    }
    let kind = std::mem::discriminant(first);
    if items.all(|item| std::mem::discriminant(item) == kind) {
        Ok(())
    } else {
        Err(Error::Malformed(format!(
            "list element types are not identical: [{} {}]",
            Value::from(original),
            Value::from(patch)
        )))
    }
}

/// Carries out `$patch: delete` and `$patch: replace`, and takes such items out of the patch.
fn take_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let mut rest = Vec::new();
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let id = Identity::Key(key).id(&item)?;
                original.retain(|other| other.get(key) != Some(id));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(Error::Malformed(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            _ => return Err(strategic::unknown_directive(directive, &item)),
        }
    }
    Ok(if replace { (rest, Vec::new()) } else { (original, rest) })
}

fn merge_objects(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    schema: Schema,
    key: &str,
) -> Result<Vec<Value>, Error> {
    for item in patch {
        match Identity::Key(key).position(&original, &item)? {
            Some(at) => {
                let (target, item) = (take(&mut original[at])?, owned(item)?);
                original[at] = Value::Object(strategic::merge_object(target, item, schema)?);
            }
            None => original.extend(strategic::fresh(item)),
        }
    }
    Ok(original)
}

fn take(value: &mut Value) -> Result<Map<String, Value>, Error> {
    owned(value.take())
}

fn owned(value: Value) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(not_an_object(&other)),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, Error> {
    value.as_object().ok_or_else(|| not_an_object(value))
}

fn not_an_object(value: &Value) -> Error {
    Error::Malformed(format!("expected a map[string]interface {{}}, but received a {value}"))
}
