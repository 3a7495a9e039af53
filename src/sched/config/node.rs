//! A document as a tree that still knows what strict decoding asks for.
//!
//! A `serde_json::Value` has forgotten the order of fields and those that stand twice. Here every value has
//! a number, in the order of the text, by which problems are sorted.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value and its place in the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// How many values begin before it.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The tree of a JSON text.
    pub(super) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let mut node: Self = serde_json::from_str(text)?;
        node.number(&mut 0);
        Ok(node)
    }

    /// A tree without duplicates, its fields in the order in which Go writes them: by name.
    pub(super) fn from_value(value: Value) -> Self {
        let mut node = Self::unnumbered(value);
        node.number(&mut 0);
        node
    }

    fn unnumbered(value: Value) -> Self {
        Self::of(match value {
            Value::Null => Kind::Null,
            Value::Bool(flag) => Kind::Bool(flag),
            Value::Number(number) => Kind::Number(number),
            Value::String(text) => Kind::Text(text),
            Value::Array(items) => Kind::List(items.into_iter().map(Self::unnumbered).collect()),
            Value::Object(map) => {
                let mut fields: Vec<_> =
                    map.into_iter().map(|(key, value)| (key, Self::unnumbered(value))).collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                Kind::Object(fields)
            }
        })
    }

    fn of(kind: Kind) -> Self {
        Self { at: 0, kind }
    }

    fn number(&mut self, next: &mut usize) {
        self.at = *next;
        *next += 1;
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.number(next)),
            Kind::Object(fields) => fields.iter_mut().for_each(|(_, field)| field.number(next)),
            _ => {}
        }
    }

    /// The same as plain JSON. Of two equal fields the last counts.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Object(fields) => Value::Object(
                fields.iter().map(|(key, field)| (key.clone(), field.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Go's word for what it is.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Number(_) => "number",
            Kind::Text(_) => "string",
            Kind::List(_) => "array",
            Kind::Object(_) => "object",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Kind, E> {
                Ok(Kind::Bool(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
                Ok(Kind::Number(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
                Ok(Kind::Number(number.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Kind, E> {
                let number =
                    Number::from_f64(number).ok_or_else(|| E::custom("a number that is not finite"))?;
                Ok(Kind::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Kind, E> {
                Ok(Kind::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Kind::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Kind::Object(fields))
            }
        }

        deserializer.deserialize_any(Any).map(Self::of)
    }
}
