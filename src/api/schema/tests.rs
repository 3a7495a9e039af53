//! Strict decoding, told as tables: what goes in, what comes out, what is objected to.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, core::v1::Secret};
use serde_json::json;

use super::*;

fn row<K: kube_core::Resource<DynamicType = ()>>() -> Resource
where
    K::Scope: 'static,
{
    let mut row = Resource::of::<K>();
    row.schema = name_of(&row.group, &row.version, &row.kind).map(Into::into);
    assert!(row.schema.is_some(), "{}", row.kind);
    row
}

fn custom() -> Resource {
    Resource::new("example.com", "v1", "Widget", "widgets", crate::api::Scope::Namespaced)
}

fn decoded(row: &Resource, text: &str) -> Decoded {
    decode(row, text.as_bytes(), Media::Json).unwrap()
}

fn refused(row: &Resource, text: &str) -> String {
    let error = decode(row, text.as_bytes(), Media::Json).unwrap_err();
    // The same through a tree, where there is one.
    if let Ok(tree) = serde_json::from_str(text) {
        assert_eq!(prune(row, tree).unwrap_err(), error);
    }
    error.to_string()
}

#[test]
fn unknown_and_duplicate_fields_are_pruned_and_told() {
    let read = decoded(
        &row::<Deployment>(),
        r#"{"kind":"Deployment","foo":1,"spec":{"replicas":1,"bar":{"a":1,"a":2},"replicas":2,
            "template":{"metadata":{"labels":{"a":"b","a":"c"}},
                        "spec":{"containers":[{"name":"a"},{"name":"b","imagee":"c"}]}}}}"#,
    );
    assert_eq!(
        read.problems,
        [
            r#"unknown field "foo""#,
            r#"unknown field "spec.bar""#,
            r#"duplicate field "spec.replicas""#,
            r#"duplicate field "spec.template.metadata.labels.a""#,
            r#"unknown field "spec.template.spec.containers[1].imagee""#,
        ]
    );
    assert!(read.strict_error().unwrap().starts_with(r#"strict decoding error: unknown field "foo", unk"#));
    assert_eq!(
        read.tree,
        json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {
            "metadata": {"labels": {"a": "c"}},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}})
    );
}

#[test]
fn a_value_of_another_type_is_named_as_go_names_it() {
    let row = row::<Deployment>();
    for (text, expected) in [
        (
            r#"{"spec":{"replicas":"3"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":3.5}}"#,
            "json: cannot unmarshal number 3.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"metadata":{"labels":{"a":true}}}"#,
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"a","value":1}]}]}}}}"#,
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":[]}"#,
            "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
        ),
        ("[]", "json: cannot unmarshal array into Go value of type v1.Deployment"),
        (
            r#"{"metadata":{"creationTimestamp":"yesterday"}}"#,
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#,
        ),
    ] {
        assert_eq!(refused(&row, text), expected);
    }
}

#[test]
fn malformed_json_wins_over_a_wrong_type() {
    for text in [r#"{"spec":{"replicas":"3"},"#, "", "{", r#"{"a":1} x"#, "nul"] {
        let error = decode(&row::<Deployment>(), text.as_bytes(), Media::Json).unwrap_err();
        assert!(matches!(error, DecodeError::Syntax(_)), "{text}: {error}");
    }
}

#[test]
fn nulls_are_absent_fields_and_zeroes_in_lists_and_maps() {
    let read = decoded(
        &row::<Pod>(),
        r#"{"metadata":{"name":"a","creationTimestamp":null,"labels":{"x":null}},"status":null,
            "spec":{"containers":[{"name":"c","args":["a",null],"ports":null,"resources":{}}]}}"#,
    );
    assert_eq!(
        read.tree,
        json!({"metadata": {"name": "a", "labels": {"x": ""}},
               "spec": {"containers": [{"name": "c", "args": ["a", ""], "resources": {}}]}})
    );
}

#[test]
fn scalars_come_out_as_kubernetes_writes_them() {
    let read = decoded(
        &row::<Pod>(),
        r#"{"metadata":{"creationTimestamp":"2024-03-01T12:00:00.7+02:00"},
            "spec":{"containers":[{"resources":{"limits":{"cpu":1,"memory":" 1024Mi","x":0.5}},
                                   "livenessProbe":{"httpGet":{"port":"http"}},
                                   "readinessProbe":{"httpGet":{"port":80}}}]}}"#,
    );
    assert_eq!(read.tree["metadata"]["creationTimestamp"], "2024-03-01T10:00:00Z");
    let container = &read.tree["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "1Gi", "x": "500m"}));
    assert_eq!(container["readinessProbe"]["httpGet"]["port"], 80);

    let secret = row::<Secret>();
    assert_eq!(decoded(&secret, r#"{"data":{"a":"aGVs\nbG8="}}"#).tree["data"]["a"], "aGVsbG8=");
    assert_eq!(refused(&secret, r#"{"data":{"a":"aGV$bG8="}}"#), "illegal base64 data at input byte 3");
    assert!(
        refused(&row::<Pod>(), r#"{"spec":{"overhead":{"cpu":"much"}}}"#)
            .starts_with("quantities must match the regular expression")
    );
}

#[test]
fn a_custom_resource_keeps_its_fields_and_its_metadata_are_checked() {
    let read = decoded(
        &custom(),
        r#"{"spec":{"a":null,"b":[{"c":1,"c":2}]},"metadata":{"name":"x","nmae":"y","labels":null}}"#,
    );
    assert_eq!(read.tree, json!({"metadata": {"name": "x"}, "spec": {"a": null, "b": [{"c": 2}]}}));
    assert_eq!(read.problems, [r#"duplicate field "spec.b[0].c""#, r#"unknown field "metadata.nmae""#]);
    assert_eq!(
        refused(&custom(), r#"{"metadata":{"labels":{"a":1}}}"#),
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
    );
}

#[test]
fn yaml_is_read_with_its_duplicates_told() {
    let text = b"kind: Pod\nmetadata:\n  name: a\n  name: b\nspec:\n  hostNetwork: yes\n  foo: 1\n";
    let read = decode(&row::<Pod>(), text, Media::Yaml).unwrap();
    assert_eq!(read.tree, json!({"kind": "Pod", "metadata": {"name": "b"}, "spec": {"hostNetwork": true}}));
    assert_eq!(
        read.problems,
        [r#"unknown field "spec.foo""#, "yaml: unmarshal errors:\n  line 4: key \"name\" already set in map"]
    );
}

#[test]
fn structural_defaults_fill_only_what_is_there() {
    let row = row::<Pod>();
    let mut tree = json!({"spec": {"containers": [{"ports": [{"containerPort": 1},
                                                             {"containerPort": 1, "protocol": "UDP"}]}]}});
    apply_defaults(&row, &mut tree);
    let once = tree.clone();
    apply_defaults(&row, &mut tree);
    assert_eq!(tree, once);
    let protocols: Vec<_> = tree["spec"]["containers"][0]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["protocol"].as_str().unwrap())
        .collect();
    assert_eq!(protocols, ["TCP", "UDP"]);
}
