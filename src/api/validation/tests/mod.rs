//! What is wrong, in Kubernetes' words: each case is a sound object, one change, and what is said.

use super::*;
use crate::api::{Scheme, defaults, schema};

mod kinds;
mod metadata;
mod pods;
mod security;
mod volumes;
mod workloads;

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
