//! Metadata, of every kind alike.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use serde_json::json;

use super::*;

#[test]
fn metadata_are_judged_alike_for_every_kind() {
    let map = || json!({"metadata": {"name": "a", "namespace": "default", "labels": {}}});
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
        and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
        '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    each::<ConfigMap>(
        map,
        &[
            (
                "/metadata/name",
                json!(null),
                "metadata.name: Required value: name or generateName is required",
            ),
            ("/metadata/name", json!("A_b"), &format!("metadata.name: Invalid value: \"A_b\": {subdomain}")),
            (
                "/metadata/generateName",
                json!("-"),
                &format!("metadata.generateName: Invalid value: \"-\": {subdomain}"),
            ),
            ("/metadata/namespace", json!(null), "metadata.namespace: Required value"),
            (
                "/metadata/labels",
                json!({"a": "-"}),
                "metadata.labels: Invalid value: \"-\": a valid label must be an empty string or consist of \
                 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
                 (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                "/metadata/annotations",
                json!({"a": "x".repeat(256 << 10)}),
                "metadata.annotations: Too long: may not be more than 262144 bytes",
            ),
            (
                "/metadata/finalizers",
                json!(["orphan", "foregroundDeletion"]),
                "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and \
                 foregroundDeletion cannot be both set",
            ),
            (
                "/metadata/ownerReferences",
                json!([{"apiVersion": "v1", "kind": "Pod", "name": "a"}]),
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
            ),
        ],
    );
    assert_eq!(
        created::<Node>(json!({"metadata": {"name": "n", "namespace": "default"}})),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
    assert_eq!(
        created::<Namespace>(json!({"metadata": {"name": "a.b"}})),
        ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
    );
    // A prefix may end in a dash, since the name will not.
    assert_eq!(
        created::<ConfigMap>(with(map(), "/metadata/generateName", json!("a-"))),
        Vec::<String>::new()
    );
}

#[test]
fn identity_never_changes_and_finalizers_are_not_added_late() {
    let old = json!({"metadata": {"name": "a", "namespace": "default", "uid": "1", "generation": 2,
                                  "deletionTimestamp": "2024-01-01T00:00:00Z", "finalizers": ["x.io/a"]}});
    assert_eq!(changed::<ConfigMap>(old.clone(), old.clone()), Vec::<String>::new());
    assert_eq!(
        changed::<ConfigMap>(old.clone(), with(old.clone(), "/metadata/uid", json!("2"))),
        ["metadata.uid: Invalid value: \"2\": field is immutable"]
    );
    assert_eq!(
        changed::<ConfigMap>(old.clone(), with(old.clone(), "/metadata/generation", json!(1))),
        ["metadata.generation: Invalid value: 1: must not be decremented"]
    );
    assert_eq!(
        changed::<ConfigMap>(old.clone(), with(old, "/metadata/finalizers", json!(["x.io/a", "x.io/b"]))),
        ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
          found new finalizers []string{\"x.io/b\"}"]
    );
}

#[test]
fn a_custom_resource_is_judged_by_its_metadata() {
    let row = Resource::new("example.com", "v1", "Widget", "widgets", crate::api::Scope::Namespaced);
    let errors =
        Options::default().create_tree(&row, &json!({"metadata": {"namespace": "default"}, "spec": 1}));
    assert_eq!(said(errors), ["metadata.name: Required value: name or generateName is required"]);
}
