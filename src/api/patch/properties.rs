//! What holds of every patch.

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::json;

use super::tests::row;
use super::*;

/// Containers of a few names, in any order, each with some fields.
fn containers() -> impl Strategy<Value = Vec<Value>> {
    let container = (0..6u8, proptest::option::of(0..3u8), proptest::option::of(0..3u8));
    proptest::collection::vec(container, 0..6).prop_map(|containers| {
        let mut seen = Vec::new();
        let mut out = Vec::new();
        for (name, image, level) in containers {
            if !seen.contains(&name) {
                seen.push(name);
                let mut container = json!({"name": format!("c{name}")});
                if let Some(image) = image {
                    container["image"] = format!("i:{image}").into();
                }
                if let Some(level) = level {
                    container["env"] = json!([{"name": "LEVEL", "value": level.to_string()}]);
                }
                out.push(container);
            }
        }
        out
    })
}

fn pod(containers: &[Value]) -> Value {
    json!({"spec": {"containers": containers}})
}

fn names(pod: &Value) -> Vec<String> {
    pod["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| container["name"].as_str().unwrap().to_owned())
        .collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]".prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_strategic_patch_applied_twice_is_applied_once(tree in containers(), patch in containers()) {
        let row = row::<Pod>();
        let mut once = pod(&tree);
        strategic(&row, &mut once, &pod(&patch)).unwrap();
        let mut twice = once.clone();
        strategic(&row, &mut twice, &pod(&patch)).unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_strategic_patch_loses_no_item_and_doubles_none(tree in containers(), patch in containers()) {
        let mut merged = pod(&tree);
        let before = names(&merged);
        strategic(&row::<Pod>(), &mut merged, &pod(&patch)).unwrap();
        let mut wanted = [before, names(&pod(&patch))].concat();
        wanted.sort();
        wanted.dedup();
        let mut found = names(&merged);
        found.sort();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn an_order_of_all_items_is_the_order_of_the_result(
        tree in containers(),
        order in Just((0..6).map(|n| json!({"name": format!("c{n}")})).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut ordered = pod(&tree);
        let patch = json!({"spec": {"$setElementOrder/containers": order.clone()}});
        strategic(&row::<Pod>(), &mut ordered, &patch).unwrap();
        let wanted: Vec<_> = names(&pod(&order)).into_iter().filter(|name| names(&pod(&tree)).contains(name)).collect();
        prop_assert_eq!(names(&ordered), wanted);
    }

    #[test]
    fn a_merge_patch_applied_twice_is_applied_once(tree in any_json(), patch in any_json()) {
        let mut once = tree;
        merge(&mut once, &patch);
        let mut twice = once.clone();
        merge(&mut twice, &patch);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_patch_makes_strategic_merge_panic(tree in any_json(), patch in any_json()) {
        let (tree, patch) = (json!({"metadata": tree, "spec": {"containers": []}}), json!({"metadata": patch}));
        let mut patched = tree.clone();
        if strategic(&row::<Pod>(), &mut patched, &patch).is_err() {
            prop_assert_eq!(patched, tree);
        }
    }
}
