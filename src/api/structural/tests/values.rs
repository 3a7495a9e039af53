//! What is wrong with values, in Kubernetes' words.

use super::*;

/// What is said of a field of this schema that holds this value.
fn of(field: Value, value: Value) -> Vec<String> {
    let whole = schema(object(json!({ "f": field })));
    said(&whole.validate(&Path::root(), &json!({ "f": value })))
}

#[test]
fn each_keyword_has_its_sentence() {
    let ints = || json!({"type": "integer"});
    let with = |mut schema: Value, name: &str, value: Value| {
        schema[name] = value;
        schema
    };
    let text = || json!({"type": "string"});
    let list = || json!({"type": "array", "items": {"type": "string"}});
    let map = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let cases = [
        (ints(), json!("x"), "f: Invalid value: \"string\": f in body must be of type integer: \"string\""),
        (ints(), json!(null), "f: Invalid value: \"null\": f in body must be of type integer: \"null\""),
        (text(), json!(1), "f: Invalid value: \"integer\": f in body must be of type string: \"integer\""),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            "f: Invalid value: \"boolean\": f in body must be of type integer,string: \"boolean\"",
        ),
        (with(text(), "maxLength", json!(2)), json!("äöü"), "f: Too long: may not be more than 2 bytes"),
        (
            with(text(), "minLength", json!(2)),
            json!("a"),
            "f: Invalid value: \"a\": f in body should be at least 2 chars long",
        ),
        (
            with(text(), "pattern", json!("^a+$")),
            json!("b"),
            "f: Invalid value: \"b\": f in body should match '^a+$'",
        ),
        (
            with(text(), "enum", json!(["a", "b"])),
            json!("c"),
            "f: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ),
        (
            with(ints(), "enum", json!([1, 2])),
            json!(3),
            "f: Unsupported value: 3: supported values: \"1\", \"2\"",
        ),
        (
            with(text(), "format", json!("date-time")),
            json!("x"),
            "f: Invalid value: \"x\": f in body must be of type date-time: \"x\"",
        ),
        (
            with(ints(), "maximum", json!(5)),
            json!(6),
            "f: Invalid value: 6: f in body should be less than or equal to 5",
        ),
        (
            json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
            json!(5),
            "f: Invalid value: 5: f in body should be less than 5",
        ),
        (
            with(ints(), "minimum", json!(1)),
            json!(0),
            "f: Invalid value: 0: f in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true}),
            json!(0.5),
            "f: Invalid value: 0.5: f in body should be greater than 0.5",
        ),
        (
            with(ints(), "multipleOf", json!(3)),
            json!(4),
            "f: Invalid value: 4: f in body should be a multiple of 3",
        ),
        (
            with(ints(), "format", json!("int32")),
            json!(3_000_000_000_i64),
            "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in f",
        ),
        (with(list(), "maxItems", json!(1)), json!(["a", "b"]), "f: Too many: 2: must have at most 1 item"),
        (
            with(list(), "minItems", json!(1)),
            json!([]),
            "f: Invalid value: 0: f in body should have at least 1 items",
        ),
        (
            list(),
            json!([1]),
            "f[0]: Invalid value: \"integer\": f[0] in body must be of type string: \"integer\"",
        ),
        (
            with(map(), "maxProperties", json!(1)),
            json!({"a": "", "b": ""}),
            "f: Too many: 2: must have at most 1 item",
        ),
        (
            with(map(), "minProperties", json!(1)),
            json!({}),
            "f: Invalid value: 0: f in body should have at least 1 properties",
        ),
        (
            map(),
            json!({"a": 1}),
            "f.a: Invalid value: \"integer\": f.a in body must be of type string: \"integer\"",
        ),
        (with(object(json!({})), "required", json!(["a"])), json!({}), "f.a: Required value"),
        (
            json!({"type": "object", "additionalProperties": false}),
            json!({"a": 1}),
            "f: Invalid value: \"a\": f.a in body is a forbidden property",
        ),
        (
            json!({"type": "string", "not": {"enum": ["a"]}}),
            json!("a"),
            "<nil>: Invalid value: \"\": \"f\" must not validate the schema (not)",
        ),
    ];
    for (field, value, sentence) in cases {
        assert_eq!(of(field.clone(), value), [sentence], "{field}");
    }
}

