//! Attributes of devices. Source: `cel/compile.go` of `k8s.io/dynamic-resource-allocation` (1.36).

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{Value, equal};

/// The longest list in which a value is looked for.
pub(in super::super) const MOST_INCLUDED: u64 = 48;

pub(in super::super) const FUNCTIONS: &[Function] = &[Function {
    name: "includes",
    since: 36,
    overloads: &[("dra_includes_dyn_dyn", "dyn.(dyn) -> bool")],
    run: includes,
}];

/// Whether a value is in a list, or is the other.
fn includes<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [target, wanted] = args else { return Err(Fault::no_overload()) };
    let mut is_wanted = |value: &Value<'a>| match equal(value, wanted, scope.meter) {
        // What cannot be compared is not it.
        Err(fault) if fault.is_error() => Ok(false),
        compared => compared,
    };
    let Value::List(list) = target else { return is_wanted(target).map(Value::Bool) };
    for (value, seen) in list.iter().zip(0..) {
        if seen >= MOST_INCLUDED {
            return Err(Fault::error(format!(
                "'includes' function cannot be applied to lists longer than {MOST_INCLUDED} values"
            )));
        }
        if is_wanted(&value?)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
