//! Reading a message into the tree that the same object's JSON would be.
//!
//! A zero says that a field is absent, except where the field is a pointer or required: the encoders
//! write every field that is no pointer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::message::{Instead, Kind, Known, Message, Part, Slot};
use super::wire::{Wire, next, read_varint};
use super::{ProtobufError, Result};
use crate::api::schema::scalar;
use crate::api::schema::table::Scalar;

/// How deep the tree may nest. It becomes JSON, of which serde_json reads no more than 128 levels.
pub(super) const DEEPEST: usize = 120;
/// The seconds of Go's zero time, the first of January of the year 1.
pub(super) const ZERO_TIME: i64 = -62_135_596_800;
/// The seconds that RFC 3339 has a text for: years of four digits.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Reads the fields of a message into the object that it is, `depth` levels down.
pub(super) fn fill(
    message: &Message,
    object: &mut Map<String, Value>,
    mut bytes: &[u8],
    depth: usize,
) -> Result<()> {
    while let Some((number, wire)) = next(&mut bytes)? {
        match message.part(number) {
            Some(Part::Inline(name, inner)) => fill(inner, object, wire.bytes(name)?, depth)?,
            Some(Part::Field(slot)) => put(slot, object, wire, depth + 1)?,
            None => {}
        }
    }
    Ok(())
}

/// Puts what one occurrence of a field says into the object.
fn put(slot: &Slot, object: &mut Map<String, Value>, wire: Wire<'_>, depth: usize) -> Result<()> {
    let name = slot.field.name;
    let malformed = || ProtobufError::Malformed { field: name };
    match &slot.kind {
        Kind::List(item) => {
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            let list = list.as_array_mut().ok_or_else(malformed)?;
            match (&**item, wire) {
                // Numbers may be packed.
                (Kind::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool), Wire::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        list.push(value(item, name, Wire::Varint(read_varint(&mut packed)?), depth + 1)?);
                    }
                }
                _ => list.push(value(item, name, wire, depth + 1)?),
            }
        }
        Kind::Map(item) => {
            let mut bytes = wire.bytes(name)?;
            let (mut key, mut found) = (String::new(), None);
            while let Some((number, wire)) = next(&mut bytes)? {
                match number {
                    1 => key = string(wire, name)?,
                    2 => found = Some(value(item, name, wire, depth + 1)?),
                    _ => {}
                }
            }
            let found = found.map_or_else(|| unwritten(item, name, depth + 1), Ok)?;
            let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            map.as_object_mut().ok_or_else(malformed)?.insert(key, found);
        }
        Kind::Record(known) => {
            // Occurrences of a message are merged, as protobuf wants it.
            let inner = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            record(known, inner.as_object_mut().ok_or_else(malformed)?, wire.bytes(name)?, name, depth)?;
        }
        kind => {
            let found = value(kind, name, wire, depth)?;
            let zero = match &found {
                Value::String(text) => text.is_empty(),
                Value::Bool(flag) => !flag,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            let pointer = !slot.always && !matches!(kind, Kind::Scalar(Scalar::Bytes));
            let scalar = matches!(kind, Kind::Scalar(_));
            let says_nothing = zero && scalar && !pointer && !slot.field.required;
            // A time or raw JSON that says nothing is absent whatever the field is.
            if !says_nothing && !found.is_null() {
                object.insert(name.into(), found);
            }
        }
    }
    Ok(())
}

/// What an entry of a map is whose value was not written.
fn unwritten(kind: &Kind, field: &'static str, depth: usize) -> Result<Value> {
    let wire = match kind {
        Kind::Scalar(Scalar::Bool | Scalar::Int32 | Scalar::Int64) => Wire::Varint(0),
        Kind::Scalar(Scalar::Double) => Wire::Fixed64(0),
        _ => Wire::Bytes(&[]),
    };
    value(kind, field, wire, depth)
}

fn record(
    known: &'static Known,
    object: &mut Map<String, Value>,
    bytes: &[u8],
    field: &'static str,
    depth: usize,
) -> Result<()> {
    if depth >= DEEPEST {
        return Err(ProtobufError::TooDeep { field });
    }
    fill(known.message(), object, bytes, depth)
}

