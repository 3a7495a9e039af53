//! Types, texts, numbers and enumerations.

use serde_json::Value;

use super::verdict::{Fault, Verdict};
use crate::api::structural::go::{self, Number};
use crate::api::structural::schema::{Schema, Type};
use crate::api::structural::trail::Trail;

/// The name and, of numbers, the format of a value's type.
fn found(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) => match Number::of(number) {
            Number::Int(_) => ("integer", "int64"),
            Number::Float(_) => ("number", "float64"),
        },
    }
}

/// Whether the value is of the type.
pub(super) fn ty(schema: &Schema, trail: &Trail<'_>, value: &Value) -> Verdict {
    let types: Vec<&str> = match schema.ty {
        _ if schema.int_or_string => vec!["integer", "string"],
        ty => ty.into_iter().map(Type::name).collect(),
    };
    let mut verdict = Verdict::default();
    verdict.count();
    let (name, format) = found(value);
    let wrong = |wanted: &str, found: &str| Verdict::of(Fault::ty(trail, wanted, found.into()));
    if value.is_null() {
        if !types.is_empty() && !schema.nullable {
            return wrong(&types.join(","), name);
        }
        return verdict;
    }
    let has = |ty: &str| types.contains(&ty);
    let whole = match value {
        Value::Number(number) => {
            matches!(Number::of(number), Number::Float(float) if go::is_integer(float)) && has("integer")
        }
        _ => false,
    };
    let wider = name == "integer" && has("number");
    let own = schema.format().unwrap_or_default();
    let textual = matches!(value, Value::String(_) | Value::Array(_));
    let fits = has(name) || whole || wider;
    if !(textual || own.is_empty() || fits || format == own) {
        return wrong(own, format);
    }
    if textual && !own.is_empty() && !(has("number") || has("integer")) {
        return verdict;
    }
    if !fits {
        return wrong(&types.join(","), name);
    }
    verdict
}

/// Whether the value is one of those that are named.
pub(super) fn enumeration(schema: &Schema, trail: &Trail<'_>, value: &Value, verdict: &mut Verdict) {
    if schema.enumeration.is_empty() || schema.enumeration.iter().any(|known| is_one(value, known)) {
        return;
    }
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let values = schema.enumeration.iter().map(shown).collect();
    verdict.add(Fault::not_supported(trail, value.clone(), values));
}

/// Whether a value is one that is named, by the kind of number of the latter.
fn is_one(value: &Value, known: &Value) -> bool {
    match (value, known) {
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Number(value), Value::Number(known)) => match (Number::of(value), Number::of(known)) {
            (Number::Float(float), Number::Int(int)) => float.trunc() == int as f64,
            (value, known) => value.float() == known.float(),
        },
        (value, known) => go::same(value, known),
    }
}

/// Length and pattern; the first that is wrong is told.
pub(super) fn text(schema: &Schema, trail: &Trail<'_>, text: &str, verdict: &mut Verdict) {
    let bounds = &schema.bounds;
    if bounds.max_length.is_some() || bounds.min_length.is_some() {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(most) = bounds.max_length.filter(|most| length > *most) {
            verdict.add(Fault::too_long(trail, most));
            return;
        }
        if let Some(least) = bounds.min_length.filter(|least| length < *least) {
            let sentence = format!("should be at least {least} chars long");
            verdict.add(Fault::invalid(trail, text, sentence));
            return;
        }
    }
    if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        verdict.add(Fault::invalid(trail, text, format!("should match '{}'", pattern.text())));
    }
}

