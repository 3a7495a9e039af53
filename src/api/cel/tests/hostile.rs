//! Rules written to hurt. Each must end within its budget, and within the work and memory that the budget stands for.

use serde_json::{Value as Json, json};

use super::super::meter::Meter;
use super::super::{
    Activation, Budget, CompileError, Declaration, Environment, Fault, PER_CALL_LIMIT, Schema,
};
use super::{MINOR, compiled, compiled_for, outcome};

/// Nests an expression: `make(i, inner)` for every level, outermost last.
fn nested(levels: usize, innermost: &str, make: impl Fn(usize, &str) -> String) -> String {
    (0..levels).fold(innermost.to_owned(), |inner, level| make(level, &inner))
}

/// What a call may cost here: a twentieth of the real limit, so that tests are quick.
const LIMIT: u64 = 50_000;

/// That a rule is cancelled.
fn cancelled(rule: &str, schema: &Schema, data: &Json) {
    let program = compiled_for(rule, schema);
    let mut activation = Activation::new();
    activation.data("self", data, schema);
    let mut budget = Budget::with_call_limit(u64::MAX, LIMIT);
    let outcome = program.evaluate(&activation, &mut budget).map(|_| ());
    assert_eq!(outcome, Err(Fault::CallLimit), "{rule:.200}");
}

fn refused(rule: &str) -> String {
    match Environment::new(MINOR).compile(rule) {
        Err(CompileError::Issues(issues)) => issues,
        other => panic!("{rule:.200}: {other:?}"),
    }
}

fn anything() -> std::sync::Arc<Schema> {
    Schema::from_open_api(&json!({ "type": "string" }))
}

#[test]
fn loops_within_loops_end() {
    let data = json!("a");
    for rule in [
        "lists.range(1000000000000).all(x, true)",
        "lists.range(20000).all(x, lists.range(20000).all(y, lists.range(20000).all(z, x + y + z >= 0)))",
        "lists.range(9223372036854775807).exists_one(x, false)",
        "lists.range(20000).map(x, lists.range(20000)).size() > 0",
        "lists.range(20000).all(x, lists.range(20000).exists_one(y, false) || true)",
    ] {
        cancelled(rule, &anything(), &data);
    }
}

#[test]
fn lists_of_any_length_cost_no_memory_before_they_are_paid() {
    let huge = "lists.range(9223372036854775807)";
    for rest in [
        ".reverse().size() > 0",
        ".sort().size() > 0",
        ".distinct().size() > 0",
        ".sum() > 0",
        ".slice(0, 9223372036854775807).size() > 0",
        ".map(x, x).size() > 0",
        " == [1]",
        ".sortBy(x, -x).size() > 0",
    ] {
        cancelled(&format!("{huge}{rest}"), &anything(), &json!("a"));
    }
    cancelled(&format!("({huge} + {huge} + {huge}).size() > 0"), &anything(), &json!("a"));
}

#[test]
fn strings_that_double_end() {
    let rule = nested(200, "x0.size() > 0", |level, inner| {
        let value = if level == 199 { "'aaaaaaaa'".to_owned() } else { format!("x{} + x{0}", level + 1) };
        format!("optional.of({value}).optMap(x{level}, {inner}).value()")
    });
    // The text is copied by every level for its own check, so a chain this long is refused, a shorter one cancelled.
    match Environment::new(MINOR).compile(&rule) {
        Ok(_) => cancelled(&rule, &anything(), &json!("a")),
        Err(CompileError::Issues(issues)) => assert!(issues.contains("limit exceeded"), "{issues}"),
        Err(other) => panic!("{other}"),
    }
    let rule = nested(40, "x0.size() > 0", |level, inner| {
        let value = if level == 39 { "'aaaaaaaa'".to_owned() } else { format!("x{} + x{0}", level + 1) };
        format!("[{value}].all(x{level}, {inner})")
    });
    cancelled(&rule, &anything(), &json!("a"));
    cancelled(
        "lists.range(1000).all(x, self.replace('', self).replace('', self).size() > 0)",
        &anything(),
        &json!("a".repeat(2_000)),
    );
    cancelled(
        "lists.range(2000).map(x, self).join(self).size() > 0",
        &anything(),
        &json!("a".repeat(100_000)),
    );
}

