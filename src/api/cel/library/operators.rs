//! Operators, and the functions of containers.
//!
//! Source: `common/stdlib/standard.go` and `common/types` of `cel-go` v0.26.

use std::cmp::Ordering;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{Timestamp, Value, compare, equal};

pub(super) const FUNCTIONS: &[Function] = &[
    // These are evaluated apart: `super::super::plan` makes nodes of their own for them.
    row("_?_:_", &[("conditional", "(bool, A, A) -> A")], none),
    row("_&&_", &[("logical_and", "(bool, bool) -> bool")], none),
    row("_||_", &[("logical_or", "(bool, bool) -> bool")], none),
    row("_==_", &[("equals", "(A, A) -> bool")], none),
    row("_!=_", &[("not_equals", "(A, A) -> bool")], none),
    row("_[_]", &[("index_list", "(list(A), int) -> A"), ("index_map", "(map(A, B), A) -> B")], none),
    row("!_", &[("logical_not", "(bool) -> bool")], not),
    row("@not_strictly_false", &[("not_strictly_false", "(bool) -> bool")], not_strictly_false),
    row(
        "_+_",
        &[
            ("add_bytes", "(bytes, bytes) -> bytes"),
            ("add_double", "(double, double) -> double"),
            ("add_duration_duration", "(duration, duration) -> duration"),
            ("add_duration_timestamp", "(duration, timestamp) -> timestamp"),
            ("add_timestamp_duration", "(timestamp, duration) -> timestamp"),
            ("add_int64", "(int, int) -> int"),
            ("add_list", "(list(A), list(A)) -> list(A)"),
            ("add_string", "(string, string) -> string"),
            ("add_uint64", "(uint, uint) -> uint"),
        ],
        add,
    ),
    row(
        "_/_",
        &[
            ("divide_double", "(double, double) -> double"),
            ("divide_int64", "(int, int) -> int"),
            ("divide_uint64", "(uint, uint) -> uint"),
        ],
        divide,
    ),
    row("_%_", &[("modulo_int64", "(int, int) -> int"), ("modulo_uint64", "(uint, uint) -> uint")], modulo),
    row(
        "_*_",
        &[
            ("multiply_double", "(double, double) -> double"),
            ("multiply_int64", "(int, int) -> int"),
            ("multiply_uint64", "(uint, uint) -> uint"),
        ],
        multiply,
    ),
    row("-_", &[("negate_double", "(double) -> double"), ("negate_int64", "(int) -> int")], negate),
    row(
        "_-_",
        &[
            ("subtract_double", "(double, double) -> double"),
            ("subtract_duration_duration", "(duration, duration) -> duration"),
            ("subtract_int64", "(int, int) -> int"),
            ("subtract_timestamp_duration", "(timestamp, duration) -> timestamp"),
            ("subtract_timestamp_timestamp", "(timestamp, timestamp) -> duration"),
            ("subtract_uint64", "(uint, uint) -> uint"),
        ],
        subtract,
    ),
    row(
        "_<_",
        &[
            ("less_bool", "(bool, bool) -> bool"),
            ("less_int64", "(int, int) -> bool"),
            ("less_uint64", "(uint, uint) -> bool"),
            ("less_double", "(double, double) -> bool"),
            ("less_string", "(string, string) -> bool"),
            ("less_bytes", "(bytes, bytes) -> bool"),
            ("less_timestamp", "(timestamp, timestamp) -> bool"),
            ("less_duration", "(duration, duration) -> bool"),
        ],
        less,
    ),
    mixed(
        "_<_",
        &[
            ("less_int64_double", "(int, double) -> bool"),
            ("less_int64_uint64", "(int, uint) -> bool"),
            ("less_uint64_double", "(uint, double) -> bool"),
            ("less_uint64_int64", "(uint, int) -> bool"),
            ("less_double_int64", "(double, int) -> bool"),
            ("less_double_uint64", "(double, uint) -> bool"),
        ],
        less,
    ),
    row(
        "_<=_",
        &[
            ("less_equals_bool", "(bool, bool) -> bool"),
            ("less_equals_int64", "(int, int) -> bool"),
            ("less_equals_uint64", "(uint, uint) -> bool"),
            ("less_equals_double", "(double, double) -> bool"),
            ("less_equals_string", "(string, string) -> bool"),
            ("less_equals_bytes", "(bytes, bytes) -> bool"),
            ("less_equals_timestamp", "(timestamp, timestamp) -> bool"),
            ("less_equals_duration", "(duration, duration) -> bool"),
        ],
        less_equals,
    ),
    mixed(
        "_<=_",
        &[
            ("less_equals_int64_double", "(int, double) -> bool"),
            ("less_equals_int64_uint64", "(int, uint) -> bool"),
            ("less_equals_uint64_double", "(uint, double) -> bool"),
            ("less_equals_uint64_int64", "(uint, int) -> bool"),
            ("less_equals_double_int64", "(double, int) -> bool"),
            ("less_equals_double_uint64", "(double, uint) -> bool"),
        ],
        less_equals,
    ),
    row(
        "_>_",
        &[
            ("greater_bool", "(bool, bool) -> bool"),
            ("greater_int64", "(int, int) -> bool"),
            ("greater_uint64", "(uint, uint) -> bool"),
            ("greater_double", "(double, double) -> bool"),
            ("greater_string", "(string, string) -> bool"),
            ("greater_bytes", "(bytes, bytes) -> bool"),
            ("greater_timestamp", "(timestamp, timestamp) -> bool"),
            ("greater_duration", "(duration, duration) -> bool"),
        ],
        greater,
    ),
    mixed(
        "_>_",
        &[
            ("greater_int64_double", "(int, double) -> bool"),
            ("greater_int64_uint64", "(int, uint) -> bool"),
            ("greater_uint64_double", "(uint, double) -> bool"),
            ("greater_uint64_int64", "(uint, int) -> bool"),
            ("greater_double_int64", "(double, int) -> bool"),
            ("greater_double_uint64", "(double, uint) -> bool"),
        ],
        greater,
    ),
    row(
        "_>=_",
        &[
            ("greater_equals_bool", "(bool, bool) -> bool"),
            ("greater_equals_int64", "(int, int) -> bool"),
            ("greater_equals_uint64", "(uint, uint) -> bool"),
            ("greater_equals_double", "(double, double) -> bool"),
            ("greater_equals_string", "(string, string) -> bool"),
            ("greater_equals_bytes", "(bytes, bytes) -> bool"),
            ("greater_equals_timestamp", "(timestamp, timestamp) -> bool"),
            ("greater_equals_duration", "(duration, duration) -> bool"),
        ],
        greater_equals,
    ),
    mixed(
        "_>=_",
        &[
            ("greater_equals_int64_double", "(int, double) -> bool"),
            ("greater_equals_int64_uint64", "(int, uint) -> bool"),
            ("greater_equals_uint64_double", "(uint, double) -> bool"),
            ("greater_equals_uint64_int64", "(uint, int) -> bool"),
            ("greater_equals_double_int64", "(double, int) -> bool"),
            ("greater_equals_double_uint64", "(double, uint) -> bool"),
        ],
        greater_equals,
    ),
    row("@in", &[("in_list", "(A, list(A)) -> bool"), ("in_map", "(A, map(A, B)) -> bool")], contained),
    row(
        "size",
        &[
            ("size_bytes", "(bytes) -> int"),
            ("bytes_size", "bytes.() -> int"),
            ("size_list", "(list(A)) -> int"),
            ("list_size", "list(A).() -> int"),
            ("size_map", "(map(A, B)) -> int"),
            ("map_size", "map(A, B).() -> int"),
            ("size_string", "(string) -> int"),
            ("string_size", "string.() -> int"),
        ],
        size,
    ),
    // What macros of two variables fill their maps with. They name no other accumulator, so that this is reached
    // by nobody: `super::super::plan` makes nodes of its own for it.
    Function {
        name: "cel.@mapInsert",
        since: 32,
        overloads: &[
            ("@mapInsert_map_key_value", "(map(A, B), A, B) -> map(A, B)"),
            ("@mapInsert_map_map", "(map(A, B), map(A, B)) -> map(A, B)"),
        ],
        run: none,
    },
];

