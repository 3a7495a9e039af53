//! Amounts. Source: `pkg/cel/library/quantity.go` of `k8s.io/apiserver` (1.36).

use std::cmp::Ordering;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::Value;
use crate::api::quantity::{Format, Quantity};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 28, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("quantity", &[("string_to_quantity", "(string) -> kubernetes.Quantity")], |scope, args| {
        let quantity = text(scope, args)?.parse::<Quantity>();
        quantity.map(Value::Quantity).map_err(|error| Fault::error(error.to_string()))
    }),
    row("isQuantity", &[("is_quantity_string", "(string) -> bool")], |scope, args| {
        Ok(Value::Bool(text(scope, args)?.parse::<Quantity>().is_ok()))
    }),
    row("sign", &[("quantity_sign", "(kubernetes.Quantity) -> int")], |_, args| {
        let [Value::Quantity(it)] = args else { return Err(Fault::no_overload()) };
        Ok(Value::Int(sign(it.cmp(&Quantity::ZERO))))
    }),
    row(
        "isGreaterThan",
        &[("quantity_is_greater_than", "kubernetes.Quantity.(kubernetes.Quantity) -> bool")],
        |_, args| Ok(Value::Bool(order(args)?.is_gt())),
    ),
    row(
        "isLessThan",
        &[("quantity_is_less_than", "kubernetes.Quantity.(kubernetes.Quantity) -> bool")],
        |_, args| Ok(Value::Bool(order(args)?.is_lt())),
    ),
    row(
        "compareTo",
        &[("quantity_compare_to", "kubernetes.Quantity.(kubernetes.Quantity) -> int")],
        |_, args| Ok(Value::Int(sign(order(args)?))),
    ),
    row("asApproximateFloat", &[("quantity_get_float", "kubernetes.Quantity.() -> double")], |_, args| {
        let [Value::Quantity(it)] = args else { return Err(Fault::no_overload()) };
        Ok(Value::Double(it.approximate()))
    }),
    row("asInteger", &[("quantity_get_int", "kubernetes.Quantity.() -> int")], |_, args| {
        let [Value::Quantity(it)] = args else { return Err(Fault::no_overload()) };
        whole(it).map(Value::Int).ok_or_else(|| Fault::error("cannot convert value to integer"))
    }),
    row("isInteger", &[("quantity_is_integer", "kubernetes.Quantity.() -> bool")], |_, args| {
        let [Value::Quantity(it)] = args else { return Err(Fault::no_overload()) };
        Ok(Value::Bool(whole(it).is_some()))
    }),
    row(
        "add",
        &[
            ("quantity_add", "kubernetes.Quantity.(kubernetes.Quantity) -> kubernetes.Quantity"),
            ("quantity_add_int", "kubernetes.Quantity.(int) -> kubernetes.Quantity"),
        ],
        |_, args| {
            let (left, right) = operands(args)?;
            Ok(Value::Quantity(left.plus(right)))
        },
    ),
    row(
        "sub",
        &[
            ("quantity_sub", "kubernetes.Quantity.(kubernetes.Quantity) -> kubernetes.Quantity"),
            ("quantity_sub_int", "kubernetes.Quantity.(int) -> kubernetes.Quantity"),
        ],
        |_, args| {
            let (left, right) = operands(args)?;
            Ok(Value::Quantity(left.minus(right)))
        },
    ),
];

fn text<'v>(scope: &mut Scope<'_, '_>, args: &'v [Value<'_>]) -> Result<&'v str, Fault> {
    let [Value::String(text)] = args else { return Err(Fault::no_overload()) };
    scope.meter.look(text.len())?;
    Ok(text)
}

fn operands(args: &[Value<'_>]) -> Result<(Quantity, Quantity), Fault> {
    match args {
        [Value::Quantity(left), Value::Quantity(right)] => Ok((*left, *right)),
        [Value::Quantity(left), Value::Int(right)] => {
            Ok((*left, Quantity::new(*right, Format::DecimalExponent)))
        }
        _ => Err(Fault::no_overload()),
    }
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Fault> {
    match args {
        [Value::Quantity(left), Value::Quantity(right)] => Ok(left.cmp(right)),
        _ => Err(Fault::no_overload()),
    }
}

fn sign(order: Ordering) -> i64 {
    order as i64
}

/// The whole number that it is, if it is one that an `i64` holds.
fn whole(quantity: &Quantity) -> Option<i64> {
    let value = quantity.value();
    (Quantity::new(value, quantity.format()) == *quantity).then_some(value)
}
