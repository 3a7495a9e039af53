//! Semantic defaults: what a field that was left out means, kind by kind, as Kubernetes 1.36
//! (`pkg/apis/*/v1/defaults.go`).
//!
//! They work on the tree and not on typed values: those would turn an absent required field into an
//! empty one before validation could miss it. Defaults are idempotent: an object that has them is
//! left alone, so they may run on every write.

mod autoscaling;
mod cluster;
mod core;
mod devices;
mod flow_control;
mod pod;
mod policy;
mod workload;

use serde_json::{Map, Value};

use super::quantity::Quantity;
use super::{DecodeError, Resource};

pub use autoscaling::horizontal_pod_autoscaler;
pub use cluster::{
    api_service, cluster_role_binding, csi_driver, custom_resource_definition, ingress_class, network_policy,
    priority_class, role_binding, storage_class, webhooks,
};
pub use core::{
    endpoint_slice, endpoints, limit_range, namespace, node, persistent_volume, persistent_volume_claim,
    resource_quota, secret, service,
};
pub use devices::{resource_claim, resource_claim_template};
pub use flow_control::{flow_schema, priority_level};
pub use pod::{pod, pod_template};
pub use policy::{admission_policy, admission_policy_binding};
pub use workload::{
    cron_job, daemon_set, deployment, job, replica_set, replication_controller, stateful_set,
};

/// Fills in the defaults of an object's kind. Kinds without any, and kinds not built in, are left
/// alone.
///
/// # Errors
///
/// None as yet: what has the wrong type is left for validation. The result keeps room for defaults
/// that must read more than they write.
pub fn apply(resource: &Resource, tree: &mut Value) -> Result<(), DecodeError> {
    let Some(object) = tree.as_object_mut() else { return Ok(()) };
    match (&*resource.group, &*resource.kind) {
        ("", "Pod") => pod(object),
        ("", "PodTemplate") => child(object, "template", pod_template),
        ("", "ReplicationController") => replication_controller(object),
        ("", "Service") => service(object),
        ("", "Endpoints") => endpoints(object),
        ("", "Secret") => secret(object),
        ("", "LimitRange") => limit_range(object),
        ("", "Namespace") => namespace(object),
        ("", "Node") => node(object),
        ("", "PersistentVolume") => persistent_volume(object),
        ("", "PersistentVolumeClaim") => persistent_volume_claim(object),
        ("", "ResourceQuota") => resource_quota(object),
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => cron_job(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition(object),
        ("rbac.authorization.k8s.io", "RoleBinding") => role_binding(object),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => cluster_role_binding(object),
        ("scheduling.k8s.io", "PriorityClass") => priority_class(object),
        ("storage.k8s.io", "StorageClass") => storage_class(object),
        ("storage.k8s.io", "CSIDriver") => csi_driver(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("networking.k8s.io", "IngressClass") => ingress_class(object),
        // The older version has no metrics; the newer one's come when it is converted.
        ("autoscaling", "HorizontalPodAutoscaler") if resource.version == "v1" => {
            child(object, "spec", |spec| absent(spec, "minReplicas", 1));
        }
        ("autoscaling", "HorizontalPodAutoscaler") => horizontal_pod_autoscaler(object),
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => {
            webhooks(object);
        }
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy" | "ValidatingAdmissionPolicy") => {
            admission_policy(object)
        }
        ("admissionregistration.k8s.io", _) => admission_policy_binding(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow_schema(object),
        ("flowcontrol.apiserver.k8s.io", _) => priority_level(object),
        ("node.k8s.io", "RuntimeClass") => {
            child(object, "overhead", |overhead| amounts(overhead, "podFixed"))
        }
        ("resource.k8s.io", "ResourceClaim") => resource_claim(object),
        ("resource.k8s.io", "ResourceClaimTemplate") => resource_claim_template(object),
        ("storage.k8s.io", "VolumeAttachment") => child(object, "spec", |spec| {
            child(spec, "source", |source| {
                child(source, "inlineVolumeSpec", |volume| amounts(volume, "capacity"));
            });
        }),
        _ => {}
    }
    Ok(())
}

/// The fields of a JSON object.
pub type Fields = Map<String, Value>;

/// Sets a field that is absent. For fields whose zero means something.
pub(super) fn absent(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.into(), value.into());
    }
}

/// Sets a field that is absent or holds its type's zero. For fields whose zero means "left out".
pub(super) fn blank(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if is_blank(fields.get(name)) {
        fields.insert(name.into(), value.into());
    }
}

fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Bool(_)) => false,
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Works on a field that holds an object, if it does.
pub(super) fn child(fields: &mut Fields, name: &str, work: impl FnOnce(&mut Fields)) {
    if let Some(Value::Object(fields)) = fields.get_mut(name) {
        work(fields);
    }
}

/// Works on a field that holds an object, made where it is absent.
fn made(fields: &mut Fields, name: &str, work: impl FnOnce(&mut Fields)) {
    absent(fields, name, Map::new());
    child(fields, name, work);
}

/// Works on every object in a list.
pub(super) fn each(fields: &mut Fields, name: &str, work: impl FnMut(&mut Fields)) {
    if let Some(Value::Array(items)) = fields.get_mut(name) {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(work);
    }
}

/// Brings amounts into canonical form, rounded up to thousandths. What is no quantity stays.
fn amounts(fields: &mut Fields, name: &str) {
    child(fields, name, |amounts| {
        for amount in amounts.values_mut() {
            let text = match amount {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            if let Ok(quantity) = text.parse::<Quantity>() {
                *amount = quantity.rounded_to_milli().to_string().into();
            }
        }
    });
}

#[cfg(test)]
mod tests;
