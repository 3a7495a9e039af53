//! The entries: read and written, chosen for an update, kept together when they are old.

use serde_json::{Value, json};

use super::manager::{at, config_map, config_maps, told};
use crate::api::managed::*;

#[test]
fn the_oldest_updates_are_kept_together() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap").most_updates(3);
    let data = |keys: &[&str]| config_map(keys.iter().map(|key| ((*key).to_owned(), json!("1"))).collect());
    let keys = ["a", "b", "c", "d", "e"];
    let (mut live, mut managed) = (Value::Null, ManagedFields::new());
    for (at_most, second) in (1..=keys.len()).zip(1..) {
        let new = data(&keys[..at_most]);
        managed = manager.update(&live, &new, &managed, &format!("m{second}"), at(second)).unwrap();
        live = new;
        assert_eq!(manager.update(&live, &live, &managed, "none", at(100)).unwrap(), managed);
    }
    assert_eq!(
        told(&managed),
        [
            r#"Update ancient-changes 3 {"f:data":{".":{},"f:a":{},"f:b":{},"f:c":{}}}"#,
            r#"Update m4 4 {"f:data":{"f:d":{}}}"#,
            r#"Update m5 5 {"f:data":{"f:e":{}}}"#,
        ]
    );
}

#[test]
fn old_updates_are_kept_together_by_version() {
    type Entry = (&'static str, &'static str, i64, &'static str);
    type Case = (&'static [Entry], &'static [Entry]);
    let entry = |(name, version, second, keys): Entry| {
        let fields = keys.chars().map(|key| [PathElement::field(key.to_string())]).collect();
        (
            Manager::new(name, Operation::Update, version, ""),
            Owned { api_version: version.to_owned(), fields, time: Some(at(second)) },
        )
    };
    let list = |entries: &[Entry]| {
        let mut out = ManagedFields::new();
        entries.iter().copied().map(entry).for_each(|(manager, owned)| out.insert(manager, owned));
        out
    };
    let cases: [Case; 5] = [
        (
            &[("m1", "v1", 1, "a"), ("m2", "v1", 2, "b"), ("m3", "v1", 3, "c"), ("m4", "v1", 4, "d")],
            &[("ancient-changes", "v1", 2, "ab"), ("m3", "v1", 3, "c"), ("m4", "v1", 4, "d")],
        ),
        (
            &[
                ("ancient-changes", "v1", 2, "ab"),
                ("m3", "v1", 3, "c"),
                ("m4", "v1", 4, "d"),
                ("m5", "v1", 5, "e"),
            ],
            &[("ancient-changes", "v1", 3, "abc"), ("m4", "v1", 4, "d"), ("m5", "v1", 5, "e")],
        ),
        (
            &[
                ("m1", "v1", 1, "a"),
                ("m2", "v2", 2, "b"),
                ("m3", "v1", 3, "c"),
                ("m4", "v1", 4, "d"),
                ("m5", "v1", 5, "e"),
            ],
            &[("m2", "v2", 2, "b"), ("ancient-changes", "v1", 4, "acd"), ("m5", "v1", 5, "e")],
        ),
        (
            &[
                ("m2", "v2", 2, "b"),
                ("ancient-changes", "v1", 4, "acd"),
                ("m5", "v1", 5, "e"),
                ("m6", "v3", 6, "f"),
                ("m7", "v2", 7, "g"),
            ],
            &[("ancient-changes", "v1", 5, "acde"), ("m6", "v3", 6, "f"), ("ancient-changes", "v2", 7, "bg")],
        ),
        (
            &[
                ("ancient-changes", "v1", 5, "a"),
                ("ancient-changes", "v2", 7, "b"),
                ("m6", "v3", 6, "f"),
                ("m8", "v4", 8, "h"),
            ],
            &[
                ("ancient-changes", "v1", 5, "a"),
                ("ancient-changes", "v2", 7, "b"),
                ("m6", "v3", 6, "f"),
                ("m8", "v4", 8, "h"),
            ],
        ),
    ];
    for (before, after) in cases {
        assert_eq!(list(before).capped(3), list(after), "{before:?}");
    }
}

#[test]
fn an_update_may_bring_managed_fields_of_its_own() {
    let entry = |name: &str| {
        json!({"manager": name, "operation": "Apply", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}})
    };
    let of = |list: Option<Value>| {
        let mut tree = config_map(json!({"x": "1"}));
        if let Some(list) = list {
            tree["metadata"]["managedFields"] = list;
        }
        tree
    };
    let live = of(Some(json!([entry("live")])));
    let names = |new: Option<Value>, subresource: &str| -> Vec<String> {
        let managed = ManagedFields::for_update(&live, &of(new), subresource);
        managed.entries().into_iter().map(|(manager, _)| manager.name.clone()).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(names(None, ""), ["live"]);
    assert_eq!(names(Some(Value::Null), ""), ["live"]);
    assert_eq!(names(Some(json!([entry("new")])), ""), ["new"]);
    assert_eq!(names(Some(json!([])), ""), none);
    assert_eq!(names(Some(json!([{}])), ""), none);
    assert_eq!(names(Some(json!([{}, {}])), ""), ["live"]);
    assert_eq!(names(Some(json!([{"manager": "broken"}])), ""), ["live"]);
    assert_eq!(names(Some(json!([entry("new")])), "status"), ["live"]);
    assert_eq!(names(Some(json!([])), "status"), ["live"]);
}

#[test]
fn managed_fields_are_taken_from_a_tree_and_put_back() {
    let mut tree = config_map(json!({"x": "1"}));
    let plain = tree.clone();
    let managed = FieldManager::new(&config_maps(), "v1", "ConfigMap")
        .update(&Value::Null, &tree, &ManagedFields::new(), "a", at(1))
        .unwrap();
    managed.put(&mut tree);
    let full = tree.clone();
    assert_eq!(full["metadata"]["managedFields"], managed.encode());
    assert_eq!(ManagedFields::take(&mut tree), Ok(managed.clone()));
    assert_eq!(tree, plain);
    managed.put(&mut tree);
    ManagedFields::new().put(&mut tree);
    assert_eq!(tree, plain);

    // The entries in a tree are no part of it.
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let config = config_map(json!({"y": "1"}));
    let applied = manager.apply(&full, &config, &managed, "b", false, at(2)).unwrap();
    assert_eq!(applied, manager.apply(&plain, &config, &managed, "b", false, at(2)).unwrap());
    assert_eq!(
        manager.update(&full, &config, &managed, "b", at(2)),
        manager.update(&plain, &config, &managed, "b", at(2))
    );
}

#[test]
fn a_write_that_changes_nothing_but_times_changes_nothing() {
    let versions = config_maps();
    let manager = FieldManager::new(&versions, "v1", "ConfigMap");
    let one = |who: &str, second| {
        manager
            .update(&Value::Null, &config_map(json!({"x": "1"})), &ManagedFields::new(), who, at(second))
            .unwrap()
    };
    assert_eq!(one("a", 9).with_times_of(&one("a", 1)), one("a", 1));
    assert_eq!(one("b", 9).with_times_of(&one("a", 1)), one("b", 9));
    assert_eq!(one("a", 9).with_times_of(&ManagedFields::new()), one("a", 9));
}

#[test]
fn managed_fields_are_written_sorted_and_as_kubernetes_writes_them() {
    let list = json!([
        {"manager": "b", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:02Z",
         "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}, "subresource": "status"},
        {"manager": "a", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:01.9Z",
         "fieldsType": "FieldsV1", "fieldsV1": {"f:ports": {"k:{\"port\":443}": {}, "k:{\"port\":80}": {}}}},
        {"manager": "z", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:03Z",
         "fieldsType": "FieldsV1", "fieldsV1": {}},
        {"manager": "y", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"},
    ]);
    let managed = ManagedFields::decode(Some(&list)).unwrap();
    assert_eq!(
        managed.to_json(),
        concat!(
            r#"[{"manager":"y","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{}},"#,
            r#"{"manager":"z","operation":"Apply","apiVersion":"apps/v1","time":"2026-01-01T00:00:03Z","fieldsType":"FieldsV1","fieldsV1":{}},"#,
            r#"{"manager":"a","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:01Z","fieldsType":"FieldsV1","fieldsV1":{"f:ports":{"k:{\"port\":80}":{},"k:{\"port\":443}":{}}}},"#,
            r#"{"manager":"b","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:02Z","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}},"subresource":"status"}]"#,
        )
    );
    let read: Value = serde_json::from_str(&managed.to_json()).unwrap();
    assert_eq!(read, managed.encode());
}

#[test]
fn managed_fields_that_cannot_be_read_are_refused() {
    let entry = |change: &dyn Fn(&mut Value)| {
        let mut entry = json!({"manager": "a", "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}});
        change(&mut entry);
        ManagedFields::decode(Some(&json!([entry]))).map(|_| ())
    };
    assert_eq!(entry(&|_| {}), Ok(()));
    for (name, value, why) in [
        ("operation", "Delete", "operation must be `Apply` or `Update`"),
        ("operation", "", "operation must be `Apply` or `Update`"),
        ("apiVersion", "", "apiVersion must not be empty"),
        ("fieldsType", "", "missing fieldsType in managed fields entry 0"),
        ("fieldsType", "FieldsV2", r#"invalid fieldsType "FieldsV2" in managed fields entry 0"#),
    ] {
        assert_eq!(entry(&|entry| entry[name] = value.into()), Err(why.to_owned()));
    }
    assert_eq!(
        entry(&|entry| entry["fieldsV1"] = json!({"f:a": {"wrong": {}}})),
        Err("error decoding versioned set from entry 0: error decoding set: parsing key as path element: \
             missing colon: wrong, error found in \"f:a/wrong\""
            .to_owned())
    );
    assert!(entry(&|entry| entry["time"] = "noon".into()).unwrap_err().contains("parsing time \"noon\""));
}
