//! Recordings: what `cel-go` v0.26, configured as Kubernetes 1.36 configures it, said of each expression: its issues,
//! its estimate, its value or its error, and what it cost. Each line is one expression; ours must say the same.

use serde_json::{Value as Json, json};

use super::super::{Activation, Budget, CompileError, Declaration, Environment, Schema};
use super::{MINOR, render};

/// Where ours says something else, and why that is right.
const DIFFERENT: &[(&str, &str)] = &[
    ("[%", "no second issue behind an error that ends parsing"),
    ("{%", "no second issue behind an error that ends parsing"),
    ("a[%", "no second issue behind an error that ends parsing"),
    ("f(%", "no second issue behind an error that ends parsing"),
    ("in", "no second issue behind an error that ends parsing"),
];

/// What ours says of a case, in the shape of a recording.
fn said(case: &Json, schema: Option<&Schema>, this: Option<&Json>, old: Option<&Json>) -> Json {
    let rule = case["rule"].as_str().expect("a case has a rule");
    let flag = |name: &str| case[name].as_bool().unwrap_or_default();
    let declaration = schema.and_then(|schema| Declaration::of(schema, flag("root")));
    let environment = match &declaration {
        Some(declaration) => Environment::for_rules(MINOR, declaration, flag("optionalOldSelf")),
        None => Environment::new(MINOR),
    };
    let mut said = json!({});
    let program = match environment.compile(rule) {
        Ok(program) => program,
        Err(CompileError::Issues(issues)) => return json!({ "compile": issues }),
        Err(CompileError::Program(why)) => return json!({ "error": format!("program: {why}") }),
    };
    said["min"] = program.estimate().min.into();
    said["max"] = program.estimate().max.into();
    let mut activation = Activation::new();
    if let (Some(schema), Some(this)) = (schema, this) {
        activation.data("self", this, schema);
    }
    if let (Some(schema), Some(old)) = (schema, old) {
        activation.data("oldSelf", old, schema);
    }
    let mut budget = Budget::new(u64::MAX);
    match program.evaluate(&activation, &mut budget) {
        Ok(value) => said["value"] = render::render(&value).into(),
        Err(fault) => said["error"] = fault.to_string().into(),
    }
    said["cost"] = (u64::MAX - budget.remaining()).into();
    said
}

/// The parts of a recording that ours is compared with.
fn recorded(case: &Json) -> Json {
    let parts = ["compile", "min", "max", "value", "error", "cost"];
    let found = parts.iter().filter_map(|part| Some((part.to_string(), case.get(part)?.clone())));
    Json::Object(found.collect())
}

/// That an argument has a type that no overload takes is told with less detail. Where cel-go itself panics, over
/// an error among the keys of a sort, ours is that error.
fn alike(recorded: &Json, said: &Json) -> bool {
    let panicked = |it: &Json| it["error"].as_str().is_some_and(|error| error.contains("missing method Add"));
    if panicked(recorded) {
        return said["error"].is_string() && recorded["min"] == said["min"] && recorded["max"] == said["max"];
    }
    let vague = |it: &Json| it["error"].as_str().is_some_and(|error| error.starts_with("no such overload"));
    if !(vague(recorded) && vague(said)) {
        return recorded == said;
    }
    let rest = |it: &Json| (it["min"].clone(), it["max"].clone(), it["cost"].clone());
    rest(recorded) == rest(said)
}

fn hold(cases: impl Iterator<Item = (Json, Json)>) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (case, said) in cases {
        count += 1;
        let rule = case["rule"].as_str().unwrap_or_default();
        let recorded = recorded(&case);
        let known = DIFFERENT.iter().any(|(different, _)| *different == rule);
        if alike(&recorded, &said) == known {
            wrong.push(format!("{rule}\n  recorded {recorded}\n  ours     {said}"));
        }
    }
    assert!(count > 50, "only {count} cases were read");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn lines(text: &str) -> impl Iterator<Item = Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a recording is a line of JSON"))
}

#[test]
fn the_language_is_as_recorded() {
    hold(lines(include_str!("language.jsonl")).map(|case| {
        let said = said(&case, None, None, None);
        (case, said)
    }));
}

#[test]
fn rules_about_schemas_are_as_recorded() {
    hold(lines(include_str!("schemas.jsonl")).map(|case| {
        let schema = Schema::from_open_api(&case["schema"]);
        let said = said(&case, Some(&schema), case.get("self"), case.get("old"));
        (case, said)
    }));
}

/// Expressions that a grammar made up, about one object: operators, macros and libraries in each other's company.
#[test]
fn made_up_expressions_are_as_recorded() {
    let mut lines = lines(include_str!("generated.jsonl"));
    let about = lines.next().expect("the first line is the schema and the data");
    let schema = Schema::from_open_api(&about["schema"]);
    hold(lines.map(|case| {
        let said = said(&case, Some(&schema), about.get("self"), about.get("old"));
        (case, said)
    }));
}
