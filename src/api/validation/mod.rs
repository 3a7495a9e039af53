//! What makes an object valid.
//!
//! Decoding has already judged types and unknown fields; what is judged here are values: first the
//! metadata, for every kind by the same rules, then what the kind itself demands. Rules, paths and
//! wording are those of Kubernetes 1.36 (`pkg/apis/*/validation`). They are judged on the tree, after
//! defaulting: a typed value could not tell an absent required field from an empty one.

use serde_json::Value;

use super::{Object, Resource, field};
use at::At;
use certificates::Part;
use checks::Errors;

mod admission;
mod api_service;
mod at;
mod certificates;
mod checks;
mod conditions;
mod config;
mod controller_revision;
mod cron_job;
mod custom;
mod daemon_set;
pub(crate) mod definition;
mod deployment;
mod devices;
mod disruption_budget;
mod endpoints;
mod event;
mod flow_control;
mod horizontal_pod_autoscaler;
mod job;
mod lease;
mod limit_range;
mod metadata;
mod namespace;
mod networking;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_group;
mod rbac;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod review;
mod runtime_class;
mod scale;
mod schedule;
mod scheduling;
mod service;
mod stateful_set;
mod storage;
mod storage_version;
mod template;
mod time_zone;
mod volume;

pub(crate) use certificates::pem_blocks;
pub(crate) use pod::app_armor_field;

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

/// What is found in an object.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// What is wrong with it.
    pub errors: Vec<field::Error>,
    /// What its writer should know besides. Where something is wrong, only what its validation itself says.
    pub warnings: Vec<String>,
}

impl From<Vec<field::Error>> for Findings {
    fn from(errors: Vec<field::Error>) -> Self {
        Self { errors, warnings: Vec::new() }
    }
}

impl Options {
    /// What is found in a new object.
    #[must_use]
    pub fn judge_create(&self, object: &Object) -> Findings {
        let (row, tree) = (object.resource(), object.tree());
        let mut findings = Findings { errors: self.create_tree(row, &tree), warnings: Vec::new() };
        if let Some(version) = &row.custom {
            custom::create(version, &tree, &mut findings);
        } else if is_definition(row) && findings.errors.is_empty() {
            findings.warnings = definition::warnings(&tree, None);
        }
        findings
    }

    /// What is found in an object that is to replace another.
    #[must_use]
    pub fn judge_update(&self, new: &Object, old: &Object) -> Findings {
        let (row, tree, old) = (new.resource(), new.tree(), old.tree());
        let mut findings = Findings { errors: self.update_tree(row, &tree, &old), warnings: Vec::new() };
        if let Some(version) = &row.custom {
            custom::update(version, &tree, &old, &mut findings);
        } else if is_definition(row) && findings.errors.is_empty() {
            findings.warnings = definition::warnings(&tree, Some(&old));
        }
        findings
    }

    /// What is found in an object whose status is to replace another's.
    #[must_use]
    pub fn judge_update_status(&self, new: &Object, old: &Object) -> Findings {
        let (row, tree, old) = (new.resource(), new.tree(), old.tree());
        let errors = self.update_status_tree(row, &tree, &old);
        let mut findings = Findings { errors, warnings: Vec::new() };
        if let Some(version) = &row.custom {
            custom::update_status(version, &tree, &old, &mut findings);
        }
        findings
    }

    /// What is wrong with a new object.
    #[must_use]
    pub fn create(&self, object: &Object) -> Vec<field::Error> {
        self.judge_create(object).errors
    }

    /// What is wrong with an object that is to replace another.
    #[must_use]
    pub fn update(&self, new: &Object, old: &Object) -> Vec<field::Error> {
        self.judge_update(new, old).errors
    }

    /// What is wrong with an object whose status is to replace another's.
    #[must_use]
    pub fn update_status(&self, new: &Object, old: &Object) -> Vec<field::Error> {
        self.judge_update_status(new, old).errors
    }

