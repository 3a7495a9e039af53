//! Functions of lists.
//!
//! Source: `pkg/cel/library/lists.go` of `k8s.io/apiserver` (1.36), and `ext/lists.go` (version 3) of `cel-go`
//! v0.26.

use std::cmp::Ordering;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::meter::{Meter, STEP};
use super::super::value::{List, Value, compare, equal};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

const fn newer(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 34, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(
        "isSorted",
        &[
            ("list_int_is_sorted_bool", "list(int).() -> bool"),
            ("list_uint_is_sorted_bool", "list(uint).() -> bool"),
            ("list_double_is_sorted_bool", "list(double).() -> bool"),
            ("list_bool_is_sorted_bool", "list(bool).() -> bool"),
            ("list_duration_is_sorted_bool", "list(duration).() -> bool"),
            ("list_timestamp_is_sorted_bool", "list(timestamp).() -> bool"),
            ("list_string_is_sorted_bool", "list(string).() -> bool"),
            ("list_bytes_is_sorted_bool", "list(bytes).() -> bool"),
        ],
        is_sorted,
    ),
    // Each sum begins with the zero of its type, so that each has its own.
    row("sum", &[("list_int_sum_int", "list(int).() -> int")], |scope, args| sum(scope, args, Value::Int(0))),
    row("sum", &[("list_uint_sum_uint", "list(uint).() -> uint")], |scope, args| {
        sum(scope, args, Value::Uint(0))
    }),
    row("sum", &[("list_double_sum_double", "list(double).() -> double")], |scope, args| {
        sum(scope, args, Value::Double(0.0))
    }),
    row("sum", &[("list_duration_sum_duration", "list(duration).() -> duration")], |scope, args| {
        sum(scope, args, Value::Duration(0))
    }),
    row(
        "max",
        &[
            ("list_int_max_int", "list(int).() -> int"),
            ("list_uint_max_uint", "list(uint).() -> uint"),
            ("list_double_max_double", "list(double).() -> double"),
            ("list_bool_max_bool", "list(bool).() -> bool"),
            ("list_duration_max_duration", "list(duration).() -> duration"),
            ("list_timestamp_max_timestamp", "list(timestamp).() -> timestamp"),
            ("list_string_max_string", "list(string).() -> string"),
            ("list_bytes_max_bytes", "list(bytes).() -> bytes"),
        ],
        |scope, args| extreme(scope, args, "max", Ordering::Less),
    ),
    row(
        "min",
        &[
            ("list_int_min_int", "list(int).() -> int"),
            ("list_uint_min_uint", "list(uint).() -> uint"),
            ("list_double_min_double", "list(double).() -> double"),
            ("list_bool_min_bool", "list(bool).() -> bool"),
            ("list_duration_min_duration", "list(duration).() -> duration"),
            ("list_timestamp_min_timestamp", "list(timestamp).() -> timestamp"),
            ("list_string_min_string", "list(string).() -> string"),
            ("list_bytes_min_bytes", "list(bytes).() -> bytes"),
        ],
        |scope, args| extreme(scope, args, "min", Ordering::Greater),
    ),
    row("indexOf", &[("list_a_index_of_int", "list(A).(A) -> int")], |scope, args| {
        let [Value::List(list), value] = args else { return Err(Fault::no_overload()) };
        position(list, value, 0..list.len(), scope.meter)
    }),
    row("lastIndexOf", &[("list_a_last_index_of_int", "list(A).(A) -> int")], |scope, args| {
        let [Value::List(list), value] = args else { return Err(Fault::no_overload()) };
        position(list, value, (0..list.len()).rev(), scope.meter)
    }),
    newer("slice", &[("list_slice", "list(A).(int, int) -> list(A)")], slice),
    newer(
        "flatten",
        &[
            ("list_flatten", "list(list(A)).() -> list(A)"),
            ("list_flatten_int", "list(dyn).(int) -> list(dyn)"),
        ],
        flatten,
    ),
    newer(
        "sort",
        &[
            ("list_int_sort", "list(int).() -> list(int)"),
            ("list_uint_sort", "list(uint).() -> list(uint)"),
            ("list_double_sort", "list(double).() -> list(double)"),
            ("list_bool_sort", "list(bool).() -> list(bool)"),
            ("list_google.protobuf.Duration_sort", "list(duration).() -> list(duration)"),
            ("list_google.protobuf.Timestamp_sort", "list(timestamp).() -> list(timestamp)"),
            ("list_string_sort", "list(string).() -> list(string)"),
            ("list_bytes_sort", "list(bytes).() -> list(bytes)"),
        ],
        |scope, args| match args {
            [Value::List(list)] => sort(list, list, scope.meter),
            _ => Err(Fault::no_overload()),
        },
    ),
    newer(
        "@sortByAssociatedKeys",
        &[
            ("list_int_sortByAssociatedKeys", "list(A).(list(int)) -> list(A)"),
            ("list_uint_sortByAssociatedKeys", "list(A).(list(uint)) -> list(A)"),
            ("list_double_sortByAssociatedKeys", "list(A).(list(double)) -> list(A)"),
            ("list_bool_sortByAssociatedKeys", "list(A).(list(bool)) -> list(A)"),
            ("list_google.protobuf.Duration_sortByAssociatedKeys", "list(A).(list(duration)) -> list(A)"),
            ("list_google.protobuf.Timestamp_sortByAssociatedKeys", "list(A).(list(timestamp)) -> list(A)"),
            ("list_string_sortByAssociatedKeys", "list(A).(list(string)) -> list(A)"),
            ("list_bytes_sortByAssociatedKeys", "list(A).(list(bytes)) -> list(A)"),
        ],
        |scope, args| match args {
            [Value::List(list), Value::List(keys)] => sort(list, keys, scope.meter),
            _ => Err(Fault::no_overload()),
        },
    ),
    newer("lists.range", &[("lists_range", "(int) -> list(int)")], |_, args| match args {
        // Nothing is made: what it costs is charged before anybody looks at it.
        [Value::Int(end)] => Ok(Value::List(List::Range((*end).max(0)))),
        _ => Err(Fault::no_overload()),
    }),
    newer("reverse", &[("list_reverse", "list(A).() -> list(A)")], |scope, args| {
        let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
        let mut values = list.values(scope.meter)?;
        values.reverse();
        Ok(Value::List(List::of(values)))
    }),
    newer("distinct", &[("list_distinct", "list(A).() -> list(A)")], distinct),
];