type Overloads = &'static [(&'static str, &'static str)];
type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: Overloads, run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

/// Comparisons of numbers of different types.
const fn mixed(name: &'static str, overloads: Overloads, run: Run) -> Function {
    Function { name, since: 28, overloads, run }
}

fn none<'a>(_: &mut Scope<'a, '_>, _: &[Value<'a>]) -> Eval<'a> {
    Err(Fault::no_overload())
}

fn not<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match args {
        [Value::Bool(truth)] => Ok(Value::Bool(!truth)),
        _ => Err(Fault::no_overload()),
    }
}

fn not_strictly_false<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(Value::Bool(!matches!(args, [Value::Bool(false)])))
}

fn overflow<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::error("integer overflow"))
}

fn unsigned_overflow<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::error("unsigned integer overflow"))
}

fn in_range(time: Option<Timestamp>) -> Result<Timestamp, Fault> {
    time.ok_or_else(|| Fault::error("timestamp overflow"))
}

fn add<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(a), Value::Int(b)] => Value::Int(overflow(a.checked_add(*b))?),
        [Value::Uint(a), Value::Uint(b)] => Value::Uint(unsigned_overflow(a.checked_add(*b))?),
        [Value::Double(a), Value::Double(b)] => Value::Double(a + b),
        [Value::String(a), Value::String(b)] => {
            scope.meter.make(a.len().saturating_add(b.len()))?;
            Value::text([&**a, &**b].concat())
        }
        [Value::Bytes(a), Value::Bytes(b)] => {
            scope.meter.make(a.len().saturating_add(b.len()))?;
            Value::octets([&**a, &**b].concat())
        }
        [Value::Duration(a), Value::Duration(b)] => Value::Duration(overflow(a.checked_add(*b))?),
        [Value::Timestamp(time), Value::Duration(span)] | [Value::Duration(span), Value::Timestamp(time)] => {
            Value::Timestamp(in_range(time.plus((*span).into()))?)
        }
        [Value::List(a), Value::List(b)] => return a.clone().plus(b.clone(), scope.meter),
        _ => return Err(Fault::no_overload()),
    })
}

