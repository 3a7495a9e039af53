//! What a call costs when it is made.
//!
//! Source: `interpreter/runtimecost.go`, `ext/lists.go` and `ext/sets.go` of `cel-go` v0.26, and
//! `pkg/cel/library/cost.go` of `k8s.io/apiserver` (1.36).

use super::Fault;
use super::cost::{NEW_LIST, NEW_OBJECT, PER_CHARACTER, PER_REGEX_CHARACTER, scaled};
use super::eval::Eval;
use super::meter::{Meter, STEP};
use super::value::{List, Map, Value};

/// What it costs to ask an authorizer: two questions in one call. Source: `pkg/cel/library/cost.go` of
/// `k8s.io/apiserver` (1.36), as for what follows.
pub(super) const AUTHORIZATION: u64 = 350_000;
/// What says what an authorizer is asked, or what it answered.
pub(super) const AUTHORIZER: [&str; 11] = [
    "serviceAccount",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "allowed",
    "reason",
    "error",
    "errored",
];
/// The shortest requirement of a selector is two characters long.
pub(super) const REQUIREMENTS_PER_CHARACTER: f64 = 0.5;
/// What each requirement of a selector costs: a list and an object.
pub(super) const PER_REQUIREMENT: f64 = (NEW_LIST + NEW_OBJECT) as f64;

/// Comparisons that look at every character.
pub(super) const COMPARED: [&str; 8] = [
    "less_string",
    "greater_string",
    "less_equals_string",
    "greater_equals_string",
    "less_bytes",
    "greater_bytes",
    "less_equals_bytes",
    "greater_equals_bytes",
];

/// How a call's cost follows from its arguments and its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CallCost {
    One,
    /// An authorizer's opinion.
    Authorization,
    /// A selector that is parsed: the second argument.
    Selector,
    /// Characters of the first argument, times this.
    Text(f64),
    /// Characters of the result, times this.
    Result(f64),
    /// Elements of the second argument.
    Second,
    /// Characters or elements of the shorter of two.
    Shorter,
    /// As [`Shorter`](Self::Shorter), but one unit for Kubernetes' own types.
    Equal,
    /// Characters of both.
    Both,
    /// Those of the first, times those of the second.
    Product,
    /// Characters of the first, times what the pattern costs.
    Match,
    /// Everything in the first.
    Traversal,
    /// A block of addresses and an address, which may be text.
    Address {
        block: bool,
        text: bool,
    },
    /// A named format and a text.
    Format,
    /// Pairs of elements, times this.
    Pairs(f64),
    /// A new list as large as the result.
    NewList,
    /// A new list as large as the first, times the depth.
    Flatten,
    /// A new list, for which this argument's elements are compared with one another.
    Compared(usize),
}