#[test]
fn what_fits_is_not_told() {
    let cases = [
        (json!({"type": "integer"}), json!(1.0)),
        (json!({"type": "number"}), json!(1)),
        (json!({"type": "number", "multipleOf": 0.1}), json!(0.3)),
        (json!({"type": "string", "nullable": true}), json!(null)),
        (json!({"x-kubernetes-int-or-string": true}), json!("a")),
        (json!({"x-kubernetes-int-or-string": true}), json!(1)),
        (json!({"type": "string", "format": "unheard-of"}), json!("a")),
        (json!({"x-kubernetes-preserve-unknown-fields": true}), json!({"a": [1]})),
        (json!({"type": "string", "pattern": "a"}), json!("bab")),
    ];
    for (field, value) in cases {
        assert_eq!(of(field.clone(), value), Vec::<String>::new(), "{field}");
    }
}

#[test]
fn of_alternatives_the_best_is_told() {
    let one = json!({"required": ["a"]});
    let other = json!({"properties": {"b": {"minimum": 5}}, "required": ["b"]});
    let field = |word: &str| {
        let mut field = object(json!({"a": {"type": "integer"}, "b": {"type": "integer"}}));
        field[word] = json!([one, other]);
        field
    };
    assert_eq!(
        of(field("anyOf"), json!({"b": 1})),
        [
            "<nil>: Invalid value: \"\": \"f\" must validate at least one schema (anyOf)",
            "f.b: Invalid value: 1: f.b in body should be greater than or equal to 5",
        ]
    );
    assert_eq!(of(field("anyOf"), json!({"b": 5})), Vec::<String>::new());
    assert_eq!(
        of(field("oneOf"), json!({"a": 1, "b": 5})),
        [
            "<nil>: Invalid value: \"\": \"f\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
        ]
    );
    assert_eq!(
        of(field("oneOf"), json!({})),
        [
            "<nil>: Invalid value: \"\": \"f\" must validate one and only one schema (oneOf). Found none valid",
            "f.a: Required value",
        ]
    );
    assert_eq!(
        of(field("allOf"), json!({"a": 1})),
        ["f.b: Required value", "<nil>: Invalid value: \"\": \"f\" must validate all the schemas (allOf)"]
    );
    assert_eq!(
        of(field("allOf"), json!({}))[2],
        "<nil>: Invalid value: \"\": \"f\" must validate all the schemas (allOf). None validated"
    );
}

#[test]
fn what_was_wrong_already_may_stay() {
    let item = || object(json!({"k": {"type": "string"}, "v": {"type": "string", "maxLength": 2}}));
    let whole = schema(object(json!({
        "spec": object(json!({
            "a": {"type": "string", "maxLength": 2},
            "b": {"type": "string", "maxLength": 2},
            "list": {"type": "array", "items": {"type": "string", "maxLength": 2}},
            "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": item()},
            "map": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 2}},
        })),
        "kind": {"type": "string", "maxLength": 1},
    })));
    let old = json!({"kind": "AA", "spec": {"a": "long", "b": "ok", "list": ["long", "a"],
        "keyed": [{"k": "1", "v": "long"}, {"k": "2", "v": "ok"}], "map": {"x": "long"}}});
    let changed = |pointer: &str, value: Value| {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        said(&whole.validate_update(&Path::root(), &new, &old))
    };
    let kind = "kind: Too long: may not be more than 1 bytes";
    let long = |path: &str| format!("{path}: Too long: may not be more than 2 bytes");
    // The kind of the whole object is always judged; all else stays as it was.
    assert_eq!(changed("/spec/b", json!("b")), [kind]);
    assert_eq!(changed("/spec/b", json!("much")), [kind.to_owned(), long("spec.b")]);
    assert_eq!(changed("/spec/a", json!("long!")), [kind.to_owned(), long("spec.a")]);
    // A list of scalars is one value: what changes in it makes all of it new.
    assert_eq!(changed("/spec/list", json!(["long"])), [kind.to_owned(), long("spec.list[0]")]);
    // Items with keys are found again, wherever they stand.
    let moved = json!([{"k": "2", "v": "no"}, {"k": "1", "v": "long"}]);
    assert_eq!(changed("/spec/keyed", moved), [kind]);
    let more = json!([{"k": "1", "v": "long"}, {"k": "3", "v": "long"}]);
    assert_eq!(changed("/spec/keyed", more), [kind.to_owned(), long("spec.keyed[1].v")]);
    assert_eq!(changed("/spec/map", json!({"x": "long", "y": "ok"})), [kind]);
    // A status is judged from where it begins.
    let status = schema(object(json!({"n": {"type": "integer"}})));
    let errors = status.validate_update(&Path::new("status"), &json!({"n": "x"}), &json!({}));
    assert_eq!(
        said(&errors),
        ["status.n: Invalid value: \"string\": n in body must be of type integer: \"string\""]
    );
}