fn subtract<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(a), Value::Int(b)] => Value::Int(overflow(a.checked_sub(*b))?),
        [Value::Uint(a), Value::Uint(b)] => Value::Uint(unsigned_overflow(a.checked_sub(*b))?),
        [Value::Double(a), Value::Double(b)] => Value::Double(a - b),
        [Value::Duration(a), Value::Duration(b)] => Value::Duration(overflow(a.checked_sub(*b))?),
        [Value::Timestamp(time), Value::Duration(span)] => {
            overflow(span.checked_neg())?;
            Value::Timestamp(in_range(time.plus(-i128::from(*span)))?)
        }
        [Value::Timestamp(a), Value::Timestamp(b)] => {
            let span = a.nanoseconds() - b.nanoseconds();
            Value::Duration(overflow(i64::try_from(span).ok())?)
        }
        _ => return Err(Fault::no_overload()),
    })
}

fn multiply<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(a), Value::Int(b)] => Value::Int(overflow(a.checked_mul(*b))?),
        [Value::Uint(a), Value::Uint(b)] => Value::Uint(unsigned_overflow(a.checked_mul(*b))?),
        [Value::Double(a), Value::Double(b)] => Value::Double(a * b),
        _ => return Err(Fault::no_overload()),
    })
}

fn divide<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            return Err(Fault::error("division by zero"));
        }
        [Value::Int(a), Value::Int(b)] => Value::Int(overflow(a.checked_div(*b))?),
        [Value::Uint(a), Value::Uint(b)] => Value::Uint(a / b),
        [Value::Double(a), Value::Double(b)] => Value::Double(a / b),
        _ => return Err(Fault::no_overload()),
    })
}

fn modulo<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            return Err(Fault::error("modulus by zero"));
        }
        [Value::Int(a), Value::Int(b)] => Value::Int(overflow(a.checked_rem(*b))?),
        [Value::Uint(a), Value::Uint(b)] => Value::Uint(a % b),
        _ => return Err(Fault::no_overload()),
    })
}

fn negate<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    Ok(match args {
        [Value::Int(number)] => Value::Int(overflow(number.checked_neg())?),
        [Value::Double(number)] => Value::Double(-number),
        [Value::Duration(span)] => Value::Duration(overflow(span.checked_neg())?),
        _ => return Err(Fault::no_overload()),
    })
}

fn ordered<'a>(
    scope: &mut Scope<'a, '_>,
    args: &[Value<'a>],
    holds: impl FnOnce(Ordering) -> bool,
) -> Eval<'a> {
    match args {
        [left, right] => Ok(Value::Bool(holds(compare(left, right, scope.meter)?))),
        _ => Err(Fault::no_overload()),
    }
}

fn less<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    ordered(scope, args, Ordering::is_lt)
}

fn less_equals<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    ordered(scope, args, Ordering::is_le)
}

fn greater<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    ordered(scope, args, Ordering::is_gt)
}

fn greater_equals<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    ordered(scope, args, Ordering::is_ge)
}

fn contained<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match args {
        [value, Value::Map(map)] => {
            scope.meter.look(value.bulk())?;
            Ok(Value::Bool(map.find(value)?.is_some()))
        }
        [value, Value::List(list)] => {
            let mut error = None;
            for element in list.iter() {
                match element.and_then(|element| equal(&element, value, scope.meter)) {
                    Ok(true) => return Ok(Value::Bool(true)),
                    Ok(false) => {}
                    Err(fault) if fault.is_error() => error = error.or(Some(fault)),
                    Err(fault) => return Err(fault),
                }
            }
            match error {
                // In a list that an expression made, what cannot be compared is another.
                Some(fault) if !list.is_plain() => Err(fault),
                _ => Ok(Value::Bool(false)),
            }
        }
        _ => Err(Fault::no_overload()),
    }
}

fn size<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [value @ (Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_))] = args else {
        return Err(Fault::no_overload());
    };
    scope.meter.look(value.bulk())?;
    let size = value.size().unwrap_or_default();
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}
