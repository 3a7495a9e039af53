//! What holds whatever is written.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::world::{World, list_by, map_of, number, set_of, string, structure};
use crate::api::managed::*;

fn properties() -> Value {
    json!({
        "a": number(), "b": string(),
        "set": set_of(string()),
        "map": map_of(number()),
        "struct": structure(json!({"x": number(), "y": set_of(number())})),
        "list": list_by(&["name"], json!({"name": string(), "value": number(), "more": map_of(string())})),
        "whole": {"type": "array", "items": number()},
    })
}

fn schema() -> Schema {
    Schema::open_api(json!({"type": "object", "properties": properties()}))
}

fn optional(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Map<String, Value>> {
    proptest::option::of(value)
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)).into_iter().collect())
        .boxed()
}

fn joined(parts: Vec<BoxedStrategy<Map<String, Value>>>) -> impl Strategy<Value = Value> {
    parts.prop_map(|parts| Value::Object(parts.into_iter().flatten().collect()))
}

fn few(values: &'static str) -> impl Strategy<Value = Value> {
    proptest::sample::subsequence(values.chars().collect::<Vec<_>>(), 1..=values.len().min(3))
        .prop_shuffle()
        .prop_map(|letters| letters.iter().map(char::to_string).collect())
}

fn small() -> impl Strategy<Value = Value> {
    (0..3).prop_map(Value::from)
}

fn map(keys: &'static str) -> impl Strategy<Value = Value> {
    let keys: Vec<_> = keys.chars().collect();
    proptest::collection::btree_map(proptest::sample::select(keys), 0..3, 1..3).prop_map(
        |map: BTreeMap<char, i32>| {
            Value::Object(map.into_iter().map(|(key, value)| (key.to_string(), value.into())).collect())
        },
    )
}

/// Trees of our type with these letters for all that has a name.
fn tree(letters: &'static str) -> impl Strategy<Value = Value> {
    let item = joined(vec![
        optional("value", small()),
        optional(
            "more",
            map(letters).prop_map(|map| {
                let text = |(key, value): (&String, &Value)| (key.clone(), value.to_string().into());
                Value::Object(map.as_object().into_iter().flatten().map(text).collect())
            }),
        ),
    ]);
    let list = proptest::collection::btree_map(
        proptest::sample::select(letters.chars().collect::<Vec<_>>()),
        item,
        1..3,
    )
    .prop_map(|items: BTreeMap<char, Value>| {
        items
            .into_iter()
            .map(|(name, mut item)| {
                item["name"] = name.to_string().into();
                item
            })
            .collect()
    });
    joined(vec![optional("set", few(letters)), optional("map", map(letters)), optional("list", list)])
}

fn any_tree() -> impl Strategy<Value = Value> {
    let whole = proptest::collection::vec(0..3, 0..3).prop_map(Value::from);
    let ints = proptest::sample::subsequence(vec![1, 2, 3], 1..=2).prop_map(Value::from);
    let structure = joined(vec![optional("x", small()), optional("y", ints)]);
    let scalars = joined(vec![
        optional("a", small()),
        optional("b", "[x-z]".prop_map(Value::from)),
        optional("struct", structure),
        optional("whole", whole),
    ]);
    (scalars, tree("abcd")).prop_map(|(mut scalars, rest)| {
        if let (Value::Object(scalars), Value::Object(rest)) = (&mut scalars, rest) {
            scalars.extend(rest);
        }
        scalars
    })
}

fn element() -> impl Strategy<Value = PathElement> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // In eighths, which every parser of JSON reads exactly.
        (-8000..8000i32).prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        ".{0,3}".prop_map(Value::from),
    ];
    prop_oneof![
        ".{0,3}".prop_map(PathElement::Field),
        "[ab]".prop_map(PathElement::Field),
        proptest::collection::btree_map(".{1,2}", scalar.clone(), 1..3).prop_map(PathElement::key),
        scalar.prop_map(PathElement::Value),
        (-5..5i64).prop_map(PathElement::Index),
    ]
}

fn fields() -> impl Strategy<Value = FieldSet> {
    let paths = proptest::collection::vec(proptest::collection::vec(element(), 1..4), 0..8);
    paths.prop_map(|paths| paths.iter().collect())
}

/// What is left of a tree without its order: the same for trees that differ in it alone.
fn content(tree: &Value) -> (FieldSet, Value) {
    let mut tree = tree.clone();
    for name in ["set", "list"] {
        if let Some(Value::Array(items)) = tree.get_mut(name) {
            items.sort_by_key(ToString::to_string);
        }
    }
    (schema().fields(&tree).unwrap(), tree)
}

