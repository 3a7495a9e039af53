//! What a field manager adds: whose entry it is, when it changed, what nobody owns.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::managed::*;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn config_maps() -> OneVersion {
    OneVersion::new("v1", Schema::named("io.k8s.api.core.v1.ConfigMap").unwrap())
}

pub(super) fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "d"}, "data": data})
}

fn nothing() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap"})
}

/// Name, operation, subresource, second and fields of each entry.
pub(super) fn told(managed: &ManagedFields) -> Vec<String> {
    let entry = |(manager, owned): (&Manager, &Owned)| {
        let second = owned.time.map_or_else(|| "never".to_owned(), |time| time.as_second().to_string());
        let subresource =
            if manager.subresource.is_empty() { String::new() } else { format!("/{}", manager.subresource) };
        format!("{:?} {}{subresource} {second} {}", manager.operation, manager.name, owned.fields.to_json())
    };
    managed.entries().into_iter().map(entry).collect()
}

#[test]
fn what_says_which_object_it_is_belongs_to_nobody() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "a", "namespace": "d", "creationTimestamp": "2026-01-01T00:00:00Z", "uid": "u", "generation": 1,
        "selfLink": "s", "resourceVersion": "1", "labels": {"x": "y"}, "finalizers": ["f"],
    }});
    let applied = manager.apply(&nothing(), &config, &ManagedFields::new(), "a", false, at(1)).unwrap();
    let fields = r#"{"f:metadata":{"f:finalizers":{"v:\"f\"":{}},"f:labels":{"f:x":{}}}}"#;
    assert_eq!(told(&applied.managed), [format!("Apply a 1 {fields}")]);

    let managed = manager.update(&Value::Null, &config, &ManagedFields::new(), "a", at(1)).unwrap();
    let fields = r#"{"f:metadata":{"f:finalizers":{".":{},"v:\"f\"":{}},"f:labels":{".":{},"f:x":{}}}}"#;
    assert_eq!(told(&managed), [format!("Update a 1 {fields}")]);

    let bare = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let applied = manager.apply(&nothing(), &bare, &ManagedFields::new(), "a", false, at(1)).unwrap();
    assert!(applied.managed.is_empty());
}

