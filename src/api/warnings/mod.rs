//! What somebody who writes an object should know, though it is accepted: a `Warning` header each.
//!
//! As the strategies' `WarningsOnCreate` and `WarningsOnUpdate` of Kubernetes 1.36 have it.

use serde_json::Value;

use super::Resource;
use super::quantity::Quantity;

mod admission;
mod claim;
mod core;
mod networking;
mod overlap;
mod pod;
mod secret;
mod storage;
mod workload;

/// What is said of a new object.
#[must_use]
pub fn create(row: &Resource, tree: &Value) -> Vec<String> {
    of(row, tree, None)
}

/// What is said of a change.
#[must_use]
pub fn update(row: &Resource, new: &Value, old: &Value) -> Vec<String> {
    of(row, new, Some(old))
}

fn of(row: &Resource, tree: &Value, old: Option<&Value>) -> Vec<String> {
    match (&*row.group, &*row.kind) {
        ("", "Endpoints") => core::endpoints(tree),
        ("", "Node") => core::node(tree),
        ("", "PersistentVolume") => claim::volume(tree),
        ("", "PersistentVolumeClaim") => claim::claim(tree),
        ("", "Pod") if old.is_none() => pod::create(tree),
        ("", "PodTemplate") => workload::template(tree, old, "/template"),
        ("", "ReplicationController") => workload::named(tree, old, "/spec/template"),
        ("", "ResourceQuota") if old.is_none() => core::quota(tree),
        ("", "Secret") => secret::secret(tree),
        ("", "Service") => core::service(tree),
        ("", "ServiceAccount") => core::service_account(tree, old),
        ("apps", "DaemonSet") => workload::daemon_set(tree, old),
        ("apps", "Deployment" | "ReplicaSet") => workload::named(tree, old, "/spec/template"),
        ("apps", "StatefulSet") => workload::stateful_set(tree, old),
        ("batch", "CronJob") => workload::cron_job(tree, old),
        ("batch", "Job") => workload::job(tree, old),
        ("admissionregistration.k8s.io", _) => admission::static_name(tree),
        ("discovery.k8s.io", "EndpointSlice") => networking::endpoint_slice(tree, old),
        ("networking.k8s.io", "Ingress") => networking::ingress(tree, old),
        ("networking.k8s.io", "NetworkPolicy") => networking::policy(tree),
        ("node.k8s.io", "RuntimeClass") => storage::runtime_class(tree),
        ("resource.k8s.io", "ResourceSlice") => storage::resource_slice(tree),
        ("storage.k8s.io", "CSIDriver") => storage::driver(tree, old),
        ("storage.k8s.io", "CSIStorageCapacity") => storage::capacity(tree),
        ("storage.k8s.io", "StorageClass") => storage::class(tree),
        _ => Vec::new(),
    }
}

/// What is said of a change of the status.
#[must_use]
pub fn update_status(row: &Resource, new: &Value) -> Vec<String> {
    match (&*row.group, &*row.kind) {
        ("", "Pod") => pod::status(new),
        ("", "Service") => core::service_status(new),
        ("networking.k8s.io", "Ingress") => networking::ingress_status(new),
        _ => Vec::new(),
    }
}

/// What is said of a deletion that does not say what becomes of the dependents.
#[must_use]
pub fn delete(row: &Resource) -> Vec<String> {
    if (&*row.group, &*row.kind) != ("batch", "Job") {
        return Vec::new();
    }
    vec![
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or          set propagationPolicy=Orphan to suppress this warning"
            .to_owned(),
    ]
}

/// The items of a list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is said of an amount at a path that is no whole number.
fn fraction(amount: &Value, path: &str) -> Option<String> {
    let quantity =
        text(amount).parse::<Quantity>().ok().filter(|quantity| !quantity.rounded_to_milli().is_whole())?;
    Some(format!("{path}: fractional byte value \"{quantity}\" is invalid, must be an integer"))
}

/// What is said of labels of nodes that have another name by now.
///
/// Source: `deprecatedNodeLabels` of `k8s.io/kubernetes/pkg/api/node` (1.36).
fn deprecated_node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#,
        "beta.kubernetes.io/os" => r#"deprecated since v1.14; use "kubernetes.io/os" instead"#,
        "failure-domain.beta.kubernetes.io/region" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#
        }
        "beta.kubernetes.io/instance-type" => {
            r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => {
            "deprecated since v1.22; use Taints and Tolerations instead"
        }
        "node-role.kubernetes.io/master" => r#"use "node-role.kubernetes.io/control-plane" instead"#,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
