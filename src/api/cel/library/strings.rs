//! Functions of strings. Places in strings are counted in code points.
//!
//! Source: `ext/strings.go` (version 2) and `common/types/string.go` of `cel-go` v0.26, and
//! `pkg/cel/library/jsonpatch.go` of `k8s.io/apiserver` (1.36), which is admission's alone.

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::meter::Meter;
use super::super::value::{List, Text, Value, escape, show};
use super::format;

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

const fn newer(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 29, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("contains", &[("contains_string", "string.(string) -> bool")], contains),
    row("endsWith", &[("ends_with_string", "string.(string) -> bool")], ends_with),
    row("startsWith", &[("starts_with_string", "string.(string) -> bool")], starts_with),
    row("charAt", &[("string_char_at_int", "string.(int) -> string")], char_at),
    row(
        "indexOf",
        &[
            ("string_index_of_string", "string.(string) -> int"),
            ("string_index_of_string_int", "string.(string, int) -> int"),
        ],
        index_of,
    ),
    row(
        "lastIndexOf",
        &[
            ("string_last_index_of_string", "string.(string) -> int"),
            ("string_last_index_of_string_int", "string.(string, int) -> int"),
        ],
        last_index_of,
    ),
    row("lowerAscii", &[("string_lower_ascii", "string.() -> string")], |scope, args| {
        made(scope, args, str::to_ascii_lowercase)
    }),
    row("upperAscii", &[("string_upper_ascii", "string.() -> string")], |scope, args| {
        made(scope, args, str::to_ascii_uppercase)
    }),
    row(
        "replace",
        &[
            ("string_replace_string_string", "string.(string, string) -> string"),
            ("string_replace_string_string_int", "string.(string, string, int) -> string"),
        ],
        replace,
    ),
    row(
        "split",
        &[
            ("string_split_string", "string.(string) -> list(string)"),
            ("string_split_string_int", "string.(string, int) -> list(string)"),
        ],
        split,
    ),
    row(
        "substring",
        &[
            ("string_substring_int", "string.(int) -> string"),
            ("string_substring_int_int", "string.(int, int) -> string"),
        ],
        substring,
    ),
    row("trim", &[("string_trim", "string.() -> string")], trim),
    row(
        "join",
        &[
            ("list_join", "list(string).() -> string"),
            ("list_join_string", "list(string).(string) -> string"),
        ],
        join,
    ),
    newer("format", &[("string_format", "string.(list(dyn)) -> string")], format::format),
    newer("strings.quote", &[("strings_quote", "(string) -> string")], |scope, args| {
        made(scope, args, quote)
    }),
];

fn contains<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::String(part)] = args else { return Err(Fault::no_overload()) };
    scope.meter.look(text.len().saturating_add(part.len()))?;
    Ok(Value::Bool(text.contains(&**part)))
}

fn ends_with<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::String(part)] = args else { return Err(Fault::no_overload()) };
    scope.meter.look(part.len())?;
    Ok(Value::Bool(text.ends_with(&**part)))
}

fn starts_with<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::String(part)] = args else { return Err(Fault::no_overload()) };
    scope.meter.look(part.len())?;
    Ok(Value::Bool(text.starts_with(&**part)))
}

/// What is made of a text, which may be twice as large.
fn made<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>], make: impl FnOnce(&str) -> String) -> Eval<'a> {
    let [Value::String(text)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make(text.len().saturating_mul(2))?;
    Ok(Value::text(make(text)))
}

fn out_of_range(index: i64) -> Fault {
    Fault::error(format!("index out of range: {index}"))
}

/// The byte at which the code point of that number begins, or the end for the one after the last.
fn place(text: &str, point: i64, meter: &mut Meter) -> Result<usize, Fault> {
    meter.look(text.len())?;
    let Ok(count) = usize::try_from(point) else { return Err(out_of_range(point)) };
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let mut places = places.skip(count);
    places.next().ok_or_else(|| out_of_range(point))
}

/// The number of the code point that begins at a byte.
fn point(text: &str, at: usize) -> i64 {
    i64::try_from(text[..at].chars().count()).unwrap_or(i64::MAX)
}

fn char_at<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::Int(index)] = args else { return Err(Fault::no_overload()) };
    let at = place(text, *index, scope.meter)?;
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    Ok(Value::String(text.part(at..at + length)))
}

