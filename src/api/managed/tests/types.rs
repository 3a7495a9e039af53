//! What types say of trees and of sets that were written under older ones.

use serde_json::{Value, json};

use super::trees::{grab_bag, keyed, paths, schema};
use super::world::{list_by, string, structure};
use crate::api::managed::*;

#[test]
fn trees_that_do_not_fit_are_refused_in_their_words() {
    let tables = Schema::named("io.k8s.api.core.v1.Pod").unwrap();
    let container = |container: Value| json!({"spec": {"containers": [container]}});
    for (schema, tree, why) in [
        (grab_bag(), json!({"foo": 1}), ".foo: field not declared in schema"),
        (grab_bag(), json!({"numeric": "a"}), ".numeric: expected numeric (int or float), got string"),
        (
            grab_bag(),
            json!({"numeric": [1]}),
            ".numeric: expected numeric (int or float), got []interface {}",
        ),
        (grab_bag(), json!({"string": 5}), ".string: expected string, got &value.valueUnstructured{Value:5}"),
        (
            grab_bag(),
            json!({"string": {"a": ["b", null]}}),
            ".string: expected string, got &value.valueUnstructured{Value:map[string]interface {}{\"a\":\
             []interface {}{\"b\", interface {}(nil)}}}",
        ),
        (grab_bag(), json!({"bool": "true"}), ".bool: expected boolean, got &{true}"),
        (grab_bag(), json!({"setStr": {"a": 1}}), ".setStr: expected list, got &{map[a:1]}"),
        (grab_bag(), json!({"map": ["a", 1]}), ".map: expected map, got &{[a 1]}"),
        (grab_bag(), json!({"setStr": ["a", "a"]}), r#".setStr: duplicate entries for key [="a"]"#),
        (
            grab_bag(),
            json!({"setStr": [{}]}),
            ".setStr: element 0: associative list without keys has an element that's a map type",
        ),
        (
            grab_bag(),
            json!({"args": [{"key": 1}]}),
            ".args[0].key: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            keyed(),
            json!({"list": [{"nv": 1}]}),
            ".list: element 0: associative list with keys has an element that omits all key fields [\"key\" \
             \"id\"] (and doesn't have default values for any key fields)",
        ),
        (
            keyed(),
            json!({"list": [null]}),
            ".list: element 0: associative list with keys may not have a null element",
        ),
        (
            tables.clone(),
            container(
                json!({"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}),
            ),
            ".spec.containers[name=\"a\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]",
        ),
        (
            tables.clone(),
            json!({"spec": {"nodeNam": "a"}, "status": {"hostIP": 1}}),
            "errors:\n  .spec.nodeNam: field not declared in schema\n  .status.hostIP: expected string, got \
             &value.valueUnstructured{Value:1}",
        ),
    ] {
        assert_eq!(schema.validate(&tree, Duplicates::Refused).unwrap_err().to_string(), why);
    }
    assert_eq!(grab_bag().validate(&json!({"setStr": ["a", "a"], "map": null}), Duplicates::Allowed), Ok(()));
    let fits = json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}},
        "livenessProbe": {"httpGet": {"port": 80}}}]}, "metadata": {"creationTimestamp": null}});
    assert_eq!(tables.validate(&fits, Duplicates::Refused), Ok(()));
}

#[test]
fn the_table_says_what_is_merged_by_entry() {
    for (kind, tree, wanted) in [
        (
            "io.k8s.api.core.v1.Pod",
            json!({"metadata": {"finalizers": ["x"], "labels": {"a": "b"},
                "ownerReferences": [{"uid": "u", "name": "n"}]},
                "spec": {"tolerations": [{"key": "k"}], "nodeSelector": {"disk": "ssd"}, "containers": [
                    {"name": "c", "command": ["sh"], "env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}],
                     "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]}}),
            &[
                r#".metadata.finalizers[="x"]"#,
                ".metadata.labels.a",
                r#".metadata.ownerReferences[uid="u"]"#,
                ".spec.nodeSelector",
                r#".spec.containers[name="c"]"#,
                r#".spec.containers[name="c"].name"#,
                r#".spec.containers[name="c"].command"#,
                r#".spec.containers[name="c"].env[name="E"]"#,
                r#".spec.containers[name="c"].env[name="E"].name"#,
                r#".spec.containers[name="c"].env[name="E"].valueFrom.fieldRef"#,
                r#".spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]"#,
                r#".spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort"#,
                r#".spec.containers[name="c"].resources.limits.cpu"#,
                ".spec.tolerations",
            ] as &[&str],
        ),
        (
            "io.k8s.api.core.v1.Service",
            json!({"spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
            &[
                r#".spec.ports[port=80,protocol="TCP"]"#,
                r#".spec.ports[port=80,protocol="TCP"].port"#,
                r#".spec.ports[port=80,protocol="TCP"].targetPort"#,
                ".spec.selector",
            ],
        ),
        (
            "io.k8s.api.core.v1.PersistentVolume",
            json!({"spec": {"claimRef": {"name": "a", "namespace": "b"}}}),
            &[".spec.claimRef.name", ".spec.claimRef.namespace"],
        ),
    ] {
        let mut wanted: Vec<_> = wanted.iter().map(|path| (*path).to_owned()).collect();
        wanted.sort();
        assert_eq!(paths(&Schema::named(kind).unwrap().fields(&tree).unwrap()), wanted);
    }
}

#[test]
fn fields_owned_under_an_older_type_are_owned_as_a_whole() {
    let schema = schema(json!({
        "struct": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": string(), "b": string()}},
        "list": {"type": "array", "items": string()},
        "lists": list_by(&["name"], json!({"name": string(), "values": {"type": "array", "items": string()}})),
        "plain": structure(json!({"a": string()})),
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }));
    let before = r#"{"f:any":{"f:x":{"v:1":{}}},"f:gone":{"f:a":{}},"f:list":{"v:\"a\"":{},"v:\"b\"":{}},"f:lists":{"k:{\"name\":\"a\"}":{".":{},"f:values":{"v:1":{}}}},"f:plain":{"f:a":{}},"f:struct":{"f:a":{},"f:b":{}}}"#;
    let after = r#"{"f:any":{"f:x":{"v:1":{}}},"f:gone":{"f:a":{}},"f:list":{},"f:lists":{"k:{\"name\":\"a\"}":{".":{},"f:values":{}}},"f:plain":{"f:a":{}},"f:struct":{}}"#;
    let adapted = schema.adapt(&FieldSet::from_json(before).unwrap());
    assert_eq!(adapted.to_json(), after);
    assert_eq!(schema.adapt(&adapted), adapted);
}
