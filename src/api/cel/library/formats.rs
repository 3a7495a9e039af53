//! Named formats of strings: `format.dns1123Label().validate(..)`.
//!
//! Source: `pkg/cel/library/format.go` of `k8s.io/apiserver` (1.36), and `pkg/validation/strfmt` of `kube-openapi`.

use std::fmt;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{List, Value, parse_date};
use super::url;
use crate::api::names;

/// A format of strings with a name.
pub struct NamedFormat {
    pub(in super::super) name: &'static str,
    /// What is wrong with a string.
    check: fn(&str) -> Vec<String>,
    /// Characters of the expression that it counts as.
    pub(in super::super) regex_size: u64,
}

impl fmt::Debug for NamedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NamedFormat").field(&self.name).finish()
    }
}

const fn format(name: &'static str, check: fn(&str) -> Vec<String>, regex_size: u64) -> NamedFormat {
    NamedFormat { name, check, regex_size }
}

/// The formats by the names that expressions call them.
static FORMATS: [(&str, NamedFormat); 13] = [
    ("dns1123Label", format("DNS1123Label", names::dns1123_label, 30)),
    ("dns1123Subdomain", format("DNS1123Subdomain", names::dns1123_subdomain, 60)),
    ("dns1035Label", format("DNS1035Label", names::dns1035_label, 30)),
    ("qualifiedName", format("QualifiedName", names::qualified_name, 60)),
    ("dns1123LabelPrefix", format("DNS1123LabelPrefix", |it| names::dns1123_label(&prefix(it)), 30)),
    (
        "dns1123SubdomainPrefix",
        format("DNS1123SubdomainPrefix", |it| names::dns1123_subdomain(&prefix(it)), 60),
    ),
    ("dns1035LabelPrefix", format("DNS1035LabelPrefix", |it| names::dns1035_label(&prefix(it)), 30)),
    ("labelValue", format("LabelValue", names::label_value, 40)),
    ("uri", format("URI", |it| url::check(it).err().into_iter().collect(), 1103)),
    ("uuid", format("uuid", |it| unless(is_uuid(it), "does not match the UUID format"), 70)),
    ("byte", format("byte", |it| unless(is_base64(it), "invalid base64"), 84)),
    ("date", format("date", |it| unless(is_date(it), "invalid date"), 71)),
    ("datetime", format("datetime", |it| unless(is_date_time(it), "invalid datetime"), 71)),
];

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 31, overloads, run }
}

macro_rules! constant {
    ($index:literal, $name:literal) => {
        row($name, &[($name, "() -> kubernetes.NamedFormat")], |_, _| Ok(Value::Format(&FORMATS[$index].1)))
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    constant!(0, "format.dns1123Label"),
    constant!(1, "format.dns1123Subdomain"),
    constant!(2, "format.dns1035Label"),
    constant!(3, "format.qualifiedName"),
    constant!(4, "format.dns1123LabelPrefix"),
    constant!(5, "format.dns1123SubdomainPrefix"),
    constant!(6, "format.dns1035LabelPrefix"),
    constant!(7, "format.labelValue"),
    constant!(8, "format.uri"),
    constant!(9, "format.uuid"),
    constant!(10, "format.byte"),
    constant!(11, "format.date"),
    constant!(12, "format.datetime"),
    row(
        "format.named",
        &[("format-named", "(string) -> optional_type(kubernetes.NamedFormat)")],
        |_, args| {
            let [Value::String(name)] = args else { return Err(Fault::no_overload()) };
            let found = FORMATS.iter().find(|(known, _)| *known == &**name);
            Ok(found.map_or(Value::Optional(None), |(_, format)| Value::some(Value::Format(format))))
        },
    ),
    row(
        "validate",
        &[("format-validate", "kubernetes.NamedFormat.(string) -> optional_type(list(string))")],
        |scope, args| {
            let [Value::Format(format), Value::String(text)] = args else { return Err(Fault::no_overload()) };
            scope.meter.make(text.len().saturating_mul(4))?;
            let problems = (format.check)(text);
            Ok(if problems.is_empty() {
                Value::Optional(None)
            } else {
                Value::some(Value::List(List::of(problems.into_iter().map(Value::text).collect())))
            })
        },
    ),
];

fn unless(fine: bool, problem: &str) -> Vec<String> {
    if fine { Vec::new() } else { vec![problem.to_owned()] }
}

/// The name with what may come behind it: a trailing hyphen is fine, and goes with the character before.
/// Source: `maskTrailingDash` in `pkg/api/validation/generic.go` of `k8s.io/apimachinery` (1.36).
fn prefix(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let end = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", &rest[..end])
        }
        _ => name.to_owned(),
    }
}

fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        match rest.split_at_checked(length) {
            Some((digits, after)) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

fn is_date(text: &str) -> bool {
    parse_date(text).is_some()
}

fn is_date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let Some(clock) = time.get(..8).map(str::as_bytes) else { return false };
    let pair = |from: usize, most: &[u8; 2]| {
        clock[from..from + 2].iter().all(u8::is_ascii_digit) && clock[from..from + 2] <= most[..]
    };
    let fine = pair(0, b"23") && pair(3, b"59") && pair(6, b"59") && clock[2] == b':' && clock[5] == b':';
    is_date(date) && fine && is_fraction_and_zone(&time[8..])
}

/// What may be behind the seconds. Any one character begins a fraction.
fn is_fraction_and_zone(text: &str) -> bool {
    let zone = |text: &str| {
        text == "z"
            || matches!(text.as_bytes(), [b'+' | b'-', a, b, b':', c, d]
                if [a, b, c, d].into_iter().all(u8::is_ascii_digit))
    };
    let mut rest = text.chars();
    rest.next();
    let digits = rest.as_str().trim_start_matches(|c: char| c.is_ascii_digit());
    zone(text) || (digits.len() < rest.as_str().len() && zone(digits))
}
