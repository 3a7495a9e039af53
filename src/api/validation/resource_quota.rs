//! ResourceQuotas.
//!
//! Source: `ValidateResourceQuota` and its updates of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::field::Error;

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];
/// Scopes that a pod is in or not, whatever else is asked.
const UNVALUED: [&str; 5] =
    ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

pub(super) fn object(quota: &At<'_>, new: bool, errors: &mut Errors) {
    let spec = quota.get("spec");
    amounts(&spec.get("hard"), errors);
    scopes(&spec, errors);
    scope_selector(&spec, errors);
    if new {
        status(quota, errors);
    }
}

/// How much there may be, and is.
pub(super) fn status(quota: &At<'_>, errors: &mut Errors) {
    let status = quota.get("status");
    amounts(&status.get("hard"), errors);
    amounts(&status.get("used"), errors);
}

fn amounts(list: &At<'_>, errors: &mut Errors) {
    for (name, amount) in list.entries() {
        pod::resource_name(name, &amount, errors);
        if !name.contains('/') && !is_counted(name) {
            errors.push(Error::invalid(&amount.path(), name, "must be a standard resource for quota"));
        }
        pod::resource_quantity(name, &amount, errors);
    }
}

/// Whether a quota may limit it: all that there is, but what a claim alone asks for.
fn is_counted(name: &str) -> bool {
    pod::is_standard(name) && name != "storage"
}

/// Whether a quota of this scope may limit such a resource.
fn reaches(scope: &str, resource: &str) -> bool {
    let compute = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => resource == "pods" || compute.contains(&resource),
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

/// The limits of a quota that such a scope does not reach.
fn out_of_reach<'a>(spec: &At<'a>, scope: &'a str) -> impl Iterator<Item = &'a str> {
    let limits = spec.value()["hard"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    limits.filter(move |name| is_counted(name) && !reaches(scope, name))
}

fn conflicts(scopes: &BTreeSet<&str>) -> usize {
    CONFLICTS.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))).count()
}

fn scopes(spec: &At<'_>, errors: &mut Errors) {
    let scopes = spec.get("scopes");
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        for _ in out_of_reach(spec, scope.text()) {
            errors.push(scopes.invalid("unsupported scope applied to resource"));
        }
    }
    let all = scopes.value().as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for _ in 0..conflicts(&all) {
        errors.push(scopes.invalid("conflicting scopes"));
    }
}

fn scope_selector(spec: &At<'_>, errors: &mut Errors) {
    let selector = spec.get("scopeSelector");
    if !selector.is_set() {
        return;
    }
    let requirements = selector.get("matchExpressions");
    // Errors stand at the list, and not at its items.
    for requirement in requirements.items() {
        let named = requirement.text_of("scopeName");
        let (scope, operator, values) =
            (requirements.get("scopeName"), requirements.get("operator"), requirements.get("values"));
        let scope = scope.holding(&requirement.value()["scopeName"]);
        let operator = operator.holding(&requirement.value()["operator"]);
        let values = values.holding(&requirement.value()["values"]);
        if !SCOPES.contains(&named) {
            errors.push(scope.invalid("unsupported scope"));
        }
        for _ in out_of_reach(spec, named) {
            let shown = requirements.holding(selector.value());
            errors.push(shown.invalid("unsupported scope applied to resource"));
        }
        if UNVALUED.contains(&named) && operator.text() != "Exists" {
            errors.push(operator.invalid(
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                 ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                 ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            ));
        }
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => errors.push(values.required(
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                errors.push(values.invalid(
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
                ))
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
    }
    let all = requirements.value().as_array().into_iter().flatten();
    let all = all.filter_map(|requirement| requirement["scopeName"].as_str()).collect();
    for _ in 0..conflicts(&all) {
        let shown = requirements.holding(&spec.value()["scopes"]);
        errors.push(shown.invalid("conflicting scopes"));
    }
}

/// What a quota is about does not change.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let spec = new.get("spec");
    let scopes = spec.get("scopes");
    let set = |value: &Value| -> BTreeSet<String> {
        let scopes = value.as_array().into_iter().flatten();
        scopes.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if set(scopes.value()) != set(&old.value()["spec"]["scopes"]) {
        errors.push(scopes.invalid(checks::IMMUTABLE));
    }
}
