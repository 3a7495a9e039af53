//! Objects in a few words, and questions to one plugin.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::sched::reference::judge::score;
use crate::sched::reference::layout::Layout;
use crate::sched::reference::search::{ask, before};
use crate::sched::reference::verdict::{Attempt, Before, Rejection, Verdict};
use crate::sched::reference::{Plugin, Settings, World};

/// An object in the making.
#[derive(Clone, Debug)]
pub(super) struct Tree(pub(super) Value);

/// A pod of the namespace `default` without containers.
pub(super) fn pod(name: &str) -> Tree {
    let metadata = json!({"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {}});
    Tree(json!({"metadata": metadata, "spec": {"containers": []}, "status": {}}))
}

/// A node with room for 110 pods.
pub(super) fn node(name: &str) -> Tree {
    Tree(json!({"metadata": {"name": name, "labels": {}}, "spec": {},
                "status": {"allocatable": {"pods": "110"}}}))
}

/// Any other object.
pub(super) fn object(name: &str, rest: Value) -> Tree {
    let mut tree = json!({"metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")}});
    for (key, value) in rest.as_object().unwrap() {
        if key == "metadata" {
            for (key, value) in value.as_object().unwrap() {
                tree["metadata"][key] = value.clone();
            }
        } else {
            tree[key] = value.clone();
        }
    }
    Tree(tree)
}

impl Tree {
    /// Sets a field: `spec.priority`. Numbers are places in lists.
    pub(super) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut at = &mut self.0;
        for step in path.split('.') {
            at = match step.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[step],
            };
        }
        *at = value.into();
        self
    }

    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    pub(super) fn annotate(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = value.into();
        self
    }

    pub(super) fn namespace(self, namespace: &str) -> Self {
        self.set("metadata.namespace", namespace)
    }

    pub(super) fn on(self, node: &str) -> Self {
        self.set("spec.nodeName", node)
    }

    pub(super) fn priority(self, priority: i32) -> Self {
        self.set("spec.priority", priority)
    }

    pub(super) fn deleting(self) -> Self {
        self.set("metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
    }

    /// Adds a container that asks for these amounts.
    pub(super) fn asks(mut self, requests: Value) -> Self {
        let list = self.0["spec"]["containers"].as_array_mut().unwrap();
        list.push(json!({"name": format!("c{}", list.len()), "resources": {"requests": requests}}));
        self
    }

    /// Adds a container that takes a port of the node.
    pub(super) fn takes(mut self, port: Value) -> Self {
        let list = self.0["spec"]["containers"].as_array_mut().unwrap();
        list.push(json!({"name": format!("c{}", list.len()), "ports": [port]}));
        self
    }

    /// Adds an item to a list of the spec.
    pub(super) fn with(mut self, list: &str, item: Value) -> Self {
        if self.0["spec"][list].is_null() {
            self.0["spec"][list] = json!([]);
        }
        self.0["spec"][list].as_array_mut().unwrap().push(item);
        self
    }

    /// Adds to what a node has to give.
    pub(super) fn gives(mut self, amounts: Value) -> Self {
        for (name, amount) in amounts.as_object().unwrap() {
            self.0["status"]["allocatable"][name] = amount.clone();
        }
        self
    }

    pub(super) fn make<T: DeserializeOwned>(&self) -> Arc<T> {
        match serde_json::from_value(self.0.clone()) {
            Ok(object) => Arc::new(object),
            Err(error) => panic!("{error}: {}", self.0),
        }
    }
}

/// A world of nodes and pods.
pub(super) fn world<const N: usize, const P: usize>(nodes: [Tree; N], pods: [Tree; P]) -> World {
    World {
        nodes: nodes.iter().map(Tree::make).collect(),
        pods: pods.iter().map(Tree::make).collect(),
        ..World::default()
    }
}

/// What a plugin says of a pod, and else of each node: `fit`, why not (`now: …` where evictions may help,
/// `never: …` where they cannot), or its error.
pub(super) fn said_with(plugin: Plugin, world: &World, settings: &Settings, pod: &Tree) -> Vec<String> {
    let (pod, start) = (pod.make::<Pod>(), Layout::of(world));
    let attempt = Attempt { world, settings, pod: &pod, start: &start };
    let shown = |rejection: &Rejection| {
        let when = if rejection.unresolvable { "never" } else { "now" };
        format!("{when}: {}", rejection.message())
    };
    match before(&attempt, plugin) {
        None | Some(Before::Run) => {}
        Some(Before::Skip) => return vec!["skip".into()],
        Some(Before::Only(names)) => {
            return vec![format!("only: {}", names.into_iter().collect::<Vec<_>>().join(","))];
        }
        Some(Before::Reject(rejection)) => return vec![format!("pod {}", shown(&rejection))],
        Some(Before::Fail(error)) => return vec![format!("error: {error}")],
    }
    (0..start.places.len())
        .map(|place| match ask(&attempt, plugin, &start, place) {
            Verdict::Fit => "fit".into(),
            Verdict::Reject(rejection) => shown(&rejection),
            Verdict::Fail(error) => format!("error: {error}"),
        })
        .collect()
}

pub(super) fn said(plugin: Plugin, world: &World, pod: &Tree) -> Vec<String> {
    said_with(plugin, world, &Settings::default(), pod)
}

/// Only whether each node fits: `+`, `-` where evictions may help, `x` where they cannot.
pub(super) fn fits(plugin: Plugin, world: &World, pod: &Tree) -> String {
    let sign = |said: String| match said.split(':').next() {
        Some("fit") => "+",
        Some("now") => "-",
        Some("never") => "x",
        _ => panic!("{said}"),
    };
    match said(plugin, world, pod) {
        said if said == ["skip"] => "skip".into(),
        said => said.into_iter().map(sign).collect(),
    }
}

/// What a plugin gives these nodes after normalising; nothing where it skips the pod.
pub(super) fn given_with(
    plugin: Plugin,
    world: &World,
    settings: &Settings,
    pod: &Tree,
    nodes: &[&str],
) -> Option<Vec<i64>> {
    let (pod, start) = (pod.make::<Pod>(), Layout::of(world));
    let attempt = Attempt { world, settings, pod: &pod, start: &start };
    let feasible: Vec<_> = nodes.iter().map(|name| start.find(name).unwrap()).collect();
    score(&attempt, plugin, &feasible).unwrap().map(|scores| scores.normalised)
}

/// What a plugin gives all nodes.
pub(super) fn given(plugin: Plugin, world: &World, pod: &Tree) -> Option<Vec<i64>> {
    let nodes: Vec<_> = world.nodes.iter().map(|node| node.metadata.name.as_deref().unwrap()).collect();
    given_with(plugin, world, &Settings::default(), pod, &nodes)
}
