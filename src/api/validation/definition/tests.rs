//! Definitions that are wrong, and what is said: each case is a sound definition and one change.

use serde_json::{Value, json};

use crate::api::validation::Options;
use crate::api::{Resource, Scheme, defaults, schema};

fn row() -> Resource {
    let scheme = Scheme::builtin();
    Resource::clone(scheme.api_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").unwrap())
}

fn sound() -> Value {
    json!({
        "metadata": {"name": "as.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "as", "singular": "a", "kind": "A", "listKind": "AList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}},
                    "status": {"type": "object"},
                }}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n",
                    "statusReplicasPath": ".status.n"}},
                "additionalPrinterColumns": [{"name": "S", "type": "string", "jsonPath": ".spec.s"}],
                "selectableFields": [{"jsonPath": ".spec.s"}],
            }],
            "conversion": {"strategy": "None"},
        },
        "status": {"acceptedNames": {"plural": "as", "kind": "A"}, "storedVersions": ["v1"]},
    })
}

fn ready(tree: Value) -> Value {
    let row = row();
    let mut tree = schema::prune(&row, tree).expect("a definition").tree;
    defaults::apply(&row, &mut tree).unwrap();
    tree
}

fn created(tree: Value) -> Vec<String> {
    let errors = Options::default().create_tree(&row(), &ready(tree));
    errors.iter().map(ToString::to_string).collect()
}

fn updated(old: Value, new: Value) -> Vec<String> {
    let errors = Options::default().update_tree(&row(), &ready(new), &ready(old));
    errors.iter().map(ToString::to_string).collect()
}

fn with(pointer: &str, value: Value) -> Value {
    changed(sound(), pointer, value)
}

fn changed(mut tree: Value, pointer: &str, value: Value) -> Value {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match tree.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = value,
        map => map[last] = value,
    }
    tree
}

/// The definition with a field more in its schema.
fn with_field(field: Value) -> Value {
    with("/spec/versions/0/schema/openAPIV3Schema/properties/f", field)
}

#[test]
fn a_sound_definition_passes() {
    assert_eq!(created(sound()), Vec::<String>::new());
}