    /// [`Options::create`], of a tree; what a definition says of custom resources is not judged.
    #[must_use]
    pub fn create_tree(&self, row: &Resource, tree: &Value) -> Vec<field::Error> {
        let (object, mut errors) = (At::root(tree), Vec::new());
        // Reviews and bindings are acts, not objects: nobody reads them again, so they need no name.
        if row.verbs.iter().any(|verb| verb == "get") {
            metadata::create(&object, row, &mut errors);
        } else if row.group == "authorization.k8s.io" {
            review::access(&row.kind, &object, &mut errors);
        }
        self.object(row, &object, None, &mut errors);
        if (&*row.group, &*row.kind) == ("events.k8s.io", "Event") {
            event::strict(&object, &mut errors);
        }
        errors
    }

    /// [`Options::update`], of trees; what a definition says of custom resources is not judged.
    #[must_use]
    pub fn update_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, row, &mut errors);
        match (&*row.group, &*row.kind) {
            ("", "Service") => service::update(&new, &old, &mut errors),
            ("", "ConfigMap") => config::config_map_update(&new, &old, &mut errors),
            ("", "Secret") => config::secret_update(&new, &old, &mut errors),
            ("", "Node") => node::update(&new, &old, &mut errors),
            ("", "PersistentVolume") => persistent_volume::update(&new, &old, &mut errors),
            ("", "PersistentVolumeClaim") => persistent_volume_claim::update(&new, &old, &mut errors),
            ("", "ReplicationController") => replication_controller::update(&new, &old, &mut errors),
            ("", "ResourceQuota") => resource_quota::update(&new, &old, &mut errors),
            ("apps", "ControllerRevision") => controller_revision::update(&new, &old, &mut errors),
            ("apps", "StatefulSet") => stateful_set::update(&new, &old, &mut errors),
            ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => {
                template::selector_stays(&new, &old, &mut errors);
            }
            ("batch", "Job") => job::update(&new, &old, &mut errors),
            ("discovery.k8s.io", "EndpointSlice") => {
                checks::immutable(&new.get("addressType"), &old.get("addressType"), &mut errors);
            }
            ("apiextensions.k8s.io", _) => definition::update(&new, &old, &mut errors),
            ("events.k8s.io", "Event") => event::update(&new, &old, &mut errors),
            ("certificates.k8s.io", kind) => {
                certificates::update(kind, &new, &old, Part::Main, &mut errors);
            }
            ("coordination.k8s.io", "LeaseCandidate") => lease::candidate_update(&new, &old, &mut errors),
            ("networking.k8s.io", kind) => networking::update(kind, &new, &old, &mut errors),
            ("node.k8s.io", _) => runtime_class::update(&new, &old, &mut errors),
            ("rbac.authorization.k8s.io", kind) => rbac::update(kind, &new, &old, &mut errors),
            ("resource.k8s.io", kind) => devices::update(kind, &new, &old, &mut errors),
            ("scheduling.k8s.io", "PriorityClass") => scheduling::update(&new, &old, &mut errors),
            ("scheduling.k8s.io", "Workload") => pod_group::workload_update(&new, &old, &mut errors),
            ("scheduling.k8s.io", "PodGroup") => pod_group::group_update(&new, &old, &mut errors),
            ("storage.k8s.io", kind) => storage::update(kind, &new, &old, &mut errors),
            ("storagemigration.k8s.io", _) => storage_version::migration_update(&new, &old, &mut errors),
            _ => {}
        }
        self.object(row, &new, Some(&old), &mut errors);
        errors
    }

    /// [`Options::update_status`], of trees; what a definition says of custom resources is not judged.
    #[must_use]
    pub fn update_status_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, row, &mut errors);
        match (&*row.group, &*row.kind) {
            ("", "Pod") => pod::status(&new, &old, &mut errors),
            ("", "Namespace") => namespace::status(&new, &mut errors),
            ("", "Node") => node::status(&new, &old, &mut errors),
            ("", "PersistentVolumeClaim") => persistent_volume_claim::status(&new, &mut errors),
            ("", "ReplicationController") => replication_controller::status(&new, &mut errors),
            ("", "ResourceQuota") => resource_quota::status(&new, &mut errors),
            ("", "Service") => service::status(&new, &old, &mut errors),
            ("apps", "DaemonSet") => daemon_set::status(&new, &old, &mut errors),
            ("apps", "Deployment") => deployment::status(&new, &old, &mut errors),
            ("apps", "ReplicaSet") => replica_set::status(&new, &mut errors),
            ("apps", "StatefulSet") => stateful_set::status(&new, &old, &mut errors),
            ("autoscaling", "HorizontalPodAutoscaler") => {
                horizontal_pod_autoscaler::status(&new, &mut errors);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::status(&new, &mut errors),
            ("batch", "Job") => job::status(&new, &old, &mut errors),
            ("policy", "PodDisruptionBudget") => disruption_budget::status(&new, &mut errors),
            ("admissionregistration.k8s.io", kind) => admission::status(kind, &new, &mut errors),
            ("apiregistration.k8s.io", _) => api_service::status(&new, &mut errors),
            ("certificates.k8s.io", kind) => {
                certificates::update(kind, &new, &old, Part::Status, &mut errors);
            }
            ("flowcontrol.apiserver.k8s.io", _) => flow_control::status(&new, &mut errors),
            ("internal.apiserver.k8s.io", _) => storage_version::status(&new, &mut errors),
            ("networking.k8s.io", kind) => networking::status(kind, &new, &old, &mut errors),
            ("resource.k8s.io", kind) => devices::status(kind, &new, &old, &mut errors),
            ("scheduling.k8s.io", "PodGroup") => pod_group::group_status(&new, &mut errors),
            ("storage.k8s.io", kind) => storage::status(kind, &new, &mut errors),
            ("storagemigration.k8s.io", _) => storage_version::migration_status(&new, &old, &mut errors),
            _ => {}
        }
        errors
    }

    /// What is wrong with a pod, decoded and defaulted, that comes to its subresource
    /// `ephemeralcontainers` to replace another.
    #[must_use]
    pub fn update_ephemeral_containers_tree(
        &self,
        row: &Resource,
        new: &Value,
        old: &Value,
    ) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, row, &mut errors);
        pod::ephemeral_containers_update(&new, &old, &mut errors);
        errors
    }

    /// What is wrong with a pod, decoded and defaulted, that comes to its subresource `resize` to
    /// replace another.
    #[must_use]
    pub fn update_resize_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, row, &mut errors);
        pod::resize_update(&new, &old, &mut errors);
        errors
    }

    /// What is wrong with a namespace that comes to its subresource `finalize` to replace another.
    #[must_use]
    pub fn update_finalize_tree(&self, row: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        metadata::update(&new, &old, row, &mut errors);
        namespace::finalize(&new, &mut errors);
        errors
    }

    /// What is wrong with a decision on a request for a certificate, which is a write of its own.
    #[must_use]
    pub fn update_approval(&self, new: &Object, old: &Object) -> Vec<field::Error> {
        let (row, mut errors) = (new.resource(), Vec::new());
        let (new, old) = (new.tree(), old.tree());
        let (new, old) = (At::root(&new), At::root(&old));
        metadata::update(&new, &old, row, &mut errors);
        certificates::update("CertificateSigningRequest", &new, &old, Part::Approval, &mut errors);
        errors
    }

    /// What a kind demands of its objects, new or changed.
    fn object(&self, row: &Resource, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
        match (&*row.group, &*row.kind) {
            ("", "Pod") => match old {
                None => pod::create(object, errors),
                Some(old) => pod::update(object, old, errors),
            },
            ("", "Service") => service::object(object, old, errors),
            ("", "ConfigMap") => config::config_map(object, errors),
            ("", "Secret") => config::secret(object, errors),
            ("", "LimitRange") => limit_range::object(object, errors),
            ("", "Namespace") => namespace::object(object, errors),
            ("", "Node") => node::object(object, errors),
            ("", "PersistentVolume") => persistent_volume::object(object, old, errors),
            ("", "PersistentVolumeClaim") => persistent_volume_claim::object(object, old, errors),
            ("", "PodTemplate") => {
                let before = old.map(|old| &old.value()["template"]);
                template::template(&object.get("template"), before, errors);
            }
            ("", "ReplicationController") => replication_controller::object(object, old, errors),
            ("", "ResourceQuota") => resource_quota::object(object, old.is_none(), errors),
            ("", "Event") => event::object(object, "reportingComponent", errors),
            ("events.k8s.io", "Event") => event::object(object, "reportingController", errors),
            ("apps", "ControllerRevision") => controller_revision::object(object, old.is_none(), errors),
            ("apps", "DaemonSet") => daemon_set::object(object, old, errors),
            ("apps", "Deployment") => deployment::object(object, old, errors),
            ("apps", "ReplicaSet") => replica_set::object(object, old, errors),
            ("apps", "StatefulSet") => stateful_set::object(object, old, errors),
            ("autoscaling", "HorizontalPodAutoscaler") => {
                horizontal_pod_autoscaler::object(object, old, errors)
            }
            ("autoscaling", "Scale") => scale::object(object, errors),
            ("batch", "CronJob") => cron_job::object(object, old, errors),
            ("batch", "Job") => job::object(object, old, errors),
            ("policy", "PodDisruptionBudget") => disruption_budget::object(object, old, errors),
            ("admissionregistration.k8s.io", kind) => admission::object(kind, object, old, errors),
            ("apiregistration.k8s.io", _) => api_service::object(object, errors),
            ("authentication.k8s.io", "TokenRequest") => {
                storage::token_seconds(&object.get("spec").get("expirationSeconds"), errors);
            }
            ("certificates.k8s.io", kind) => certificates::object(kind, object, old, errors),
            ("coordination.k8s.io", "Lease") => lease::object(object, errors),
            ("coordination.k8s.io", "LeaseCandidate") => lease::candidate(object, errors),
            ("flowcontrol.apiserver.k8s.io", kind) => flow_control::object(kind, object, errors),
            ("internal.apiserver.k8s.io", _) if old.is_none() => storage_version::status(object, errors),
            ("networking.k8s.io", kind) => networking::object(kind, object, old, errors),
            ("node.k8s.io", _) => runtime_class::object(object, errors),
            ("rbac.authorization.k8s.io", kind) => rbac::object(kind, object, old, errors),
            ("resource.k8s.io", kind) => devices::object(kind, object, old, errors),
            ("scheduling.k8s.io", "PriorityClass") if old.is_none() => scheduling::object(object, errors),
            ("scheduling.k8s.io", "Workload") if old.is_none() => pod_group::workload(object, errors),
            ("scheduling.k8s.io", "PodGroup") if old.is_none() => pod_group::group(object, errors),
            ("storage.k8s.io", kind) => storage::object(kind, object, old, errors),
            ("storagemigration.k8s.io", _) => storage_version::migration(object, errors),
            ("discovery.k8s.io", "EndpointSlice") => {
                endpoints::slice(object, old, self.loopback_endpoints, errors);
            }
            ("", "Endpoints") => endpoints::legacy(object, old, self.loopback_endpoints, errors),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::object(object, old, errors),
            _ => {}
        }
    }
}

fn is_definition(row: &Resource) -> bool {
    row.group == "apiextensions.k8s.io" && row.kind == "CustomResourceDefinition"
}

/// What is wrong with the metadata of an object inside another one, at `path`.
pub(crate) fn embedded_metadata(path: &field::Path, metadata: &Value) -> Vec<field::Error> {
    let mut errors = Vec::new();
    metadata::embedded(&At::root(metadata), &mut errors);
    let placed = |error: field::Error| field::Error { field: format!("{path}.{}", error.field), ..error };
    errors.into_iter().map(placed).collect()
}

#[cfg(test)]
mod tests;
