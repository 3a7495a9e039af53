//! Objects as an older kube-apiserver stored them, in versions that nobody serves any more.
//!
//! Nothing rewrites what is stored until it is written again, so that a store that began long ago holds
//! versions that came and went since. Those that Kubernetes 1.36 still reads are read here; any other is
//! named, and not taken for what it is not.
//!
//! Source: the conversions that the packages `k8s.io/kubernetes/pkg/apis/…` register (1.36), by what their
//! `install` adds to the scheme.

use serde_json::{Value, json};

use crate::api::Resource;
use crate::api::defaults::{Fields, absent, child, each};

/// A kind by its group, and the versions of it that may be stored besides the one that is.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const KNOWN: &[Known] = &[
    ("", &["Event"], &["events.k8s.io/v1", "events.k8s.io/v1beta1"]),
    (
        "admissionregistration.k8s.io",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        &["admissionregistration.k8s.io/v1beta1"],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ],
        &[
            "admissionregistration.k8s.io/v1",
            "admissionregistration.k8s.io/v1beta1",
            "admissionregistration.k8s.io/v1alpha1",
        ],
    ),
    ("apps", &["Deployment"], &["apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]),
    ("apps", &["ControllerRevision", "StatefulSet"], &["apps/v1beta2", "apps/v1beta1"]),
    ("apps", &["DaemonSet", "ReplicaSet"], &["apps/v1beta2", "extensions/v1beta1"]),
    ("autoscaling", &["HorizontalPodAutoscaler"], &["autoscaling/v2", "autoscaling/v1"]),
    ("batch", &["CronJob"], &["batch/v1beta1"]),
    ("certificates.k8s.io", &["CertificateSigningRequest"], &["certificates.k8s.io/v1beta1"]),
    (
        "certificates.k8s.io",
        &["ClusterTrustBundle"],
        &["certificates.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1"],
    ),
    ("coordination.k8s.io", &["Lease"], &["coordination.k8s.io/v1beta1"]),
    (
        "coordination.k8s.io",
        &["LeaseCandidate"],
        &["coordination.k8s.io/v1beta1", "coordination.k8s.io/v1alpha2"],
    ),
    ("discovery.k8s.io", &["EndpointSlice"], &["discovery.k8s.io/v1beta1"]),
    (
        "flowcontrol.apiserver.k8s.io",
        &["FlowSchema", "PriorityLevelConfiguration"],
        &[
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "flowcontrol.apiserver.k8s.io/v1beta2",
            "flowcontrol.apiserver.k8s.io/v1beta1",
        ],
    ),
    ("networking.k8s.io", &["Ingress"], &["networking.k8s.io/v1beta1", "extensions/v1beta1"]),
    ("networking.k8s.io", &["NetworkPolicy"], &["extensions/v1beta1"]),
    (
        "networking.k8s.io",
        &["IPAddress", "IngressClass", "ServiceCIDR"],
        &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"],
    ),
    ("node.k8s.io", &["RuntimeClass"], &["node.k8s.io/v1beta1", "node.k8s.io/v1alpha1"]),
    ("policy", &["PodDisruptionBudget"], &["policy/v1beta1"]),
    (
        "rbac.authorization.k8s.io",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        &["rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1alpha1"],
    ),
    (
        "resource.k8s.io",
        &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
        &["resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1"],
    ),
    ("resource.k8s.io", &["DeviceTaintRule"], &["resource.k8s.io/v1beta2", "resource.k8s.io/v1alpha3"]),
    ("scheduling.k8s.io", &["PriorityClass"], &["scheduling.k8s.io/v1beta1"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass"], &["storage.k8s.io/v1beta1"]),
    (
        "storage.k8s.io",
        &["CSIStorageCapacity", "VolumeAttachment", "VolumeAttributesClass"],
        &["storage.k8s.io/v1", "storage.k8s.io/v1beta1", "storage.k8s.io/v1alpha1"],
    ),
];

/// Those whose protobuf is not that of the newer version.
const OTHER_PROTOBUF: [(&str, &str); 8] = [
    ("discovery.k8s.io/v1beta1", "EndpointSlice"),
    ("extensions/v1beta1", "DaemonSet"),
    ("extensions/v1beta1", "Ingress"),
    ("networking.k8s.io/v1beta1", "Ingress"),
    ("node.k8s.io/v1alpha1", "RuntimeClass"),
    ("rbac.authorization.k8s.io/v1alpha1", ""),
    ("apps/v1beta1", "Deployment"),
    ("extensions/v1beta1", "Deployment"),
];

/// The version in which an object of `row` was stored, as a row; none where it is no version of it.
pub(crate) fn version(row: &Resource, api_version: &str, kind: &str) -> Option<Resource> {
    let of = |(group, kinds, _): &&Known| *group == row.group && kinds.contains(&&*row.kind);
    let known = KNOWN.iter().find(of).is_some_and(|(_, _, versions)| versions.contains(&api_version));
    if !known || kind != row.kind {
        return None;
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (group, version) = (group.to_owned().into(), version.to_owned().into());
    Some(Resource { group, version, ..row.clone() })
}

/// The version whose protobuf is that of an object of `row` in a version of which nothing more is known.
pub(crate) fn protobuf(row: &Resource, api_version: &str, kind: &str) -> Option<String> {
    let other = |(version, of): &(&str, &str)| *version == api_version && (of.is_empty() || *of == kind);
    if OTHER_PROTOBUF.iter().any(other) || version(row, api_version, kind).is_none() {
        return None;
    }
    Some(if kind == "Event" { "events.k8s.io/v1".into() } else { row.api_version() })
}

/// Makes the fields of an object of an older version those of `to`'s, where they differ.
pub(super) fn fields(from: &Resource, to: &Resource, object: &mut Fields) {
    match (&*from.group, &*from.version, &*to.kind) {
        ("apps", "v1beta1", "Deployment") | ("extensions", _, "Deployment") => rollback(object),
        ("extensions", _, "DaemonSet") => template_generation(object),
        ("discovery.k8s.io", "v1beta1", _) => each(object, "endpoints", topology),
        ("flowcontrol.apiserver.k8s.io", version, "PriorityLevelConfiguration") => {
            concurrency(version, object);
        }
        ("networking.k8s.io", "v1beta1", "Ingress") | ("extensions", _, "Ingress") => ingress(object),
        ("node.k8s.io", "v1alpha1", _) => runtime_class(object),
        ("policy", "v1beta1", _) => child(object, "spec", budget),
        ("rbac.authorization.k8s.io", "v1alpha1", "ClusterRoleBinding" | "RoleBinding") => {
            each(object, "subjects", subject);
        }
        _ => {}
    }
}

/// Writes down what a field said that is none any more.
fn annotate(object: &mut Fields, name: &str, value: &Value) {
    absent(object, "metadata", Fields::new());
    child(object, "metadata", |metadata| {
        absent(metadata, "annotations", Fields::new());
        child(metadata, "annotations", |annotations| {
            annotations.insert(name.into(), value.to_string().into());
        });
    });
}

/// Source: `Convert_apps_Deployment_To_v1_Deployment` of `pkg/apis/apps/v1` (1.36).
fn rollback(object: &mut Fields) {
    let mut wanted = None;
    child(object, "spec", |spec| wanted = spec.remove("rollbackTo"));
    if let Some(wanted) = wanted {
        let revision = wanted.get("revision").cloned().unwrap_or_else(|| 0.into());
        annotate(object, "deprecated.deployment.rollback.to", &revision);
    }
}

/// Source: `Convert_apps_DaemonSet_To_v1_DaemonSet` of `pkg/apis/apps/v1` (1.36).
fn template_generation(object: &mut Fields) {
    let mut generation = None;
    child(object, "spec", |spec| generation = spec.remove("templateGeneration"));
    let generation = generation.unwrap_or_else(|| 0.into());
    annotate(object, "deprecated.daemonset.template.generation", &generation);
}

/// Source: `Convert_v1beta1_Endpoint_To_discovery_Endpoint` of `pkg/apis/discovery/v1beta1` (1.36).
fn topology(endpoint: &mut Fields) {
    let Some(Value::Object(mut topology)) = endpoint.remove("topology") else { return };
    if let Some(zone) = topology.remove("topology.kubernetes.io/zone") {
        endpoint.insert("zone".into(), zone);
    }
    let host = topology.get("kubernetes.io/hostname");
    if host.is_some() && host == endpoint.get("nodeName") {
        topology.remove("kubernetes.io/hostname");
    }
    if !topology.is_empty() {
        endpoint.insert("deprecatedTopology".into(), topology.into());
    }
}

/// Source: `pkg/apis/flowcontrol/v1beta1`, `v1beta2` and `v1beta3` (1.36).
fn concurrency(version: &str, object: &mut Fields) {
    const ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
    let mut zero = false;
    if version == "v1beta3" {
        child(object, "metadata", |metadata| {
            child(metadata, "annotations", |annotations| zero = annotations.remove(ZERO).is_some());
        });
    }
    child(object, "spec", |spec| {
        child(spec, "limited", |limited| {
            if let Some(shares) = limited.remove("assuredConcurrencyShares") {
                limited.insert("nominalConcurrencyShares".into(), shares);
            }
            if zero {
                absent(limited, "nominalConcurrencyShares", 0);
            } else if limited.get("nominalConcurrencyShares").is_some_and(|shares| *shares == 0) {
                // Where it is no pointer, nothing is what it is without a word.
                limited.remove("nominalConcurrencyShares");
            }
        });
    });
}

/// Source: `Convert_v1beta1_IngressSpec_To_networking_IngressSpec`, `…_IngressBackend_…` and
/// `SetDefaults_HTTPIngressPath` of `pkg/apis/networking/v1beta1` (1.36).
fn ingress(object: &mut Fields) {
    child(object, "spec", |spec| {
        if let Some(Value::Object(mut default)) = spec.remove("backend") {
            backend(&mut default);
            spec.insert("defaultBackend".into(), default.into());
        }
        each(spec, "rules", |rule| {
            child(rule, "http", |http| {
                each(http, "paths", |path| {
                    absent(path, "pathType", "ImplementationSpecific");
                    child(path, "backend", backend);
                });
            });
        });
    });
}

fn backend(backend: &mut Fields) {
    let (name, port) = (backend.remove("serviceName"), backend.remove("servicePort"));
    if name.as_ref().is_none_or(|name| *name == "") && port.as_ref().is_none_or(|port| *port == 0) {
        return;
    }
    let port = match port {
        Some(Value::String(name)) => json!({ "name": name }),
        Some(number) if number != 0 => json!({ "number": number }),
        _ => json!({}),
    };
    backend.insert("service".into(), json!({"name": name.unwrap_or_else(|| "".into()), "port": port}));
}

/// Source: `Convert_v1alpha1_RuntimeClass_To_node_RuntimeClass` of `pkg/apis/node/v1alpha1` (1.36).
fn runtime_class(object: &mut Fields) {
    let Some(Value::Object(mut spec)) = object.remove("spec") else { return };
    if let Some(handler) = spec.remove("runtimeHandler") {
        object.insert("handler".into(), handler);
    }
    object.extend(spec);
}

/// A selector without terms selected nothing, and one that no pod contradicts everything.
///
/// Source: `Convert_v1beta1_PodDisruptionBudget_To_policy_PodDisruptionBudget` of `pkg/apis/policy/v1beta1`
/// (1.36).
fn budget(spec: &mut Fields) {
    const EMPTY: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";
    let term = |operator: &str| json!({"matchExpressions": [{"key": EMPTY, "operator": operator}]});
    let Some(selector) = spec.get_mut("selector").filter(|selector| selector.is_object()) else { return };
    if selector.as_object().is_some_and(Fields::is_empty) {
        *selector = term("Exists");
    } else if *selector == term("DoesNotExist") {
        *selector = json!({});
    } else if let Some(Value::Array(terms)) = selector.get_mut("matchExpressions") {
        terms.retain(|term| term["key"] != EMPTY);
    }
}

/// Source: `Convert_v1alpha1_Subject_To_rbac_Subject` of `pkg/apis/rbac/v1alpha1` (1.36).
fn subject(subject: &mut Fields) {
    const OWN: &str = "rbac.authorization.k8s.io";
    let api_version = subject.remove("apiVersion");
    let group = match subject.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "ServiceAccount" => "",
        "User" | "Group" => OWN,
        _ => {
            let version = api_version.as_ref().and_then(Value::as_str).unwrap_or_default();
            version.split_once('/').map_or("", |(group, _)| group)
        }
    };
    subject.insert("apiGroup".into(), group.into());
    if subject["kind"] == "User" && subject.get("name").is_some_and(|name| name == "*") {
        subject.insert("kind".into(), "Group".into());
        subject.insert("name".into(), "system:authenticated".into());
    }
}

#[cfg(test)]
mod tests;