#[test]
fn lists_that_share_their_elements_are_not_walked_for_free() {
    // Each level holds the one before twice: 2 to the 60th leaves, in sixty steps.
    let double = |of: &str, then: &str| {
        nested(60, then, |level, inner| {
            let value = if level == 59 { of.to_owned() } else { format!("[x{}, x{0}]", level + 1) };
            format!("[{value}].all(x{level}, {inner})")
        })
    };
    for then in ["x0 == x0", "x0 in [x0]", "dyn(x0).flatten(100).size() > 0", "sets.contains([x0], [x0])"] {
        cancelled(&double("dyn([1])", then), &anything(), &json!("a"));
    }
    cancelled(&double("dyn([1])", "'%s'.format([x0]).size() > 0"), &anything(), &json!("a"));
    cancelled(&double("dyn([1])", "[dyn(x0)].indexOf(dyn(x0)) == 1"), &anything(), &json!("a"));
}

#[test]
fn types_that_double_are_checked_quickly() {
    let rule = nested(60, "x0 == x0", |level, inner| {
        let value = if level == 59 { "1".to_owned() } else { format!("{{'a': x{}, 'b': x{0}}}", level + 1) };
        format!("[{value}].all(x{level}, {inner})")
    });
    cancelled(&rule, &anything(), &json!("a"));
    let rule = nested(60, "true", |level, inner| {
        let value = if level == 59 { "1".to_owned() } else { format!("{{x{}: x{0}}}", level + 1) };
        format!("[{value}].all(x{level}, {inner})")
    });
    compiled(&rule);
}

#[test]
fn macros_that_copy_do_not_explode() {
    let chain = format!("optional.of(1){}.hasValue()", ".optMap(x, x + 1)".repeat(40));
    assert!(refused(&chain).contains("expression node limit exceeded: 200000"));
    let chain = format!("optional.of(1){}.hasValue()", ".optFlatMap(x, optional.of(x))".repeat(40));
    assert!(refused(&chain).contains("expression node limit exceeded: 200000"));
}

#[test]
fn regular_expressions_are_bounded() {
    let text = json!("a".repeat(100_000) + "!");
    let (value, _) = outcome(&compiled_for("self.matches('^(a+)+$')", &anything()), &anything(), &text);
    assert_eq!(value, Ok("false".to_owned()), "no backtracking");
    for rule in
        ["'a'.matches('((a{100}){100}){100}')", "'a'.matches('a{1001}')", "'a'.matches('(a{0,100}){100}')"]
    {
        assert!(refused(rule).contains("invalid matches argument"), "{rule}");
    }
    // A pattern that is made in a loop is compiled in the loop, which no cost says.
    let rule = "lists.range(9000).all(i, !'x'.matches('\\\\pL{900}' + string(i)))";
    cancelled(rule, &anything(), &json!("a"));
    // As a function it costs one unit, whatever the text.
    let rule = "lists.range(9000).all(i, matches(self, 'a+b|a+!'))";
    cancelled(rule, &anything(), &json!("a".repeat(1_000_000) + "!"));
    assert!(refused(&format!("'a'.matches('{}')", "(".repeat(50_000))).contains("invalid matches argument"));
}

#[test]
fn large_data_is_not_looked_at_for_free() {
    let data = json!("\u{e9}".repeat(500_000));
    for rule in [
        "lists.range(9000).all(i, self.size() > 0)",
        "lists.range(9000).all(i, self.charAt(400000) != '')",
        "lists.range(9000).all(i, self.indexOf('x') < 0)",
        "lists.range(9000).all(i, dyn(self) == dyn(self))",
        "lists.range(9000).all(i, [self][0] in {self: 1})",
        "lists.range(9000).all(i, !isURL(self) && !isQuantity(self) && !isSemver(self))",
        "lists.range(9000).all(i, timestamp(i) > timestamp(-1) && type(self) == string && bytes(self) != b'')",
        "self.split('').map(x, x + self).size() > 0",
    ] {
        cancelled(rule, &anything(), &data);
    }
    let schema = Schema::from_open_api(&json!({ "type": "array", "items": { "type": "integer" } }));
    let data = json!((0..40_000).collect::<Vec<i64>>());
    for rule in [
        "self.all(x, self.all(y, x != y || x == y))",
        "self.all(x, self == self)",
        "sets.contains(self, self)",
        "self.distinct().size() > 0",
        "self.all(x, self + self == self + self)",
        "self.all(x, x in self)",
    ] {
        cancelled(rule, &schema, &data);
    }
}

