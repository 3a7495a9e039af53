//! What keeps schemas from being structural, and defaults from being values.

use super::*;

fn checked(schema: Value) -> Vec<String> {
    said(&check(&Path::root(), &schema))
}

#[test]
fn a_structural_schema_says_types_outside_of_alternatives() {
    let cases = [
        (json!({}), "type: Required value: must not be empty at the root"),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            "type: Invalid value: \"array\": must be object at the root",
        ),
        (
            object(json!({"a": {}})),
            "properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            object(json!({"a": {"type": "array", "items": {}}})),
            "properties[a].items.type: Required value: must not be empty for specified array items",
        ),
        (object(json!({"a": {"type": "array"}})), "properties[a].items: Required value: must be specified"),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "additionalProperties: Forbidden: must not be used at the root",
        ),
        (
            object(json!({"a": {"type": "string", "anyOf": [{"type": "string"}]}})),
            "properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "object", "not": {"properties": {"b": {"minimum": 1}}}}),
            "properties[b]: Required value: because it is defined in not.properties[b]",
        ),
        (
            json!({"type": "object", "allOf": [{"items": {"maxLength": 1}}]}),
            "items: Required value: because it is defined in allOf[0].items",
        ),
        (
            object(json!({"a": {"type": "string", "oneOf": [{"default": 1}]}})),
            "properties[a].oneOf[0].default: Forbidden: must be undefined to be structural",
        ),
        (
            object(json!({"a": {"type": "string", "oneOf": [{"description": "x"}]}})),
            "properties[a].oneOf[0].description: Forbidden: must be empty to be structural",
        ),
        (
            object(json!({"a": {"type": "string", "oneOf": [{"nullable": true}]}})),
            "properties[a].oneOf[0].nullable: Forbidden: must be false to be structural",
        ),
        (
            object(
                json!({"a": {"type": "string", "allOf": [{"x-kubernetes-validations": [{"rule": "true"}]}]}}),
            ),
            "properties[a].allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural",
        ),
        (
            object(json!({"a": {"type": "object", "allOf": [{"additionalProperties": {"maximum": 1}}]}})),
            "properties[a].allOf[0].additionalProperties: Forbidden: must be undefined to be structural",
        ),
        (
            object(json!({"metadata": {"type": "object", "description": "x"}})),
            "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but \
             metadata is implicitly specified",
        ),
        (
            object(json!({"metadata": object(json!({"labels": {"type": "object"}}))})),
            "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but \
             metadata is implicitly specified",
        ),
        (
            object(json!({"kind": {"type": "integer"}})),
            "properties[kind].type: Invalid value: \"integer\": must be string",
        ),
        (
            object(json!({"a": {"type": "object", "x-kubernetes-embedded-resource": true}})),
            "properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is \
             true without x-kubernetes-preserve-unknown-fields",
        ),
        (
            object(
                json!({"a": {"x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}),
            ),
            "properties[a].type: Required value: must be object if x-kubernetes-embedded-resource is true",
        ),
        (
            object(
                json!({"a": {"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}}),
            ),
            "properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if \
             x-kubernetes-int-or-string is true",
        ),
        (
            object(json!({"a": {"type": "string", "pattern": "("}})),
            "properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error \
             parsing regexp: unclosed group",
        ),
    ];
    for (schema, sentence) in cases {
        assert_eq!(checked(schema.clone()), [sentence], "{schema}");
    }
}

#[test]
fn what_is_structural_passes() {
    let ints = || json!([{"type": "integer"}, {"type": "string"}]);
    for schema in [
        object(
            json!({"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}}),
        ),
        object(json!({"a": {"x-kubernetes-int-or-string": true, "anyOf": ints()}})),
        object(
            json!({"a": {"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": ints()}, {"minimum": 1}]}}),
        ),
        object(json!({"a": {"x-kubernetes-preserve-unknown-fields": true}})),
        object(json!({"a": {"type": "object", "properties": {"b": {"type": "integer"}},
            "anyOf": [{"required": ["b"]}, {"properties": {"b": {"minimum": 1}}}]}})),
    ] {
        assert_eq!(checked(schema.clone()), Vec::<String>::new(), "{schema}");
    }
    for (schema, why) in [
        (json!({"$ref": "x"}), "OpenAPIV3Schema '$ref' is not supported"),
        (
            object(json!({"a": {"patternProperties": {"a": {}}}})),
            "OpenAPIV3Schema 'patternProperties' is not supported",
        ),
        (
            object(json!({"a": {"type": "array", "items": [{}]}})),
            "OpenAPIV3Schema 'items' must be a schema, but is an array",
        ),
        (object(json!({"a": {"type": "text"}})), "\"text\" is an invalid type name"),
    ] {
        let failed = unsupported(&schema).and_then(|()| Schema::parse(&schema).map(|_| ()));
        assert_eq!(failed.unwrap_err().to_string(), why);
    }
}

#[test]
fn a_default_is_a_value_of_its_schema() {
    let of =
        |schema: Value| said(&check_defaults(&Path::root(), &self::schema(schema.clone()), &schema, true));
    let inner = || object(json!({"b": {"type": "integer"}}));
    let with = |mut schema: Value, default: Value| {
        schema["default"] = default;
        object(json!({ "a": schema }))
    };
    assert_eq!(of(with(inner(), json!({"b": 1}))), Vec::<String>::new());
    assert_eq!(
        of(with(inner(), json!({"b": 1, "c": 2}))),
        ["properties[a].default: Invalid value: {\"b\":1,\"c\":2}: must not have unknown fields"]
    );
    assert_eq!(
        of(with(inner(), json!({"b": "x"}))),
        ["properties[a].default.b: Invalid value: \"string\": b in body must be of type integer: \"string\""]
    );
    let embedded = json!({"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(
        of(with(embedded.clone(), json!({"kind": "A"}))),
        ["properties[a].default.apiVersion: Required value"]
    );
    // Inside metadata a default is judged as part of them.
    let mut named = embedded;
    named["properties"] =
        json!({"metadata": object(json!({"namespace": {"type": "string", "default": "A"}}))});
    let errors = of(object(json!({ "a": named })));
    let start = "properties[a].properties[metadata].properties[namespace].default: Invalid value: \"A\": must \
                 result in valid metadata: metadata.namespace: Invalid value: \"A\": ";
    assert!(errors.len() == 1 && errors[0].starts_with(start), "{errors:?}");
    let mut loose = self::schema(with(inner(), json!({"b": 1, "c": 2})));
    prune_defaults(&mut loose);
    assert_eq!(loose.properties["a"].default, Some(json!({"b": 1})));
}