proptest! {
    #[test]
    fn sets_are_read_as_they_are_written(fields in fields()) {
        prop_assert_eq!(&FieldSet::from_json(&fields.to_json()).unwrap(), &fields);
        prop_assert_eq!(&FieldSet::from_fields_v1(&fields.to_fields_v1()).unwrap(), &fields);
    }

    #[test]
    fn sets_are_sets(ours in fields(), theirs in fields()) {
        let (union, both) = (ours.union(&theirs), ours.intersection(&theirs));
        for path in union.paths() {
            let (mine, other) = (ours.contains(&path), theirs.contains(&path));
            prop_assert!(mine || other);
            prop_assert_eq!(both.contains(&path), mine && other);
            prop_assert_eq!(ours.difference(&theirs).contains(&path), mine && !other);
            let above = (1..=path.len()).any(|end| theirs.contains(&path[..end]));
            prop_assert_eq!(ours.recursive_difference(&theirs).contains(&path), mine && !above);
        }
        prop_assert_eq!(union.len() + both.len(), ours.len() + theirs.len());
    }

    #[test]
    fn a_comparison_says_what_to_remove_and_what_is_there(old in any_tree(), new in any_tree()) {
        let comparison = schema().compare(&old, &new).unwrap();
        prop_assert_eq!(comparison.is_same(), content(&old) == content(&new));
        let back = schema().compare(&new, &old).unwrap();
        prop_assert_eq!((&back.added, &back.removed), (&comparison.removed, &comparison.added));
        prop_assert_eq!(&back.modified, &comparison.modified);
    }

    #[test]
    fn an_apply_is_idempotent(before in any_tree(), config in any_tree()) {
        let once = World::new(properties()).update("u", before).force("a", config.clone());
        let twice = once.clone().apply("a", config);
        prop_assert_eq!(&twice.live, &once.live);
        prop_assert_eq!(&twice.managed, &once.managed);
    }

    #[test]
    fn what_is_applied_is_there_and_owned(before in any_tree(), config in any_tree()) {
        let world = World::new(properties()).update("u", before).force("a", config.clone());
        let there = schema().merge(&world.live, &{
            let mut config = config.clone();
            config["apiVersion"] = "v1".into();
            config["kind"] = "Thing".into();
            config
        }).unwrap();
        prop_assert_eq!(&there, &world.live);
        let owned = world.managed.get(&Manager::new("a", Operation::Apply, "v1", ""));
        let fields = schema().fields(&config).unwrap();
        prop_assert_eq!(owned.map(|owned| owned.fields.clone()).unwrap_or_default(), fields);
    }

    #[test]
    fn appliers_of_different_fields_do_not_meet(
        before in tree("ij"), one in tree("abc"), two in tree("xyz"),
    ) {
        let world = World::new(properties()).update("u", before);
        let forth = world.clone().apply("one", one.clone()).apply("two", two.clone());
        let back = world.apply("two", two).apply("one", one);
        prop_assert_eq!(content(&forth.live), content(&back.live));
        let owned = |world: &World| -> Vec<(Manager, FieldSet)> {
            let own = |(manager, owned): (&Manager, &Owned)| (manager.clone(), owned.fields.clone());
            let mut owned: Vec<_> = world.managed.entries().into_iter().map(own).collect();
            owned.sort_by(|a, b| a.0.cmp(&b.0));
            owned
        };
        prop_assert_eq!(owned(&forth), owned(&back));
    }

    #[test]
    fn what_an_applier_does_not_own_it_never_removes(
        before in any_tree(), first in any_tree(), second in any_tree(),
    ) {
        let world = World::new(properties()).update("u", before).force("a", first);
        let theirs: FieldSet = world
            .managed
            .get(&Manager::new("a", Operation::Apply, "v1", ""))
            .map(|owned| owned.fields.clone())
            .unwrap_or_default();
        // An item or entry that goes takes with it what others put into it.
        let there = schema().fields(&world.live).unwrap().recursive_difference(&theirs);
        let after = world.force("a", second);
        let left = schema().fields(&after.live).unwrap();
        for path in there.difference(&left).paths() {
            // An empty struct is none any more where something was put into it.
            let filled = left.paths().iter().any(|other| other.starts_with(&path));
            prop_assert!(filled, "{}", path_text(&path));
        }
    }

    #[test]
    fn a_conflict_names_exactly_what_would_change(before in any_tree(), config in any_tree()) {
        let world = World::new(properties()).update("u", before.clone());
        let forced = world.clone().force("a", config.clone());
        let changed = schema().compare(&world.live, &forced.live).unwrap();
        let owned = world
            .managed
            .get(&Manager::new("u", Operation::Update, "v1", ""))
            .map(|owned| owned.fields.clone())
            .unwrap_or_default();
        let wanted = owned.intersection(&changed.modified.union(&changed.added));
        let versions = &world.versions;
        let mut full = config;
        full["apiVersion"] = "v1".into();
        full["kind"] = "Thing".into();
        let now = jiff::Timestamp::from_second(9).unwrap();
        let result = FieldManager::new(versions, "v1", "Thing")
            .apply(&world.live, &full, &world.managed, "a", false, now);
        match result {
            Ok(applied) => {
                prop_assert!(wanted.is_empty());
                prop_assert_eq!(applied.tree, forced.live);
            }
            Err(Error::Conflict(conflicts)) => prop_assert_eq!(conflicts.fields(), wanted),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
