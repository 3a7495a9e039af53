//! Pruning, defaults, embedded metadata, lists.

use super::*;

#[test]
fn undeclared_fields_go_and_are_told() {
    let keep = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let embedded = || {
        json!({"type": "object", "x-kubernetes-embedded-resource": true,
        "properties": {"spec": {"type": "object"}}})
    };
    let cases = [
        // Nothing is declared: only the head of the whole object stays.
        (
            json!({}),
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"x": 1}, "a": {"b": 1}}),
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"x": 1}}),
            vec!["a"],
        ),
        // By depth, in lists and maps.
        (
            object(json!({
                "a": object(json!({"b": {"type": "string"}})),
                "list": {"type": "array", "items": object(json!({"b": {"type": "string"}}))},
                "map": {"type": "object", "additionalProperties": object(json!({"b": {"type": "string"}}))},
            })),
            json!({"a": {"b": "1", "c": 2}, "list": [{"b": "1"}, {"c": 2}], "map": {"x": {"b": "1", "c": 2}},
                "z": null}),
            json!({"a": {"b": "1"}, "list": [{"b": "1"}, {}], "map": {"x": {"b": "1"}}}),
            vec!["a.c", "list[1].c", "map.x.c", "z"],
        ),
        // What is kept is kept down to what is declared again.
        (
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"a": object(json!({"b": {"type": "string"}})), "kept": keep()}}),
            json!({"a": {"b": "1", "c": 2}, "x": {"y": [1]}, "kept": {"deep": {"er": 1}}}),
            json!({"a": {"b": "1"}, "x": {"y": [1]}, "kept": {"deep": {"er": 1}}}),
            vec!["a.c"],
        ),
        // Additional properties of any kind keep scalars, and no fields.
        (
            json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": true}}}),
            json!({"m": {"a": 1, "b": {"c": 1}}}),
            json!({"m": {"a": 1, "b": {}}}),
            vec!["m.b.c"],
        ),
        // An embedded object has a head; a plain one has none.
        (
            object(json!({"e": embedded(), "plain": {"type": "object"}})),
            json!({"e": {"apiVersion": "v1", "kind": "B", "metadata": {"name": "b"}, "spec": {"x": 1}, "y": 1},
                "plain": {"kind": "B"}}),
            json!({"e": {"apiVersion": "v1", "kind": "B", "metadata": {"name": "b"}, "spec": {}},
                "plain": {}}),
            vec!["e.spec.x", "e.y", "plain.kind"],
        ),
        // A list that keeps what it does not know, of items that say nothing of it.
        (
            object(json!({"l": {"type": "array", "x-kubernetes-preserve-unknown-fields": true,
                "items": object(json!({"a": object(json!({}))}))}})),
            json!({"l": [{"a": {"x": 1}, "b": 1}]}),
            json!({"l": [{"a": {}, "b": 1}]}),
            vec!["l[0].a.x"],
        ),
    ];
    for (tree, mut value, wanted, unknown) in cases {
        assert_eq!(schema(tree.clone()).prune(&mut value, true), unknown, "{tree}");
        assert_eq!(value, wanted, "{tree}");
    }
}

#[test]
fn absent_fields_become_their_defaults() {
    let cases = [
        (json!({}), json!({"d": "a"})),
        (json!({"d": null}), json!({"d": "a"})),
        (json!({"d": "b"}), json!({"d": "b"})),
        (json!({"n": null}), json!({"d": "a", "n": null})),
        // Not through what is not there.
        (json!({"in": {}}), json!({"d": "a", "in": {"x": 1}})),
        (json!({"map": {"k": {}, "l": null}}), json!({"d": "a", "map": {"k": {"x": 1}, "l": null}})),
        (json!({"list": [{}, {"x": 2}, null]}), json!({"d": "a", "list": [{"x": 1}, {"x": 2}, {"x": 7}]})),
    ];
    let x = || json!({"type": "object", "properties": {"x": {"type": "integer", "default": 1}}});
    let mut item = x();
    item["default"] = json!({"x": 7});
    let whole = schema(object(json!({
        "d": {"type": "string", "default": "a"},
        "n": {"type": "string", "default": "n", "nullable": true},
        "in": x(),
        "map": {"type": "object", "additionalProperties": x()},
        "list": {"type": "array", "items": item},
    })));
    for (mut value, mut wanted) in cases {
        if wanted.get("n").is_none() {
            wanted["n"] = "n".into();
        }
        whole.default(&mut value);
        assert_eq!(value, wanted);
        whole.default(&mut value);
        assert_eq!(value, wanted, "and once is enough");
    }
}