fn is_sorted<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    let mut before: Option<Value<'a>> = None;
    for value in list.iter() {
        let value = value?;
        if let Some(before) = &before
            && compare(before, &value, scope.meter)?.is_gt()
        {
            return Ok(Value::Bool(false));
        }
        before = Some(value);
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>], zero: Value<'a>) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    let mut sum = zero;
    for value in list.iter() {
        scope.meter.look(STEP)?;
        let value = value?;
        // Only numbers and spans are summed, which makes nothing large.
        sum = match (sum, value) {
            (Value::Int(a), Value::Int(b)) => {
                Value::Int(a.checked_add(b).ok_or_else(|| Fault::error("integer overflow"))?)
            }
            (Value::Uint(a), Value::Uint(b)) => {
                Value::Uint(a.checked_add(b).ok_or_else(|| Fault::error("unsigned integer overflow"))?)
            }
            (Value::Double(a), Value::Double(b)) => Value::Double(a + b),
            (Value::Duration(a), Value::Duration(b)) => {
                Value::Duration(a.checked_add(b).ok_or_else(|| Fault::error("integer overflow"))?)
            }
            _ => return Err(Fault::no_overload()),
        };
    }
    Ok(sum)
}

/// The first element than which none is further in one direction.
fn extreme<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>], name: &str, nearer: Ordering) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    let mut found: Option<Value<'a>> = None;
    for value in list.iter() {
        let value = value?;
        match &found {
            Some(best) if compare(best, &value, scope.meter)? != nearer => {}
            _ => found = Some(value),
        }
    }
    found.ok_or_else(|| Fault::error(format!("{name} called on empty list")))
}

fn position<'a>(
    list: &List<'a>,
    value: &Value<'a>,
    indices: impl Iterator<Item = usize>,
    meter: &mut Meter,
) -> Eval<'a> {
    for index in indices {
        match list.get(index).and_then(|element| equal(&element, value, meter)) {
            Ok(true) => return Ok(Value::Int(i64::try_from(index).unwrap_or(i64::MAX))),
            Err(fault) if !fault.is_error() => return Err(fault),
            _ => {}
        }
    }
    Ok(Value::Int(-1))
}