/// One value, which stands `depth` levels down.
fn value(kind: &Kind, field: &'static str, wire: Wire<'_>, depth: usize) -> Result<Value> {
    let scalar = match kind {
        Kind::Scalar(scalar) => *scalar,
        Kind::Record(known) => {
            let mut object = Map::new();
            record(known, &mut object, wire.bytes(field)?, field, depth)?;
            return Ok(Value::Object(object));
        }
        Kind::Wrapped(item) => {
            let mut bytes = wire.bytes(field)?;
            let mut items = Vec::new();
            while let Some((number, wire)) = next(&mut bytes)? {
                if number == 1 {
                    items.push(value(item, field, wire, depth + 1)?);
                }
            }
            return Ok(Value::Array(items));
        }
        Kind::Schema(known, instead) => return schema(known, *instead, field, wire, depth),
        Kind::Json => return json(wire.bytes(field)?, field, depth),
        Kind::List(_) | Kind::Map(_) => return Err(ProtobufError::Malformed { field }),
    };
    let malformed = || ProtobufError::Malformed { field };
    Ok(match (scalar, wire) {
        (Scalar::String, wire) => string(wire, field)?.into(),
        (Scalar::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Scalar::Bool, Wire::Varint(number)) => (number != 0).into(),
        (Scalar::Int32, Wire::Varint(number)) => (number as i32).into(),
        (Scalar::Int64, Wire::Varint(number)) => (number as i64).into(),
        (Scalar::Double, Wire::Fixed64(bits)) => double(f64::from_bits(bits)).ok_or_else(malformed)?,
        (Scalar::Time, Wire::Bytes(bytes)) => time(bytes, false, field)?,
        (Scalar::MicroTime, Wire::Bytes(bytes)) => time(bytes, true, field)?,
        (Scalar::Quantity, Wire::Bytes(mut bytes)) => {
            let mut text = "0".to_owned();
            while let Some((number, wire)) = next(&mut bytes)? {
                if number == 1 {
                    text = scalar::quantity(&string(wire, field)?).map_err(|_| malformed())?;
                }
            }
            text.into()
        }
        (Scalar::IntOrString, Wire::Bytes(mut bytes)) => {
            let (mut is_text, mut number_value, mut text) = (false, 0, String::new());
            while let Some((number, wire)) = next(&mut bytes)? {
                match (number, wire) {
                    (1, Wire::Varint(kind)) => is_text = kind == 1,
                    (2, Wire::Varint(found)) => number_value = found as i32,
                    (3, wire @ Wire::Bytes(_)) => text = string(wire, field)?,
                    (1..=3, wire) => return Err(wire.wrong(field)),
                    _ => {}
                }
            }
            if is_text { text.into() } else { number_value.into() }
        }
        (_, wire) => return Err(wire.wrong(field)),
    })
}

/// A schema, or what stands in its place; null where neither does.
fn schema(
    known: &'static Known,
    instead: Instead,
    field: &'static str,
    wire: Wire<'_>,
    depth: usize,
) -> Result<Value> {
    let mut bytes = wire.bytes(field)?;
    let (mut own, mut others, mut flag) = (None, Vec::new(), false);
    while let Some((number, wire)) = next(&mut bytes)? {
        match (instead, number) {
            (Instead::Schemas | Instead::Strings, 1) | (Instead::Bool, 2) => {
                let own = own.get_or_insert_with(Map::new);
                record(known, own, wire.bytes(field)?, field, depth)?;
            }
            (Instead::Bool, 1) => match wire {
                Wire::Varint(number) => flag = number != 0,
                wire => return Err(wire.wrong(field)),
            },
            (Instead::Schemas, 2) => {
                let mut object = Map::new();
                record(known, &mut object, wire.bytes(field)?, field, depth + 1)?;
                others.push(Value::Object(object));
            }
            (Instead::Strings, 2) => others.push(string(wire, field)?.into()),
            _ => {}
        }
    }
    Ok(match (own, instead) {
        _ if !others.is_empty() => Value::Array(others),
        (Some(own), _) => Value::Object(own),
        (None, Instead::Bool) => flag.into(),
        (None, Instead::Schemas | Instead::Strings) => Value::Null,
    })
}

/// JSON in a message of its own; null where there is none.
fn json(mut bytes: &[u8], field: &'static str, depth: usize) -> Result<Value> {
    let mut found = Value::Null;
    while let Some((number, wire)) = next(&mut bytes)? {
        if number == 1 {
            let text = wire.bytes(field)?;
            found = match text {
                [] => Value::Null,
                text => serde_json::from_slice(text).map_err(|_| ProtobufError::Malformed { field })?,
            };
        }
    }
    if depth + nesting(&found) > DEEPEST {
        return Err(ProtobufError::TooDeep { field });
    }
    Ok(found)
}

/// How many levels a tree has.
fn nesting(tree: &Value) -> usize {
    match tree {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(nesting).max().unwrap_or_default(),
        _ => 0,
    }
}

/// A number as Go writes it: without a fraction where there is none.
fn double(number: f64) -> Option<Value> {
    let whole =
        number.trunc() == number && number.abs() < 9e15 && !(number == 0.0 && number.is_sign_negative());
    if whole {
        return Some((number as i64).into());
    }
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// Seconds and nanoseconds; null for the zero time.
fn time(mut bytes: &[u8], micro: bool, field: &'static str) -> Result<Value> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0i64, 0i32);
    while let Some((number, wire)) = next(&mut bytes)? {
        match (number, wire) {
            (1, Wire::Varint(found)) => seconds = found as i64,
            (2, Wire::Varint(found)) => nanos = found as i32,
            (1 | 2, wire) => return Err(wire.wrong(field)),
            _ => {}
        }
    }
    let nanos = if micro { nanos / 1000 * 1000 } else { 0 };
    if (seconds, nanos) == (ZERO_TIME, 0) {
        return Ok(Value::Null);
    }
    let written = YEARS.contains(&seconds).then(|| Timestamp::new(seconds, nanos).ok()).flatten();
    let time = written.ok_or(ProtobufError::Malformed { field })?;
    Ok(time.strftime(if micro { scalar::MICRO_TIME } else { scalar::TIME }).to_string().into())
}

pub(super) fn string(wire: Wire<'_>, field: &'static str) -> Result<String> {
    let bytes = wire.bytes(field)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Malformed { field })
}
