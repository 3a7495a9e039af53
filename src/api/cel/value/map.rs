//! Maps: data behind a schema, or entries that an expression made.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::Fault;
use super::super::eval::Eval;
use super::super::meter::Meter;
use super::super::names;
use super::super::schema::Schema;
use super::convert::{lossless_int, lossless_uint};
use super::{Text, Value, from_data};

/// A map, or an object with fields.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// Data and its schema.
    #[expect(missing_docs, reason = "as said")]
    Data { map: &'a serde_json::Map<String, Json>, schema: &'a Schema },
    /// Entries, by key.
    Entries(Arc<BTreeMap<Key, Value<'a>>>),
    /// Entries, by key, where what is selected by a key that is not there is a map of nothing.
    Domains(Arc<BTreeMap<Key, Value<'a>>>),
}

/// A key of a map that an expression made.
///
/// 1 and 1u are keys of their own, but each is found by the other where it is not there itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// The bits of a floating-point number.
    Double(u64),
    /// Text.
    String(Arc<str>),
}

impl Key {
    /// The key that a value is; nothing where it can be none.
    pub(in super::super) fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Uint(number) => Self::Uint(*number),
            // There is one zero.
            Value::Double(number) => Self::Double((number + 0.0).to_bits()),
            Value::String(Text::Borrowed(text)) => Self::String((*text).into()),
            Value::String(Text::Shared(text)) => Self::String(text.clone()),
            _ => return None,
        })
    }

    fn value<'a>(&self) -> Value<'a> {
        match self {
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Uint(number) => Value::Uint(*number),
            Self::Double(bits) => Value::Double(f64::from_bits(*bits)),
            Self::String(text) => Value::String(Text::Shared(text.clone())),
        }
    }

    /// The keys under which an equal number may stand.
    pub(in super::super) fn alike(&self) -> [Option<Self>; 2] {
        match self {
            Self::Int(number) => [u64::try_from(*number).ok().map(Self::Uint), None],
            Self::Uint(number) => [i64::try_from(*number).ok().map(Self::Int), None],
            Self::Double(bits) => {
                let number = f64::from_bits(*bits);
                [lossless_int(number).map(Self::Int), lossless_uint(number).map(Self::Uint)]
            }
            _ => [None, None],
        }
    }

    /// The floating-point number that is worth as much as a whole one.
    pub(in super::super) fn as_double(&self) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "as cel-go converts")]
        match self {
            Self::Int(number) => Some(Self::Double((*number as f64).to_bits())),
            Self::Uint(number) => Some(Self::Double((*number as f64).to_bits())),
            _ => None,
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            _ => 8,
        }
    }
}

