//! What holds for any text and any expression.

use proptest::prelude::*;
use serde_json::json;

use super::super::{Activation, Budget, Declaration, Environment, Fault, Schema};
use super::MINOR;

/// Words from which texts are made that are nearly expressions.
const WORDS: &[&str] = &[
    "self",
    "self.s",
    "self.l",
    "self.m",
    "x",
    "1",
    "0",
    "-9223372036854775808",
    "2u",
    "1.5",
    "'a'",
    "'%s|%d'",
    "b'a'",
    "true",
    "null",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ".",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<",
    "==",
    "!=",
    "&&",
    "||",
    "!",
    " in ",
    ".all(x, ",
    ".map(x, ",
    ".filter(x, ",
    ".exists(x, ",
    ".optMap(x, ",
    ".sortBy(x, ",
    ".size()",
    ".matches(",
    ".format([",
    ".split(",
    ".replace(",
    "has(",
    "dyn(",
    "type(",
    "string(",
    "int(",
    "lists.range(",
    "optional.of(",
    ".?s",
    "[?0]",
    ".orValue(",
    ".join(",
    ".sum()",
    ".sort()",
    "\u{e9}",
    "`",
    "\n",
    "//",
];

fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(WORDS), 0..30).prop_map(|words| words.concat())
}

/// Expressions that mostly compile, of a few types that are mixed on purpose.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(
        &[
            "self.s",
            "self.l",
            "self.m",
            "1",
            "'a'",
            "[1, 2]",
            "{'a': 1}",
            "true",
            "dyn(1)",
            "lists.range(50)",
            "1.5",
        ][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 60, 3, |inner| {
        let one = inner.clone();
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), proptest::sample::select(&["+", "==", "<", "&&", "||", "in", "*"][..]))
                .prop_map(|((a, b), operator)| format!("(dyn({a}) {operator} dyn({b}))")),
            (two, proptest::sample::select(&["all", "exists", "exists_one", "map", "filter", "sortBy"][..]))
                .prop_map(|((a, b), name)| format!("dyn({a}).{name}(y, dyn({b}))")),
            (one.clone(), proptest::sample::select(&["size", "string", "type", "dyn", "int"][..]))
                .prop_map(|(a, name)| format!("{name}(dyn({a}))")),
            one.clone().prop_map(|a| format!("'%s'.format([{a}])")),
            one.clone().prop_map(|a| format!("[{a}, dyn({a})]")),
            one.prop_map(|a| format!("optional.of({a}).optMap(z, [z])")),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_anything_panic_and_no_budget_is_overdrawn(text in texts(), units in 0_u64..5_000) {
        hold(&text, units)?;
    }

    #[test]
    fn no_expression_makes_anything_panic_and_no_budget_is_overdrawn(
        text in expressions(),
        units in 0_u64..5_000,
    ) {
        hold(&text, units)?;
    }

    #[test]
    fn names_come_back_from_their_escapes(name in "[a-z_./-]{0,12}") {
        if let Some(escaped) = super::super::escape(&name) {
            prop_assert_eq!(super::super::unescape(&escaped), Some(name));
        }
    }
}

fn hold(text: &str, units: u64) -> Result<(), TestCaseError> {
    let schema = Schema::from_open_api(&json!({
        "type": "object",
        "properties": {
            "s": { "type": "string" },
            "l": { "type": "array", "items": { "type": "integer" } },
            "m": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    }));
    let declaration = Declaration::of(&schema, false).expect("objects are seen");
    let Ok(program) = Environment::for_rules(MINOR, &declaration, false).compile(text) else { return Ok(()) };
    let data = json!({ "s": "a\u{e9}c", "l": [3, 1, 2], "m": { "k": "v" } });
    let run = |units: u64| {
        let mut activation = Activation::new();
        activation.data("self", &data, &schema);
        let mut budget = Budget::new(units);
        let outcome = program.evaluate(&activation, &mut budget).map(|value| super::render::render(&value));
        (outcome, units - budget.remaining())
    };
    let (outcome, spent) = run(units);
    prop_assert!(spent <= units);
    let (again, cost) = run(super::super::RUNTIME_BUDGET);
    match outcome {
        // What was cancelled had not enough, and what was not is what it is with more.
        Err(Fault::OutOfBudget | Fault::CallLimit) => {
            prop_assert!(cost > units || matches!(again, Err(Fault::CallLimit)));
        }
        outcome => {
            prop_assert_eq!(outcome, again);
            prop_assert_eq!(spent, cost);
        }
    }
    Ok(())
}
