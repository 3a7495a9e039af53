//! Conversions between types.
//!
//! Source: `common/stdlib/standard.go` and the `ConvertToType` of `common/types` of `cel-go` v0.26.

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{
    Timestamp, Value, double_text, duration_text, parse_bool, parse_double, parse_duration, parse_timestamp,
};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("type", &[("type", "(A) -> type(A)")], type_of),
    row("dyn", &[("to_dyn", "(A) -> dyn")], identity),
    row("bool", &[("bool_to_bool", "(bool) -> bool"), ("string_to_bool", "(string) -> bool")], to_bool),
    row(
        "bytes",
        &[("bytes_to_bytes", "(bytes) -> bytes"), ("string_to_bytes", "(string) -> bytes")],
        to_bytes,
    ),
    row(
        "double",
        &[
            ("double_to_double", "(double) -> double"),
            ("int64_to_double", "(int) -> double"),
            ("string_to_double", "(string) -> double"),
            ("uint64_to_double", "(uint) -> double"),
        ],
        to_double,
    ),
    row(
        "duration",
        &[
            ("duration_to_duration", "(duration) -> duration"),
            ("int64_to_duration", "(int) -> duration"),
            ("string_to_duration", "(string) -> duration"),
        ],
        to_duration,
    ),
    row(
        "int",
        &[
            ("int64_to_int64", "(int) -> int"),
            ("double_to_int64", "(double) -> int"),
            ("duration_to_int64", "(duration) -> int"),
            ("string_to_int64", "(string) -> int"),
            ("timestamp_to_int64", "(timestamp) -> int"),
            ("uint64_to_int64", "(uint) -> int"),
        ],
        to_int,
    ),
    row(
        "string",
        &[
            ("string_to_string", "(string) -> string"),
            ("bool_to_string", "(bool) -> string"),
            ("bytes_to_string", "(bytes) -> string"),
            ("double_to_string", "(double) -> string"),
            ("duration_to_string", "(duration) -> string"),
            ("int64_to_string", "(int) -> string"),
            ("timestamp_to_string", "(timestamp) -> string"),
            ("uint64_to_string", "(uint) -> string"),
        ],
        to_string,
    ),
    row(
        "timestamp",
        &[
            ("timestamp_to_timestamp", "(timestamp) -> timestamp"),
            ("int64_to_timestamp", "(int) -> timestamp"),
            ("string_to_timestamp", "(string) -> timestamp"),
        ],
        to_timestamp,
    ),
    row(
        "uint",
        &[
            ("uint64_to_uint64", "(uint) -> uint"),
            ("double_to_uint64", "(double) -> uint"),
            ("int64_to_uint64", "(int) -> uint"),
            ("string_to_uint64", "(string) -> uint"),
        ],
        to_uint,
    ),
];

fn failed<'a>(value: &Value<'a>, to: &str) -> Eval<'a> {
    Err(Fault::error(format!("type conversion error from '{}' to '{to}'", value.kind().name())))
}

/// The argument, if it is one. Text is looked at from beginning to end.
fn argument<'v, 'a>(scope: &mut Scope<'a, '_>, args: &'v [Value<'a>]) -> Result<&'v Value<'a>, Fault> {
    let [value] = args else { return Err(Fault::no_overload()) };
    scope.meter.look(value.bulk())?;
    Ok(value)
}

fn identity<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    argument(scope, args).cloned()
}

fn type_of<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(Value::Type(argument(scope, args)?.kind()))
}

fn to_bool<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match argument(scope, args)? {
        value @ Value::Bool(_) => Ok(value.clone()),
        value @ Value::String(text) => {
            parse_bool(text).map_or_else(|| failed(value, "bool"), |it| Ok(Value::Bool(it)))
        }
        _ => Err(Fault::no_overload()),
    }
}