#[test]
fn names_versions_and_paths_have_rules() {
    const VERSION: &str = "/spec/versions/0";
    let version = |rest: &str| format!("{VERSION}{rest}");
    let many: Vec<Value> = (0..9).map(|index| json!({"jsonPath": format!(".spec.f{index}")})).collect();
    let fields: serde_json::Map<String, Value> =
        (0..9).map(|index| (format!("f{index}"), json!({"type": "string"}))).collect();
    let mut crowded = with(&version("/selectableFields"), many.into());
    crowded["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] =
        fields.into();
    let cases = [
        (
            with("/metadata/name", json!("b.example.com")),
            "metadata.name: Invalid value: \"b.example.com\": must be spec.names.plural+\".\"+spec.group",
        ),
        (
            with("/spec/scope", json!("Other")),
            "spec.scope: Unsupported value: \"Other\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (
            with("/spec/names/listKind", json!("A")),
            "spec.names.listKind: Invalid value: \"A\": kind and listKind may not be the same",
        ),
        (
            with("/status/storedVersions", json!(["v1", "v0"])),
            "status.storedVersions[1]: Invalid value: \"v0\": missing from spec.versions; v0 was previously a \
             storage version, and must remain in spec.versions until a storage migration ensures no data remains \
             persisted in v0 and removes v0 from status.storedVersions",
        ),
        (
            with(&version("/deprecationWarning"), json!("old")),
            "spec.versions[0].deprecationWarning: Invalid value: \"old\": can only be set for deprecated versions",
        ),
        (
            with(&version("/subresources/scale/specReplicasPath"), json!(".n")),
            "spec.subresources.scale.specReplicasPath: Invalid value: \".n\": should be a json path under .spec",
        ),
        (
            with(&version("/subresources/scale/labelSelectorPath"), json!("spec.s")),
            "spec.subresources.scale.labelSelectorPath: Invalid value: \"spec.s\": must be a simple json path \
             starting with .",
        ),
        (
            with(&version("/additionalPrinterColumns/0/type"), json!("text")),
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of \
             boolean,date,integer,number,string",
        ),
        (
            with(&version("/additionalPrinterColumns/0/jsonPath"), json!("spec")),
            "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"spec\": must be a simple json path \
             starting with .",
        ),
        (
            with(&version("/selectableFields/0/jsonPath"), json!(".spec.x")),
            "spec.selectableFields[0].jsonPath: Invalid value: \".spec.x\": is an invalid path: does not refer \
             to a valid field",
        ),
        (
            with(&version("/selectableFields/0/jsonPath"), json!(".spec")),
            "spec.selectableFields[0].jsonPath: Invalid value: \".spec\": must point to a field of type string, \
             boolean or integer. Enum string fields and strings with formats are allowed.",
        ),
        (crowded, "spec.selectableFields: Too many: 9: must have at most 8 items"),
        (
            with(
                "/spec/conversion",
                json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}),
            ),
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            with(
                "/spec/conversion",
                json!({"strategy": "Webhook", "webhook":
                {"clientConfig": {"url": "http://a"}, "conversionReviewVersions": ["v1"]}}),
            ),
            "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL \
             scheme; desired format: https://host[/path]",
        ),
        (
            with(
                "/spec/conversion",
                json!({"strategy": "Webhook", "webhook":
                {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v7"]}}),
            ),
            "spec.conversion.conversionReviewVersions: Invalid value: [\"v7\"]: must include at least one of v1, \
             v1beta1",
        ),
        (
            with("/spec/conversion/webhook", json!({"conversionReviewVersions": ["v1"]})),
            "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to \
             Webhook",
        ),
        (
            with("/spec/preserveUnknownFields", json!(true)),
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set \
             x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ),
    ];
    for (tree, sentence) in cases {
        assert_eq!(created(tree), [sentence]);
    }
    assert_eq!(
        created(with(&version("/schema"), json!(null))),
        [
            "spec.versions[0].schema.openAPIV3Schema: Required value",
            "spec.selectableFields: Invalid value: \"\": may only be set when validations.schema is included",
        ]
    );
    let unstored = created(with(&version("/storage"), json!(false)));
    assert!(unstored[0].ends_with("must have exactly one version marked as storage version"), "{unstored:?}");
    let mut protected = with("/spec/group", json!("example.k8s.io"));
    protected["metadata"]["name"] = "as.example.k8s.io".into();
    let missing = created(protected.clone());
    assert!(
        missing[0].starts_with("metadata.annotations[api-approved.kubernetes.io]: Required value: "),
        "{missing:?}"
    );
    protected["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, a test"});
    assert_eq!(created(protected), Vec::<String>::new());
}

#[test]
fn schemas_have_rules_besides_structure() {
    let at = "spec.validation.openAPIV3Schema.properties[f]";
    let item = |extra: Value| {
        let mut item = json!({"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]});
        item.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item})
    };
    let cases = [
        (
            json!({"type": "string", "uniqueItems": true}),
            ".uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes \
             quadratic",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            json!({"type": "string", "x-kubernetes-list-type": "set"}),
            ".type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified",
        ),
        (
            json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}),
            ".items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with \
             x-kubernetes-list-type=set",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "heap"}),
            ".x-kubernetes-list-type: Unsupported value: \"heap\": supported values: \"atomic\", \"set\", \"map\"",
        ),
        (
            json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            ".x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            item(json!({"required": []})),
            ".items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it \
             must have a default or be a required property",
        ),
        (
            item(json!({"nullable": true})),
            ".items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map",
        ),
        (
            json!({"type": "object", "x-kubernetes-map-type": "loose"}),
            ".x-kubernetes-map-type: Unsupported value: \"loose\": supported values: \"atomic\", \"granular\"",
        ),
        (
            json!({"type": "string", "default": 1}),
            ".default: Invalid value: \"integer\":  in body must be of type string: \"integer\"",
        ),
    ];
    for (field, sentence) in cases {
        assert_eq!(created(with_field(field.clone())), [format!("{at}{sentence}")], "{field}");
    }
    // With a type that there is not, a schema is nothing more.
    let unknown = created(with_field(json!({"type": "text"})));
    assert_eq!(
        unknown,
        [format!(
            "{at}.type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \
        \"integer\", \"number\", \"object\", \"string\""
        )]
    );
    let reference = created(with_field(json!({"type": "string", "$ref": "#/a"})));
    assert_eq!(reference, [format!("{at}.$ref: Forbidden: $ref is not supported")]);
    // The root of an object with a status is an object and no more.
    let rooted = with("/spec/versions/0/schema/openAPIV3Schema/minProperties", json!(1));
    assert!(created(rooted)[0].contains("only [Description Type Format"), "it may not stand there");
    let nullable = changed(sound(), "/spec/versions/0/schema/openAPIV3Schema/nullable", json!(true));
    let nullable = changed(nullable, "/spec/versions/0/subresources", json!({}));
    assert_eq!(
        created(nullable),
        ["spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root"]
    );
}