#[test]
fn nulls_stay_only_where_they_may_or_become_something() {
    let whole = schema(object(json!({
        "a": {"type": "string"},
        "b": {"type": "string", "nullable": true},
        "c": {"type": "string", "default": "c"},
        "m": {"type": "object", "additionalProperties": {"type": "string"}},
    })));
    let mut value = json!({"a": null, "b": null, "c": null, "m": {"x": null, "y": "z"}, "other": null});
    whole.prune_nulls(&mut value);
    assert_eq!(value, json!({"b": null, "c": null, "m": {"y": "z"}, "other": null}));
}

fn holder() -> Schema {
    schema(object(json!({"e": {"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true}})))
}

#[test]
fn metadata_inside_are_metadata() {
    let mut value = json!({"e": {"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "x": 1,
        "labels": {"a": null}, "creationTimestamp": null}}});
    assert_eq!(holder().coerce(&mut value, false).unwrap(), ["e.metadata.x"]);
    assert_eq!(value["e"]["metadata"], json!({"name": "a", "labels": {"a": ""}}));
    let wrong = json!({"e": {"kind": 1, "metadata": {"name": 1, "labels": {"a": "b"}}}});
    assert_eq!(
        holder().coerce(&mut wrong.clone(), false).unwrap_err(),
        "e.kind: Invalid value: 1: must be a string"
    );
    let mut kept = wrong;
    holder().coerce(&mut kept, true).unwrap();
    assert_eq!(kept, json!({"e": {"metadata": {"labels": {"a": "b"}}}}));
}

#[test]
fn metadata_inside_are_judged() {
    let errors = |value: Value| said(&holder().validate_embedded(&Path::root(), &value));
    assert_eq!(errors(json!({"e": {"apiVersion": "v1", "kind": "A"}})), Vec::<String>::new());
    assert_eq!(errors(json!({"e": {}})), ["e.apiVersion: Required value", "e.kind: Required value"]);
    let wrong = errors(json!({"e": {"apiVersion": "a/b/c", "kind": "A B", "metadata": {"name": "..",
        "namespace": "A", "labels": {"-": "x"}}}}));
    let starts = [
        "e.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
        "e.kind: Invalid value: \"A B\": may have mixed case, but should otherwise match: ",
        "e.metadata.name: Invalid value: \"..\": may not be '..'",
        "e.metadata.namespace: Invalid value: \"A\": ",
        "e.metadata.labels: Invalid value: \"-\": ",
    ];
    assert_eq!(wrong.len(), starts.len(), "{wrong:?}");
    for (error, start) in wrong.iter().zip(starts) {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn what_stands_twice_is_told_once() {
    let whole = schema(object(json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "one": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
            "items": {"type": "object"}},
        "two": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"],
            "items": object(json!({"set": {"type": "array", "x-kubernetes-list-type": "set"}}))},
        "free": {"type": "array"},
    })));
    let value = json!({
        "set": ["a", "b", "a", "a"],
        "one": [{"a": 1}, {"a": 1.0}, {"a": 1, "c": 2}, {}, {"b": 1}],
        "two": [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 1, "a": 1, "set": [[1], [1]]}],
        "free": [1, 1],
    });
    assert_eq!(
        said(&whole.duplicates(&Path::root(), &value)),
        [
            "one[2]: Duplicate value: {\"a\":1}",
            "one[4]: Duplicate value: {}",
            "set[2]: Duplicate value: \"a\"",
            "two[2]: Duplicate value: {\"a\":1,\"b\":1}",
            "two[2].set[1]: Duplicate value: [1]",
        ]
    );
    assert_eq!(
        said(&whole.duplicates(&Path::root(), &json!({"one": [1]}))),
        ["one[0]: Invalid value: 1: must be an object for an array of list-type map"]
    );
}

#[test]
fn fields_are_found_by_path() {
    let whole = schema(object(json!({
        "spec": object(json!({"a.b": {"type": "string"}, "c": {"type": "integer"},
            "m": {"type": "object", "additionalProperties": {"type": "boolean"}}})),
        "list": {"type": "array", "items": {"type": "string"}},
    })));
    let found = |path| field_path(path, &whole, true).map(|(path, _)| path.to_string());
    assert_eq!(found(".spec.c").as_deref(), Ok("spec.c"));
    assert_eq!(found(".spec['a.b']").as_deref(), Ok("spec.a.b"));
    assert_eq!(found(".spec.m['x']").as_deref(), Ok("spec.m[x]"));
    for (path, why) in [
        ("spec.c", "expected [ or . but got: spec"),
        (".spec.x", "does not refer to a valid field"),
        (".list.x", "does not refer to a valid field"),
        (".spec[0]", "expected single quoted string but got 0"),
        (".spec['a", "expected single quoted string but got 'a"),
        (".spec.", "unexpected end of JSON path"),
        (".spec['\\q']", "invalid string literal: invalid escape char \\q"),
    ] {
        assert_eq!(found(path).unwrap_err(), why, "{path}");
    }
    let dotted = |path| field_path(path, &whole, false).map(|(_, schema)| schema.unwrap().ty);
    assert_eq!(dotted(".spec.c"), Ok(Some(Type::Integer)));
    assert_eq!(dotted(".spec['c']").unwrap_err(), "array notation is not allowed");
}

#[test]
fn a_version_tells_apply_how_lists_merge() {
    let definition = json!({"spec": {"names": {"kind": "A"}, "versions": [{"name": "v1", "schema":
        {"openAPIV3Schema": object(json!({"l": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"], "items": object(json!({"k": {"type": "string"}}))}}))}}]}});
    let version = Version::of(&definition, "v1").unwrap();
    let shown = format!("{:?}", version.managed_schema());
    assert!(shown.contains("x-kubernetes-list-map-keys"), "{shown}");
    let loose = json!({"spec": {"versions": [{"name": "v1"}]}});
    let loose = Version::of(&loose, "v1").unwrap();
    assert!(loose.keeps_unknown() && format!("{:?}", loose.managed_schema()).contains("None"));
}

#[test]
fn what_is_published_has_a_head_and_says_what_extensions_mean() {
    let tree = object(json!({
        "port": {"x-kubernetes-int-or-string": true, "description": "A port."},
        "named": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "in": {"type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true},
        "maybe": {"type": "string", "nullable": true},
    }));
    let v3 = publish(Some(&tree), Dialect::V3);
    let of = |name: &str| &v3["properties"][name];
    assert_eq!(of("port")["anyOf"], json!([{"type": "integer"}, {"type": "string"}]));
    assert_eq!(of("named"), &tree["properties"]["named"]);
    assert_eq!(of("in")["required"], json!(["kind", "apiVersion"]));
    assert!(
        of("in")["properties"]["metadata"]["allOf"][0]["$ref"].as_str().unwrap().ends_with(".ObjectMeta")
    );
    assert_eq!(of("apiVersion"), &json!({"type": "string"}));
    let v2 = publish(Some(&tree), Dialect::V2);
    assert_eq!(v2["properties"]["kept"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(v2["properties"]["maybe"], json!({}));
    assert!(v2["properties"]["port"].get("anyOf").is_none());
    assert_eq!(publish(None, Dialect::V3), json!({"type": "object"}));
}
