//! What several writers share, in one version or in several.

use serde_json::{Value, json};

use super::stories::{items, named, nested, set, sets};
use super::world::{World, map_of, string, structure};
use crate::api::managed::*;

#[test]
fn fields_are_followed_through_versions() {
    for (one, two, three) in [("v1", "v2", "v3"), ("v3", "v1", "v1"), ("v2", "v2", "v1"), ("v1", "v1", "v1")]
    {
        let properties: serde_json::Map<_, _> = ["v1", "v2", "v3"]
            .iter()
            .flat_map(|version| {
                let complex = structure(json!({"name": string()}));
                [(format!("scalar_{version}"), string()), (format!("complex_{version}"), complex)]
            })
            .chain([("name".to_owned(), string())])
            .collect();
        let world = || World::new(json!({"struct": structure(Value::Object(properties.clone()))}));
        let scalar = |version: &str| format!("scalar_{version}");
        let named = json!({"struct": {"name": "a"}});
        let with = |field: String, value: &str| json!({"struct": {"name": "a", field: value}});

        // Left out by its only owner.
        world()
            .apply_in(one, "a", with(scalar(one), "a"))
            .apply_in(two, "a", named.clone())
            .is(named.clone())
            .owned(&[("a", two, &[".struct.name"])]);
        // Left out by one of two.
        world()
            .apply_in(one, "a", with(scalar(one), "a"))
            .apply_in(two, "b", json!({"struct": {scalar(two): "a"}}))
            .apply_in(three, "a", named.clone())
            .is(with(scalar(three), "a"))
            .owned(&[("a", three, &[".struct.name"]), ("b", two, &[&format!(".struct.{}", scalar(two))])]);
        // Taken by an update.
        world()
            .apply_in(one, "a", with(scalar(one), "a"))
            .update_in(two, "c", with(scalar(two), "b"))
            .owned(&[("a", one, &[".struct.name"]), ("c", two, &[&format!(".struct.{}", scalar(two))])])
            .refused_in(three, "a", with(scalar(three), "c"), &[("c", &format!(".struct.{}", scalar(two)))]);
        // A struct that goes, and one that another keeps.
        let complex = |version: &str| json!({"name": "a", format!("complex_{version}"): {"name": "b"}});
        world()
            .apply_in(one, "a", json!({"struct": complex(one)}))
            .apply_in(two, "a", named.clone())
            .is(named.clone());
        world()
            .apply_in(one, "a", json!({"struct": complex(one)}))
            .apply_in(two, "b", json!({"struct": {format!("complex_{two}"): {"name": "b"}}}))
            .apply_in(three, "a", named)
            .is(json!({"struct": complex(three)}));
    }
}