#[test]
fn times_move_only_when_the_object_changes_by_that_owner() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let (x, xy) = (config_map(json!({"x": "1"})), config_map(json!({"x": "1", "y": "1"})));
    let first = manager.apply(&nothing(), &x, &ManagedFields::new(), "a", false, at(1)).unwrap();
    let again = manager.apply(&first.tree, &x, &first.managed, "a", false, at(2)).unwrap();
    assert_eq!(again, first);

    let changed = manager.update(&first.tree, &xy, &first.managed, "c", at(3)).unwrap();
    let both = [r#"Apply a 1 {"f:data":{"f:x":{}}}"#, r#"Update c 3 {"f:data":{"f:y":{}}}"#];
    assert_eq!(told(&changed), both);
    assert_eq!(told(&manager.update(&xy, &xy, &changed, "c", at(4)).unwrap()), both);
    assert_eq!(told(&manager.update(&xy, &xy, &changed, "e", at(4)).unwrap()), both);

    // Who shares what is there already has changed nothing.
    let shared = manager.apply(&xy, &x, &changed, "b", false, at(5)).unwrap();
    assert_eq!(told(&shared.managed)[0], r#"Apply b never {"f:data":{"f:x":{}}}"#);

    // Who is taken from keeps its time.
    let forced =
        manager.apply(&xy, &config_map(json!({"x": "2", "y": "2"})), &changed, "b", true, at(6)).unwrap();
    assert_eq!(told(&forced.managed), [r#"Apply b 6 {"f:data":{"f:x":{},"f:y":{}}}"#]);

    // An update adds to what it owned.
    let more = config_map(json!({"x": "1", "y": "1", "z": "1"}));
    let added = manager.update(&xy, &more, &changed, "c", at(7)).unwrap();
    assert_eq!(told(&added)[1], r#"Update c 7 {"f:data":{"f:y":{},"f:z":{}}}"#);
}

#[test]
fn entries_are_told_apart_by_operation_version_and_subresource() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let status = manager.clone().subresource("status");
    let (x, y) = (config_map(json!({"x": "1"})), config_map(json!({"x": "1", "y": "1"})));
    let z = config_map(json!({"x": "1", "y": "1", "z": "1"}));
    let first = manager.apply(&nothing(), &x, &ManagedFields::new(), "a", false, at(1)).unwrap();
    let second = manager.update(&first.tree, &y, &first.managed, "a", at(2)).unwrap();
    let third = status.update(&y, &z, &second, "a", at(3)).unwrap();
    assert_eq!(
        told(&third),
        [
            r#"Apply a 1 {"f:data":{"f:x":{}}}"#,
            r#"Update a 2 {"f:data":{"f:y":{}}}"#,
            r#"Update a/status 3 {"f:data":{"f:z":{}}}"#,
        ]
    );
    let unnamed = manager.update(&Value::Null, &x, &ManagedFields::new(), "", at(1)).unwrap();
    assert_eq!(told(&unnamed)[0].split(' ').nth(1), Some("unknown"));

    let error = manager
        .apply(&z, &config_map(json!({"x": "2", "y": "2", "z": "2"})), &third, "b", false, at(4))
        .unwrap_err();
    let status = error.status();
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.x\nconflicts with \"a\" using v1:\n- \
         .data.y\nconflicts with \"a\" with subresource \"status\" using v1:\n- .data.z"
    );
    let causes = status.details.unwrap().causes;
    let causes: Vec<_> = causes
        .iter()
        .map(|cause| (cause.reason.as_str(), cause.message.as_str(), cause.field.as_str()))
        .collect();
    assert_eq!(
        causes,
        [
            ("FieldManagerConflict", "conflict with \"a\"", ".data.x"),
            ("FieldManagerConflict", "conflict with \"a\" using v1", ".data.y"),
            ("FieldManagerConflict", "conflict with \"a\" with subresource \"status\" using v1", ".data.z"),
        ]
    );
    let one = manager.apply(&z, &config_map(json!({"y": "2"})), &third, "b", false, at(4)).unwrap_err();
    assert_eq!(one.to_string(), "Apply failed with 1 conflict: conflict with \"a\" using v1: .data.y");
}

#[test]
fn requests_own_only_what_their_path_writes() {
    let versions = OneVersion::new("v1", Schema::named("io.k8s.api.core.v1.Pod").unwrap());
    let status_only: FieldSet = [[PathElement::field("status")]].iter().collect();
    let spec_only: FieldSet = [[PathElement::field("spec")]].iter().collect();
    let main = FieldManager::new(&versions, "v1", "Pod").filter("v1", Filter::Exclude(status_only));
    let status = FieldManager::new(&versions, "v1", "Pod")
        .subresource("status")
        .filter("v1", Filter::Exclude(spec_only));
    let pod = |node: &str, phase: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"nodeName": node},
            "status": {"phase": phase}})
    };
    let nothing = json!({"apiVersion": "v1", "kind": "Pod"});
    let first = main.apply(&nothing, &pod("n", "Pending"), &ManagedFields::new(), "a", false, at(1)).unwrap();
    assert_eq!(told(&first.managed), [r#"Apply a 1 {"f:spec":{"f:nodeName":{}}}"#]);
    let live = pod("n", "Pending");
    let second = status.update(&live, &pod("m", "Running"), &first.managed, "kubelet", at(2)).unwrap();
    assert_eq!(
        told(&second),
        [
            r#"Apply a 1 {"f:spec":{"f:nodeName":{}}}"#,
            r#"Update kubelet/status 2 {"f:status":{"f:phase":{}}}"#,
        ]
    );
    let live = pod("n", "Running");
    let third = main.apply(&live, &pod("n", "Failed"), &second, "a", false, at(3)).unwrap();
    assert_eq!(told(&third.managed)[1], told(&second)[1]);
}

#[test]
fn who_wrote_before_the_first_apply_is_one_owner() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let mut live = config_map(json!({"x": "1"}));
    live["metadata"]["uid"] = "u".into();
    // Nobody was ever an owner, and an update makes nobody one.
    let updated = manager.update(&live, &config_map(json!({"x": "2"})), &ManagedFields::new(), "a", at(1));
    assert_eq!(updated, Ok(ManagedFields::new()));

    let config = config_map(json!({"x": "1", "y": "1"}));
    let applied = manager.apply(&live, &config, &ManagedFields::new(), "a", false, at(2)).unwrap();
    assert_eq!(
        told(&applied.managed),
        [
            r#"Apply a 2 {"f:data":{"f:x":{},"f:y":{}}}"#,
            r#"Update before-first-apply 2 {"f:data":{".":{},"f:x":{}}}"#,
        ]
    );
    let refused =
        manager.apply(&live, &config_map(json!({"x": "2"})), &ManagedFields::new(), "a", false, at(2));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x"
    );
}

#[test]
fn what_cannot_be_applied_is_refused_in_words() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut config = config_map(json!({"x": "1"}));
        change(&mut config);
        let error = manager.apply(&nothing(), &config, &ManagedFields::new(), "a", false, at(1)).unwrap_err();
        (error.status().code, error.to_string())
    };
    assert_eq!(
        refused(&|config| config["apiVersion"] = "apps/v1".into()),
        (400, "invalid object type: apps/v1, Kind=ConfigMap".to_owned())
    );
    assert_eq!(
        refused(&|config| config["kind"] = "Secret".into()),
        (400, "invalid object type: /v1, Kind=Secret".to_owned())
    );
    assert_eq!(
        refused(&|config| config["metadata"]["managedFields"] = json!([])),
        (400, "metadata.managedFields must be nil".to_owned())
    );
    assert_eq!(
        refused(&|config| config["dat"] = json!({})),
        (
            500,
            "failed to create typed patch object (d/a; /v1, Kind=ConfigMap): .dat: field not declared in \
             schema"
                .to_owned()
        )
    );
    let error = manager
        .update(&Value::Null, &json!({"apiVersion": "v1", "data": 1}), &ManagedFields::new(), "a", at(1))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to convert new object (/; /v1, Kind=) to smd typed: .data: expected map, got &{1}"
    );
}
