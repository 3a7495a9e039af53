//! The three patches, told as tables: before, patch, after.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Node, core::v1::Pod, core::v1::Service};
use serde_json::json;

use super::*;
use crate::api::{Resource, Scope, schema};

pub(super) fn row<K: kube_core::Resource<DynamicType = ()>>() -> Resource
where
    K::Scope: 'static,
{
    let mut row = Resource::of::<K>();
    row.schema = schema::name_of(&row.group, &row.version, &row.kind).map(Into::into);
    row
}

fn patched(row: &Resource, mut tree: Value, patch: Value) -> Value {
    strategic(row, &mut tree, &patch).unwrap();
    tree
}

fn refused(row: &Resource, tree: Value, patch: Value) -> Error {
    let mut left = tree.clone();
    let error = strategic(row, &mut left, &patch).unwrap_err();
    assert_eq!(left, tree);
    error
}

/// A pod's tree with these containers.
fn pod(containers: Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn lists_with_a_key_are_merged_and_new_items_stand_in_front() {
    let before = pod(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]));
    let after = patched(
        &row::<Pod>(),
        before,
        pod(json!([{"name": "c", "image": "c:1"}, {"name": "b", "image": "b:2", "env": null}])),
    );
    assert_eq!(
        after,
        pod(
            json!([{"name": "c", "image": "c:1"}, {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}])
        )
    );
}

#[test]
fn items_are_deleted_or_replaced_by_directive() {
    let before = || pod(json!([{"name": "a"}, {"name": "b"}]));
    let row = row::<Pod>();
    for (patch, after) in [
        (json!([{"name": "a", "$patch": "delete"}]), json!([{"name": "b"}])),
        (json!([{"name": "x", "$patch": "delete"}]), json!([{"name": "a"}, {"name": "b"}])),
        (json!([{"$patch": "replace"}, {"name": "c"}]), json!([{"name": "c"}])),
        (json!([{"$patch": "replace"}]), json!([])),
        (
            json!([{"name": "a", "$patch": "delete"}, {"name": "a", "image": "i"}]),
            json!([{"name": "a", "image": "i"}, {"name": "b"}]),
        ),
    ] {
        assert_eq!(patched(&row, before(), pod(patch.clone())), pod(after), "{patch}");
    }
}

#[test]
fn objects_are_merged_replaced_and_emptied() {
    let row = row::<Pod>();
    let before = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
    for (patch, after) in [
        (json!({"a": null, "c": "3"}), json!({"b": "2", "c": "3"})),
        (json!({"$patch": "replace", "c": "3"}), json!({"c": "3"})),
        (json!({"$patch": "merge", "c": "3"}), json!({"a": "1", "b": "2", "c": "3"})),
        (json!({"$patch": "delete"}), json!({})),
    ] {
        let patch = json!({"metadata": {"labels": patch}});
        assert_eq!(patched(&row, before.clone(), patch), json!({"metadata": {"labels": after}}));
    }
    // Where there is nothing yet, nulls and directives leave no trace.
    let patch = json!({"metadata": {"annotations": {"x": null, "y": "1"}, "labels": {"$patch": "delete"}}});
    assert_eq!(
        patched(&row, json!({"metadata": {}}), patch),
        json!({"metadata": {"annotations": {"y": "1"}}})
    );
}

#[test]
fn retained_keys_clear_the_others() {
    let strategy = |strategy: Value| json!({"spec": {"strategy": strategy}});
    let before = strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}));
    let row = row::<Deployment>();
    let patch = strategy(json!({"type": "Recreate", "$retainKeys": ["type"]}));
    assert_eq!(patched(&row, before.clone(), patch), strategy(json!({"type": "Recreate"})));
    let patch = strategy(json!({"type": "Recreate", "$retainKeys": ["rollingUpdate"]}));
    assert_eq!(
        refused(&row, before, patch),
        Error::Malformed("invalid patch format of retainKeys".to_owned())
    );
    // Volumes: an item is merged, and keeps only the fields that are named.
    let volumes = |volumes: Value| json!({"spec": {"volumes": volumes}});
    assert_eq!(
        patched(
            &self::row::<Pod>(),
            volumes(json!([{"name": "v", "emptyDir": {}}])),
            volumes(json!([{"name": "v", "hostPath": {"path": "/x"}, "$retainKeys": ["name", "hostPath"]}])),
        ),
        volumes(json!([{"name": "v", "hostPath": {"path": "/x"}}]))
    );
}