#[test]
fn owners_in_versions_that_are_gone_are_forgotten() {
    let mut world = World::of(Schema::deduced()).update_in("v1", "one", json!({"a": 0})).update_in(
        "v2",
        "two",
        json!({"a": 0, "b": 0}),
    );
    world.versions.served = vec!["v2", "v3"];
    world
        .update_in("v3", "three", json!({"a": 0, "b": 0, "c": 0}))
        .owned(&[("two", "v2", &[".b"]), ("three", "v3", &[".c"])]);

    // What was applied in such a version is not removed: nobody can say what it was.
    let mut world = sets().apply("a", set(&["a", "b"]));
    world.versions.served = vec!["v2"];
    world.apply_in("v2", "a", set(&["a"])).is(set(&["a", "b"])).owned(&[("a", "v2", &[r#".list[="a"]"#])]);
}

#[test]
fn appliers_share_what_they_both_apply() {
    let a = &[r#".list[name="a"]"#, r#".list[name="a"].name"#, r#".list[name="a"].value"#] as &[&str];
    let one = json!({"list": [{"name": "a", "value": 0}]});
    named()
        .apply("one", one.clone())
        .apply_in("v2", "two", one.clone())
        .owned(&[("one", "v1", a), ("two", "v2", a)])
        .refused_in(
            "v2",
            "two",
            json!({"list": [{"name": "a", "value": 1}]}),
            &[("one", r#".list[name="a"].value"#)],
        )
        .apply("one", json!({}))
        .is(one)
        .owned(&[("two", "v2", a)]);
}

#[test]
fn items_go_when_their_last_owner_leaves_them_out() {
    named()
        .apply("one", items(&["a", "b", "c"]))
        .apply_in("v2", "two", items(&["c", "d"]))
        .apply_in("v3", "one", items(&["a"]))
        .is(items(&["a", "c", "d"]))
        .owned(&[
            ("one", "v3", &[r#".list[name="a"]"#, r#".list[name="a"].name"#]),
            (
                "two",
                "v2",
                &[
                    r#".list[name="c"]"#,
                    r#".list[name="c"].name"#,
                    r#".list[name="d"]"#,
                    r#".list[name="d"].name"#,
                ],
            ),
        ]);
}

#[test]
fn an_entry_that_goes_takes_what_others_put_into_it() {
    nested()
        .apply("a", json!({"mapOfMaps": {"a": {"b": "x"}}}))
        .owned(&[("a", "v1", &[".mapOfMaps.a", ".mapOfMaps.a.b"])])
        .update("c", json!({"mapOfMaps": {"a": {"b": "x", "c": "y"}, "d": {}}}))
        .apply("a", json!({}))
        .is(json!({"mapOfMaps": {"d": {}}}))
        .owned(&[("c", "v1", &[".mapOfMaps.d"])]);
    // And so does an item of a list.
    let lists = |lists: Value| json!({"listOfLists": lists});
    nested()
        .apply("one", lists(json!([{"name": "a"}, {"name": "b", "value": ["c"]}])))
        .apply_in("v2", "two", lists(json!([{"name": "a", "value": ["b"]}])))
        .update_in(
            "v2",
            "c",
            lists(json!([{"name": "a", "value": ["b"]}, {"name": "b", "value": ["c", "d"]}])),
        )
        .apply_in("v3", "one", lists(json!([{"name": "a"}])))
        .is(lists(json!([{"name": "a", "value": ["b"]}])))
        .owned(&[
            ("one", "v3", &[r#".listOfLists[name="a"]"#, r#".listOfLists[name="a"].name"#]),
            (
                "two",
                "v2",
                &[
                    r#".listOfLists[name="a"]"#,
                    r#".listOfLists[name="a"].name"#,
                    r#".listOfLists[name="a"].value[="b"]"#,
                ],
            ),
        ]);
}

#[test]
fn an_item_that_another_applies_keeps_what_it_holds() {
    let lists = |lists: Value| json!({"listOfLists": lists});
    nested()
        .apply("one", lists(json!([{"name": "a"}, {"name": "b", "value": ["c"]}])))
        .apply_in("v2", "two", lists(json!([{"name": "b", "value": ["d"]}])))
        .update_in("v2", "c", lists(json!([{"name": "a"}, {"name": "b", "value": ["c", "d", "e"]}])))
        .apply_in("v3", "one", lists(json!([{"name": "a"}])))
        .is(lists(json!([{"name": "a"}, {"name": "b", "value": ["d", "e"]}])))
        .owned(&[
            ("one", "v3", &[r#".listOfLists[name="a"]"#, r#".listOfLists[name="a"].name"#]),
            (
                "two",
                "v2",
                &[
                    r#".listOfLists[name="b"]"#,
                    r#".listOfLists[name="b"].name"#,
                    r#".listOfLists[name="b"].value[="d"]"#,
                ],
            ),
            ("c", "v2", &[r#".listOfLists[name="b"].value[="e"]"#]),
        ]);
}

#[test]
fn a_deep_map_keeps_the_entries_of_those_who_stay() {
    let deep = (0..6).fold(string(), |inner, _| map_of(inner));
    let maps = |maps: Value| json!({"maps": maps});
    World::new(json!({"maps": deep}))
        .apply("one", maps(json!({"a": {"b": null}, "c": {"d": null}})))
        .apply_in("v2", "two", maps(json!({"a": null, "c": {"d": null}})))
        .update_in("v3", "c1", maps(json!({"a": {"b": {"c": null}}, "c": {"d": {"e": null}}})))
        .update_in("v2", "c2", maps(json!({"a": {"b": {"c": {"d": null}}}, "c": {"d": {"e": {"f": null}}}})))
        .update_in(
            "v3",
            "c1",
            maps(json!({"a": {"b": {"c": {"d": {"e": null}}}}, "c": {"d": {"e": {"f": {"g": null}}}}})),
        )
        .apply_in("v3", "one", maps(Value::Null))
        .is(maps(json!({"a": {}, "c": {"d": {"e": {"f": {"g": null}}}}})))
        .owned(&[
            ("one", "v3", &[".maps"]),
            ("two", "v2", &[".maps.a", ".maps.c", ".maps.c.d"]),
            ("c1", "v3", &[".maps.c.d.e", ".maps.c.d.e.f.g"]),
            ("c2", "v2", &[".maps.c.d.e.f"]),
        ]);
}
