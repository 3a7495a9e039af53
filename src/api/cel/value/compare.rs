//! Equality and order. Numbers of different types compare by what they are worth.
//!
//! Source: `common/types` of `cel-go` v0.26, and `pkg/cel/common/valuesunstructured.go` of `k8s.io/apiserver`
//! (1.36) for data: lists of a schema compare as sets or by keys where it says so.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::super::Fault;
use super::super::meter::{Meter, STEP};
use super::super::schema::ListType;
use super::list::{Joining, List, map_key, set_key};
use super::map::Map;
use super::object::Object;
use super::{Value, data};

/// Whether two values are equal, or why that cannot be asked.
pub(in super::super) fn equal<'a>(
    left: &Value<'a>,
    right: &Value<'a>,
    meter: &mut Meter,
) -> Result<bool, Fault> {
    meter.look(STEP)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => number_order(left, right) == Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::String(left), Value::String(right)) => {
            meter.look(left.len().min(right.len()))?;
            **left == **right
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.look(left.len().min(right.len()))?;
            **left == **right
        }
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
        (Value::Type(left), Value::Type(right)) => left.name() == right.name(),
        (Value::Optional(Some(left)), Value::Optional(Some(right))) => equal(left, right, meter)?,
        (Value::Optional(left), Value::Optional(right)) => left.is_none() && right.is_none(),
        (Value::List(left), Value::List(right)) => lists_equal(left, right, meter)?,
        (Value::List(list), _) if !list.is_plain() => return Err(Fault::no_overload()),
        (Value::Map(left), Value::Map(right)) => maps_equal(left, right, meter)?,
        (Value::Object(left), Value::Object(right)) => objects_equal(left, right, meter)?,
        (Value::Map(map), _) if !map.is_plain() => return Err(Fault::no_overload()),
        (Value::Url(left), Value::Url(right)) => left.text() == right.text(),
        (Value::Ip(left), Value::Ip(right)) => left == right,
        (Value::Cidr(left, ours), Value::Cidr(right, theirs)) => left == right && ours == theirs,
        (Value::Quantity(left), Value::Quantity(right)) => left == right,
        (Value::Semver(left), Value::Semver(right)) => left.order(right) == Ordering::Equal,
        (Value::Format(left), Value::Format(right)) => left.name == right.name,
        // Kubernetes' own types have no answer for others.
        (
            Value::Url(_)
            | Value::Ip(_)
            | Value::Cidr(..)
            | Value::Quantity(_)
            | Value::Semver(_)
            | Value::Format(_),
            _,
        ) => return Err(Fault::no_overload()),
        (Value::Preserved(left), Value::Preserved(right)) => preserved_equal(left, right, meter)?,
        (Value::Preserved(left), right) => equal(&data::scalar(left), right, meter)?,
        _ => false,
    })
}

/// Whether two objects have the same type, the same fields, and the same in each.
fn objects_equal<'a>(left: &Object<'a>, right: &Object<'a>, meter: &mut Meter) -> Result<bool, Fault> {
    if left.name() != right.name() || left.fields().len() != right.fields().len() {
        return Ok(false);
    }
    for ((ours, left), (theirs, right)) in left.fields().iter().zip(right.fields()) {
        if ours != theirs || !equal(left, right, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn preserved_equal(left: &Json, right: &Json, meter: &mut Meter) -> Result<bool, Fault> {
    meter.look(STEP)?;
    Ok(match (left, right) {
        (Json::Array(left), Json::Array(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right) {
                if !preserved_equal(left, right, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (Json::Object(left), Json::Object(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (key, left) in left {
                let Some(right) = right.get(key) else { return Ok(false) };
                if !preserved_equal(left, right, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (Json::String(left), Json::String(right)) => {
            meter.look(left.len().min(right.len()))?;
            left == right
        }
        _ => left == right,
    })
}

fn lists_equal<'a>(left: &List<'a>, right: &List<'a>, meter: &mut Meter) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    match left.joining() {
        Joining::By(ListType::Set) => {
            let known = left.keys(meter)?;
            for value in right.iter() {
                meter.look(STEP)?;
                if !known.contains_key(&set_key(&value?)) {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Joining::By(ListType::Map(fields)) => {
            let known = left.map_keys(fields, meter)?;
            for value in right.iter() {
                meter.look(STEP)?;
                let value = value?;
                let Some(at) = known.get(&map_key(&value, fields)) else { return Ok(false) };
                if !equal(&left.get(*at)?, &value, meter)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        joining => {
            let plain = matches!(joining, Joining::Plain);
            for (left, right) in left.iter().zip(right.iter()) {
                match left.and_then(|left| equal(&left, &right?, meter)) {
                    Ok(true) => {}
                    // In a list that an expression made, only what is known to differ counts.
                    Err(Fault::Error(_)) if plain => {}
                    other => return other,
                }
            }
            Ok(true)
        }
    }
}

fn maps_equal<'a>(left: &Map<'a>, right: &Map<'a>, meter: &mut Meter) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for key in left.keys(meter)? {
        let (ours, theirs) = (left.find(&key)?, right.find(&key)?);
        let same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => equal(&ours, &theirs, meter),
            (None, None) => Ok(true),
            _ => Ok(false),
        };
        match same {
            Ok(true) => {}
            Err(Fault::Error(_)) if left.is_plain() => {}
            other => return other,
        }
    }
    // Fields without a schema compare as what they are.
    if let (Map::Data { map, schema }, Map::Data { map: other, .. }) = (left, right) {
        for (name, value) in map.iter().filter(|(name, _)| schema.property(name).is_none()) {
            if let Some(other) = other.get(name)
                && !preserved_equal(value, other, meter)?
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How two numbers compare; nothing if one is not a number.
fn number_order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    #[expect(clippy::cast_precision_loss, reason = "as cel-go compares")]
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Double(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Int(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
        (Value::Double(left), Value::Uint(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Uint(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
        _ => None,
    }
}

/// The order of two values, or why they have none.
pub(in super::super) fn compare(
    left: &Value<'_>,
    right: &Value<'_>,
    meter: &mut Meter,
) -> Result<Ordering, Fault> {
    meter.look(STEP)?;
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(right)),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => number_order(left, right).ok_or_else(|| Fault::error("NaN values cannot be ordered")),
        (Value::String(left), Value::String(right)) => {
            meter.look(left.len().min(right.len()))?;
            Ok((**left).cmp(&**right))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.look(left.len().min(right.len()))?;
            Ok((**left).cmp(&**right))
        }
        (Value::Duration(left), Value::Duration(right)) => Ok(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Ok(left.nanoseconds().cmp(&right.nanoseconds())),
        _ => Err(Fault::no_overload()),
    }
}