#[test]
fn lists_of_scalars_are_sets_and_can_lose_items() {
    let row = row::<Pod>();
    let tree = |list: Value| json!({"metadata": {"finalizers": list}});
    let before = || tree(json!(["a", "b", "c"]));
    assert_eq!(patched(&row, before(), tree(json!(["d", "b"]))), tree(json!(["d", "a", "b", "c"])));
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b", "x"], "finalizers": ["d"]}});
    assert_eq!(patched(&row, before(), patch), tree(json!(["d", "a", "c"])));
    // Lists without a strategy are replaced.
    let args = |args: Value| pod(json!([{"name": "a", "args": args}]));
    assert_eq!(patched(&row, args(json!(["1", "2"])), args(json!(["3"]))), args(json!(["3"])));
}

#[test]
fn an_order_is_obeyed_and_must_fit_the_patch() {
    let row = row::<Pod>();
    let before = || pod(json!([{"name": "a"}, {"name": "x"}, {"name": "b"}, {"name": "c"}]));
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "new"}, {"name": "a"}],
        "containers": [{"name": "b", "$patch": "delete"}, {"name": "new", "image": "n"}]}});
    // What the patch does not name stays before what it stood before.
    assert_eq!(
        patched(&row, before(), patch),
        pod(json!([{"name": "x"}, {"name": "c"}, {"name": "new", "image": "n"}, {"name": "a"}]))
    );
    let only_order = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        patched(&row, before(), only_order),
        pod(json!([{"name": "x"}, {"name": "b"}, {"name": "a"}, {"name": "c"}]))
    );
    let wrong = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                                "containers": [{"name": "b"}, {"name": "a"}]}});
    let Error::Malformed(why) = refused(&row, before(), wrong) else { panic!() };
    assert!(why.contains("doesn't match $setElementOrder list"), "{why}");
    // Scalars.
    let patch = json!({"metadata": {"$setElementOrder/finalizers": ["c", "d", "a"], "finalizers": ["d"],
                                    "$deleteFromPrimitiveList/finalizers": ["b"]}});
    assert_eq!(
        patched(&row, json!({"metadata": {"finalizers": ["a", "b", "c"]}}), patch),
        json!({"metadata": {"finalizers": ["c", "d", "a"]}})
    );
}

#[test]
fn each_kind_has_its_keys() {
    let ports = |ports: Value| json!({"spec": {"ports": ports}});
    assert_eq!(
        patched(
            &row::<Service>(),
            ports(json!([{"port": 80, "name": "http"}, {"port": 443}])),
            ports(json!([{"port": 80, "targetPort": 8080}])),
        ),
        ports(json!([{"port": 80, "name": "http", "targetPort": 8080}, {"port": 443}]))
    );
    let conditions = |conditions: Value| json!({"status": {"conditions": conditions}});
    assert_eq!(
        patched(
            &row::<Node>(),
            conditions(json!([{"type": "Ready", "status": "True"}, {"type": "Disk", "status": "True"}])),
            conditions(json!([{"type": "Ready", "status": "False"}])),
        ),
        conditions(json!([{"type": "Ready", "status": "False"}, {"type": "Disk", "status": "True"}]))
    );
}

#[test]
fn malformed_strategic_patches_are_refused_with_words() {
    let row = row::<Pod>();
    let before = || pod(json!([{"name": "a"}]));
    for (patch, why) in [
        (pod(json!([{"image": "x"}])), r#"map: {"image":"x"} does not contain declared merge key: name"#),
        (pod(json!([{"name": "a", "$patch": "oops"}])), "unknown patch type: oops in map: "),
        (
            pod(json!([{"name": "a", "$patch": "merge"}])),
            "merging lists cannot yet be specified in the patch",
        ),
        (json!({"$patch": 1}), "unknown patch type: "),
        (pod(json!(["a"])), "list element types are not identical"),
        (json!({"spec": {"$setElementOrder/containers": 1}}), "invalid patch format of setElementOrder list"),
        (
            json!({"spec": {"$deleteFromPrimitiveList/containers": 1}}),
            "invalid patch format of primitive list",
        ),
        (json!([]), "invalid JSON document"),
    ] {
        let error = refused(&row, before(), patch);
        assert!(error.to_string().starts_with(why), "{error}");
    }
    let unknown = json!({"spec": {"foo": {"a": 1}}});
    assert_eq!(
        refused(&row, unknown.clone(), unknown).to_string(),
        r#"unable to find api field in struct PodSpec for the json field "foo""#
    );
    let widget = Resource::new("example.com", "v1", "Widget", "widgets", Scope::Namespaced);
    assert_eq!(refused(&widget, json!({}), json!({})), Error::Unsupported);
}

#[test]
fn merge_patches_follow_their_rfc() {
    for (before, patch, after) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": "foo"}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        let mut tree = before;
        merge(&mut tree, &patch);
        assert_eq!(tree, after);
    }
}

