//! Trees by their types: merged, compared, taken apart, validated.

use serde_json::{Value, json};

use super::world::{list_by, map_of, number, set_of, string, structure};
use crate::api::managed::*;

pub(super) fn schema(properties: Value) -> Schema {
    Schema::open_api(json!({"type": "object", "properties": properties}))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn merged(schema: &Schema, cases: &[(&str, &str, &str)]) {
    for (live, config, wanted) in cases {
        let merged = schema.merge(&json(live), &json(config));
        assert_eq!(merged, Ok(json(wanted)), "{live} with {config}");
    }
}

/// A set of fields by its paths as text, in any order.
pub(super) fn paths(fields: &FieldSet) -> Vec<String> {
    let mut paths: Vec<_> = fields.paths().iter().map(|path| path_text(path)).collect();
    paths.sort();
    paths
}

pub(super) fn grab_bag() -> Schema {
    schema(json!({
        "numeric": number(), "string": string(), "bool": {"type": "boolean"},
        "setStr": set_of(string()), "setBool": set_of(json!({"type": "boolean"})), "setNumeric": set_of(number()),
        "color": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"R": number(), "G": number()}},
        "waves": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": number()},
        "args": {"type": "array", "items": structure(json!({"key": string(), "value": string()}))},
        "map": map_of(string()), "struct": structure(json!({"value": string()})),
        "any": {"x-kubernetes-preserve-unknown-fields": true},
    }))
}

pub(super) fn keyed() -> Schema {
    let item = json!({"key": string(), "id": number(), "value": map_of(string()),
        "bv": {"type": "boolean"}, "nv": number()});
    schema(json!({
        "list": list_by(&["key", "id"], item),
        "atomicList": {"type": "array", "items": string()},
        "lists": list_by(&["name"], json!({"name": string(), "value": set_of(string())})),
        "maps": list_by(&["name"], json!({"name": string(), "value": map_of(string())})),
    }))
}

