//! Rules asked of objects.

use super::*;
use crate::api::validation::Options;
use crate::api::{Object, Resource, Revision, Scope};

/// A row whose objects have this field in their spec.
fn row(field: Value) -> std::sync::Arc<Resource> {
    let definition = json!({"spec": {"group": "example.com", "names": {"kind": "A"}, "versions": [{"name": "v1",
        "schema": {"openAPIV3Schema": object(json!({"spec": object(json!({ "f": field })),
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}))}}]}});
    let mut row = Resource::new("example.com", "v1", "A", "as", Scope::Cluster);
    row.custom = Some(std::sync::Arc::new(Version::of(&definition, "v1").expect("a version")));
    row.into()
}

fn made(row: &std::sync::Arc<Resource>, value: &Value) -> Object {
    let tree = json!({"metadata": {"name": "a", "uid": "1", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"f": value}});
    Object::from_tree(row.clone(), Revision::NONE, tree).unwrap()
}

/// What is said of a new value.
fn created(field: Value, value: Value) -> Vec<String> {
    said(&Options::default().create(&made(&row(field), &value)))
}

/// What is said of a change, and what is only told.
fn updated(field: Value, old: Value, new: Value) -> (Vec<String>, Vec<String>) {
    let row = row(field);
    let findings = Options::default().judge_update(&made(&row, &new), &made(&row, &old));
    (said(&findings.errors), findings.warnings)
}

fn ruled(mut schema: Value, rules: Value) -> Value {
    schema["x-kubernetes-validations"] = rules;
    schema
}

#[test]
fn a_rule_that_does_not_hold_says_what_it_was_given() {
    let ints = || json!({"type": "integer"});
    let pair = || object(json!({"a": {"type": "integer"}, "b": {"type": "integer"}}));
    let cases = [
        (
            ruled(ints(), json!([{"rule": "self > 1"}])),
            json!(1),
            "spec.f: Invalid value: 1: failed rule: self > 1",
        ),
        (
            ruled(ints(), json!([{"rule": "self > 1", "message": "more"}])),
            json!(1),
            "spec.f: Invalid value: 1: more",
        ),
        (
            ruled(
                ints(),
                json!([{"rule": "self > 1", "message": "more", "messageExpression": "'not ' + string(self)"}]),
            ),
            json!(1),
            "spec.f: Invalid value: 1: not 1",
        ),
        (
            ruled(ints(), json!([{"rule": "self > 1", "message": "more", "messageExpression": "''"}])),
            json!(1),
            "spec.f: Invalid value: 1: more",
        ),
        (
            ruled(pair(), json!([{"rule": "self.a < self.b", "message": "in order"}])),
            json!({"a": 2, "b": 1}),
            "spec.f: Invalid value: in order",
        ),
        (
            ruled(
                pair(),
                json!([{"rule": "self.a < self.b", "message": "m", "reason": "FieldValueForbidden", "fieldPath": ".b"}]),
            ),
            json!({"a": 2, "b": 1}),
            "spec.f.b: Forbidden: m",
        ),
        (
            ruled(
                pair(),
                json!([{"rule": "has(self.a)", "message": "m", "reason": "FieldValueRequired", "fieldPath": ".a"}]),
            ),
            json!({}),
            "spec.f.a: Required value: m",
        ),
        (
            json!({"type": "array", "items": ruled(ints(), json!([{"rule": "self % 2 == 0"}]))}),
            json!([2, 3]),
            "spec.f[1]: Invalid value: 3: failed rule: self % 2 == 0",
        ),
        (
            json!({"type": "object", "additionalProperties": ruled(ints(), json!([{"rule": "self < 9"}]))}),
            json!({"x": 9, "y": 1}),
            "spec.f[x]: Invalid value: 9: failed rule: self < 9",
        ),
        (
            ruled(json!({"type": "array", "items": ints()}), json!([{"rule": "self[0] > 0"}])),
            json!([]),
            "spec.f: Invalid value: \"array\": index out of bounds: 0 evaluating rule: self[0] > 0",
        ),
    ];
    for (field, value, sentence) in cases {
        assert_eq!(created(field.clone(), value), [sentence], "{field}");
    }
}

