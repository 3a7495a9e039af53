//! Reading a tree by its type, in one pass over bytes or over another tree.
//!
//! The rules are those of `sigs.k8s.io/json` and the Go types behind the table: names are matched
//! exactly, a null is an absent field and so is what says nothing where Go has no pointer (`omitempty`), the first
//! value of a wrong type is the error but malformed JSON behind it wins, and of two equal fields the last counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::table::{self, Entry, Scalar, Shape};
use super::{DecodeError, Decoded, protobuf, scalar, syntax};
use crate::api::Resource;

/// Strict decoding stops counting here, as Kubernetes does.
const MOST_PROBLEMS: usize = 100;

/// What the whole tree must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    /// This struct.
    Type(&'static Entry),
    /// An object of which only the metadata are known.
    Custom,
}

impl Root {
    pub(super) fn of(resource: &Resource) -> Self {
        resource.schema.as_deref().and_then(table::find).map_or(Self::Custom, Self::Type)
    }

    fn expected(self) -> Expected {
        match self {
            Self::Type(entry) => Expected::Struct(entry),
            Self::Custom => Expected::Custom,
        }
    }
}

pub(super) fn bytes(root: Root, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let mut walk = Walk::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Node { walk: &mut walk, expected: root.expected() }
        .deserialize(&mut json)
        .and_then(|tree| json.end().map(|()| tree));
    walk.finish(read).map_err(|error| match (&error, syntax::complaint(bytes)) {
        (DecodeError::Syntax(_), Some(complaint)) => {
            DecodeError::Syntax(format!("couldn't get version/kind; json parse error: {complaint}"))
        }
        _ => error,
    })
}

pub(super) fn tree(root: Root, tree: Value) -> Result<Decoded, DecodeError> {
    let mut walk = Walk::default();
    let read = Node { walk: &mut walk, expected: root.expected() }.deserialize(tree);
    walk.finish(read)
}

/// Reads any JSON value off a stream, and tells of duplicate fields at every depth.
pub(crate) fn free<'de, D: Deserializer<'de>>(json: D) -> Result<(Value, Vec<String>), D::Error> {
    let mut walk = Walk::default();
    let read = Node { walk: &mut walk, expected: Expected::Free }.deserialize(json)?;
    Ok((read.unwrap_or(Value::Null), walk.problems))
}