#[test]
fn sets_are_merged_in_the_order_of_the_configuration() {
    let cases = [
        ("a,b,c", "a,b", "a,b,c"),
        ("a,b", "a,b,c", "a,b,c"),
        ("a,b,c", "", "a,b,c"),
        ("", "a,b,c", "a,b,c"),
        ("a,b", "b,a", "b,a"),
        ("a,b,c", "d,e,f", "a,b,c,d,e,f"),
        ("a,b,c", "c,d,e,f", "a,b,c,d,e,f"),
        ("a,b,c,g,f", "c,d,e,f", "a,b,c,g,d,e,f"),
        ("c,d,e,f", "a,c,e", "a,c,d,e,f"),
        ("a,b,c,x,y,z", "d,e,f", "a,b,c,x,y,z,d,e,f"),
        ("a,b,c,x,y,z", "d,e,f,x,y,z", "a,b,c,d,e,f,x,y,z"),
        ("c,a,g,f", "c,f,a,g", "c,f,a,g"),
        ("a,b,c,d", "d,e,f,a", "b,c,d,e,f,a"),
        ("c,d,e,f,g,h,i,j", "2,h,3,e,4,k,l", "c,d,f,g,2,h,i,j,3,e,4,k,l"),
        ("a,b,c,d,e,f,g,h,i,j", "1,b,2,h,3,e,4,k,l", "a,1,b,c,d,f,g,2,h,i,j,3,e,4,k,l"),
        // Live items that cannot be told apart stay, until one of them is applied.
        ("a,b,b", "c", "a,b,b,c"),
        ("a,b,b", "b", "a,b"),
        ("a,b,b", "a", "a,b,b"),
        ("a,b,c,d,e,c", "1,b,2,e,d", "a,1,b,c,2,e,c,d"),
        ("a,b,c,d,e,c", "1,b,2,c,e,d", "a,1,b,2,c,e,d"),
        ("a,a,b,b", "b,c,d", "a,a,b,c,d"),
        ("a,a,b,b", "", "a,a,b,b"),
        ("c,a,g,f,c,a", "c,f,a,g", "c,f,a,g"),
    ];
    let list = |text: &str| -> Value {
        let items: Vec<_> = text.split(',').filter(|item| !item.is_empty()).collect();
        json!({"setStr": items})
    };
    for (live, config, wanted) in cases {
        let merged = grab_bag().merge(&list(live), &list(config));
        assert_eq!(merged, Ok(list(wanted)), "{live} with {config}");
    }
    merged(
        &grab_bag(),
        &[
            (r#"{"setBool":[true,false,true]}"#, r#"{"setBool":[true]}"#, r#"{"setBool":[true,false]}"#),
            (
                r#"{"setNumeric":[1,2,3.14159,1,2]}"#,
                r#"{"setNumeric":[1,2,3]}"#,
                r#"{"setNumeric":[1,2,3.14159,3]}"#,
            ),
        ],
    );
}

#[test]
fn scalars_are_replaced_and_empty_is_not_null() {
    let mut cases = vec![
        (
            r#"{"numeric":1}"#.to_owned(),
            r#"{"numeric":3.14159}"#.to_owned(),
            r#"{"numeric":3.14159}"#.to_owned(),
        ),
        (
            r#"{"string":"a"}"#.to_owned(),
            r#"{"bool":true}"#.to_owned(),
            r#"{"string":"a","bool":true}"#.to_owned(),
        ),
        (r#"{"any":{}}"#.to_owned(), r#"{"any":1}"#.to_owned(), r#"{"any":1}"#.to_owned()),
        (r#"{"any":1}"#.to_owned(), r#"{"any":{}}"#.to_owned(), r#"{"any":{}}"#.to_owned()),
        (r#"{"any":[1]}"#.to_owned(), r#"{"any":{"a":1}}"#.to_owned(), r#"{"any":{"a":1}}"#.to_owned()),
        (
            r#"{"any":{"b":1}}"#.to_owned(),
            r#"{"any":{"a":1}}"#.to_owned(),
            r#"{"any":{"a":1,"b":1}}"#.to_owned(),
        ),
    ];
    for (name, empty) in [("map", "{}"), ("struct", "{}"), ("args", "[]"), ("setStr", "[]")] {
        let of = |value: &str| format!("{{\"{name}\":{value}}}");
        cases.extend([
            ("{}".to_owned(), of(empty), of(empty)),
            ("{}".to_owned(), of("null"), of("null")),
            (of("null"), of(empty), of(empty)),
            (of(empty), of("null"), of("null")),
            (of(empty), of(empty), of(empty)),
        ]);
    }
    let cases: Vec<_> = cases.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    merged(&grab_bag(), &cases);
}

#[test]
fn lists_are_merged_by_their_keys_or_replaced() {
    merged(
        &keyed(),
        &[
            (
                r#"{"list":[{"key":"a","id":1,"value":{"a":"a"}}]}"#,
                r#"{"list":[{"key":"a","id":2,"value":{"a":"a"}}]}"#,
                r#"{"list":[{"key":"a","id":1,"value":{"a":"a"}},{"key":"a","id":2,"value":{"a":"a"}}]}"#,
            ),
            (
                r#"{"list":[{"key":"a","id":1,"nv":1,"value":{"a":"a"}}]}"#,
                r#"{"list":[{"key":"a","id":1,"nv":2,"value":{"b":"b"}}]}"#,
                r#"{"list":[{"key":"a","id":1,"nv":2,"value":{"a":"a","b":"b"}}]}"#,
            ),
            (
                r#"{"list":[{"key":"a","id":1},{"key":"b","id":1}]}"#,
                r#"{"list":[{"key":"a","id":1},{"key":"a","id":2}]}"#,
                r#"{"list":[{"key":"a","id":1},{"key":"b","id":1},{"key":"a","id":2}]}"#,
            ),
            (
                r#"{"list":[{"key":"a","id":1},{"key":"b","id":2},{"key":"c","id":3}]}"#,
                r#"{"list":[{"key":"c","id":3},{"key":"a","id":1}]}"#,
                r#"{"list":[{"key":"b","id":2},{"key":"c","id":3},{"key":"a","id":1}]}"#,
            ),
            (r#"{"atomicList":["a","b","c"]}"#, r#"{"atomicList":[]}"#, r#"{"atomicList":[]}"#),
            (r#"{"atomicList":["a","a","a"]}"#, r#"{"atomicList":["a","a"]}"#, r#"{"atomicList":["a","a"]}"#),
            (
                r#"{"list":[{"key":"a","id":1,"bv":true},{"key":"b","id":2},{"key":"a","id":1,"bv":false,"nv":2}]}"#,
                r#"{"list":[{"key":"a","id":1,"nv":3},{"key":"c","id":3},{"key":"b","id":2}]}"#,
                r#"{"list":[{"key":"a","id":1,"nv":3},{"key":"c","id":3},{"key":"b","id":2}]}"#,
            ),
            (
                r#"{"list":[{"key":"a","id":1,"nv":1},{"key":"a","id":1,"nv":2}]}"#,
                "{}",
                r#"{"list":[{"key":"a","id":1,"nv":1},{"key":"a","id":1,"nv":2}]}"#,
            ),
        ],
    );
    let twice = json!({"list": [{"key": "a", "id": 1}, {"key": "a", "id": 1}]});
    let error = keyed().merge(&json!({}), &twice).unwrap_err();
    assert_eq!(error.to_string(), r#".list: duplicate entries for key [id=1,key="a"]"#);
}

#[test]
fn a_trees_fields_are_its_leaves_and_items() {
    for (schema, tree, wanted) in [
        (grab_bag(), r#"{"numeric":1,"string":"a"}"#, &[".numeric", ".string"] as &[&str]),
        (grab_bag(), r#"{"setStr":["a","b","a"]}"#, &[r#".setStr[="a"]"#, r#".setStr[="b"]"#]),
        (grab_bag(), r#"{"setNumeric":[1,3.5]}"#, &[".setNumeric[=1]", ".setNumeric[=3.5]"]),
        (grab_bag(), r#"{"color":{"R":1,"G":2}}"#, &[".color"]),
        (grab_bag(), r#"{"color":null}"#, &[".color"]),
        (grab_bag(), r#"{"waves":{}}"#, &[".waves"]),
        (grab_bag(), r#"{"args":[null]}"#, &[".args"]),
        (grab_bag(), r#"{"args":[{"key":"a","value":"b"}]}"#, &[".args"]),
        (grab_bag(), r#"{"map":{"a":"b"}}"#, &[".map.a"]),
        (grab_bag(), r#"{"struct":{}}"#, &[".struct"]),
        (grab_bag(), r#"{"setStr":null}"#, &[".setStr"]),
        (grab_bag(), r#"{"setStr":[]}"#, &[]),
        (grab_bag(), r#"{"any":{"a":{"b":1},"c":[1]}}"#, &[".any.a", ".any.a.b", ".any.c"]),
        (
            keyed(),
            r#"{"list":[{"key":"a","id":1,"value":{"a":"a"}}]}"#,
            &[
                r#".list[id=1,key="a"]"#,
                r#".list[id=1,key="a"].id"#,
                r#".list[id=1,key="a"].key"#,
                r#".list[id=1,key="a"].value.a"#,
            ],
        ),
        (
            keyed(),
            r#"{"list":[{"key":"a","id":2,"nv":3},{"key":"b","id":1},{"key":"a","id":2,"bv":true}]}"#,
            &[
                r#".list[id=1,key="b"]"#,
                r#".list[id=1,key="b"].id"#,
                r#".list[id=1,key="b"].key"#,
                r#".list[id=2,key="a"]"#,
            ],
        ),
    ] {
        assert_eq!(paths(&schema.fields(&json(tree)).unwrap()), wanted, "{tree}");
    }
}

#[test]
fn trees_are_compared_by_entry_where_they_are_merged_so() {
    let compared = |schema: &Schema, old: Value, new: Value| {
        let comparison = schema.compare(&old, &new).unwrap();
        [paths(&comparison.removed), paths(&comparison.modified), paths(&comparison.added)]
    };
    let none: [&str; 0] = [];
    let found = compared(
        &grab_bag(),
        json!({"numeric": 1, "string": "a", "setStr": ["a", "b"], "color": {"R": 1}, "map": {"x": "1"}}),
        json!({"numeric": 1.0, "string": "b", "setStr": ["b", "c"], "color": {"R": 2}, "map": {"y": "1"}}),
    );
    assert_eq!(found[0], [".map.x", r#".setStr[="a"]"#]);
    assert_eq!(found[1], [".color", ".string"]);
    assert_eq!(found[2], [".map.y", r#".setStr[="c"]"#]);

    let found = compared(&grab_bag(), json!({}), json!({"struct": {"value": "a"}, "args": []}));
    assert_eq!(found, [vec![], vec![], vec![".args".to_owned(), ".struct".into(), ".struct.value".into()]]);

    // Another order is the same set, and the same list by keys.
    let found = compared(&grab_bag(), json!({"setStr": ["a", "b"]}), json!({"setStr": ["b", "a"]}));
    assert_eq!(found, [none; 3]);

    // From text to a map, and from empty to null.
    let found = compared(&grab_bag(), json!({"any": "a"}), json!({"any": {"b": 1}}));
    assert_eq!(found, [vec![], vec![".any".to_owned()], vec![".any.b".to_owned()]]);
    let found = compared(&grab_bag(), json!({"map": {}}), json!({"map": null}));
    assert_eq!(found[1], [".map"]);
    let found = compared(&grab_bag(), json!({"setStr": []}), json!({"setStr": null}));
    assert_eq!(found[1], [".setStr"]);

    // Items that cannot be told apart are one.
    let item = |nv| json!({"key": "a", "id": 1, "nv": nv});
    let at = r#".list[id=1,key="a"]"#;
    let (one, two) = (json!({"list": [item(1)]}), json!({"list": [item(1), item(2)]}));
    let other = json!({"list": [item(1), item(3)]});
    assert_eq!(compared(&keyed(), two.clone(), two.clone()), [none; 3]);
    assert_eq!(compared(&keyed(), two.clone(), other)[1], [at]);
    assert_eq!(compared(&keyed(), one.clone(), two.clone())[2], [at]);
    assert_eq!(
        compared(&keyed(), two, one)[2],
        [at.to_owned(), format!("{at}.id"), format!("{at}.key"), format!("{at}.nv")]
    );
}

#[test]
fn parts_are_removed_and_extracted() {
    let lists = r#"{"lists":[{"name":"a","value":["b","c"]},{"name":"d"}]}"#;
    let maps = r#"{"maps":[{"name":"a","value":{"b":"x","c":"y"}},{"name":"d","value":{"e":"z"}}]}"#;
    let a = r#"k:{\"name\":\"a\"}"#;
    for (schema, tree, fields, removed, extracted) in [
        (grab_bag(), r#"{"string":"foo"}"#, r#"{"f:string":{}}"#.to_owned(), "null", r#"{"string":"foo"}"#),
        (grab_bag(), r#"{"string":"foo"}"#, "{}".to_owned(), r#"{"string":"foo"}"#, "null"),
        (
            grab_bag(),
            r#"{"string":"foo","bool":true}"#,
            r#"{"f:string":{}}"#.to_owned(),
            r#"{"bool":true}"#,
            r#"{"string":"foo"}"#,
        ),
        (
            grab_bag(),
            r#"{"setBool":[false]}"#,
            r#"{"f:setBool":{"v:false":{}}}"#.to_owned(),
            r#"{"setBool":[]}"#,
            r#"{"setBool":[false]}"#,
        ),
        (
            grab_bag(),
            r#"{"setNumeric":[1,2,3,4.5]}"#,
            r#"{"f:setNumeric":{"v:1":{},"v:4.5":{}}}"#.to_owned(),
            r#"{"setNumeric":[2,3]}"#,
            r#"{"setNumeric":[1,4.5]}"#,
        ),
        (
            grab_bag(),
            r#"{"color":{"R":1},"map":{"a":"b"}}"#,
            r#"{"f:color":{},"f:map":{"f:a":{}}}"#.to_owned(),
            r#"{"map":{}}"#,
            r#"{"color":{"R":1},"map":{"a":"b"}}"#,
        ),
        (
            keyed(),
            r#"{"atomicList":["a","a"]}"#,
            r#"{"f:atomicList":{}}"#.to_owned(),
            "null",
            r#"{"atomicList":["a","a"]}"#,
        ),
        (
            keyed(),
            lists,
            format!(r#"{{"f:lists":{{"{a}":{{"f:value":{{"v:\"b\"":{{}}}}}}}}}}"#),
            r#"{"lists":[{"name":"a","value":["c"]},{"name":"d"}]}"#,
            r#"{"lists":[{"value":["b"]}]}"#,
        ),
        (
            keyed(),
            lists,
            format!(r#"{{"f:lists":{{"{a}":{{}}}}}}"#),
            r#"{"lists":[{"name":"d"}]}"#,
            r#"{"lists":[{"name":"a","value":["b","c"]}]}"#,
        ),
        (keyed(), lists, r#"{"f:lists":{"k:{\"name\":\"x\"}":{}}}"#.to_owned(), lists, r#"{"lists":null}"#),
        (
            keyed(),
            maps,
            format!(r#"{{"f:maps":{{"{a}":{{"f:value":{{"f:b":{{}}}}}}}}}}"#),
            r#"{"maps":[{"name":"a","value":{"c":"y"}},{"name":"d","value":{"e":"z"}}]}"#,
            r#"{"maps":[{"value":{"b":"x"}}]}"#,
        ),
    ] {
        let fields = FieldSet::from_json(&fields).unwrap();
        assert_eq!(schema.remove(&json(tree), &fields), json(removed), "{tree} without {fields}");
        assert_eq!(schema.extract(&json(tree), &fields), json(extracted), "{fields} of {tree}");
    }
}

#[test]
fn what_an_owner_applied_can_be_extracted() {
    let schema = Schema::named("io.k8s.api.apps.v1.Deployment").unwrap();
    let config = json!({
        "metadata": {"labels": {"app": "a"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {"containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {}},
        ]}}},
    });
    let live = schema
        .merge(
            &config,
            &json!({"spec": {"paused": true, "template": {"spec": {"containers": [
                {"name": "c", "tty": true}, {"name": "d", "image": "j"},
            ]}}}}),
        )
        .unwrap();
    assert_eq!(schema.extract(&live, &schema.fields(&config).unwrap().leaves()), config);
}
