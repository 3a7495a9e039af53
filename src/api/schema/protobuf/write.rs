//! Writing a tree as gogo's generated encoders write the object that it is, byte for byte: fields by
//! number, entries of maps by key, and what is no pointer whether it says anything or not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::message::{Instead, Kind, Message, Part};
use super::read::ZERO_TIME;
use super::wire::{nested, put_bytes, put_fixed64, put_varint};
use super::{ProtobufError, Result};
use crate::api::schema::scalar;
use crate::api::schema::table::Scalar;

/// Writes the fields of a message, which are those of this object.
pub(super) fn message(message: &Message, object: &Map<String, Value>, out: &mut Vec<u8>) -> Result<()> {
    for (number, part) in &message.parts {
        match part {
            Part::Inline(_, inner) => nested(out, *number, |out| self::message(inner, object, out))?,
            Part::Field(slot) => match object.get(slot.field.name).filter(|value| !value.is_null()) {
                Some(value) => field(out, *number, &slot.kind, slot.field.name, value)?,
                None if slot.always => zero(out, *number, &slot.kind)?,
                None => {}
            },
        }
    }
    Ok(())
}

/// Writes a field, or each item of one that is repeated.
fn field(out: &mut Vec<u8>, number: u32, kind: &Kind, name: &'static str, value: &Value) -> Result<()> {
    let malformed = || ProtobufError::Malformed { field: name };
    match (kind, value) {
        // A null among a list's items, or for a map's key, is the zero of its type.
        (kind, Value::Null) => return zero(out, number, kind),
        (Kind::Scalar(scalar), value) => {
            return self::scalar(out, number, *scalar, value).ok_or_else(malformed);
        }
        (Kind::Json, value) => {
            let json = serde_json::to_vec(value).map_err(|_| malformed())?;
            return nested(out, number, |out| {
                put_bytes(out, 1, &json);
                Ok(())
            });
        }
        (Kind::Record(known), Value::Object(object)) => {
            return nested(out, number, |out| message(known.message(), object, out));
        }
        (Kind::List(item), Value::Array(items)) => {
            for value in items {
                field(out, number, item, name, value)?;
            }
        }
        (Kind::Wrapped(item), Value::Array(items)) => {
            return nested(out, number, |out| {
                items.iter().try_for_each(|value| field(out, 1, item, name, value))
            });
        }
        (Kind::Map(item), Value::Object(entries)) => {
            for (key, value) in entries {
                nested(out, number, |out| {
                    put_bytes(out, 1, key.as_bytes());
                    field(out, 2, item, name, value)
                })?;
            }
        }
        (Kind::Schema(known, instead), value) => {
            let own = Kind::Record(known);
            return nested(out, number, |out| match (instead, value) {
                (Instead::Schemas | Instead::Strings, Value::Object(_)) => field(out, 1, &own, name, value),
                (Instead::Bool, Value::Object(_)) => {
                    put_varint(out, 1, 1);
                    field(out, 2, &own, name, value)
                }
                (Instead::Bool, Value::Bool(flag)) => {
                    put_varint(out, 1, u64::from(*flag));
                    Ok(())
                }
                (Instead::Schemas, Value::Array(schemas)) => {
                    schemas.iter().try_for_each(|schema| field(out, 2, &own, name, schema))
                }
                (Instead::Strings, Value::Array(texts)) => {
                    let text = Kind::Scalar(Scalar::String);
                    texts.iter().try_for_each(|item| field(out, 2, &text, name, item))
                }
                _ => Err(malformed()),
            });
        }
        _ => return Err(malformed()),
    }
    Ok(())
}

/// Writes a scalar; none where the value is no such scalar.
fn scalar(out: &mut Vec<u8>, number: u32, scalar: Scalar, value: &Value) -> Option<()> {
    match (scalar, value) {
        (Scalar::String, Value::String(text)) => put_bytes(out, number, text.as_bytes()),
        (Scalar::Bytes, Value::String(text)) => put_bytes(out, number, &STANDARD.decode(text).ok()?),
        (Scalar::Bool, Value::Bool(flag)) => put_varint(out, number, u64::from(*flag)),
        // A negative number is one of 64 bits, however many its type has.
        (Scalar::Int32 | Scalar::Int64, value) => put_varint(out, number, value.as_i64()? as u64),
        (Scalar::Double, value) => put_fixed64(out, number, value.as_f64()?.to_bits()),
        (Scalar::Time, Value::String(text)) => time(out, number, text, false)?,
        (Scalar::MicroTime, Value::String(text)) => time(out, number, text, true)?,
        (Scalar::Quantity, value) => {
            let text = match value {
                Value::String(text) => scalar::quantity(text).ok()?,
                Value::Number(number) => scalar::quantity(&number.to_string()).ok()?,
                _ => return None,
            };
            nested(out, number, |out| {
                put_bytes(out, 1, text.as_bytes());
                Ok(())
            })
            .ok()?;
        }
        (Scalar::IntOrString, value) => {
            let (kind, whole, text) = match value {
                Value::String(text) => (1, 0, text.as_str()),
                value => (0, value.as_i64()?, ""),
            };
            nested(out, number, |out| {
                put_varint(out, 1, kind);
                put_varint(out, 2, whole as u64);
                put_bytes(out, 3, text.as_bytes());
                Ok(())
            })
            .ok()?;
        }
        _ => return None,
    }
    Some(())
}

/// Writes a field that is no pointer and says nothing.
fn zero(out: &mut Vec<u8>, number: u32, kind: &Kind) -> Result<()> {
    match kind {
        Kind::Scalar(Scalar::Bool | Scalar::Int32 | Scalar::Int64) => put_varint(out, number, 0),
        Kind::Scalar(Scalar::Double) => put_fixed64(out, number, 0),
        Kind::Scalar(Scalar::Quantity) => put_bytes(out, number, b"\x0a\x010"),
        Kind::Scalar(Scalar::IntOrString) => put_bytes(out, number, b"\x08\0\x10\0\x1a\0"),
        Kind::Record(known) => {
            let nothing = Map::new();
            return nested(out, number, |out| message(known.message(), &nothing, out));
        }
        // A text, a time or raw JSON.
        _ => put_bytes(out, number, &[]),
    }
    Ok(())
}

/// A time as seconds and nanoseconds; Go's zero time is a message without bytes.
fn time(out: &mut Vec<u8>, number: u32, text: &str, micro: bool) -> Option<()> {
    let nanoseconds = text.parse::<Timestamp>().ok()?.as_nanosecond();
    // Seconds are rounded down, so that what is left is never negative.
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let rest = nanoseconds.rem_euclid(1_000_000_000) as u64;
    let rest = if micro { rest / 1000 * 1000 } else { 0 };
    if (seconds, rest) == (ZERO_TIME, 0) {
        put_bytes(out, number, &[]);
        return Some(());
    }
    nested(out, number, |out| {
        put_varint(out, 1, seconds as u64);
        put_varint(out, 2, rest);
        Ok(())
    })
    .ok()
}
