//! ReplicationControllers.
//!
//! Source: `ValidateReplicationController` of `k8s.io/kubernetes/pkg/apis/core/validation`, and the update
//! of its strategy (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::template;
use crate::api::field::{Error, ErrorKind};

const NOT_CONVERTIBLE: &str = "non-convertible.kubernetes.io";

pub(super) fn object(controller: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = controller.get("spec");
    checks::non_negative(&spec.get("minReadySeconds"), errors);
    let (selector, template_at) = (spec.get("selector"), spec.get("template"));
    if selector.len() == 0 {
        errors.push(selector.required(""));
    }
    let replicas = spec.get("replicas");
    if replicas.is_set() {
        checks::non_negative(&replicas, errors);
    } else {
        errors.push(replicas.required(""));
    }
    if !template_at.is_set() {
        errors.push(template_at.required(""));
        return;
    }
    let metadata = template_at.get("metadata");
    let labels = metadata.get("labels");
    if !selector.entries().all(|(key, value)| labels.key(key).text() == value.text()) {
        errors.push(labels.invalid("`selector` does not match template `labels`"));
    }
    template::template(&template_at, old.map(|old| &old.value()["spec"]["template"]), errors);
    template::runs_for_ever("ReplicationController", &template_at, errors);
}

/// A controller that was once something else keeps what could not be carried over.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, metadata) = (new.get("spec"), old.get("metadata"));
    let selector = spec.get("selector");
    for (key, value) in metadata.get("annotations").entries() {
        let Some((domain, field)) = key.split_once('/') else { continue };
        if !domain.starts_with(NOT_CONVERTIBLE) || field.contains('/') {
            continue;
        }
        if !field.contains("selector") {
            errors.push(Error {
                kind: ErrorKind::NotFound,
                field: field.to_owned(),
                value: value.value().clone(),
                detail: "unknown non-convertible field".to_owned(),
                value_omitted: false,
            });
        } else if !checks::same(selector.value(), &old.value()["spec"]["selector"]) {
            errors.push(selector.invalid("cannot update non-convertible selector"));
        }
    }
}

pub(super) fn status(controller: &At<'_>, errors: &mut Errors) {
    let all =
        ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    template::counts(&controller.get("status"), &all, &all[1..4], "readyReplicas", errors);
}
