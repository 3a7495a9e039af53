//! `format`: values put into a text, `'%d of %.1f'.format([1, 2.0])`.
//!
//! Numbers are written as English has them, with commas between thousands and powers of ten raised. Source:
//! `ext/formatting.go` of `cel-go` v0.26.

use std::fmt::Write;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::meter::Meter;
use super::super::value::{List, Map, Value, double_text, duration_text, quoted, show};

/// A place in a format: what is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Clause {
    String,
    Decimal,
    /// With so many digits after the point.
    Fixed(usize),
    /// At least so wide: the digits are always six.
    Scientific(usize),
    Binary,
    /// In capitals, or not.
    Hex(bool),
    Octal,
}

const DIGITS: usize = 6;

/// The parts of a format.
enum Part<'f> {
    Text(&'f str),
    Clause(Clause),
}

/// Goes through a format. `arg` is asked before each clause is looked at whether there is one more argument.
fn walk<'f>(
    format: &'f str,
    mut arg: impl FnMut(usize) -> Result<(), Fault>,
    mut part: impl FnMut(Part<'f>, usize) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let (mut rest, mut count) = (format, 0);
    while let Some(start) = rest.find('%') {
        part(Part::Text(&rest[..start]), count)?;
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            part(Part::Text("%"), count)?;
            rest = after;
            continue;
        }
        arg(count)?;
        if rest.is_empty() {
            return Err(Fault::error("unexpected end of string"));
        }
        let (clause, after) =
            clause(rest).map_err(|why| Fault::error(format!("could not parse formatting clause: {why}")))?;
        part(Part::Clause(clause), count)?;
        (rest, count) = (after, count + 1);
    }
    part(Part::Text(rest), count)?;
    Ok(count)
}

fn clause(text: &str) -> Result<(Clause, &str), String> {
    let (precision, rest) = match text.strip_prefix('.') {
        None => (None, text),
        Some(after) => {
            let end = after.find(|c: char| !c.is_ascii_digit());
            let end =
                end.ok_or("error while parsing precision: could not find end of precision specifier")?;
            let digits = &after[..end];
            let number = digits.parse::<u32>().map_err(|_| {
                let why = if digits.is_empty() { "invalid syntax" } else { "value out of range" };
                let shown = quoted(digits);
                format!(
                    "error while parsing precision: error while converting precision to integer: strconv.Atoi: \
                     parsing {shown}: {why}"
                )
            })?;
            (Some(number as usize), &after[end..])
        }
    };
    let mut chars = rest.chars();
    let clause = match chars.next() {
        Some('s') => Clause::String,
        Some('d') => Clause::Decimal,
        Some('f') => Clause::Fixed(precision.unwrap_or(DIGITS)),
        Some('e') => Clause::Scientific(precision.unwrap_or(DIGITS)),
        Some('b') => Clause::Binary,
        Some('x') => Clause::Hex(false),
        Some('X') => Clause::Hex(true),
        Some('o') => Clause::Octal,
        other => return Err(format!("unrecognized formatting clause \"{}\"", other.unwrap_or('\u{fffd}'))),
    };
    Ok((clause, chars.as_str()))
}

impl Clause {
    /// That a value of this type has no place here.
    pub(in super::super) fn refuses(self, kind: &str) -> String {
        let only = match self {
            Self::String => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, \
                 durations, and timestamps"
            }
            Self::Decimal => "decimal clause can only be used on integers",
            Self::Fixed(_) => "fixed-point clause can only be used on doubles",
            Self::Scientific(_) => "scientific clause can only be used on doubles",
            Self::Binary => "only integers and bools can be formatted as binary",
            Self::Hex(_) => "only integers, byte buffers, and strings can be formatted as hex",
            Self::Octal => "octal clause can only be used on integers",
        };
        format!("error during formatting: {only}, was given {kind}")
    }
}

/// Goes through a format that is written out, with so many arguments. `check` is asked about each clause and the
/// number of its argument. Returns how many arguments are used.
pub(in super::super) fn check_format(
    format: &str,
    arguments: usize,
    mut check: impl FnMut(Clause, usize) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    walk(
        format,
        |index| there_is(index, arguments),
        |part, index| match part {
            Part::Text(_) => Ok(()),
            Part::Clause(clause) => check(clause, index),
        },
    )
}

