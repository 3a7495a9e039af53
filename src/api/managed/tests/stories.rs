//! Who owns what after several writers have written.

use serde_json::{Value, json};

use super::world::{World, list_by, map_of, number, set_of, string, structure};
use crate::api::managed::*;

fn leaves() -> World {
    World::new(json!({"numeric": number(), "string": string(), "bool": {"type": "boolean"},
        "list": {"type": "array", "items": string()}}))
}

pub(super) fn named() -> World {
    World::new(json!({"list": list_by(&["name"], json!({"name": string(), "value": number()}))}))
}

pub(super) fn sets() -> World {
    World::new(json!({"list": set_of(string())}))
}

pub(super) fn nested() -> World {
    World::new(json!({
        "listOfLists": list_by(&["name"], json!({"name": string(), "value": set_of(string())})),
        "listOfMaps": list_by(&["name"], json!({"name": string(), "value": map_of(string())})),
        "mapOfLists": map_of(set_of(string())),
        "mapOfMaps": map_of(map_of(string())),
        "struct": structure(json!({"name": string(), "value": number()})),
    }))
}

pub(super) fn items(names: &[&str]) -> Value {
    json!({"list": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()})
}

pub(super) fn set(names: &[&str]) -> Value {
    json!({"list": names})
}

#[test]
fn an_applier_keeps_what_it_applies_and_gives_up_the_rest() {
    leaves()
        .apply("a", json!({"numeric": 1, "string": "s", "bool": false}))
        .owned(&[("a", "v1", &[".numeric", ".string", ".bool"])])
        .apply("a", json!({"numeric": 2, "string": "s"}))
        .is(json!({"numeric": 2, "string": "s"}))
        .owned(&[("a", "v1", &[".numeric", ".string"])])
        .apply("a", json!({}))
        .is(json!({}))
        .owned(&[]);
}

#[test]
fn what_others_change_is_theirs_until_it_is_forced_back() {
    leaves()
        .apply("a", json!({"numeric": 1, "string": "s"}))
        .update("c", json!({"numeric": 1, "string": "theirs", "bool": true}))
        .owned(&[("a", "v1", &[".numeric"]), ("c", "v1", &[".bool", ".string"])])
        .refused("a", json!({"numeric": 2, "string": "mine"}), &[("c", ".string")])
        .is(json!({"numeric": 1, "string": "theirs", "bool": true}))
        .force("a", json!({"numeric": 2, "string": "mine"}))
        .is(json!({"numeric": 2, "string": "mine", "bool": true}))
        .owned(&[("a", "v1", &[".numeric", ".string"]), ("c", "v1", &[".bool"])]);
}

#[test]
fn an_owner_of_nothing_has_no_entry() {
    leaves()
        .apply("a", json!({"string": "s"}))
        .update("c", json!({"string": "other"}))
        .owned(&[("c", "v1", &[".string"])])
        .update("d", json!({}))
        .owned(&[]);
}

#[test]
fn a_list_without_a_mark_is_a_whole() {
    leaves()
        .apply("a", json!({"list": ["a", "c"]}))
        .apply("a", json!({"list": ["a", "b"]}))
        .is(json!({"list": ["a", "b"]}))
        .update("c", json!({"list": ["a", "b", "d"]}))
        .owned(&[("c", "v1", &[".list"])])
        .refused("a", json!({"list": ["a"]}), &[("c", ".list")]);
}

