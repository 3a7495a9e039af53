//! What is wrong, in Kubernetes' words: each case is a sound object, one change, and what is said.

use serde_json::json;

use super::*;
use crate::api::{RuntimeConfig, Scheme, defaults, schema};

mod admission;
mod certificates;
mod cluster;
mod devices;
#[cfg(feature = "cel")]
mod expressions;
mod kinds;
mod metadata;
mod networking;
mod pods;
mod security;
mod volumes;
mod workloads;

const IMMUTABLE: &str = "field is immutable";

fn named(name: &str, rest: Value) -> Value {
    let mut tree = rest;
    tree["metadata"] = json!({"name": name});
    tree
}

fn in_default(name: &str, rest: Value) -> Value {
    let mut tree = named(name, rest);
    tree["metadata"]["namespace"] = "default".into();
    tree
}

fn row<K: kube_core::Resource<DynamicType = ()>>() -> Resource {
    Resource::clone(Scheme::builtin().of::<K>().expect("a built-in kind"))
}

/// A tree as the server has it before validation: decoded and defaulted.
fn ready(row: &Resource, tree: Value) -> Value {
    let mut tree = schema::prune(row, tree).expect("a tree of the right shape").tree;
    schema::apply_defaults(row, &mut tree);
    defaults::apply(row, &mut tree).unwrap();
    tree
}

/// The tree with the value at this JSON pointer changed; null removes it.
fn with(mut tree: Value, pointer: &str, value: Value) -> Value {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = tree.pointer_mut(parent).expect("a parent");
    match (parent, value) {
        (Value::Object(map), Value::Null) => {
            map.remove(last);
        }
        (parent, value) => match last.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[last] = value,
        },
    }
    tree
}

fn said(errors: Vec<field::Error>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// What is said of a new object.
fn created<K: kube_core::Resource<DynamicType = ()>>(tree: Value) -> Vec<String> {
    let row = row::<K>();
    said(Options::default().create_tree(&row, &ready(&row, tree)))
}

/// What is said of a change.
fn changed<K: kube_core::Resource<DynamicType = ()>>(old: Value, new: Value) -> Vec<String> {
    let row = row::<K>();
    said(Options::default().update_tree(&row, &ready(&row, new), &ready(&row, old)))
}

/// Each change to a sound object is answered by one sentence.
fn each<K: kube_core::Resource<DynamicType = ()>>(sound: fn() -> Value, cases: &[(&str, Value, &str)]) {
    assert_eq!(created::<K>(sound()), Vec::<String>::new());
    for (pointer, value, sentence) in cases {
        let errors = created::<K>(with(sound(), pointer, value.clone()));
        assert_eq!(errors, [*sentence], "{pointer} = {value}");
    }
}

/// The row of a kind, served or not.
fn row_of(api_version: &str, kind: &str) -> Resource {
    let everything = RuntimeConfig::default().with("api/all", true).unwrap();
    let scheme = Scheme::builtin_with(&everything);
    Resource::clone(scheme.api_kind(api_version, kind).expect("a built-in kind"))
}

/// The same as [`created`], of any kind.
fn judged((api_version, kind): (&str, &str), tree: Value) -> Vec<String> {
    let row = row_of(api_version, kind);
    said(Options::default().create_tree(&row, &ready(&row, tree)))
}

/// The same as [`changed`], of any kind.
fn rejudged((api_version, kind): (&str, &str), old: Value, new: Value) -> Vec<String> {
    let row = row_of(api_version, kind);
    said(Options::default().update_tree(&row, &ready(&row, new), &ready(&row, old)))
}

/// The same for a change of the status.
fn restated((api_version, kind): (&str, &str), old: Value, new: Value) -> Vec<String> {
    let row = row_of(api_version, kind);
    said(Options::default().update_status_tree(&row, &ready(&row, new), &ready(&row, old)))
}

/// The same as [`each`], of any kind.
fn each_of(kind: (&str, &str), sound: &Value, cases: &[(&str, Value, &str)]) {
    assert_eq!(judged(kind, sound.clone()), Vec::<String>::new(), "{kind:?}");
    for (pointer, value, sentence) in cases {
        let errors = judged(kind, with(sound.clone(), pointer, value.clone()));
        assert_eq!(errors, [*sentence], "{kind:?} {pointer} = {value}");
    }
}

/// Each change of a sound object is refused in one sentence.
fn each_change(kind: (&str, &str), sound: &Value, cases: &[(&str, Value, &str)]) {
    assert_eq!(rejudged(kind, sound.clone(), sound.clone()), Vec::<String>::new(), "{kind:?}");
    for (pointer, value, sentence) in cases {
        let errors = rejudged(kind, sound.clone(), with(sound.clone(), pointer, value.clone()));
        assert_eq!(errors, [*sentence], "{kind:?} {pointer} = {value}");
    }
}
