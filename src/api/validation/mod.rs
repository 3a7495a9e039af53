//! What makes an object valid.
//!
//! Decoding has already judged types and unknown fields; what is judged here are values: first the
//! metadata, for every kind by the same rules, then what the kind itself demands. Rules, paths and
//! wording are those of Kubernetes 1.36 (`pkg/apis/*/validation`). They are judged on the tree, after
//! defaulting: a typed value could not tell an absent required field from an empty one.

use serde_json::Value;

use super::{Object, Resource, field};
use at::At;
use checks::Errors;

mod at;
mod autoscaling;
mod checks;
mod config;
mod definition;
mod endpoints;
mod event;
mod lease;
mod metadata;
mod node;
mod pod;
mod pod_changes;
mod service;
mod workload;

/// Rules that a server may switch off.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Endpoints may be loopback addresses: for networks that live inside one machine.
    pub loopback_endpoints: bool,
}

/// What is wrong with a new object.
#[must_use]
pub fn create(object: &Object) -> Vec<field::Error> {
    Options::default().create(object)
}

/// What is wrong with an object that is to replace another.
#[must_use]
pub fn update(new: &Object, old: &Object) -> Vec<field::Error> {
    Options::default().update(new, old)
}

/// What is wrong with an object whose status is to replace another's.
#[must_use]
pub fn update_status(new: &Object, old: &Object) -> Vec<field::Error> {
    Options::default().update_status(new, old)
}

impl Options {
    /// What is wrong with a new object.
    #[must_use]
    pub fn create(&self, object: &Object) -> Vec<field::Error> {
        self.create_tree(object.resource(), &object.tree())
    }

    /// What is wrong with an object that is to replace another.
    #[must_use]
    pub fn update(&self, new: &Object, old: &Object) -> Vec<field::Error> {
        self.update_tree(new.resource(), &new.tree(), &old.tree())
    }

    /// What is wrong with an object whose status is to replace another's.
    #[must_use]
    pub fn update_status(&self, new: &Object, old: &Object) -> Vec<field::Error> {
        self.update_status_tree(new.resource(), &new.tree(), &old.tree())
    }

    /// [`Options::create`], of a tree.
    #[must_use]
    pub fn create_tree(&self, row: &Resource, tree: &Value) -> Vec<field::Error> {
        let (object, mut errors) = (At::root(tree), Vec::new());
        // Reviews and bindings are acts, not objects: nobody reads them again, so they need no name.
        if row.verbs.iter().any(|verb| verb == "get") {
            metadata::create(&object, row, &mut errors);
        }
        self.object(row, &object, None, &mut errors);
        if (&*row.group, &*row.kind) == ("events.k8s.io", "Event") {
            event::strict(&object, &mut errors);
        }
        errors
    }

    /// [`Options::update`], of trees.
    #[must_use]
    pub fn update_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, &mut errors);
        match (&*row.group, &*row.kind) {
            ("", "Pod") => pod::update(&new, &old, &mut errors),
            ("", "Service") => service::update(&new, &old, &mut errors),
            ("", "ConfigMap") => config::config_map_update(&new, &old, &mut errors),
            ("", "Secret") => config::secret_update(&new, &old, &mut errors),
            ("", "Node") => node::update(&new, &old, &mut errors),
            ("apps" | "batch", kind) => workload::update(kind, &new, &old, &mut errors),
            ("discovery.k8s.io", "EndpointSlice") => {
                checks::immutable(&new.get("addressType"), &old.get("addressType"), &mut errors);
            }
            ("apiextensions.k8s.io", _) => definition::update(&new, &old, &mut errors),
            ("events.k8s.io", "Event") => event::update(&new, &old, &mut errors),
            _ => {}
        }
        self.object(row, &new, Some(&old), &mut errors);
        errors
    }

    /// [`Options::update_status`], of trees.
    #[must_use]
    pub fn update_status_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, &mut errors);
        match (&*row.group, &*row.kind) {
            ("", "Pod") => pod::status(&new, &old, &mut errors),
            ("", "Node") => {
                node::resources(&new, &mut errors);
                node::update(&new, &old, &mut errors);
            }
            ("apps", kind) => workload::status(kind, &new, &old, &mut errors),
            _ => {}
        }
        errors
    }

    /// What a kind demands of its objects, new or changed.
    fn object(&self, row: &Resource, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
        match (&*row.group, &*row.kind) {
            ("", "Pod") => pod::object(object, errors),
            ("", "Service") => service::object(object, errors),
            ("", "ConfigMap") => config::config_map(object, errors),
            ("", "Secret") => config::secret(object, errors),
            ("", "Node") => node::object(object, errors),
            ("", "Namespace") => node::namespace(object, errors),
            ("", "Event") => event::object(object, "reportingComponent", errors),
            ("events.k8s.io", "Event") => event::object(object, "reportingController", errors),
            ("", "ReplicationController" | "PodTemplate") | ("apps" | "batch", _) => {
                workload::object(&row.kind, object, errors);
            }
            ("autoscaling", "Scale") => autoscaling::scale(object, errors),
            ("coordination.k8s.io", "Lease") => lease::object(object, errors),
            ("discovery.k8s.io", "EndpointSlice") => {
                endpoints::slice(object, old, self.loopback_endpoints, errors);
            }
            ("", "Endpoints") => endpoints::legacy(object, self.loopback_endpoints, errors),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::object(object, errors),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