/// Range, multiples and, of a type that has one, the format.
pub(super) fn number(schema: &Schema, trail: &Trail<'_>, number: Number, value: &Value) -> Verdict {
    let mut verdict = Verdict::default();
    let in_range = |number, what: &str| in_range(schema, trail, number, what);
    in_range(number, "Checked").into_iter().for_each(|fault| verdict.add(fault));
    let bounds = &schema.bounds;
    // A bound that fits the type is compared as a value of the number's own kind.
    let as_own = |bound: f64, fits: bool| match number {
        Number::Int(_) if fits => Number::Int(bound as i64),
        _ => Number::Float(bound),
    };
    let fault = |sentence: String| Fault::invalid(trail, value.clone(), sentence);
    if let Some(factor) = bounds.multiple_of {
        let misfit = in_range(Number::Float(factor), "MultipleOf");
        let factor = as_own(factor, misfit.is_none());
        misfit.into_iter().for_each(|fault| verdict.add(fault));
        if factor.float() <= 0.0 {
            verdict.add(not_positive(trail, factor));
        } else if !is_multiple(number, factor) {
            verdict.add(fault(format!("should be a multiple of {}", shown(factor))));
        }
    }
    if let Some(least) = bounds.minimum {
        let misfit = in_range(Number::Float(least), "Minimum boundary");
        let least = as_own(least, misfit.is_none());
        misfit.into_iter().for_each(|fault| verdict.add(fault));
        let order = compare(number, least);
        let wrong =
            order.is_some_and(|order| if bounds.exclusive_minimum { order.is_le() } else { order.is_lt() });
        if wrong {
            let or_equal = if bounds.exclusive_minimum { "" } else { " or equal to" };
            verdict.add(fault(format!("should be greater than{or_equal} {}", shown(least))));
        }
    }
    if let Some(most) = bounds.maximum {
        let misfit = in_range(Number::Float(most), "Maximum boundary");
        let most = as_own(most, misfit.is_none());
        misfit.into_iter().for_each(|fault| verdict.add(fault));
        let order = compare(number, most);
        let wrong =
            order.is_some_and(|order| if bounds.exclusive_maximum { order.is_ge() } else { order.is_gt() });
        if wrong {
            let or_equal = if bounds.exclusive_maximum { "" } else { " or equal to" };
            verdict.add(fault(format!("should be less than{or_equal} {}", shown(most))));
        }
    }
    verdict.count();
    verdict
}

fn compare(one: Number, other: Number) -> Option<std::cmp::Ordering> {
    match (one, other) {
        (Number::Int(one), Number::Int(other)) => Some(one.cmp(&other)),
        _ => one.float().partial_cmp(&other.float()),
    }
}

fn shown(number: Number) -> String {
    match number {
        Number::Int(int) => int.to_string(),
        Number::Float(float) => go::float(float),
    }
}

fn not_positive(trail: &Trail<'_>, factor: Number) -> Fault {
    let (place, text) = (trail.dotted(), shown(factor));
    let message = format!("factor MultipleOf declared for {place} must be positive: {text}");
    match factor {
        Number::Int(int) => Fault::worded(trail, int, message),
        Number::Float(float) => Fault::worded(trail, float, message),
    }
}

fn is_multiple(number: Number, factor: Number) -> bool {
    match (number, factor) {
        (Number::Int(number), Number::Int(factor)) => number % factor == 0,
        _ => {
            let (number, factor) = (number.float(), factor.float());
            go::is_integer(if factor < 1.0 { 1.0 / factor * number } else { number / factor })
        }
    }
}

/// What is wrong where a number does not fit the type and format.
fn in_range(schema: &Schema, trail: &Trail<'_>, number: Number, what: &str) -> Option<Fault> {
    let format = schema.format().unwrap_or_default();
    let ty = schema.ty.filter(|_| !schema.int_or_string)?;
    let fits = match ty {
        Type::Integer => {
            let whole = match number {
                Number::Int(int) => Some(int),
                Number::Float(float) if float.fract() == 0.0 && float.abs() < 9.3e18 => Some(float as i64),
                Number::Float(_) => None,
            };
            whole.is_some_and(|int| format != "int32" || i32::try_from(int).is_ok())
        }
        Type::Number if format == "float" => (number.float() as f32).is_finite(),
        _ => true,
    };
    let place = trail.dotted();
    (!fits).then(|| {
        let (name, format) = match format {
            "" => (ty.name(), " (default format)".to_owned()),
            format => (ty.name(), format!(" with format {format}")),
        };
        Fault::whole(format!("{what} value must be of type {name}{format} in {place}"))
    })
}
