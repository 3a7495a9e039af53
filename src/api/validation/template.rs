//! Templates of pods, and the kinds that keep pods of them running.

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::{metadata, pod};
use crate::api::selector::LabelSelector;

/// A template, and the one that it replaces.
///
/// Source: `ValidatePodTemplateSpec` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
pub(super) fn template(template: &At<'_>, old: Option<&Value>, errors: &mut Errors) {
    let rules = pod::Rules::template(old);
    let (own, spec) = (template.get("metadata"), template.get("spec"));
    // Kubernetes leaves `metadata` out of these paths.
    let (labels, annotations) = (template.get("labels"), template.get("annotations"));
    checks::labels(&labels.holding(&own.value()["labels"]), errors);
    metadata::annotations(&annotations.holding(&own.value()["annotations"]), errors);
    pod::spec(&spec, &rules, errors);
    pod::template_annotations(template, &rules, errors);
    let ephemeral = spec.get("ephemeralContainers");
    if ephemeral.len() > 0 {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// A kind's selector, as far as it can be read.
pub(super) enum Selector {
    /// It matches what it says.
    Some(LabelSelector),
    /// It matches everything.
    Everything,
    /// It is not there, and matches nothing.
    Absent,
    /// It cannot be read.
    Unsound,
}

impl Selector {
    pub(super) fn read(value: &Value) -> Self {
        if value.is_null() {
            return Self::Absent;
        }
        let parsed = serde_json::from_value(value.clone()).ok();
        match parsed.and_then(|typed| LabelSelector::from_k8s(Some(&typed)).ok()) {
            None => Self::Unsound,
            Some(selector) if selector.is_empty() => Self::Everything,
            Some(selector) => Self::Some(selector),
        }
    }

    /// Whether it matches the labels of a template.
    pub(super) fn matches(&self, template: &At<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::Absent | Self::Unsound => false,
            Self::Some(selector) => {
                let labels = template.value()["metadata"]["labels"].as_object().into_iter().flatten();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                selector.matches(&labels.map(|(key, value)| (key.clone(), text(value))).collect())
            }
        }
    }
}

/// The pods of a template must be those that are looked for.
pub(super) fn selected(selector: &Selector, template: &At<'_>, errors: &mut Errors) {
    if !selector.matches(template) {
        let metadata = template.get("metadata");
        errors.push(metadata.get("labels").invalid("`selector` does not match template `labels`"));
    }
}

/// The pods of a template that is kept running have no end. `kind` is what Kubernetes calls the kind here.
pub(super) fn runs_for_ever(kind: &str, template: &At<'_>, errors: &mut Errors) {
    let spec = template.get("spec");
    let (policy, deadline) = (spec.get("restartPolicy"), spec.get("activeDeadlineSeconds"));
    if policy.text() != "Always" {
        errors.push(policy.not_supported(&["Always"]));
    }
    if deadline.is_set() {
        errors.push(deadline.forbidden(format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
}

/// A selector that must be there, and must not match everything. `kind` is what Kubernetes calls the kind
/// here.
pub(super) fn own_selector(selector: &At<'_>, kind: &str, errors: &mut Errors) {
    if !selector.is_set() {
        errors.push(selector.required(""));
        return;
    }
    checks::label_selector(selector, errors);
    if selector.get("matchLabels").len() + selector.get("matchExpressions").len() == 0 {
        errors.push(selector.invalid(format!("empty selector is invalid for {kind}")));
    }
}

/// What a kind looks for, it looks for as long as it lives.
pub(super) fn selector_stays(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    checks::immutable(&new.get("spec").get("selector"), &old.get("spec").get("selector"), errors);
}

/// A number, or the number before a percent sign.
pub(super) fn amount(at: &At<'_>) -> i64 {
    let percent = at.text().strip_suffix('%').and_then(|number| number.parse().ok());
    at.number().or(percent).or_else(|| at.text().parse().ok()).unwrap_or_default()
}

/// A percentage of not more than everything.
pub(super) fn at_most_all(at: &At<'_>, errors: &mut Errors) {
    if at.text().ends_with('%') && amount(at) > 100 {
        errors.push(at.invalid("must not be greater than 100%"));
    }
}

/// The counts of a status: not negative, and parts not larger than the whole.
pub(super) fn counts(status: &At<'_>, all: &[&str], parts: &[&str], of_ready: &str, errors: &mut Errors) {
    all.iter().for_each(|field| checks::non_negative(&status.get(field), errors));
    let count = |field: &str| status.number_of(field);
    for part in parts.iter().filter(|part| count(part) > count("replicas")) {
        errors.push(status.get(part).invalid("cannot be greater than status.replicas"));
    }
    if count("availableReplicas") > count("readyReplicas") {
        errors.push(status.get("availableReplicas").invalid(format!("cannot be greater than {of_ready}")));
    }
}

/// How often a hash of a template met another one: it only grows.
pub(super) fn collisions(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = new.get("status");
    let count = status.get("collisionCount");
    let before = old.value()["status"]["collisionCount"].as_i64();
    if before.is_some_and(|before| count.number().is_none_or(|count| count < before)) {
        let shown = count.number().unwrap_or(0);
        errors.push(crate::api::field::Error::invalid(&count.path(), shown, "cannot be decremented"));
    }
}
