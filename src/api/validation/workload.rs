//! Kinds that make pods from a template.

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::{metadata, pod};
use crate::api::field::Error;
use crate::api::selector::LabelSelector;

pub(super) fn object(kind: &str, object: &At<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    match kind {
        "Deployment" => deployment(&spec, errors),
        "ReplicaSet" | "StatefulSet" | "DaemonSet" => {
            checks::non_negative(&spec.get("replicas"), errors);
            checks::non_negative(&spec.get("minReadySeconds"), errors);
            checks::non_negative(&spec.get("revisionHistoryLimit"), errors);
            selected_template(kind, &spec, errors);
        }
        "ReplicationController" => replication_controller(&spec, errors),
        "PodTemplate" => template(&object.get("template"), errors),
        "Job" => job(&spec, errors),
        "CronJob" => job(&spec.get("jobTemplate").get("spec"), errors),
        _ => {}
    }
}

fn deployment(spec: &At<'_>, errors: &mut Errors) {
    checks::non_negative(&spec.get("replicas"), errors);
    selected_template("Deployment", spec, errors);
    strategy(&spec.get("strategy"), errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        checks::non_negative(&spec.get(field), errors);
    }
    let deadline = spec.get("progressDeadlineSeconds");
    let ready = spec.get("minReadySeconds").number().unwrap_or(0);
    if deadline.number().is_some_and(|deadline| deadline <= ready) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

fn strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.get("type").text() {
        "Recreate" if rolling.is_set() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            checks::count_or_percent(&unavailable, errors);
            checks::count_or_percent(&surge, errors);
            if count(&unavailable) == Some(0) && count(&surge) == Some(0) {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            if unavailable.text().ends_with('%') && count(&unavailable).is_some_and(|percent| percent > 100) {
                errors.push(unavailable.invalid("must not be greater than 100%"));
            }
        }
        _ => errors.push(strategy.not_supported(&["Recreate", "RollingUpdate"])),
    }
}

/// A number, or the number before a percent sign.
fn count(at: &At<'_>) -> Option<i64> {
    at.number().or_else(|| at.text().strip_suffix('%')?.parse().ok())
}

/// A selector, and a template whose pods it selects and that run for ever.
fn selected_template(kind: &str, spec: &At<'_>, errors: &mut Errors) {
    let (selector, template_at) = (spec.get("selector"), spec.get("template"));
    let empty = selector.get("matchLabels").len() + selector.get("matchExpressions").len() == 0;
    if !selector.is_set() {
        errors.push(selector.required(""));
    } else {
        checks::label_selector(&selector, errors);
        if empty {
            // Kubernetes says so of every kind that was made after Deployments.
            let word = match kind {
                "StatefulSet" => "statefulset",
                "DaemonSet" => "daemonset",
                _ => "deployment",
            };
            errors.push(selector.invalid(format!("empty selector is invalid for {word}")));
        }
    }
    if !empty {
        match parsed(selector.value()) {
            None => errors.push(selector.invalid("invalid label selector")),
            Some(parsed) => {
                let labels_at = template_at.get("metadata");
                let labels_at = labels_at.get("labels");
                let labels = labels_at
                    .entries()
                    .map(|(key, value)| (key.to_owned(), value.text().to_owned()))
                    .collect();
                if !parsed.matches(&labels) {
                    errors.push(labels_at.invalid("`selector` does not match template `labels`"));
                }
            }
        }
    }
    template(&template_at, errors);
    runs_for_ever(kind, &template_at, errors);
}

fn parsed(selector: &Value) -> Option<LabelSelector> {
    let typed = serde_json::from_value(selector.clone()).ok()?;
    LabelSelector::from_k8s(Some(&typed)).ok()
}

