//! Reviews: questions, and what makes one.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/{authorization,authentication}/validation` (1.36).

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::names;

/// Whether somebody may do something.
pub(super) fn access(kind: &str, review: &At<'_>, errors: &mut Errors) {
    let spec = review.get("spec");
    let (resource, other) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    match (resource.is_set(), other.is_set()) {
        (true, true) => {
            errors.push(other.invalid("cannot be specified in combination with resourceAttributes"))
        }
        (false, false) => errors.push(
            resource.invalid("exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        ),
        _ => {}
    }
    let (user, groups) = (spec.get("user"), spec.get("groups"));
    if kind != "SelfSubjectAccessReview" && user.text().is_empty() && groups.len() == 0 {
        errors.push(Error::invalid(&user.path(), "", "at least one of user or group must be specified"));
    }
    for selector in ["fieldSelector", "labelSelector"] {
        self::selector(&resource.get(selector), selector == "labelSelector", errors);
    }
    local(kind, review, errors);
}

/// What is said beside the question: nothing, or the namespace that it is about.
fn local(kind: &str, review: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (review.get("metadata"), review.get("spec"));
    let local = kind == "LocalSubjectAccessReview";
    let told = |field: &str, value: &Value| {
        !(field == "managedFields" || (local && field == "namespace") || checks::same(value, &Value::Null))
    };
    if metadata.entries().any(|(field, at)| told(field, at.value())) {
        let wrong = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(metadata.invalid(wrong));
    }
    if !local {
        return;
    }
    let (resource, other) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    let namespace = resource.get("namespace");
    if resource.is_set() && namespace.text() != metadata.get("namespace").text() {
        let wrong = "must match metadata.namespace";
        errors.push(Error::invalid(&namespace.path(), namespace.text(), wrong));
    }
    if other.is_set() {
        errors.push(other.invalid("disallowed on this kind of request"));
    }
}

/// What a list is narrowed down by. An operator that nobody here knows is for newer servers.
fn selector(selector: &At<'_>, labels: bool, errors: &mut Errors) {
    if !selector.is_set() {
        return;
    }
    let (raw, requirements) = (selector.get("rawSelector"), selector.get("requirements"));
    if !raw.text().is_empty() && requirements.len() > 0 {
        errors.push(raw.invalid("may not specified at the same time as requirements"));
    }
    if raw.text().is_empty() && requirements.len() == 0 {
        let path: Path = selector.path();
        errors.push(
            requirements
                .required(format!("when {path} is specified, requirements or rawSelector is required")),
        );
    }
    for requirement in requirements.items() {
        let (key, operator, values) =
            (requirement.get("key"), requirement.get("operator"), requirement.get("values"));
        if !labels && key.text().is_empty() {
            errors.push(key.required("must be specified"));
        }
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                errors.push(
                    values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
                );
            }
            _ => {}
        }
        if labels {
            checks::named(&key, names::qualified_name, errors);
            values.items().for_each(|value| checks::named(&value, names::label_value, errors));
        }
    }
}