#[test]
fn texts_that_nest_are_refused() {
    for rule in [
        format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{}1{}", "{1:".repeat(10_000), "}".repeat(10_000)),
        format!("1{}", " + 1".repeat(10_000)),
        format!("self{}", ".a".repeat(10_000)),
        format!("self{}", "[0]".repeat(10_000)),
        format!("{}1{}", "size(".repeat(10_000), ")".repeat(10_000)),
        format!("{}1", "true ? 1 : ".repeat(9_000)),
        nested(300, "true", |level, inner| format!("[1].all(x{level}, {inner})")),
    ] {
        assert!(refused(&rule).contains("recursion limit exceeded"), "{rule:.60}");
    }
    assert!(
        refused(&"a".repeat(100_001))
            .contains("expression code point size exceeds limit: size: 100001, limit 100000")
    );
    // Signs collapse, and terms are balanced: these are no deeper than one.
    compiled(&format!("{}true", "!".repeat(10_000)));
    compiled(&format!("true{}", " && true".repeat(9_000)));
}

#[test]
fn the_deepest_rule_runs_on_a_small_stack() {
    let deep = nested(240, "true", |level, inner| format!("[1].all(x{level}, {inner})"));
    let conditions = nested(240, "true", |_, inner| format!("(1 == 1 ? {inner} : false)"));
    let optionals =
        nested(9, "optional.of(1)", |level, inner| format!("{inner}.optMap(x{level}, x{level} + 1)"));
    for rule in [deep, conditions, format!("{optionals}.hasValue()")] {
        // The stack of a test's thread is that of a runtime's worker: two megabytes.
        let (value, _) = outcome(&compiled(&rule), &anything(), &json!("a"));
        assert_eq!(value, Ok("true".to_owned()));
    }
}

#[test]
fn numbers_and_times_at_their_ends_are_errors_and_no_panics() {
    for rule in [
        "-9223372036854775807 - 2",
        "9223372036854775807 + 1",
        "-9223372036854775808 * -1",
        "-9223372036854775808 / -1",
        "-9223372036854775808 % -1",
        "-(-9223372036854775807 - 1)",
        "0u - 1u",
        "int(1e30 * 1.0)",
        "uint(0 - 1)",
        "int(double('NaN') + 0.0)",
        "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
        "timestamp('0001-01-01T00:00:00Z') - duration('1ns')",
        "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
        "duration('2562047h') + duration('2562047h')",
        "[1].slice(-1, 1)",
        "'a'.substring(-9223372036854775808)",
        "'a'.charAt(9223372036854775807)",
        "'%.99999999999f'.size() > 0 ? 1 / 0 : 1",
        "('%.4000000000f' + '').format([1.0])",
    ] {
        let (value, _) = outcome(&compiled(rule), &anything(), &json!("a"));
        assert!(matches!(value, Err(Fault::Error(_) | Fault::CallLimit)), "{rule}: {value:?}");
    }
}

#[test]
fn work_behind_a_unit_of_cost_is_bounded() {
    let mut meter = Meter::new(PER_CALL_LIMIT);
    assert_eq!(meter.look(usize::MAX), Err(Fault::CallLimit));
    let mut meter = Meter::new(PER_CALL_LIMIT);
    let mut made: usize = 0;
    while meter.make(1 << 20).is_ok() {
        made += 1 << 20;
    }
    assert!(made <= 256 << 20, "{made} octets were made within one call's limit");
}

#[test]
fn a_schema_that_recurs_in_width_is_declared_within_reason() {
    let mut node = json!({ "type": "string" });
    for _ in 0..60 {
        node = json!({ "type": "object", "properties": { "a": node } });
    }
    let schema = Schema::from_open_api(&node);
    let declaration = Declaration::of(&schema, false).expect("objects are seen");
    let path = ".a".repeat(60);
    assert!(
        Environment::for_rules(MINOR, &declaration, false)
            .compile_rule(&format!("self{path} == 'x'"))
            .is_ok()
    );
}
