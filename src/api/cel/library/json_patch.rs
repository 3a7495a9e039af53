//! Paths of JSON patches. Source: `pkg/cel/library/jsonpatch.go` of `k8s.io/apiserver` (1.36).

use super::super::Fault;
use super::super::functions::Function;
use super::super::value::Value;

pub(in super::super) const FUNCTIONS: &[Function] = &[Function {
    name: "jsonpatch.escapeKey",
    since: 0,
    overloads: &[("string_jsonpatch_escapeKey_string", "(string) -> string")],
    run: |scope, args| {
        let [Value::String(key)] = args else { return Err(Fault::no_overload()) };
        scope.meter.make(key.len().saturating_mul(2))?;
        Ok(Value::text(key.replace('~', "~0").replace('/', "~1")))
    },
}];