impl CallCost {
    /// How a call of a function costs; without an overload where it may be one of several.
    pub(super) fn of(name: &str, overload: Option<&str>) -> Self {
        match overload.unwrap_or_default() {
            "list_sets_contains_list" | "list_sets_intersects_list" => return Self::Pairs(1.0),
            "list_sets_equivalent_list" => return Self::Pairs(2.0),
            "list_slice" | "lists_range" | "list_reverse" => return Self::NewList,
            "list_flatten" | "list_flatten_int" => return Self::Flatten,
            "list_distinct" => return Self::Compared(0),
            id if id.starts_with("list_") && id.ends_with("_sort") => return Self::Compared(0),
            id if id.ends_with("_sortByAssociatedKeys") => return Self::Compared(1),
            _ => {}
        }
        match name {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => Self::Traversal,
            "check" => Self::Authorization,
            "fieldSelector" | "labelSelector" => Self::Selector,
            name if AUTHORIZER.contains(&name) => Self::One,
            "url" | "jsonpatch.escapeKey" | "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                Self::Text(PER_CHARACTER)
            }
            "replace" | "split" => Self::Text(2.0 * PER_CHARACTER),
            "join" => Self::Result(2.0 * PER_CHARACTER),
            "find" | "findAll" => Self::Match,
            "ip" if overload == Some("cidr_ip") => Self::One,
            "cidr" | "isIP" | "isCIDR" | "ip" => Self::Text(PER_CHARACTER),
            "ip.isCanonical" => Self::Text(2.0 * PER_CHARACTER),
            "containsIP" | "containsCIDR" => Self::Address {
                block: name == "containsCIDR",
                text: matches!(overload, Some("cidr_contains_ip_string" | "cidr_contains_cidr_string")),
            },
            "quantity" | "isQuantity" | "semver" | "isSemver" => Self::Text(PER_CHARACTER),
            "validate" => Self::Format,
            _ => match overload.unwrap_or_default() {
                "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string"
                | "strings_quote" | "string_format" => Self::Text(PER_CHARACTER),
                "in_list" => Self::Second,
                "add_string" | "add_bytes" => Self::Both,
                "matches_string" => Self::Match,
                "contains_string" => Self::Product,
                id if COMPARED.contains(&id) => Self::Shorter,
                _ => Self::One,
            },
        }
    }

    /// The units that follow from the arguments; all of them, unless they depend on the result.
    pub(super) fn units(self, args: &[Eval<'_>], meter: &mut Meter) -> Result<u64, Fault> {
        let mut size = |index: usize| size(args.get(index), meter);
        Ok(match self {
            Self::One => 1,
            Self::Authorization => AUTHORIZATION,
            Self::Selector => {
                let length = size(1)?;
                let requirements = scaled(scaled(length, REQUIREMENTS_PER_CHARACTER), PER_REQUIREMENT);
                NEW_LIST.saturating_add(scaled(length, PER_CHARACTER)).saturating_add(requirements)
            }
            Self::Text(factor) => scaled(size(0)?, factor),
            Self::Result(_) | Self::NewList => 0,
            Self::Second => size(1)?,
            Self::Equal if matches!(args, [Ok(left), ..] if is_kubernetes(left)) => 1,
            Self::Shorter | Self::Equal => scaled(size(0)?.min(size(1)?), PER_CHARACTER),
            Self::Both => scaled(size(0)?.saturating_add(size(1)?), PER_CHARACTER),
            Self::Product => scaled(size(0)?, PER_CHARACTER).saturating_mul(scaled(size(1)?, PER_CHARACTER)),
            Self::Match => matching(size(0)?, size(1)?),
            Self::Traversal => match args {
                [Ok(value), ..] => traversal(value, meter)?,
                _ => 1,
            },
            Self::Address { block, text } => {
                let bits = size(0)?;
                let mut units = scaled(2 * bits, PER_CHARACTER);
                if block {
                    units += scaled(bits, PER_CHARACTER) + 1;
                }
                if text { units.saturating_add(scaled(size(1)?, PER_CHARACTER)) } else { units }
            }
            Self::Format => match args {
                [Ok(Value::Format(format)), _] => matching(size(1)?, format.regex_size),
                _ => 1,
            },
            Self::Pairs(factor) => 1 + factored(size(0)?.saturating_mul(size(1)?), factor),
            Self::Flatten => {
                match args {
                    // A negative depth is refused, and a little cheaper for it.
                    [_, Ok(Value::Int(depth @ i64::MIN..0))] => {
                        (1 + NEW_LIST).saturating_sub(size(0)?.saturating_mul(depth.unsigned_abs()))
                    }
                    #[expect(clippy::cast_precision_loss, reason = "as cel-go counts")]
                    [_, Ok(Value::Int(depth))] => new_list(size(0)?, *depth as f64),
                    _ => new_list(size(0)?, 1.0),
                }
            }
            Self::Compared(index) => {
                let count = size(index)?;
                let text = matches!(
                    args.get(index),
                    Some(Ok(Value::List(list)))
                        if list.len() > 0 && matches!(list.get(0), Ok(Value::String(_) | Value::Bytes(_)))
                );
                new_list(count.saturating_mul(count), if text { 2.0 + PER_CHARACTER } else { 2.0 })
            }
        })
    }

    /// All units, once the result is known.
    pub(super) fn with_result(self, before: u64, result: &Eval<'_>, meter: &mut Meter) -> Result<u64, Fault> {
        Ok(match self {
            Self::Result(factor) => scaled(size(Some(result), meter)?, factor),
            Self::NewList => new_list(size(Some(result), meter)?, 1.0),
            _ => before,
        })
    }
}

/// The size of an argument; 1 for what has none, an error too.
fn size(value: Option<&Eval<'_>>, meter: &mut Meter) -> Result<u64, Fault> {
    let Some(Ok(value)) = value else { return Ok(1) };
    meter.look(value.bulk())?;
    Ok(value.size().map_or(1, |size| size as u64))
}

fn matching(text: u64, regex: u64) -> u64 {
    scaled(text.saturating_add(1), PER_CHARACTER).saturating_mul(scaled(regex, PER_REGEX_CHARACTER))
}

/// So many units, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as cel-go counts; it saturates"
)]
fn factored(count: u64, factor: f64) -> u64 {
    (count as f64 * factor) as u64
}

fn new_list(count: u64, factor: f64) -> u64 {
    factored(count, factor).saturating_add(1 + NEW_LIST)
}

fn is_kubernetes(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Quantity(_)
            | Value::Ip(_)
            | Value::Cidr(..)
            | Value::Format(_)
            | Value::Url(_)
            | Value::Semver(_)
    )
}

/// What it costs to look at everything in a value.
fn traversal(value: &Value<'_>, meter: &mut Meter) -> Result<u64, Fault> {
    meter.look(STEP)?;
    Ok(match value {
        Value::String(text) => factored(text.len() as u64, PER_CHARACTER),
        Value::Bytes(octets) => factored(octets.len() as u64, PER_CHARACTER),
        Value::List(list) => list_traversal(list, meter)?,
        Value::Map(map) => map_traversal(map, meter)?,
        _ => 1,
    })
}

fn list_traversal(list: &List<'_>, meter: &mut Meter) -> Result<u64, Fault> {
    let mut units: u64 = 0;
    for value in list.iter() {
        units = units.saturating_add(match value {
            Ok(value) => traversal(&value, meter)?,
            Err(_) => 1,
        });
    }
    Ok(units)
}

fn map_traversal(map: &Map<'_>, meter: &mut Meter) -> Result<u64, Fault> {
    let mut units: u64 = 0;
    for key in map.keys(meter)? {
        units = units.saturating_add(traversal(&key, meter)?);
        units = units.saturating_add(match map.find(&key) {
            Ok(Some(value)) => traversal(&value, meter)?,
            _ => 1,
        });
    }
    Ok(units)
}