#[test]
fn what_versions_say_differently_is_told_where_it_stands() {
    let mut two = sound();
    let mut other = two["spec"]["versions"][0].clone();
    (other["name"], other["storage"]) = (json!("v2"), json!(false));
    other["schema"]["openAPIV3Schema"]["properties"]["f"] = json!({});
    other["additionalPrinterColumns"][0]["type"] = "text".into();
    two["spec"]["versions"].as_array_mut().unwrap().push(other);
    assert_eq!(
        created(two.clone()),
        [
            "spec.versions[1].schema.openAPIV3Schema.properties[f].type: Required value: must not be empty for \
             specified object fields",
            "spec.versions[1].additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of \
             boolean,date,integer,number,string",
        ]
    );
    two["spec"]["versions"][1] = two["spec"]["versions"][0].clone();
    assert_eq!(created(two).len(), 2, "one name, and two storage versions");
}

#[test]
fn an_old_fault_may_stay_and_what_objects_are_stored_by_too() {
    let mut old =
        with_field(json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}));
    let mut new = changed(old.clone(), "/spec/names/shortNames", json!(["x"]));
    assert_eq!(updated(old.clone(), new.clone()), Vec::<String>::new());
    old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    new["status"] = old["status"].clone();
    new["spec"]["scope"] = "Cluster".into();
    new["spec"]["names"]["kind"] = "B".into();
    new["spec"]["names"]["plural"] = "bs".into();
    assert_eq!(
        updated(old, new),
        [
            "spec.scope: Invalid value: \"Cluster\": field is immutable",
            "spec.names.kind: Invalid value: \"B\": field is immutable",
            "spec.names.plural: Invalid value: \"bs\": field is immutable",
        ]
    );
}

#[test]
fn what_stands_in_items_is_decoded_too() {
    let tree = with_field(json!({"type": "array", "items": {"type": "string", "oops": 1}}));
    let decoded = schema::prune(&row(), tree).unwrap().tree;
    let items = decoded.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/f/items");
    assert_eq!(items, Some(&json!({"type": "string"})));
    let wrong = with_field(json!({"type": "object", "additionalProperties": {"type": 1}}));
    let error = schema::prune(&row(), wrong).unwrap_err().to_string();
    assert!(error.contains("cannot unmarshal number into Go struct field JSONSchemaProps.type"), "{error}");
}

#[cfg(not(feature = "cel"))]
#[test]
fn rules_are_refused_in_words_where_they_are_not_asked() {
    let errors =
        created(with_field(json!({"type": "string", "x-kubernetes-validations": [{"rule": "true"}]})));
    assert!(errors[0].contains("built without the feature `cel`"), "{errors:?}");
}

#[cfg(feature = "cel")]
#[test]
fn rules_are_compiled_and_their_cost_is_bounded() {
    let at = "spec.validation.openAPIV3Schema.properties[f]";
    let ruled = |mut schema: Value, rule: Value| {
        schema["x-kubernetes-validations"] = json!([rule]);
        created(with_field(schema))
    };
    let text = || json!({"type": "string", "maxLength": 10});
    assert_eq!(ruled(text(), json!({"rule": "self.size() > 1"})), Vec::<String>::new());
    let cases = [
        (json!({"rule": " "}), ".rule: Required value: rule is not specified"),
        (
            json!({"rule": "true", "message": "a\nb"}),
            ".message: Invalid value: \"a\\nb\": must not contain line breaks",
        ),
        (
            json!({"rule": "true\n", "reason": "Odd"}),
            ".reason: Unsupported value: \"Odd\": supported values: \"FieldValueDuplicate\", \
             \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\"",
        ),
        (
            json!({"rule": "true", "optionalOldSelf": true}),
            ".optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
        (
            json!({"rule": "true", "fieldPath": ".x"}),
            ".fieldPath: Invalid value: \".x\": must be a valid path",
        ),
    ];
    for (rule, sentence) in cases {
        assert_eq!(
            ruled(text(), rule.clone()),
            [format!("{at}.x-kubernetes-validations[0]{sentence}")],
            "{rule}"
        );
    }
    let unknown = ruled(text(), json!({"rule": "self.x > y"}));
    assert!(unknown[0].contains("compilation failed: ERROR: <input>:1:"), "{unknown:?}");
    let number = ruled(text(), json!({"rule": "1"}));
    assert!(number[0].ends_with("cel expression must evaluate to a bool"), "{number:?}");
    let unbounded = json!({"type": "array", "items": {"type": "array", "items": {"type": "string"}}});
    let dear = ruled(unbounded, json!({"rule": "self.all(x, x.all(y, y.contains('a')))"}));
    assert!(dear[0].contains("estimated rule cost exceeds budget by factor of"), "{dear:?}");
    let items = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}],
        "maxLength": 5}, "maxItems": 5});
    assert_eq!(
        created(with_field(items)),
        [format!(
            "{at}.items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be \
            used on the uncorrelatable portion of the schema within {at}"
        )]
    );
}