fn there_is(index: usize, arguments: usize) -> Result<(), Fault> {
    if index < arguments { Ok(()) } else { Err(Fault::error(format!("index {index} out of range"))) }
}

pub(super) fn format<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(format), Value::List(list)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make(format.len())?;
    let meter = &mut *scope.meter;
    let mut text = String::new();
    walk(
        format,
        |index| there_is(index, list.len()),
        |part, index| match part {
            Part::Text(part) => {
                text.push_str(part);
                Ok(())
            }
            Part::Clause(clause) => write(&mut text, clause, &list.get(index)?, meter),
        },
    )?;
    Ok(Value::text(text))
}

fn write(text: &mut String, clause: Clause, value: &Value<'_>, meter: &mut Meter) -> Result<(), Fault> {
    meter.make(32)?;
    match (clause, value) {
        (Clause::String, value) => plain(text, value, meter)?,
        (Clause::Decimal, Value::Int(number)) => push(text, format_args!("{number}")),
        (Clause::Decimal, Value::Uint(number)) => push(text, format_args!("{number}")),
        (Clause::Fixed(digits), value) => fixed(text, number(clause, value)?, digits, meter)?,
        (Clause::Scientific(width), value) => {
            meter.make(width)?;
            scientific(text, number(clause, value)?, width);
        }
        (Clause::Binary, Value::Bool(truth)) => text.push(if *truth { '1' } else { '0' }),
        (Clause::Binary, Value::Uint(number)) => push(text, format_args!("{number:b}")),
        (Clause::Hex(false), Value::Uint(number)) => push(text, format_args!("{number:x}")),
        (Clause::Hex(true), Value::Uint(number)) => push(text, format_args!("{number:X}")),
        (Clause::Octal, Value::Uint(number)) => push(text, format_args!("{number:o}")),
        (Clause::Binary | Clause::Hex(_) | Clause::Octal, Value::Int(number)) => {
            if *number < 0 {
                text.push('-');
            }
            write(text, clause, &Value::Uint(number.unsigned_abs()), meter)?;
        }
        (Clause::Hex(capital), Value::String(it)) => hex(text, it.as_bytes(), capital, meter)?,
        (Clause::Hex(capital), Value::Bytes(octets)) => hex(text, octets, capital, meter)?,
        (clause, value) => return Err(Fault::error(clause.refuses(value.kind().name()))),
    }
    Ok(())
}

fn push(text: &mut String, args: std::fmt::Arguments<'_>) {
    // A string takes all that is written.
    let _ = text.write_fmt(args);
}

fn hex(text: &mut String, octets: &[u8], capital: bool, meter: &mut Meter) -> Result<(), Fault> {
    meter.make(octets.len().saturating_mul(2))?;
    for octet in octets {
        if capital {
            push(text, format_args!("{octet:02X}"));
        } else {
            push(text, format_args!("{octet:02x}"));
        }
    }
    Ok(())
}

/// The number that a clause for doubles is given, which some words are too.
fn number(clause: Clause, value: &Value<'_>) -> Result<f64, Fault> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::String(word) if &**word == "NaN" => Ok(f64::NAN),
        Value::String(word) if &**word == "Infinity" => Ok(f64::INFINITY),
        Value::String(word) if &**word == "-Infinity" => Ok(f64::NEG_INFINITY),
        other => Err(Fault::error(clause.refuses(other.kind().name()))),
    }
}

/// What stands for a number that has no digits.
fn without_digits(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number.is_infinite() {
        Some(if number > 0.0 { "\u{221e}" } else { "-\u{221e}" })
    } else {
        None
    }
}

/// No number has more digits than these after its point.
const MOST_DIGITS: usize = 1_100;

fn fixed(text: &mut String, number: f64, digits: usize, meter: &mut Meter) -> Result<(), Fault> {
    if let Some(word) = without_digits(number) {
        text.push_str(word);
        return Ok(());
    }
    meter.make(digits.saturating_add(500))?;
    let written = format!("{number:.*}", digits.min(MOST_DIGITS));
    let (sign, written) = written.strip_prefix('-').map_or(("", &*written), |rest| ("-", rest));
    let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
    text.push_str(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push('.');
        text.push_str(fraction);
        text.extend(std::iter::repeat_n('0', digits.saturating_sub(MOST_DIGITS)));
    }
    Ok(())
}