impl<'a> Map<'a> {
    /// Keys and values, in the order of the keys, with what does not fit the schema as an error.
    pub fn entries(&self) -> Vec<(Value<'a>, Result<Value<'a>, Fault>)> {
        let keys = self.keys(&mut Meter::new(u64::MAX)).unwrap_or_default();
        keys.into_iter()
            .map(|key| {
                let value = self.find(&key).map(|it| it.unwrap_or(Value::Null));
                (key, value)
            })
            .collect()
    }

    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::Data { map, .. } => map.len(),
            Self::Entries(entries) | Self::Domains(entries) => entries.len(),
        }
    }

    pub(in super::super) fn is_plain(&self) -> bool {
        !matches!(self, Self::Data { .. })
    }

    /// The value of a key. An object's field is asked for by its escaped name, and is not there where it is null.
    pub(in super::super) fn find(&self, key: &Value<'a>) -> Result<Option<Value<'a>>, Fault> {
        match self {
            Self::Data { map, schema } => match key {
                Value::String(name) => find_data(map, schema, name),
                _ => Err(Fault::no_overload()),
            },
            Self::Entries(entries) | Self::Domains(entries) => {
                let Some(key) = Key::of(key) else { return Ok(None) };
                let found = entries
                    .get(&key)
                    .or_else(|| key.alike().into_iter().flatten().find_map(|alike| entries.get(&alike)));
                Ok(found.cloned())
            }
        }
    }

    /// What is selected by a key that is not there, if that is anything.
    pub(in super::super) fn absent(&self) -> Option<Value<'a>> {
        matches!(self, Self::Domains(_)).then(|| Value::Map(Map::Entries(Arc::default())))
    }

    /// The keys, in order; of an object the escaped names of its declared fields.
    pub(in super::super) fn keys(&self, meter: &mut Meter) -> Result<Vec<Value<'a>>, Fault> {
        meter.make_values(self.len())?;
        match self {
            Self::Data { map, schema } => {
                let declared = map.iter().filter(|(name, _)| schema.property(name).is_some());
                let key = |(name, _): (&'a String, &'a Json)| {
                    if schema.has_fields()
                        && let Some(escaped) = names::escape(name).filter(|it| it != name)
                    {
                        return Value::text(escaped);
                    }
                    Value::String(Text::Borrowed(name))
                };
                Ok(declared.map(key).collect())
            }
            Self::Entries(entries) | Self::Domains(entries) => {
                meter.look(entries.keys().map(Key::octets).sum())?;
                Ok(entries.keys().map(Key::value).collect())
            }
        }
    }
}

fn find_data<'a>(
    map: &'a serde_json::Map<String, Json>,
    schema: &'a Schema,
    name: &str,
) -> Result<Option<Value<'a>>, Fault> {
    let is_object = schema.has_fields();
    let unescaped;
    let name = if is_object && name.contains("__") {
        let Some(plain) = names::unescape(name) else { return Ok(None) };
        unescaped = plain;
        &unescaped
    } else {
        name
    };
    let Some(data) = map.get(name).filter(|data| !(is_object && data.is_null())) else { return Ok(None) };
    schema.property(name).map(|schema| from_data(data, schema)).transpose()
}

/// A map in the making.
#[derive(Default)]
pub(in super::super) struct Builder<'a>(BTreeMap<Key, Value<'a>>);

impl<'a> Builder<'a> {
    pub(in super::super) fn set(&mut self, key: &Value<'a>, value: Value<'a>) -> Result<(), Fault> {
        self.0.insert(Self::key(key)?, value);
        Ok(())
    }

    pub(in super::super) fn unset(&mut self, key: &Value<'a>) -> Result<(), Fault> {
        self.0.remove(&Self::key(key)?);
        Ok(())
    }

    fn key(value: &Value<'a>) -> Result<Key, Fault> {
        Key::of(value).ok_or_else(|| Fault::error(format!("unsupported key type: {}", value.kind().name())))
    }

    pub(in super::super) fn done(self) -> Eval<'a> {
        Ok(Value::Map(Map::Entries(Arc::new(self.0))))
    }
}

/// The map with one entry more. It is changed in place where nobody else holds it.
pub(in super::super) fn insert<'a>(
    map: Map<'a>,
    key: &Value<'a>,
    value: Value<'a>,
    meter: &mut Meter,
) -> Result<Map<'a>, Fault> {
    if map.find(key)?.is_some() {
        return Err(Fault::error(format!("insert failed: key {} already exists", super::show(key))));
    }
    let mut entries = match map {
        Map::Entries(entries) | Map::Domains(entries) => entries,
        Map::Data { .. } => {
            let mut entries = BTreeMap::new();
            for key in map.keys(meter)? {
                if let (Some(known), Some(value)) = (Key::of(&key), map.find(&key)?) {
                    entries.insert(known, value);
                }
            }
            Arc::new(entries)
        }
    };
    if Arc::get_mut(&mut entries).is_none() {
        meter.make_values(entries.len().saturating_mul(2))?;
    }
    meter.make_values(2)?;
    Arc::make_mut(&mut entries).insert(Builder::key(key)?, value);
    Ok(Map::Entries(entries))
}