#[test]
fn json_patches_apply_as_a_whole_or_not_at_all() {
    let before = json!({"spec": {"replicas": 1, "list": ["a"]}});
    let apply = |patch: Value| {
        let mut tree = before.clone();
        json(&mut tree, patch.to_string().as_bytes()).map(|()| tree)
    };
    assert_eq!(
        apply(json!([{"op": "test", "path": "/spec/replicas", "value": 1},
                     {"op": "replace", "path": "/spec/replicas", "value": 2},
                     {"op": "add", "path": "/spec/list/-", "value": "b"},
                     {"op": "copy", "from": "/spec/list", "path": "/copy"},
                     {"op": "move", "from": "/spec/replicas", "path": "/n"}])),
        Ok(json!({"spec": {"list": ["a", "b"]}, "copy": ["a", "b"], "n": 2}))
    );
    for (operation, why) in [
        (
            json!({"op": "test", "path": "/spec/replicas", "value": 2}),
            "testing value /spec/replicas failed: test failed",
        ),
        (
            json!({"op": "remove", "path": "/x"}),
            "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            json!({"op": "remove", "path": "/x/y"}),
            r#"remove operation does not apply: doc is missing path: "/x/y": missing value"#,
        ),
        (
            json!({"op": "remove", "path": "/spec/list/3"}),
            "error in remove for path: '/spec/list/3': Unable to access invalid index: 3: invalid index referenced",
        ),
        (
            json!({"op": "replace", "path": "/spec/x", "value": 1}),
            "replace operation does not apply: doc is missing key: /spec/x: missing value",
        ),
        (
            json!({"op": "add", "path": "/x/y", "value": 1}),
            r#"add operation does not apply: doc is missing path: "/x/y": missing value"#,
        ),
        (
            json!({"op": "copy", "path": "/x", "from": "/y"}),
            "copy operation does not apply: doc is missing from path: /y: missing value",
        ),
    ] {
        assert_eq!(apply(json!([operation])), Err(Error::Unprocessable(why.to_owned())));
    }
    for patch in [json!({}), json!([{"op": "fly", "path": "/a"}]), json!([{"path": "/a"}])] {
        assert!(matches!(apply(patch), Err(Error::Malformed(_))));
    }
    let mut tree = before.clone();
    let half = br#"[{"op":"remove","path":"/spec"},{"op":"remove","path":"/x"}]"#;
    assert!(json(&mut tree, half).is_err());
    assert_eq!(tree, before);
}

#[test]
fn json_patches_are_bounded() {
    let mut tree = json!({"a": ["x"]});
    let operation = json!({"op": "test", "path": "/a/0", "value": "x"});
    let many = Value::from(vec![operation; 10_001]).to_string();
    assert_eq!(
        json(&mut tree, many.as_bytes()).unwrap_err().to_string(),
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    let doubling = Value::from(vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 40]).to_string();
    assert!(matches!(json(&mut tree, doubling.as_bytes()), Err(Error::TooLarge(_))));
    assert_eq!(tree, json!({"a": ["x"]}));
}

#[test]
fn what_is_absent_is_null_to_a_json_test() {
    let mut tree = json!({"metadata": {"name": "a", "labels": null}});
    let claim = json!([{"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["x"]}])
    .to_string();
    super::json(&mut tree, claim.as_bytes()).unwrap();
    assert_eq!(tree["metadata"]["finalizers"], json!(["x"]));
    let again = super::json(&mut tree, claim.as_bytes()).unwrap_err();
    assert_eq!(again.to_string(), "testing value /metadata/finalizers failed: test failed");
    for (path, value, passes) in [
        ("/metadata/labels", Value::Null, true),
        ("/metadata/labels", json!({}), false),
        ("/metadata/annotations", json!({}), false),
        ("/spec/replicas", Value::Null, false),
    ] {
        let test = json!([{"op": "test", "path": path, "value": value}]).to_string();
        assert_eq!(super::json(&mut tree, test.as_bytes()).is_ok(), passes, "{path} {value}");
    }
}
