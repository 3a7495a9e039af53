//! Admission policies and their bindings.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/admissionregistration/v1/defaults.go` (1.36).

use serde_json::Map;

use super::{Fields, absent, child, each};

/// A policy, of either sort.
pub fn admission_policy(object: &mut Fields) {
    child(object, "spec", |spec| {
        absent(spec, "failurePolicy", "Fail");
        child(spec, "matchConstraints", resources);
    });
}

/// A binding of one.
pub fn admission_policy_binding(object: &mut Fields) {
    child(object, "spec", |spec| child(spec, "matchResources", resources));
}

fn resources(resources: &mut Fields) {
    absent(resources, "matchPolicy", "Equivalent");
    absent(resources, "namespaceSelector", Map::new());
    absent(resources, "objectSelector", Map::new());
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(resources, rules, |rule| absent(rule, "scope", "*"));
    }
}
