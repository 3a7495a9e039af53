//! Lists: data behind a schema, values, sequences of numbers, and two lists one after the other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::Fault;
use super::super::eval::Eval;
use super::super::meter::Meter;
use super::super::names;
use super::super::schema::{ListType, Schema};
use super::map::{Key, Map};
use super::{Value, from_data, scalar};

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// Data and the schema of the list.
    #[expect(missing_docs, reason = "as said")]
    Data { items: &'a [Json], schema: &'a Schema },
    /// Values.
    Values(Arc<Vec<Value<'a>>>, Joining<'a>),
    /// The numbers from 0 to before this one.
    Range(i64),
    /// One list, then another, with their elements in all.
    Chain(Arc<(List<'a>, List<'a>)>, usize),
}

/// How a list is compared and joined.
#[derive(Clone, Copy, Debug)]
pub enum Joining<'a> {
    /// As a list that an expression made.
    Plain,
    /// By the type of a list in a schema.
    By(&'a ListType),
}

impl<'a> List<'a> {
    pub(in super::super) fn of(values: Vec<Value<'a>>) -> Self {
        Self::Values(Arc::new(values), Joining::Plain)
    }

    /// The elements, with what does not fit the schema as an error.
    pub fn elements(&self) -> impl Iterator<Item = Result<Value<'a>, Fault>> {
        self.iter()
    }

    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::Data { items, .. } => items.len(),
            Self::Values(values, _) => values.len(),
            Self::Range(end) => usize::try_from(*end).unwrap_or(0),
            Self::Chain(_, length) => *length,
        }
    }

    /// How it is compared and joined.
    pub(in super::super) fn joining(&self) -> Joining<'a> {
        match self {
            Self::Data { schema, .. } => Joining::By(&schema.list_type),
            Self::Values(_, joining) => *joining,
            Self::Range(_) | Self::Chain(..) => Joining::Plain,
        }
    }

    pub(in super::super) fn is_plain(&self) -> bool {
        matches!(self.joining(), Joining::Plain)
    }

    /// The element at an index below the length.
    pub(in super::super) fn get(&self, index: usize) -> Eval<'a> {
        let (mut list, mut index) = (self, index);
        loop {
            match list {
                Self::Data { items, schema } => return from_data(&items[index], items_schema(schema)?),
                Self::Values(values, _) => return Ok(values[index].clone()),
                Self::Range(_) => return Ok(Value::Int(i64::try_from(index).unwrap_or(i64::MAX))),
                Self::Chain(parts, _) => {
                    let first = parts.0.len();
                    if index < first {
                        list = &parts.0;
                    } else {
                        (list, index) = (&parts.1, index - first);
                    }
                }
            }
        }
    }

    /// All elements, with whether each is what its schema says.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Eval<'a>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// All elements, copied out.
    pub(in super::super) fn values(&self, meter: &mut Meter) -> Result<Vec<Value<'a>>, Fault> {
        meter.make_values(self.len())?;
        self.iter().collect()
    }

    /// `self + other`: by the type of a list in a schema, the union of sets or the merge of maps.
    pub(in super::super) fn plus(self, other: Self, meter: &mut Meter) -> Eval<'a> {
        let joining = self.joining();
        let list_type = match joining {
            Joining::Plain => {
                let length = self.len().checked_add(other.len()).ok_or(Fault::CallLimit)?;
                return Ok(Value::List(match (self.len(), other.len()) {
                    (0, _) => other,
                    (_, 0) => self,
                    _ => Self::Chain(Arc::new((self, other)), length),
                }));
            }
            Joining::By(list_type) => list_type,
        };
        let mut values = self.values(meter)?;
        meter.make_values(other.len())?;
        match list_type {
            ListType::Atomic => {
                for value in other.iter() {
                    values.push(value?);
                }
            }
            ListType::Set => {
                let mut known = self.keys(meter)?;
                for value in other.iter() {
                    let value = value?;
                    if known.insert(set_key(&value), 0).is_none() {
                        values.push(value);
                    }
                }
            }
            ListType::Map(fields) => {
                let mut known = self.map_keys(fields, meter)?;
                for value in other.iter() {
                    let value = value?;
                    let next = values.len();
                    match known.entry(map_key(&value, fields)) {
                        Entry::Occupied(at) => values[*at.get()] = value,
                        Entry::Vacant(vacant) => {
                            vacant.insert(next);
                            values.push(value);
                        }
                    }
                }
            }
        }
        Ok(Value::List(Self::Values(Arc::new(values), joining)))
    }

    /// Elements of a set and where they stand.
    pub(super) fn keys(&self, meter: &mut Meter) -> Result<Known, Fault> {
        self.known(meter, set_key)
    }

    /// Keys of a list's elements and where they stand.
    pub(super) fn map_keys(&self, fields: &[String], meter: &mut Meter) -> Result<KnownKeys, Fault> {
        meter.make_values(self.len().saturating_mul(fields.len()))?;
        self.known(meter, |value| map_key(value, fields))
    }

    /// Where elements stand, by what they are known by.
    fn known<K: Ord>(
        &self,
        meter: &mut Meter,
        key: impl Fn(&Value<'a>) -> K,
    ) -> Result<BTreeMap<K, usize>, Fault> {
        meter.make_values(self.len())?;
        let mut known = BTreeMap::new();
        for (index, value) in self.iter().enumerate() {
            let value = value?;
            meter.make(value.bulk())?;
            known.insert(key(&value), index);
        }
        Ok(known)
    }
}

pub(super) type Known = BTreeMap<Option<Key>, usize>;
pub(super) type KnownKeys = BTreeMap<Vec<Option<Key>>, usize>;

fn items_schema(schema: &Schema) -> Result<&Schema, Fault> {
    let items = schema.items.as_deref();
    items.ok_or_else(|| Fault::error("invalid array type, expected Items with a non-empty Schema"))
}

/// What an element of a set is known by.
pub(super) fn set_key(value: &Value<'_>) -> Option<Key> {
    Key::of(value)
}

/// What an element of a list of type map is known by. The fields are looked up under their escaped names, as
/// Kubernetes does.
pub(super) fn map_key(value: &Value<'_>, fields: &[String]) -> Vec<Option<Key>> {
    let field = |name: &String| {
        let Value::Map(Map::Data { map, .. }) = value else { return None };
        let escaped = names::escape(name);
        Key::of(&scalar(map.get(escaped.as_deref().unwrap_or(name))?))
    };
    fields.iter().map(field).collect()
}

/// The index that a value is, if it is one. Source: `IndexOrError` in `common/types/list.go` of `cel-go` v0.26.
pub(in super::super) fn index(value: &Value<'_>) -> Result<i64, Fault> {
    let whole = match value {
        Value::Int(index) => Some(*index),
        Value::Uint(index) => i64::try_from(*index).ok(),
        Value::Double(index) => super::convert::lossless_int(*index),
        other => {
            return Err(Fault::error(format!("unsupported index type '{}' in list", other.kind().name())));
        }
    };
    whole.ok_or_else(|| Fault::error(format!("unsupported index value {} in list", super::show(value))))
}