fn slice<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else {
        return Err(Fault::no_overload());
    };
    let wrong = |why: String| Err(Fault::error(format!("cannot slice({start}, {end}), {why}")));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return wrong("negative indexes not supported".to_owned());
    };
    if from > to {
        return wrong("start index must be less than or equal to end index".to_owned());
    }
    if list.len() < to {
        return wrong(format!("list is length {}", list.len()));
    }
    scope.meter.make_values(to - from)?;
    let values: Result<Vec<Value<'a>>, Fault> = (from..to).map(|index| list.get(index)).collect();
    Ok(Value::List(List::of(values?)))
}

fn flatten<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (list, depth) = match args {
        [Value::List(list)] => (list, 1),
        [Value::List(list), Value::Int(depth)] => (list, *depth),
        _ => return Err(Fault::no_overload()),
    };
    if depth < 0 {
        return Err(Fault::error("level must be non-negative"));
    }
    let mut values = Vec::new();
    flatten_into(&mut values, list, depth, scope.meter)?;
    Ok(Value::List(List::of(values)))
}

fn flatten_into<'a>(
    values: &mut Vec<Value<'a>>,
    list: &List<'a>,
    depth: i64,
    meter: &mut Meter,
) -> Result<(), Fault> {
    for value in list.iter() {
        match value? {
            Value::List(inner) if depth > 0 => {
                meter.look(STEP)?;
                flatten_into(values, &inner, depth - 1, meter)?;
            }
            other => {
                meter.make_values(1)?;
                values.push(other);
            }
        }
    }
    Ok(())
}

/// The list in the order of the keys that belong to its elements.
fn sort<'a>(list: &List<'a>, keys: &List<'a>, meter: &mut Meter) -> Eval<'a> {
    if list.len() != keys.len() {
        return Err(Fault::error(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and \
             {} elements respectively",
            list.len(),
            keys.len()
        )));
    }
    let values = list.values(meter)?;
    let keys = keys.values(meter)?;
    let Some(first) = keys.first() else { return Ok(Value::List(list.clone())) };
    if compare(first, first, meter).is_err() && !matches!(first, Value::Double(_)) {
        return Err(Fault::error("list elements must be comparable"));
    }
    if keys.iter().any(|key| key.kind() != first.kind()) {
        return Err(Fault::error("list elements must have the same type"));
    }
    // What sorting looks at is charged beforehand: every comparison at every level.
    let levels = keys.len().ilog2() as usize + 1;
    let octets = keys.iter().map(|key| 8 + key.bulk() + key.size().unwrap_or(0));
    meter.look(octets.sum::<usize>().saturating_mul(levels))?;
    let mut pairs: Vec<(Value<'a>, Value<'a>)> = keys.into_iter().zip(values).collect();
    pairs.sort_by(|(left, _), (right, _)| order(left, right));
    Ok(Value::List(List::of(pairs.into_iter().map(|(_, value)| value).collect())))
}

/// The order of two keys of one type; what is not a number comes last.
fn order(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Uint(left), Value::Uint(right)) => left.cmp(right),
        (Value::Double(left), Value::Double(right)) => {
            left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
        }
        (Value::String(left), Value::String(right)) => (**left).cmp(&**right),
        (Value::Bytes(left), Value::Bytes(right)) => (**left).cmp(&**right),
        (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.nanoseconds().cmp(&right.nanoseconds()),
        _ => Ordering::Equal,
    }
}

fn distinct<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make_values(list.len())?;
    let mut values: Vec<Value<'a>> = Vec::new();
    for value in list.iter() {
        let value = value?;
        let mut seen = false;
        for other in &values {
            match equal(&value, other, scope.meter) {
                Ok(same) => seen |= same,
                Err(fault) if !fault.is_error() => return Err(fault),
                Err(_) => {}
            }
            if seen {
                break;
            }
        }
        if !seen {
            values.push(value);
        }
    }
    Ok(Value::List(List::of(values)))
}
