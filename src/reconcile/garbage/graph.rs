//! Who owns whom: what the collector knows of all objects of the cluster. Pure.
//!
//! A node is an object, by its uid; an edge is an owner reference. The graph answers which objects
//! should be looked at after a change, and nothing more: what is done to an object is decided on
//! what the server says of it then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{ObjectKey, Resource};

/// Held until all dependents that block it are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Held until no dependent names it as owner any more.
pub(super) const ORPHAN: &str = "orphan";

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) resource: Arc<Resource>,
    pub(super) key: ObjectKey,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) deletion: Deletion,
}

/// Whether an object is being deleted, and what becomes of its dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is not.
    None,
    /// They are looked at when it is gone.
    Background,
    /// They go first.
    Foreground,
    /// They lose it as owner first.
    Orphan,
}

impl Deletion {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let held_by = |finalizer: &str| meta.finalizers.iter().flatten().any(|own| own == finalizer);
        match meta.deletion_timestamp {
            None => Self::None,
            Some(_) if held_by(ORPHAN) => Self::Orphan,
            Some(_) if held_by(FOREGROUND) => Self::Foreground,
            Some(_) => Self::Background,
        }
    }
}

/// All objects and their owners.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The uids of all that name this uid as owner, and their nodes.
    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = (&String, &Node)> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.nodes.get_key_value(uid))
    }

    /// An object came or changed. Returns the uids to be looked at.
    pub(super) fn apply(&mut self, uid: &str, node: Node) -> Vec<String> {
        let old = self.nodes.get(uid).cloned();
        let before: BTreeSet<&str> =
            old.iter().flat_map(|old| &old.owners).map(|owner| owner.uid.as_str()).collect();
        let after: BTreeSet<String> = node.owners.iter().map(|owner| owner.uid.clone()).collect();
        for gone in before.iter().filter(|owner| !after.contains(**owner)) {
            self.unlink(gone, uid);
        }
        for owner in &after {
            self.dependents.entry(owner.clone()).or_default().insert(uid.to_owned());
        }
        let mut look = Vec::new();
        let held = matches!(node.deletion, Deletion::Foreground | Deletion::Orphan);
        let lost = node.owners.iter().any(|owner| self.is_leaving_or_unknown(&owner.uid));
        if held || lost {
            look.push(uid.to_owned());
        }
        // An owner that waits for its dependents hears when one no longer names or blocks it.
        let waiting = before.iter().map(|owner| (*owner).to_owned()).chain(after);
        let waiting: BTreeSet<String> = waiting.filter(|owner| self.waits(owner)).collect();
        look.extend(waiting);
        self.nodes.insert(uid.to_owned(), node);
        look
    }

    /// An object is gone. Returns the uids to be looked at.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut look: Vec<String> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
            if self.waits(&owner.uid) {
                look.push(owner.uid.clone());
            }
        }
        look
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    fn waits(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_some_and(|node| node.deletion == Deletion::Foreground)
    }

    fn is_leaving_or_unknown(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_none_or(|node| node.deletion == Deletion::Foreground)
    }

    /// Whether every owner is known and none waits for its dependents: then nothing is to be done.
    pub(super) fn is_at_rest(&self, node: &Node) -> bool {
        node.deletion != Deletion::Foreground
            && node.deletion != Deletion::Orphan
            && !node.owners.iter().any(|owner| self.is_leaving_or_unknown(&owner.uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Scope;

    fn node(owners: &[(&str, bool)], deletion: Deletion) -> Node {
        Node {
            resource: Arc::new(Resource::new("", "v1", "ConfigMap", "configmaps", Scope::Namespaced)),
            key: ObjectKey::new("default", "x"),
            owners: owners
                .iter()
                .map(|(uid, blocks)| OwnerReference {
                    uid: (*uid).into(),
                    block_owner_deletion: Some(*blocks),
                    ..OwnerReference::default()
                })
                .collect(),
            deletion,
        }
    }

    #[test]
    fn dependents_are_looked_at_when_their_owner_goes() {
        let mut graph = Graph::default();
        assert!(graph.apply("owner", node(&[], Deletion::None)).is_empty());
        assert!(graph.apply("a", node(&[("owner", true)], Deletion::None)).is_empty());
        assert!(graph.apply("b", node(&[("owner", true), ("a", false)], Deletion::None)).is_empty());
        assert!(graph.is_at_rest(graph.get("b").unwrap()));
        assert_eq!(graph.remove("owner"), ["a", "b"]);
        assert!(!graph.is_at_rest(graph.get("b").unwrap()));
        assert_eq!(graph.remove("a"), ["b"]);
    }

    #[test]
    fn an_object_whose_owner_nobody_knows_is_looked_at() {
        let mut graph = Graph::default();
        assert_eq!(graph.apply("a", node(&[("nobody", false)], Deletion::None)), ["a"]);
    }

    #[test]
    fn an_owner_that_waits_hears_of_its_dependents() {
        let mut graph = Graph::default();
        graph.apply("owner", node(&[], Deletion::None));
        graph.apply("a", node(&[("owner", true)], Deletion::None));
        graph.apply("b", node(&[("owner", true)], Deletion::None));
        assert_eq!(graph.apply("owner", node(&[], Deletion::Foreground)), ["owner"]);
        // It no longer blocks; it is no longer owned; it is gone.
        assert_eq!(graph.apply("a", node(&[("owner", false)], Deletion::Background)), ["a", "owner"]);
        assert_eq!(graph.apply("b", node(&[], Deletion::None)), ["owner"]);
        assert_eq!(graph.remove("a"), ["owner"]);
        assert_eq!(graph.dependents("owner").count(), 0);
    }
}
