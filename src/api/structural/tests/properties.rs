//! What holds of every schema and every value.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn names() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned)
}

/// Any JSON, with few names so that it meets the schemas.
fn any_json(names: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        (-3.0_f64..3.0).prop_map(Value::from),
        "[a-c(*\\[]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(names.clone(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Schemas that are structural.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "maxLength": 2, "default": "d"})),
        Just(json!({"type": "string", "nullable": true})),
        Just(json!({"type": "integer", "minimum": 0})),
        Just(json!({"type": "number", "multipleOf": 0.5, "default": 1.5})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let fields = btree_map(names(), inner.clone(), 1..3);
        prop_oneof![
            fields.prop_map(|fields| json!({"type": "object", "properties": fields, "required": ["a"]})),
            inner.clone().prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items, "maxItems": 2})),
            inner.prop_map(|items| json!({"type": "array", "x-kubernetes-list-type": "set", "items": items})),
        ]
    })
}

fn keywords() -> impl Strategy<Value = String> + Clone {
    let words = [
        "type",
        "properties",
        "items",
        "additionalProperties",
        "anyOf",
        "allOf",
        "not",
        "default",
        "pattern",
        "enum",
        "required",
        "maximum",
        "format",
        "x-kubernetes-int-or-string",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
        "metadata",
        "$ref",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever somebody sends as a schema is answered, and never a panic.
    #[test]
    fn no_schema_makes_anything_panic(tree in any_json(keywords()), mut value in any_json(names())) {
        let _ = unsupported(&tree);
        let _ = check(&Path::root(), &tree);
        let _ = publish(Some(&tree), Dialect::V2);
        let _ = publish(Some(&tree), Dialect::V3);
        if let Ok(schema) = Schema::parse(&tree) {
            let _ = check_defaults(&Path::root(), &schema, &tree, true);
            let _ = schema.validate(&Path::root(), &value);
            let _ = schema.duplicates(&Path::root(), &value);
            let _ = schema.coerce(&mut value, true);
            schema.prune(&mut value, true);
            schema.default(&mut value);
        }
    }

    /// Pruned once is pruned; filled in once is filled in; and what is filled in is declared.
    #[test]
    fn pruning_and_filling_in_are_done_once(tree in any_schema(), mut value in any_json(names())) {
        let schema = schema(object(json!({ "f": tree })));
        schema.prune(&mut value, false);
        let pruned = value.clone();
        prop_assert_eq!(schema.prune(&mut value, false), Vec::<String>::new());
        prop_assert_eq!(&value, &pruned);
        schema.default(&mut value);
        let filled = value.clone();
        schema.default(&mut value);
        prop_assert_eq!(&value, &filled);
        prop_assert_eq!(schema.prune(&mut value, false), Vec::<String>::new());
        schema.prune_nulls(&mut value);
        let clean = value.clone();
        schema.prune_nulls(&mut value);
        prop_assert_eq!(value, clean);
    }

    /// What is declared and has not changed is forgiven, whatever it is; and what is right needs no grace.
    #[test]
    fn what_has_not_changed_is_forgiven(tree in any_schema(), value in any_json(names())) {
        let whole = schema(object(json!({ "f": tree })));
        let mut value = json!({ "f": value });
        whole.prune(&mut value, false);
        let keeps = tree.to_string().contains("preserve-unknown");
        if !keeps {
            prop_assert_eq!(said(&whole.validate_update(&Path::root(), &value, &value)), Vec::<String>::new());
        }
        let right = whole.validate(&Path::root(), &value).is_empty();
        if right {
            let other = json!({ "f": null });
            prop_assert!(whole.validate_update(&Path::root(), &value, &other).is_empty());
        }
    }
}