#[test]
fn conflicts_name_exactly_the_fields() {
    named()
        .apply("a", json!({"list": [{"name": "x", "value": 1}, {"name": "y", "value": 2}]}))
        .update("c", json!({"list": [{"name": "x", "value": 5}, {"name": "y", "value": 6}, {"name": "z"}]}))
        .apply("b", json!({"list": [{"name": "x"}]}))
        .refused(
            "b",
            json!({"list": [{"name": "x", "value": 7}, {"name": "y", "value": 6}, {"name": "z", "value": 1}]}),
            &[("c", r#".list[name="x"].value"#)],
        )
        .refused(
            "b",
            json!({"list": [{"name": "x", "value": 7}, {"name": "y", "value": 8}]}),
            &[("c", r#".list[name="x"].value"#), ("c", r#".list[name="y"].value"#)],
        );
}

#[test]
fn an_update_keeps_its_items_from_an_applier_that_leaves_them_out() {
    named()
        .update("c", json!({"list": [{"name": "a", "value": 1}]}))
        .apply("one", json!({"list": [{"name": "a", "value": 1}, {"name": "b"}]}))
        .apply("one", json!({"list": []}))
        .is(json!({"list": [{"name": "a", "value": 1}]}))
        .owned(&[(
            "c",
            "v1",
            &[".list", r#".list[name="a"]"#, r#".list[name="a"].name"#, r#".list[name="a"].value"#],
        )]);
}

#[test]
fn a_set_keeps_the_order_of_who_applies_it() {
    sets()
        .apply("a", set(&["a", "c"]))
        .update("c", set(&["a", "b", "c", "d"]))
        .apply("a", set(&["a", "aprime", "c", "cprime"]))
        .is(set(&["a", "b", "aprime", "c", "d", "cprime"]))
        .owned(&[
            ("a", "v1", &[r#".list[="a"]"#, r#".list[="aprime"]"#, r#".list[="c"]"#, r#".list[="cprime"]"#]),
            ("c", "v1", &[r#".list[="b"]"#, r#".list[="d"]"#]),
        ]);
    sets()
        .apply("a", set(&["a", "b", "c", "d"]))
        .update("c", set(&["a", "d", "c", "b"]))
        .apply("a", set(&["a", "b", "c", "d"]))
        .is(set(&["a", "b", "c", "d"]));
    sets()
        .apply("a", set(&["a", "b", "c", "d"]))
        .update("c", set(&["a", "b", "c", "d", "e"]))
        .apply("a", set(&["a", "c", "e"]))
        .is(set(&["a", "c", "e"]))
        .owned(&[
            ("a", "v1", &[r#".list[="a"]"#, r#".list[="c"]"#, r#".list[="e"]"#]),
            ("c", "v1", &[r#".list[="e"]"#]),
        ]);
}

#[test]
fn duplicates_are_owned_together() {
    let world = || {
        World::new(json!({"set": set_of(number()), "list": list_by(&["name"], json!({"name": string(),
            "value1": number(), "value2": number()}))}))
    };
    world()
        .update("one", json!({"set": [1, 1, 3, 4]}))
        .owned(&[("one", "v1", &[".set", ".set[=1]", ".set[=3]", ".set[=4]"])])
        .refused("a", json!({"set": [1]}), &[("one", ".set[=1]")])
        .apply("b", json!({"set": [5]}))
        .is(json!({"set": [1, 1, 3, 4, 5]}))
        .force("a", json!({"set": [1]}))
        .is(json!({"set": [1, 3, 4, 5]}))
        .owned(&[
            ("one", "v1", &[".set", ".set[=3]", ".set[=4]"]),
            ("b", "v1", &[".set[=5]"]),
            ("a", "v1", &[".set[=1]"]),
        ]);
    for (before, after) in [(json!([1, 3]), json!([1, 1, 3])), (json!([1, 1, 3]), json!([1, 3]))] {
        world()
            .update("one", json!({"set": before}))
            .update("two", json!({"set": after}))
            .owned(&[("one", "v1", &[".set", ".set[=3]"]), ("two", "v1", &[".set[=1]"])]);
    }
    let item = |value| json!({"name": "a", "value1": value});
    let b = json!({"name": "b", "value1": 3});
    world()
        .update("one", json!({"list": [item(1), item(2), b]}))
        .update("two", json!({"list": [item(1), item(3), b]}))
        .owned(&[
            (
                "one",
                "v1",
                &[".list", r#".list[name="b"]"#, r#".list[name="b"].name"#, r#".list[name="b"].value1"#],
            ),
            ("two", "v1", &[r#".list[name="a"]"#]),
        ]);
    let error = world().fails("a", json!({"set": [1, 1]}));
    assert!(error.ends_with(".set: duplicate entries for key [=1]"), "{error}");
}

#[test]
fn values_and_keys_change_at_any_depth() {
    let list = |name: &str, value: Value| json!([{"name": name, "value": value}]);
    for (field, first, second) in [
        ("listOfLists", list("a", json!(["b", "c"])), list("a", json!(["a", "c"]))),
        ("listOfLists", list("a", json!(["b", "c"])), list("b", json!(["a", "c"]))),
        ("listOfMaps", list("a", json!({"b": "x", "c": "y"})), list("a", json!({"a": "x", "c": "z"}))),
        ("listOfMaps", list("a", json!({"b": "x", "c": "y"})), list("b", json!({"a": "x", "c": "z"}))),
        ("mapOfLists", json!({"a": ["b", "c"]}), json!({"a": ["a", "c"]})),
        ("mapOfLists", json!({"a": ["b", "c"]}), json!({"b": ["a", "c"]})),
        ("mapOfMaps", json!({"a": {"b": "x", "c": "y"}}), json!({"a": {"a": "x", "c": "z"}})),
        ("mapOfMaps", json!({"a": {"b": "x", "c": "y"}}), json!({"b": {"a": "x", "c": "z"}})),
    ] {
        let world = nested().apply("a", json!({field: first})).apply("a", json!({field: second}));
        let world = world.is(json!({field: second}));
        let fields = world.versions.schema.fields(&json!({field: second})).unwrap();
        assert_eq!(world.managed.entries()[0].1.fields, fields);
    }
}

#[test]
fn an_empty_or_null_struct_is_no_reason_to_remove_what_others_own() {
    let name = json!({"struct": {"name": "a"}});
    let both = json!({"struct": {"name": "a", "value": 1}});
    nested().apply("a", both.clone()).apply("a", json!({})).is(json!({})).owned(&[]);
    nested().apply("a", name.clone()).apply("a", json!({"struct": {}})).is(json!({"struct": {}})).owned(&[(
        "a",
        "v1",
        &[".struct"],
    )]);
    for config in [json!({}), json!({"struct": {}}), json!({"struct": null})] {
        nested()
            .apply("a", name.clone())
            .update("c", both.clone())
            .apply("a", config)
            .is(json!({"struct": {"value": 1}}));
    }
    nested()
        .apply("a", name)
        .update("c", json!({"struct": {"name": "b", "value": 1}}))
        .apply("a", json!({"struct": null}))
        .is(json!({"struct": {"name": "b", "value": 1}}));
}

#[test]
fn an_absent_key_counts_as_its_default() {
    let ports = list_by(
        &["port", "protocol"],
        json!({"port": number(), "name": string(),
        "protocol": {"type": "string", "default": "TCP"}}),
    );
    let world = || World::new(json!({"ports": ports}));
    let tcp = r#".ports[port=80,protocol="TCP"]"#;
    let udp = r#".ports[port=80,protocol="UDP"]"#;
    world()
        .apply("a", json!({"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}))
        .is(json!({"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}))
        .owned(&[(
            "a",
            "v1",
            &[tcp, &format!("{tcp}.port"), udp, &format!("{udp}.port"), &format!("{udp}.protocol")],
        )]);
    world().apply("a", json!({"ports": [{"port": 80, "protocol": "TCP", "name": "foo"}]})).refused(
        "b",
        json!({"ports": [{"port": 80, "name": "bar"}]}),
        &[("a", &format!("{tcp}.name"))],
    );
    // Without a value and a default, the item is one without that key.
    world().apply("a", json!({"ports": [{"protocol": "TCP", "name": "A"}]})).owned(&[(
        "a",
        "v1",
        &[
            r#".ports[protocol="TCP"]"#,
            r#".ports[protocol="TCP"].name"#,
            r#".ports[protocol="TCP"].protocol"#,
        ],
    )]);
    for second in [json!({"port": 80}), json!({"port": 80, "protocol": "TCP"})] {
        let error = world().fails("a", json!({"ports": [{"port": 80}, second]}));
        assert!(error.contains("duplicate entries for key [port=80,protocol=\"TCP\"]"), "{error}");
    }
}

#[test]
fn without_a_schema_maps_are_merged_and_lists_replaced() {
    World::of(Schema::deduced())
        .apply("a", json!({"spec": {"x": 1, "list": ["a", "b"]}}))
        .update("c", json!({"spec": {"x": 1, "y": {"z": true}, "list": ["a", "b"]}}))
        .owned(&[("a", "v1", &[".spec", ".spec.x", ".spec.list"]), ("c", "v1", &[".spec.y", ".spec.y.z"])])
        .apply("a", json!({"spec": {"x": 1, "list": ["c"]}}))
        .is(json!({"spec": {"x": 1, "y": {"z": true}, "list": ["c"]}}))
        .refused("b", json!({"spec": {"list": ["d"], "y": 1}}), &[("a", ".spec.list"), ("c", ".spec.y")])
        // The whole of `spec` goes with who applied it first, as any entry does.
        .apply("a", json!({}))
        .is(json!({}))
        .owned(&[]);
}