fn index_of<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        _ => return Err(Fault::no_overload()),
    };
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    if from < 0 {
        return Err(out_of_range(from));
    }
    scope.meter.look(text.len().saturating_add(part.len()).saturating_mul(2))?;
    let Ok(start) = place(text, from, scope.meter) else { return Ok(Value::Int(-1)) };
    let found = text[start..].find(&**part);
    Ok(Value::Int(found.map_or(-1, |at| point(text, start + at))))
}

fn last_index_of<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, Some(*from)),
        _ => return Err(Fault::no_overload()),
    };
    scope.meter.look(text.len().saturating_add(part.len()).saturating_mul(2))?;
    let length = point(text, text.len());
    if part.is_empty() {
        return Ok(Value::Int(from.unwrap_or(length)));
    }
    let last = match from {
        Some(from) if from < 0 => return Err(out_of_range(from)),
        Some(from) if from >= length => return Ok(Value::Int(-1)),
        Some(from) => from,
        None => length,
    };
    // The last that begins at `last` or before: what it covers may end further on.
    let start = place(text, last, scope.meter)?;
    let end = text[start..].char_indices().nth(part.chars().count()).map_or(text.len(), |(at, _)| start + at);
    let found = text[..end].rfind(&**part);
    Ok(Value::Int(found.map_or(-1, |at| point(text, at))))
}

fn replace<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, old, new, most) = match args {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, -1),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(most)] => {
            (text, old, new, *most)
        }
        _ => return Err(Fault::no_overload()),
    };
    scope.meter.look(text.len().saturating_add(old.len()))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // How large it becomes is known before it is made.
    let count = text.matches(&**old).take(most).count();
    scope.meter.make(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Value::text(text.replacen(&**old, new, count)))
}

fn split<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, separator, most) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(most)] => (text, separator, *most),
        _ => return Err(Fault::no_overload()),
    };
    scope.meter.look(text.len().saturating_add(separator.len()))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Value::List(List::of(Vec::new())));
    }
    // Where each part ends and the next begins: without a separator, between any two code points.
    let mut cuts: Vec<(usize, usize)> = if separator.is_empty() {
        text.char_indices().skip(1).map(|(at, _)| (at, at)).take(most - 1).collect()
    } else {
        text.match_indices(&**separator).map(|(at, found)| (at, at + found.len())).take(most - 1).collect()
    };
    if text.is_empty() && separator.is_empty() {
        return Ok(Value::List(List::of(Vec::new())));
    }
    cuts.push((text.len(), text.len()));
    scope.meter.make_values(cuts.len())?;
    scope.meter.make(match text {
        Text::Borrowed(_) => 0,
        Text::Shared(text) => text.len().saturating_add(cuts.len().saturating_mul(16)),
    })?;
    let mut start = 0;
    let parts = cuts.into_iter().map(|(end, next)| {
        let part = text.part(start..end);
        start = next;
        Value::String(part)
    });
    Ok(Value::List(List::of(parts.collect())))
}

fn substring<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, range) = match args {
        [Value::String(text), Value::Int(start)] => (text, place(text, *start, scope.meter)?..text.len()),
        [Value::String(_), Value::Int(start), Value::Int(end)] if start > end => {
            return Err(Fault::error(format!("invalid substring range. start: {start}, end: {end}")));
        }
        [Value::String(text), Value::Int(start), Value::Int(end)] => {
            (text, place(text, *start, scope.meter)?..place(text, *end, scope.meter)?)
        }
        _ => return Err(Fault::no_overload()),
    };
    scope.meter.make(range.len())?;
    Ok(Value::String(text.part(range)))
}

fn trim<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make(text.len())?;
    let start = text.len() - text.trim_start().len();
    let end = start + text[start..].trim_end().len();
    Ok(Value::String(text.part(start..end)))
}

fn join<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (list, separator) = match args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, &**separator),
        _ => return Err(Fault::no_overload()),
    };
    let mut joined = String::new();
    for (index, part) in list.iter().enumerate() {
        let part = match part? {
            Value::String(part) => part,
            other => return Err(Fault::error(format!("join: invalid input: {}", show(&other)))),
        };
        scope.meter.make(part.len().saturating_add(separator.len()).saturating_add(8))?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&part);
    }
    Ok(Value::text(joined))
}

/// Other characters stay as they are, also those that cannot be seen.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match escape(c) {
            Some(escape) => quoted.push_str(escape),
            None => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
