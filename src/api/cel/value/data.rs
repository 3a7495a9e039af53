//! Data as values, through its schema.
//!
//! Source: `UnstructuredToVal` in `pkg/cel/common/valuesunstructured.go` of `k8s.io/apiserver` (1.36).

use base64::Engine;
use serde_json::Value as Json;

use super::super::eval::Eval;
use super::super::schema::{Format, Kind, Schema};
use super::super::{Fault, library};
use super::{List, Map, Text, Value, timestamp};

/// The value that the data is by its schema, or what does not fit.
pub(in super::super) fn from_data<'a>(data: &'a Json, schema: &'a Schema) -> Eval<'a> {
    if data.is_null() {
        return if schema.nullable {
            Ok(Value::Null)
        } else {
            Err(Fault::error("invalid data, got null for schema with nullable=false"))
        };
    }
    if schema.int_or_string {
        return match data {
            Json::String(text) => Ok(Value::String(Text::Borrowed(text))),
            Json::Number(number) if number.as_i64().is_some() => {
                Ok(Value::Int(number.as_i64().unwrap_or_default()))
            }
            _ => Err(Fault::error(
                "invalid data, expected XIntOrString value to be either a string or integer",
            )),
        };
    }
    let unexpected =
        |wanted: &str| Err(Fault::error(format!("invalid data, expected {wanted}, got {}", go_type(data))));
    match schema.kind {
        Kind::Object => match data {
            Json::Object(map) => Ok(Value::Map(Map::Data { map, schema })),
            _ => Err(Fault::error("invalid data, expected a map for the provided schema with type=object")),
        },
        Kind::Array => match (data, &schema.items) {
            (Json::Array(items), Some(_)) => Ok(Value::List(List::Data { items, schema })),
            (Json::Array(_), None) => {
                Err(Fault::error("invalid array type, expected Items with a non-empty Schema"))
            }
            _ => Err(Fault::error("invalid data, expected an array for the provided schema with type=array")),
        },
        Kind::String => match data {
            Json::String(text) => string(text, schema.format),
            _ => unexpected("string"),
        },
        Kind::Number => match data.as_f64() {
            Some(number) => Ok(Value::Double(number)),
            None => unexpected("float"),
        },
        Kind::Integer => match data.as_i64() {
            Some(number) => Ok(Value::Int(number)),
            None => unexpected("int"),
        },
        Kind::Boolean => match data {
            Json::Bool(truth) => Ok(Value::Bool(*truth)),
            _ => unexpected("bool"),
        },
        Kind::Untyped if schema.preserve_unknown_fields => Ok(Value::Preserved(data)),
        Kind::Untyped => Err(Fault::error(
            "invalid type, expected object, array, number, integer, boolean or string, or no type with \
             x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true, got ",
        )),
    }
}

fn string(text: &str, format: Format) -> Eval<'_> {
    match format {
        Format::Other => Ok(Value::String(Text::Borrowed(text))),
        Format::Duration => match library::parse_format_duration(text) {
            Some(nanoseconds) => Ok(Value::Duration(nanoseconds)),
            None => Err(Fault::error(format!("Invalid duration {text}: unable to parse {text} as duration"))),
        },
        Format::Date => match timestamp::parse_date(text) {
            Some(time) => Ok(Value::Timestamp(time)),
            None => Err(Fault::error(format!(
                "Invalid date formatted string {text}: parsing time {} as \"2006-01-02\": cannot parse",
                super::quoted(text)
            ))),
        },
        Format::DateTime => match timestamp::parse_date_time(text) {
            Some(time) => Ok(Value::Timestamp(time)),
            None => Err(Fault::error(format!("Invalid date-time formatted string {text}: cannot parse"))),
        },
        Format::Byte => match base64::engine::general_purpose::URL_SAFE.decode(text) {
            Ok(octets) => Ok(Value::octets(octets)),
            Err(error) => Err(Fault::error(format!("Invalid byte formatted string {text}: {error}"))),
        },
    }
}

/// A value of plain JSON, without a schema: what elements of sets and keys of lists are compared by.
pub(in super::super) fn scalar(data: &Json) -> Value<'_> {
    match data {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::String(text) => Value::String(Text::Borrowed(text)),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64().unwrap_or_default()),
        },
        other => Value::Preserved(other),
    }
}

/// What Go calls the data's type.
fn go_type(data: &Json) -> &'static str {
    match data {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_i64() => "int64",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}
