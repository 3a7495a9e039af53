//! The language held against recordings of the original, and hostile rules against their bounds.

mod admission;
mod devices;
mod hostile;
mod properties;
mod recorded;
mod render;

use serde_json::Value as Json;

use super::{Activation, Budget, CompileError, Declaration, Environment, Fault, Program, Schema};

/// The version the tests compile in.
const MINOR: u32 = 36;

/// A program without variables.
fn compiled(rule: &str) -> Program {
    match Environment::new(MINOR).compile(rule) {
        Ok(program) => program,
        Err(error) => panic!("{rule}: {error}"),
    }
}

/// A program about data of a schema.
fn compiled_for(rule: &str, schema: &Schema) -> Program {
    let declaration = Declaration::of(schema, false).expect("the schema has a declaration");
    match Environment::for_rules(MINOR, &declaration, false).compile(rule) {
        Ok(program) => program,
        Err(error) => panic!("{rule}: {error}"),
    }
}

/// What a program comes to on data with one call's budget, and what it cost.
fn outcome(program: &Program, schema: &Schema, data: &Json) -> (Result<String, Fault>, u64) {
    let mut activation = Activation::new();
    activation.data("self", data, schema);
    let mut budget = Budget::new(super::RUNTIME_BUDGET);
    let value = program.evaluate(&activation, &mut budget).map(|value| render::render(&value));
    (value, super::RUNTIME_BUDGET - budget.remaining())
}

#[test]
fn a_budget_is_spent_over_all_calls_and_never_overdrawn() {
    let program = compiled("[1, 2, 3].map(x, x + x).size() == 3");
    let activation = Activation::new();
    let mut budget = Budget::new(100);
    let mut before = budget.remaining();
    let mut calls = 0;
    while let Ok(met) = program.evaluate_bool(&activation, &mut budget) {
        assert!(met);
        assert!(budget.remaining() < before, "every call costs something");
        (before, calls) = (budget.remaining(), calls + 1);
    }
    assert!((1..100).contains(&calls), "{calls} calls");
    assert!(budget.is_spent(), "what was left was too little, and is gone");
    assert_eq!(program.evaluate_bool(&activation, &mut budget), Err(Fault::OutOfBudget));
}

#[test]
fn one_call_may_not_take_all_of_the_budget() {
    let program = compiled("lists.range(1000).all(x, x >= 0)");
    let mut budget = Budget::with_call_limit(1_000_000, 2_000);
    assert_eq!(program.evaluate_bool(&Activation::new(), &mut budget), Err(Fault::CallLimit));
    assert!(budget.remaining() < 1_000_000 && !budget.is_spent());
}

#[test]
fn rules_are_truth_values_and_messages_are_strings() {
    let schema = Schema::from_open_api(&serde_json::json!({ "type": "string" }));
    let declaration = Declaration::of(&schema, false).expect("strings are seen");
    let environment = Environment::for_rules(MINOR, &declaration, false);
    let rule = |text: &str| environment.compile_rule(text).map(|_| ()).map_err(|error| error.to_string());
    let message =
        |text: &str| environment.compile_message(text).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(rule("self == 'a'"), Ok(()));
    assert_eq!(rule("self"), Err("cel expression must evaluate to a bool".to_owned()));
    assert_eq!(message("'not ' + self"), Ok(()));
    assert_eq!(message("self == ''"), Err("messageExpression must evaluate to a string".to_owned()));
    assert_eq!(
        rule("slef == 'a'"),
        Err("compilation failed: ERROR: <input>:1:1: undeclared reference to 'slef' (in container '')\n | slef == \
             'a'\n | ^"
            .to_owned())
    );
    assert_eq!(
        rule("self.find('[') == ''"),
        Err("program instantiation failed: error parsing regexp: missing closing ]: `[`".to_owned())
    );
    assert_eq!(
        message("self.find('[')"),
        Err("messageExpression instantiation failed: error parsing regexp: missing closing ]: `[`".to_owned())
    );
}

#[test]
fn a_program_knows_whether_it_speaks_of_the_old_value() {
    let schema = Schema::from_open_api(&serde_json::json!({ "type": "integer" }));
    assert!(compiled_for("self >= oldSelf", &schema).references("oldSelf"));
    assert!(!compiled_for("[1].all(oldSelf, oldSelf == self)", &schema).references("nobody"));
    assert!(!compiled_for("self > 0", &schema).references("oldSelf"));
}

#[test]
fn libraries_come_with_their_versions() {
    let table = [
        ("'a'.contains('a')", 0),
        ("1 < 2.0", 28),
        ("optional.of(1).hasValue()", 28),
        ("quantity('1').isInteger()", 28),
        ("sets.contains([1], [1])", 29),
        ("'%d'.format([1]) == '1'", 29),
        ("isIP('::1')", 30),
        ("format.uri().validate('x').hasValue()", 31),
        ("[1].all(i, v, i < v)", 32),
        ("isSemver('1.2.3')", 33),
        ("[2, 1].sort() == [1, 2]", 34),
    ];
    for (rule, since) in table {
        assert!(Environment::new(since).compile(rule).is_ok(), "{rule} in 1.{since}");
        if since > 0 {
            let before = Environment::new(since - 1).compile(rule);
            assert!(matches!(before, Err(CompileError::Issues(_))), "{rule} in 1.{}", since - 1);
        }
    }
}

#[test]
fn names_are_escaped_and_back() {
    let table = [
        ("abc", Some("abc")),
        ("a.b", Some("a__dot__b")),
        ("a-b/c", Some("a__dash__b__slash__c")),
        ("a__b", Some("a__underscores__b")),
        ("namespace", Some("__namespace__")),
        ("_", Some("_")),
        ("1a", None),
        ("", None),
        ("a b", None),
        ("\u{e9}", None),
    ];
    for (name, escaped) in table {
        assert_eq!(super::escape(name).as_deref(), escaped, "{name}");
        if let Some(escaped) = escaped {
            assert_eq!(super::unescape(escaped).as_deref(), Some(name), "{escaped}");
        }
    }
    assert_eq!(super::unescape("a__nothing__b"), None);
    assert_eq!(super::unescape("x__namespace__"), None, "a reserved word is escaped alone");
}
