//! Lists as sets. Source: `ext/sets.go` of `cel-go` v0.26.

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::meter::Meter;
use super::super::value::{List, Value, equal};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 29, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("sets.contains", &[("list_sets_contains_list", "(list(A), list(A)) -> bool")], |scope, args| {
        let (left, right) = lists(args)?;
        Ok(Value::Bool(contains(left, right, scope.meter)?))
    }),
    row("sets.equivalent", &[("list_sets_equivalent_list", "(list(A), list(A)) -> bool")], |scope, args| {
        let (left, right) = lists(args)?;
        Ok(Value::Bool(contains(left, right, scope.meter)? && contains(right, left, scope.meter)?))
    }),
    row("sets.intersects", &[("list_sets_intersects_list", "(list(A), list(A)) -> bool")], |scope, args| {
        let (left, right) = lists(args)?;
        for value in left.iter() {
            if holds(right, &value?, scope.meter)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
];

fn lists<'v, 'a>(args: &'v [Value<'a>]) -> Result<(&'v List<'a>, &'v List<'a>), Fault> {
    match args {
        [Value::List(left), Value::List(right)] => Ok((left, right)),
        _ => Err(Fault::no_overload()),
    }
}

/// Whether the list has every element of the other.
fn contains<'a>(list: &List<'a>, other: &List<'a>, meter: &mut Meter) -> Result<bool, Fault> {
    for value in other.iter() {
        if !holds(list, &value?, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds<'a>(list: &List<'a>, value: &Value<'a>, meter: &mut Meter) -> Result<bool, Fault> {
    for element in list.iter() {
        match element.and_then(|element| equal(&element, value, meter)) {
            Ok(true) => return Ok(true),
            Err(fault) if !fault.is_error() || !list.is_plain() => return Err(fault),
            _ => {}
        }
    }
    Ok(false)
}