fn scientific(text: &mut String, number: f64, width: usize) {
    const RAISED: [char; 10] = [
        '\u{2070}', '\u{b9}', '\u{b2}', '\u{b3}', '\u{2074}', '\u{2075}', '\u{2076}', '\u{2077}', '\u{2078}',
        '\u{2079}',
    ];
    let mut shown = String::new();
    if let Some(word) = without_digits(number) {
        shown.push_str(word);
    } else {
        let written = format!("{number:.DIGITS$e}");
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("\u{207b}", rest));
        push(&mut shown, format_args!("{digits}\u{d7}10{sign}"));
        let raised = |digit: char| RAISED[digit.to_digit(10).unwrap_or(0) as usize];
        shown.extend(format!("{exponent:0>2}").chars().map(raised));
    }
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(shown.chars().count())));
    text.push_str(&shown);
}

/// A value by itself.
fn plain(text: &mut String, value: &Value<'_>, meter: &mut Meter) -> Result<(), Fault> {
    match value {
        Value::List(list) => self::list(text, list, meter),
        Value::Map(map) => self::map(text, map, meter),
        Value::String(it) => {
            meter.make(it.len())?;
            text.push_str(it);
            Ok(())
        }
        Value::Bytes(octets) => {
            meter.make(octets.len())?;
            let Ok(it) = std::str::from_utf8(octets) else {
                return Err(Fault::error(
                    "error during formatting: could not convert argument \"invalid UTF-8 in bytes, cannot convert \
                     to string\" to string",
                ));
            };
            text.push_str(it);
            Ok(())
        }
        Value::Double(number) => {
            text.push_str(&double_text(*number));
            Ok(())
        }
        Value::Timestamp(time) => {
            push(text, format_args!("{time}"));
            Ok(())
        }
        Value::Duration(span) => {
            text.push_str(&duration_text(*span));
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Type(_) => {
            text.push_str(&show(value));
            Ok(())
        }
        other => Err(Fault::error(Clause::String.refuses(other.kind().name()))),
    }
}

/// A value within a list or map.
fn element(text: &mut String, value: &Value<'_>, meter: &mut Meter) -> Result<(), Fault> {
    meter.make(16)?;
    match value {
        Value::String(it) => {
            meter.make(it.len().saturating_mul(2))?;
            text.push_str(&quoted(it));
        }
        Value::Bytes(_) => {
            let mut inside = String::new();
            plain(&mut inside, value, meter)?;
            meter.make(inside.len().saturating_mul(2))?;
            push(text, format_args!("b{}", quoted(&inside)));
        }
        Value::Double(number) if number.is_nan() => text.push_str("\"NaN\""),
        Value::Double(number) if number.is_infinite() => {
            text.push_str(if *number > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" });
        }
        Value::Double(number) => {
            meter.make(400)?;
            push(text, format_args!("{number:.DIGITS$}"));
        }
        Value::Timestamp(time) => push(text, format_args!("timestamp({})", quoted(&time.to_string()))),
        Value::Duration(span) => push(text, format_args!("duration({})", quoted(&duration_text(*span)))),
        Value::List(list) => self::list(text, list, meter)?,
        Value::Map(map) => self::map(text, map, meter)?,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Type(_) => {
            text.push_str(&show(value));
        }
        other => {
            let message =
                format!("error during formatting: no formatting function for {}", other.kind().name());
            return Err(Fault::error(message));
        }
    }
    Ok(())
}

fn list(text: &mut String, list: &List<'_>, meter: &mut Meter) -> Result<(), Fault> {
    text.push('[');
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        element(text, &value?, meter)?;
    }
    text.push(']');
    Ok(())
}

/// A map, sorted by what its keys look like.
fn map(text: &mut String, map: &Map<'_>, meter: &mut Meter) -> Result<(), Fault> {
    let mut pairs = Vec::new();
    for key in map.keys(meter)? {
        let (mut shown, mut value) = (String::new(), String::new());
        element(&mut shown, &key, meter)?;
        if let Some(found) = map.find(&key)? {
            element(&mut value, &found, meter)?;
        }
        pairs.push((shown, value));
    }
    pairs.sort();
    text.push('{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        push(text, format_args!("{}{key}:{value}", if index > 0 { ", " } else { "" }));
    }
    text.push('}');
    Ok(())
}