fn to_bytes<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match argument(scope, args)? {
        value @ Value::Bytes(_) => Ok(value.clone()),
        Value::String(text) => {
            scope.meter.make(text.len())?;
            Ok(Value::octets(text.as_bytes()))
        }
        _ => Err(Fault::no_overload()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the language has it")]
fn to_double<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match argument(scope, args)? {
        value @ Value::Double(_) => Ok(value.clone()),
        Value::Int(number) => Ok(Value::Double(*number as f64)),
        Value::Uint(number) => Ok(Value::Double(*number as f64)),
        value @ Value::String(text) => {
            parse_double(text).map_or_else(|| failed(value, "double"), |it| Ok(Value::Double(it)))
        }
        _ => Err(Fault::no_overload()),
    }
}

fn to_duration<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match argument(scope, args)? {
        value @ Value::Duration(_) => Ok(value.clone()),
        value @ Value::String(text) => parse_duration(text)
            .map_or_else(|| failed(value, "google.protobuf.Duration"), |it| Ok(Value::Duration(it))),
        // cel-go declares this one, and has nothing that does it.
        value @ Value::Int(_) => failed(value, "google.protobuf.Duration"),
        _ => Err(Fault::no_overload()),
    }
}

fn to_int<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let overflow = || Fault::error("integer overflow");
    match argument(scope, args)? {
        value @ Value::Int(_) => Ok(value.clone()),
        Value::Uint(number) => i64::try_from(*number).map(Value::Int).map_err(|_| overflow()),
        Value::Double(number) => {
            super::super::value::checked_int(*number).map(Value::Int).ok_or_else(overflow)
        }
        Value::Duration(span) => Ok(Value::Int(*span)),
        Value::Timestamp(time) => Ok(Value::Int(time.seconds())),
        value @ Value::String(text) => {
            text.parse().map_or_else(|_| failed(value, "int"), |it| Ok(Value::Int(it)))
        }
        _ => Err(Fault::no_overload()),
    }
}

fn to_uint<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let overflow = || Fault::error("unsigned integer overflow");
    match argument(scope, args)? {
        value @ Value::Uint(_) => Ok(value.clone()),
        Value::Int(number) => u64::try_from(*number).map(Value::Uint).map_err(|_| overflow()),
        Value::Double(number) => {
            super::super::value::checked_uint(*number).map(Value::Uint).ok_or_else(overflow)
        }
        value @ Value::String(text) => match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(Value::Uint(number)),
            _ => failed(value, "uint"),
        },
        _ => Err(Fault::no_overload()),
    }
}

fn to_string<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let value = argument(scope, args)?;
    scope.meter.make(64)?;
    Ok(match value {
        Value::String(_) => value.clone(),
        Value::Bool(truth) => Value::text(truth.to_string()),
        Value::Int(number) => Value::text(number.to_string()),
        Value::Uint(number) => Value::text(number.to_string()),
        Value::Double(number) => Value::text(double_text(*number)),
        Value::Duration(span) => Value::text(duration_text(*span)),
        Value::Timestamp(time) => Value::text(time.to_string()),
        Value::Bytes(octets) => {
            scope.meter.make(octets.len())?;
            match std::str::from_utf8(octets) {
                Ok(text) => Value::text(text),
                Err(_) => return Err(Fault::error("invalid UTF-8 in bytes, cannot convert to string")),
            }
        }
        _ => return Err(Fault::no_overload()),
    })
}

fn to_timestamp<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let overflow = || Fault::error("timestamp overflow");
    match argument(scope, args)? {
        value @ Value::Timestamp(_) => Ok(value.clone()),
        Value::Int(seconds) => Timestamp::at(*seconds).map(Value::Timestamp).ok_or_else(overflow),
        value @ Value::String(text) => match parse_timestamp(text) {
            Some(time) => time.checked().map(Value::Timestamp).ok_or_else(overflow),
            None => failed(value, "google.protobuf.Timestamp"),
        },
        _ => Err(Fault::no_overload()),
    }
}