fn runs_for_ever(kind: &str, template: &At<'_>, errors: &mut Errors) {
    let spec = template.get("spec");
    let policy = spec.get("restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.not_supported(&["Always"]));
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() {
        let kind = if kind == "Deployment" { "ReplicaSet" } else { kind };
        errors.push(deadline.forbidden(format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
}

/// A template of pods.
fn template(template: &At<'_>, errors: &mut Errors) {
    // Kubernetes leaves `metadata` out of these two paths.
    let metadata = template.value().get("metadata").unwrap_or(&Value::Null);
    let moved = serde_json::json!({"labels": metadata["labels"], "annotations": metadata["annotations"]});
    let at = At::root(&moved);
    let mut found = Vec::new();
    checks::labels(&at.get("labels"), &mut found);
    metadata::annotations(&at.get("annotations"), &mut found);
    errors.extend(
        found
            .into_iter()
            .map(|error| Error { field: template.path().child(&error.field).to_string(), ..error }),
    );
    let spec = template.get("spec");
    pod::spec(&spec, false, errors);
    let ephemeral = spec.get("ephemeralContainers");
    if ephemeral.len() > 0 {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

fn replication_controller(spec: &At<'_>, errors: &mut Errors) {
    checks::non_negative(&spec.get("replicas"), errors);
    checks::non_negative(&spec.get("minReadySeconds"), errors);
    let (selector, template_at) = (spec.get("selector"), spec.get("template"));
    if selector.len() == 0 {
        errors.push(selector.required(""));
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
    template(&template_at, errors);
    runs_for_ever("ReplicationController", &template_at, errors);
}

fn job(spec: &At<'_>, errors: &mut Errors) {
    for field in
        ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"]
    {
        checks::non_negative(&spec.get(field), errors);
    }
    let template_at = spec.get("template");
    template(&template_at, errors);
    let pod = template_at.get("spec");
    let policy = pod.get("restartPolicy");
    if matches!(policy.text(), "Always" | "") {
        errors
            .push(Error::required(&policy.path(), format!("valid values: {:?}, {:?}", "OnFailure", "Never")));
    }
}

/// Selectors never change, and neither does most of what a Job or StatefulSet is.
pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            checks::immutable(&spec.get("selector"), &before.get("selector"), errors);
        }
        "Job" => {
            for field in ["completions", "selector", "template"] {
                if field == "completions" && spec.get("completionMode").text() == "Indexed" {
                    continue;
                }
                checks::immutable(&spec.get(field), &before.get(field), errors);
            }
        }
        "StatefulSet" => {
            let open = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            let kept = |spec: &Value| {
                let mut spec = spec.clone();
                if let Value::Object(map) = &mut spec {
                    map.retain(|field, _| !open.contains(&field.as_str()));
                }
                spec
            };
            if !checks::same(&kept(spec.value()), &kept(before.value())) {
                errors.push(spec.forbidden(
                    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                     'minReadySeconds' are forbidden",
                ));
            }
        }
        _ => {}
    }
}

/// The counts of a status must make sense together.
pub(super) fn status(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = new.get("status");
    for (name, at) in status.entries() {
        if name.ends_with("eplicas") || matches!(name, "observedGeneration" | "collisionCount") {
            non_negative_field(&status, name, at.number(), errors);
        }
    }
    let number = |name: &str| status.value()[name].as_i64().unwrap_or(0);
    if matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet") {
        for part in [
            "updatedReplicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "currentReplicas",
        ] {
            if number(part) > number("replicas") {
                errors.push(status.get(part).invalid("cannot be greater than status.replicas"));
            }
        }
        if number("availableReplicas") > number("readyReplicas") {
            errors.push(status.get("availableReplicas").invalid("cannot be greater than readyReplicas"));
        }
    }
    let collisions = status.get("collisionCount");
    let before = old.get("status").get("collisionCount").number();
    if before.is_some_and(|before| collisions.number().unwrap_or(0) < before) {
        let shown = collisions.number().unwrap_or(0);
        errors.push(Error::invalid(&collisions.path(), shown, "cannot be decremented"));
    }
}

fn non_negative_field(status: &At<'_>, name: &str, number: Option<i64>, errors: &mut Errors) {
    if number.is_some_and(|number| number < 0) {
        errors.push(status.get(name).invalid(checks::NEGATIVE));
    }
}
