//! Expressions of any text about data of any shape: they end within their budget, and say what is wrong in words.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use windlass::api::cel::{Activation, Budget, Declaration, Environment, Schema};

/// A tenth of what Kubernetes lets one rule cost.
const BUDGET: u64 = 100_000;

/// A schema with something of every kind.
fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        Schema::from_open_api(&json!({"type": "object", "properties": {
            "i": {"type": "integer"}, "d": {"type": "number"}, "b": {"type": "boolean"},
            "s": {"type": "string", "maxLength": 64}, "t": {"type": "string", "format": "date-time"},
            "u": {"type": "string", "format": "duration"}, "y": {"type": "string", "format": "byte"},
            "x": {"x-kubernetes-int-or-string": true},
            "l": {"type": "array", "items": {"type": "string"}},
            "m": {"type": "object", "additionalProperties": {"type": "integer"}},
            "k": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}}},
            "o": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"a": {"type": "string"}}},
        }}))
    })
}

fuzz_target!(|data: &[u8]| {
    let Some([text, object]) = windlass_fuzz::parts(data) else { return };
    let (Ok(text), Some(object)) = (std::str::from_utf8(text), windlass_fuzz::object(object)) else { return };
    let declaration = Declaration::of(schema(), false).expect("objects are seen");
    let environment = Environment::for_rules(36, &declaration, true);
    let Ok(program) = environment.compile(text) else { return };
    let mut activation = Activation::new();
    activation.data("self", &object, schema());
    activation.optional_data("oldSelf", None, schema());
    let mut budget = Budget::new(BUDGET);
    let first = program.evaluate(&activation, &mut budget).map(|value| format!("{value:?}"));
    let left = budget.remaining();
    let mut budget = Budget::new(BUDGET);
    let second = program.evaluate(&activation, &mut budget).map(|value| format!("{value:?}"));
    assert_eq!((first, left), (second, budget.remaining()), "the same twice");
});