/// What is known of the value at hand.
#[derive(Clone, Copy)]
enum Expected {
    Struct(&'static Entry),
    Shape(&'static Shape),
    /// The root of a custom resource.
    Custom,
    /// Any JSON, with duplicates told.
    Free,
    /// Any JSON, kept as it is.
    Raw,
}

#[derive(Default)]
struct Walk {
    problems: Vec<String>,
    failure: Option<String>,
    /// Where we are, as problems show it: `spec.containers[0].ports`.
    path: String,
    /// The fields that we are in and the struct of the last one, as failures show them.
    fields: Vec<&'static str>,
    owner: Option<&'static Entry>,
}

impl Walk {
    fn finish(self, read: Result<Option<Value>, serde_json::Error>) -> Result<Decoded, DecodeError> {
        let tree = read.map_err(|error| DecodeError::Syntax(error.to_string()))?;
        match (self.failure, tree) {
            (Some(failure), _) => Err(DecodeError::Type(failure)),
            (None, Some(tree)) => Ok(Decoded { tree, problems: self.problems }),
            (None, None) => Err(DecodeError::Type("expected an object, found null".to_owned())),
        }
    }

    fn fail(&mut self, why: impl FnOnce(&Self) -> String) {
        if self.failure.is_none() {
            self.failure = Some(why(self));
        }
    }

    /// A value of another type than `wanted`.
    fn mismatch(&mut self, found: &str, wanted: &str) {
        self.fail(|walk| match walk.owner {
            Some(owner) => format!(
                "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
                owner.short(),
                walk.fields.join(".")
            ),
            None => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
        });
    }

    fn problem(&mut self, what: &str, name: &str) {
        if self.problems.len() < MOST_PROBLEMS {
            let dot = if self.path.is_empty() { "" } else { "." };
            let problem = format!("{what} {:?}", format!("{}{dot}{name}", self.path));
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// Reads what stands behind a key.
    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        key: &str,
        expected: Expected,
    ) -> Result<Option<Value>, A::Error> {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let value = map.next_value_seed(Node { walk: self, expected });
        self.path.truncate(length);
        value
    }
}

/// One value, about to be read. `None` is a null where null means absent.
struct Node<'w> {
    walk: &'w mut Walk,
    expected: Expected,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Self::Value, D::Error> {
        if let Expected::Shape(shape) = self.expected {
            self.expected = match shape.resolved() {
                Shape::Named(entry) => Expected::Struct(entry),
                Shape::Scalar(Scalar::Any | Scalar::Object) => Expected::Raw,
                shape => Expected::Shape(shape),
            };
        }
        deserializer.deserialize_any(self)
    }
}

impl Node<'_> {
    /// A scalar of a kind that JSON has, found where any scalar may stand or where it must fit.
    fn scalar<E: serde::de::Error>(self, found: Value) -> Result<Option<Value>, E> {
        let kind = match self.expected {
            Expected::Free | Expected::Raw => return Ok(Some(found)),
            Expected::Shape(Shape::Scalar(kind)) => *kind,
            _ => {
                self.mismatch(&word(&found));
                return Ok(None);
            }
        };
        let canonical = match (kind, &found) {
            (Scalar::String, Value::String(_)) | (Scalar::Bool, Value::Bool(_)) => Ok(found),
            (Scalar::Double, Value::Number(_)) | (Scalar::IntOrString, Value::String(_)) => Ok(found),
            (Scalar::Int32 | Scalar::IntOrString, Value::Number(number)) if fits_i32(number) => Ok(found),
            (Scalar::Int64, Value::Number(number)) if number.is_i64() => Ok(found),
            (Scalar::Bytes, Value::String(text)) => scalar::bytes(text).map(Value::from),
            (Scalar::Time, Value::String(text)) => scalar::time(text).map(Value::from),
            (Scalar::MicroTime, Value::String(text)) => scalar::micro_time(text).map(Value::from),
            (Scalar::Quantity, Value::String(text)) => scalar::quantity(text.trim()).map(Value::from),
            (Scalar::Quantity, Value::Number(number)) => {
                scalar::quantity(&number.to_string()).map(Value::from)
            }
            (_, found) => {
                self.mismatch(&wrong_word(kind, found));
                return Ok(None);
            }
        };
        match canonical {
            Ok(value) => Ok(Some(value)),
            Err(wrong) => {
                self.walk.fail(|_| wrong);
                Ok(None)
            }
        }
    }

    fn mismatch(self, found: &str) {
        let wanted = match self.expected {
            Expected::Struct(entry) => entry.go_name(),
            Expected::Shape(shape) => go_type(shape),
            Expected::Custom | Expected::Free | Expected::Raw => "map[string]interface {}".to_owned(),
        };
        self.walk.mismatch(found, &wanted);
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(matches!(self.expected, Expected::Free | Expected::Raw).then_some(Value::Null))
    }

    fn visit_bool<E: serde::de::Error>(self, found: bool) -> Result<Self::Value, E> {
        self.scalar(Value::Bool(found))
    }

    fn visit_i64<E: serde::de::Error>(self, found: i64) -> Result<Self::Value, E> {
        self.scalar(found.into())
    }

    fn visit_u64<E: serde::de::Error>(self, found: u64) -> Result<Self::Value, E> {
        self.scalar(found.into())
    }

    fn visit_f64<E: serde::de::Error>(self, found: f64) -> Result<Self::Value, E> {
        let number = Number::from_f64(found).ok_or_else(|| E::custom("a number that is not finite"))?;
        self.scalar(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, found: &str) -> Result<Self::Value, E> {
        self.scalar(Value::String(found.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, found: String) -> Result<Self::Value, E> {
        self.scalar(Value::String(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let expected = match self.expected {
            Expected::Free | Expected::Raw => self.expected,
            Expected::Shape(Shape::List(item)) => Expected::Shape(item),
            _ => {
                self.mismatch("array");
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
        };
        let walk = self.walk;
        let mut items = Vec::new();
        loop {
            let length = walk.path.len();
            walk.path.push_str(&format!("[{}]", items.len()));
            let item = seq.next_element_seed(Node { walk: &mut *walk, expected })?;
            walk.path.truncate(length);
            match item {
                Some(value) => items.push(value.unwrap_or_else(|| zero(expected))),
                None => return Ok(Some(Value::Array(items))),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        match self.expected {
            Expected::Struct(entry) => visit_struct(self.walk, entry, map),
            Expected::Custom => visit_custom(self.walk, map),
            Expected::Free | Expected::Raw => visit_dictionary(self.walk, self.expected, map),
            Expected::Shape(Shape::Map(item)) => visit_dictionary(self.walk, Expected::Shape(item), map),
            Expected::Shape(_) => {
                self.mismatch("object");
                let mut map = map;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
    }
}

fn visit_struct<'de, A: MapAccess<'de>>(
    walk: &mut Walk,
    entry: &'static Entry,
    mut map: A,
) -> Result<Option<Value>, A::Error> {
    let mut out = Map::new();
    let mut seen = Vec::with_capacity(8);
    while let Some(key) = map.next_key::<String>()? {
        let Some(field) = entry.field(&key) else {
            walk.problem("unknown field", &key);
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        if seen.contains(&field.name) {
            walk.problem("duplicate field", &key);
        }
        seen.push(field.name);
        walk.fields.push(field.name);
        let owner = walk.owner.replace(entry);
        let value = walk.entry(&mut map, &key, Expected::Shape(&field.shape));
        walk.owner = owner;
        walk.fields.pop();
        match value? {
            Some(value) if !protobuf::is_omitted(entry, field.name, &value) => out.insert(key, value),
            _ => out.remove(&key),
        };
    }
    Ok(Some(Value::Object(out)))
}

/// A map, or an object of which nothing is known.
fn visit_dictionary<'de, A: MapAccess<'de>>(
    walk: &mut Walk,
    expected: Expected,
    mut map: A,
) -> Result<Option<Value>, A::Error> {
    let mut out = Map::new();
    while let Some(key) = map.next_key::<String>()? {
        if !matches!(expected, Expected::Raw) && out.contains_key(&key) {
            walk.problem("duplicate field", &key);
        }
        let value = walk.entry(&mut map, &key, expected)?;
        out.insert(key, value.unwrap_or_else(|| zero(expected)));
    }
    Ok(Some(Value::Object(out)))
}

/// A custom resource: its metadata are an object's, the rest is its own.
fn visit_custom<'de, A: MapAccess<'de>>(walk: &mut Walk, mut map: A) -> Result<Option<Value>, A::Error> {
    let head = table::find("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata")
        .ok_or_else(|| A::Error::custom("the schema table has no PartialObjectMetadata"))?;
    let mut out = Map::new();
    while let Some(key) = map.next_key::<String>()? {
        if out.contains_key(&key) {
            walk.problem("duplicate field", &key);
        }
        let known = match key.as_str() {
            "apiVersion" | "kind" | "metadata" => head.field(&key),
            _ => None,
        };
        let expected = known.map_or(Expected::Free, |field| Expected::Shape(&field.shape));
        if let Some(field) = known {
            walk.fields.push(field.name);
            walk.owner = Some(head);
        }
        let value = walk.entry(&mut map, &key, expected);
        if known.is_some() {
            walk.fields.pop();
            walk.owner = None;
        }
        if let Some(value) = value? {
            out.insert(key, value);
        }
    }
    Ok(Some(Value::Object(out)))
}

/// What a null stands for in a list or map, where nothing can be absent.
fn zero(expected: Expected) -> Value {
    let shape = match expected {
        Expected::Shape(shape) => shape.resolved(),
        Expected::Struct(_) | Expected::Custom => return Value::Object(Map::new()),
        Expected::Free | Expected::Raw => return Value::Null,
    };
    match shape {
        Shape::Named(_) | Shape::Map(_) => Value::Object(Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Scalar(kind) => match kind {
            Scalar::String | Scalar::Bytes => "".into(),
            Scalar::Bool => false.into(),
            Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::IntOrString => 0.into(),
            Scalar::Quantity => "0".into(),
            Scalar::Time | Scalar::MicroTime | Scalar::Any | Scalar::Object => Value::Null,
        },
    }
}

fn fits_i32(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

/// Go's word for a JSON value.
fn word(found: &Value) -> String {
    match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
    .to_owned()
}

/// Go's word for a JSON value that does not fit: a number that no integer can hold is shown.
fn wrong_word(wanted: Scalar, found: &Value) -> String {
    match (wanted, found) {
        (Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString, Value::Number(number)) => {
            format!("number {number}")
        }
        _ => word(found),
    }
}

/// Go's name of the type behind a shape.
fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::Named(_) => match shape.resolved() {
            Shape::Named(entry) => entry.go_name(),
            other => go_type(other),
        },
        Shape::List(item) => format!("[]{}", go_type(item)),
        Shape::Map(item) => format!("map[string]{}", go_type(item)),
        Shape::Scalar(kind) => match kind {
            Scalar::String | Scalar::Time | Scalar::MicroTime => "string",
            Scalar::Bool => "bool",
            Scalar::Int32 | Scalar::IntOrString => "int32",
            Scalar::Int64 => "int64",
            Scalar::Double => "float64",
            Scalar::Bytes => "[]uint8",
            Scalar::Quantity => "resource.Quantity",
            Scalar::Any | Scalar::Object => "interface {}",
        }
        .to_owned(),
    }
}