#[test]
fn rules_wait_for_a_value_that_they_can_be_asked_of() {
    let mut field = ruled(json!({"type": "string"}), json!([{"rule": "self.size() > 1"}]));
    field["maxLength"] = 3.into();
    assert_eq!(
        created(field, json!("long")),
        [
            "spec.f: Too long: may not be more than 3 bytes",
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation",
        ]
    );
}

#[test]
fn rules_about_a_change_are_asked_of_changes() {
    let grows = ruled(json!({"type": "integer"}), json!([{"rule": "self >= oldSelf"}]));
    assert_eq!(created(grows.clone(), json!(1)), Vec::<String>::new());
    assert_eq!(updated(grows.clone(), json!(1), json!(2)).0, Vec::<String>::new());
    let shrunk = updated(grows, json!(2), json!(1)).0;
    assert_eq!(shrunk, ["spec.f: Invalid value: 1: failed rule: self >= oldSelf"]);
    let begins = ruled(
        json!({"type": "integer"}),
        json!([{"rule": "oldSelf.hasValue() || self == 1", "optionalOldSelf": true}]),
    );
    assert_eq!(created(begins.clone(), json!(1)), Vec::<String>::new());
    assert_eq!(created(begins.clone(), json!(2)).len(), 1);
    assert_eq!(updated(begins, json!(1), json!(2)).0, Vec::<String>::new());
    // Items of a list are found again by their keys.
    let item = object(json!({"k": {"type": "string"},
        "v": ruled(json!({"type": "integer"}), json!([{"rule": "self == oldSelf", "message": "fixed"}]))}));
    let list = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
        "items": item});
    let old = json!([{"k": "a", "v": 1}, {"k": "b", "v": 2}]);
    let new = json!([{"k": "b", "v": 2}, {"k": "a", "v": 3}, {"k": "c", "v": 9}]);
    assert_eq!(updated(list, old, new).0, ["spec.f[1].v: Invalid value: 3: fixed"]);
}

#[test]
fn what_has_not_changed_is_told_and_no_error() {
    let field = object(json!({
        "a": ruled(json!({"type": "integer"}), json!([{"rule": "self < 5"}])),
        "b": {"type": "integer"},
    }));
    let (errors, warnings) = updated(field.clone(), json!({"a": 9, "b": 1}), json!({"a": 9, "b": 2}));
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(warnings, ["spec.f.a: Invalid value: 9: failed rule: self < 5"]);
    let (errors, _) = updated(field, json!({"a": 9, "b": 1}), json!({"a": 8, "b": 1}));
    assert_eq!(errors, ["spec.f.a: Invalid value: 8: failed rule: self < 5"]);
}

#[test]
fn an_object_has_one_budget_for_all_its_rules() {
    // Each call is within its own limit; together they are not.
    let item = ruled(
        json!({"type": "array", "items": {"type": "integer"}}),
        json!([{"rule": "self.all(x, self.all(y, x + y >= 0))"}]),
    );
    let field = json!({"type": "array", "items": item});
    let row: Vec<i64> = (0..200).collect();
    let rows = vec![row; 100];
    let errors = created(field, json!(rows));
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    let end = ": Invalid value: \"array\": validation failed due to running out of cost budget, no further validation \
               rules will be run";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn a_call_that_costs_too_much_ends_it() {
    let field = ruled(
        json!({"type": "array", "items": {"type": "integer"}}),
        json!([{"rule": "self.all(x, self.all(y, x + y >= 0))"}, {"rule": "false"}]),
    );
    let many: Vec<i64> = (0..2000).collect();
    assert_eq!(
        created(field, json!(many)),
        [
            "spec.f: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation \
          rules will be run due to call cost exceeds limit for rule: self.all(x, self.all(y, x + y >= 0))"
        ]
    );
}

#[test]
fn rules_hold_of_defaults() {
    let of = |rule: &str| {
        let mut field = ruled(json!({"type": "integer"}), json!([{ "rule": rule }]));
        field["default"] = 3.into();
        let schema = object(json!({ "f": field }));
        said(&check_defaults(&Path::root(), &self::schema(schema.clone()), &schema, true))
    };
    assert_eq!(of("self > 2"), Vec::<String>::new());
    assert_eq!(of("self > 3"), ["properties[f].default: Invalid value: 3: failed rule: self > 3"]);
    assert_eq!(
        of("self > oldSelf"),
        ["properties[f].default: Invalid value: 3: failed rule: self > oldSelf"]
    );
}
