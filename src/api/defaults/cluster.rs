//! Kinds that describe the cluster itself.

use serde_json::{Map, Value, json};

use super::{Fields, absent, blank, child, each, is_blank, made, text};

/// A CustomResourceDefinition.
pub fn custom_resource_definition(object: &mut Fields) {
    let mut stored = None;
    child(object, "spec", |spec| {
        child(spec, "names", |names| {
            let kind = text(names, "kind").to_owned();
            if !kind.is_empty() {
                blank(names, "singular", kind.to_lowercase());
                blank(names, "listKind", format!("{kind}List"));
            }
        });
        absent(spec, "conversion", json!({"strategy": "None"}));
        child(spec, "conversion", |conversion| {
            child(conversion, "webhook", |webhook| child(webhook, "clientConfig", service_port));
        });
        let versions = spec.get("versions").and_then(Value::as_array);
        stored = versions
            .into_iter()
            .flatten()
            .find(|version| version["storage"] == true)
            .and_then(|version| version["name"].as_str().map(str::to_owned));
    });
    if let Some(name) = stored {
        made(object, "status", |status| blank(status, "storedVersions", json!([name])));
    }
}

fn service_port(config: &mut Fields) {
    child(config, "service", |service| absent(service, "port", 443));
}

/// An APIService.
pub fn api_service(object: &mut Fields) {
    child(object, "spec", service_port);
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// A RoleBinding.
pub fn role_binding(object: &mut Fields) {
    child(object, "roleRef", |role| blank(role, "apiGroup", RBAC));
    each(object, "subjects", |subject| {
        if matches!(text(subject, "kind"), "User" | "Group") {
            blank(subject, "apiGroup", RBAC);
        }
    });
}

/// A ClusterRoleBinding.
pub fn cluster_role_binding(object: &mut Fields) {
    role_binding(object);
}

/// A PriorityClass.
pub fn priority_class(object: &mut Fields) {
    absent(object, "preemptionPolicy", "PreemptLowerPriority");
}

/// A StorageClass.
pub fn storage_class(object: &mut Fields) {
    absent(object, "reclaimPolicy", "Delete");
    absent(object, "volumeBindingMode", "Immediate");
}

/// A CSIDriver.
pub fn csi_driver(object: &mut Fields) {
    child(object, "spec", |spec| {
        absent(spec, "attachRequired", true);
        absent(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        for name in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
            absent(spec, name, false);
        }
        blank(spec, "volumeLifecycleModes", json!(["Persistent"]));
    });
}

/// A NetworkPolicy: one that does not say which directions it is about is about ingress, and about
/// egress if it has rules for it.
pub fn network_policy(object: &mut Fields) {
    child(object, "spec", |spec| {
        let egress = !is_blank(spec.get("egress"));
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        blank(spec, "policyTypes", types);
        for direction in ["ingress", "egress"] {
            each(spec, direction, |rule| each(rule, "ports", |port| absent(port, "protocol", "TCP")));
        }
    });
}

/// An IngressClass.
pub fn ingress_class(object: &mut Fields) {
    child(object, "spec", |spec| child(spec, "parameters", |own| absent(own, "scope", "Cluster")));
}

/// A webhook configuration, of either sort.
pub fn webhooks(object: &mut Fields) {
    let mutating = text(object, "kind") == "MutatingWebhookConfiguration";
    each(object, "webhooks", |webhook| {
        absent(webhook, "failurePolicy", "Fail");
        absent(webhook, "matchPolicy", "Equivalent");
        absent(webhook, "namespaceSelector", Map::new());
        absent(webhook, "objectSelector", Map::new());
        absent(webhook, "timeoutSeconds", 10);
        if mutating {
            absent(webhook, "reinvocationPolicy", "Never");
        }
        each(webhook, "rules", |rule| absent(rule, "scope", "*"));
        child(webhook, "clientConfig", service_port);
    });
}
