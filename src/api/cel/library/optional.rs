//! Optional values.
//!
//! Source: `OptionalTypes` in `cel/library.go` of `cel-go` v0.26.

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{List, Value, show};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 28, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("optional.of", &[("optional_of", "(A) -> optional_type(A)")], of),
    row("optional.ofNonZeroValue", &[("optional_ofNonZeroValue", "(A) -> optional_type(A)")], of_non_zero),
    row("optional.none", &[("optional_none", "() -> optional_type(A)")], |_, _| Ok(Value::Optional(None))),
    row("value", &[("optional_value", "optional_type(A).() -> A")], value),
    row("hasValue", &[("optional_hasValue", "optional_type(A).() -> bool")], has_value),
    // These are evaluated apart: `super::super::plan` makes nodes of their own for them.
    row("or", &[("optional_or_optional", "optional_type(A).(optional_type(A)) -> optional_type(A)")], none),
    row("orValue", &[("optional_orValue_value", "optional_type(A).(A) -> A")], none),
    row("_?._", &[("select_optional_field", "(dyn, string) -> optional_type(A)")], none),
    row(
        "_[?_]",
        &[
            ("list_optindex_optional_int", "(list(A), int) -> optional_type(A)"),
            ("optional_list_optindex_optional_int", "(optional_type(list(A)), int) -> optional_type(A)"),
            ("map_optindex_optional_value", "(map(A, B), A) -> optional_type(B)"),
            ("optional_map_optindex_optional_value", "(optional_type(map(A, B)), A) -> optional_type(B)"),
        ],
        none,
    ),
    row(
        "_[_]",
        &[
            ("optional_list_index_int", "(optional_type(list(A)), int) -> optional_type(A)"),
            ("optional_map_index_value", "(optional_type(map(A, B)), A) -> optional_type(B)"),
        ],
        none,
    ),
    row("last", &[("list_last", "list(A).() -> optional_type(A)")], last),
    row("first", &[("list_first", "list(A).() -> optional_type(A)")], first),
    row("optional.unwrap", &[("optional_unwrap", "(list(optional_type(A))) -> list(A)")], unwrap),
    row("unwrapOpt", &[("optional_unwrapOpt", "list(optional_type(A)).() -> list(A)")], unwrap),
];

fn none<'a>(_: &mut Scope<'a, '_>, _: &[Value<'a>]) -> Eval<'a> {
    Err(Fault::no_overload())
}

fn of<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [value] = args else { return Err(Fault::no_overload()) };
    Ok(Value::some(value.clone()))
}

fn of_non_zero<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [value] = args else { return Err(Fault::no_overload()) };
    Ok(if value.is_zero() { Value::Optional(None) } else { Value::some(value.clone()) })
}

fn value<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match args {
        [Value::Optional(Some(value))] => Ok((**value).clone()),
        [Value::Optional(None)] => Err(Fault::error("optional.none() dereference")),
        _ => Err(Fault::no_overload()),
    }
}

fn has_value<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    match args {
        [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
        _ => Err(Fault::no_overload()),
    }
}

fn at<'a>(list: &List<'a>, index: Option<usize>) -> Eval<'a> {
    match index.filter(|index| *index < list.len()) {
        Some(index) => list.get(index).map(Value::some),
        None => Ok(Value::Optional(None)),
    }
}

fn first<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    at(list, Some(0))
}

fn last<'a>(_: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    at(list, list.len().checked_sub(1))
}

fn unwrap<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::List(list)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make_values(list.len())?;
    let mut values = Vec::new();
    for value in list.iter() {
        match value? {
            Value::Optional(value) => values.extend(value.map(|value| (*value).clone())),
            other => return Err(Fault::error(format!("value {} is not optional", show(&other)))),
        }
    }
    Ok(Value::List(List::of(values)))
}
