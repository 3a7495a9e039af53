//! HorizontalPodAutoscalers, in the version in which they are stored.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/autoscaling/validation`, and the options of the strategy (1.36).

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::field::Error;
use crate::api::names;

const MAX_PERIOD: i64 = 1800;
const MAX_WINDOW: i64 = 3600;
const KINDS: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// The kinds of metrics, in the order in which they are looked at, and the fields that hold them.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

/// What a reference may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApiVersion {
    /// It names a group.
    Grouped,
    /// It may be of the core group.
    Any,
    /// It was there before and is not judged.
    Unjudged,
}

pub(super) fn object(autoscaler: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = autoscaler.get("spec");
    let old = old.map(|old| &old.value()["spec"]);
    let (min, max) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    let least = i64::from(old.is_none_or(|old| old["minReplicas"] != 0));
    if min.number().is_some_and(|min| min < least) {
        errors.push(min.invalid(format!("must be greater than or equal to {least}")));
    }
    match max.number().unwrap_or(0) {
        0 => errors.push(max.required("must be set and greater than 0")),
        ..0 => errors.push(max.invalid("must be greater than or equal to 1")),
        1.. => {}
    }
    let most = max.number().unwrap_or(0);
    if min.number().is_some_and(|min| most < min) {
        let wrong = "must be greater than or equal to `minReplicas`";
        errors.push(Error::invalid(&max.path(), most, wrong));
    }
    let target = spec.get("scaleTargetRef");
    let same = |field: &str| old.is_some_and(|old| old["scaleTargetRef"][field] == target.value()[field]);
    let version = if same("apiVersion") && same("kind") {
        ApiVersion::Unjudged
    } else if target.text_of("kind") == "ReplicationController" {
        ApiVersion::Any
    } else {
        ApiVersion::Grouped
    };
    reference(&target, version, errors);
    metrics(&spec.get("metrics"), min.number(), old, errors);
    let behavior = spec.get("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        let rules = behavior.get(direction);
        if rules.is_set() {
            scaling_rules(&rules, errors);
        }
    }
}

fn reference(reference: &At<'_>, version: ApiVersion, errors: &mut Errors) {
    for field in ["kind", "name"] {
        checks::present_and_named(&reference.get(field), names::path_segment, errors);
    }
    let at = reference.get("apiVersion");
    if version != ApiVersion::Unjudged
        && let Some(wrong) = version_problem(at.text(), version)
    {
        errors.push(Error::invalid(&at.path(), at.text(), wrong));
    }
}

fn version_problem(text: &str, version: ApiVersion) -> Option<String> {
    let grouped = match text.split('/').collect::<Vec<_>>()[..] {
        // An empty one is of no group, too.
        [_] => false,
        [group, _] => !group.is_empty(),
        _ => return Some(format!("unexpected GroupVersion string: {text}")),
    };
    (version == ApiVersion::Grouped && !grouped).then(|| "apiVersion must specify API group".to_owned())
}

fn metrics(metrics: &At<'_>, min: Option<i64>, old: Option<&Value>, errors: &mut Errors) {
    let before = old.and_then(|old| old["metrics"].as_array()).into_iter().flatten();
    let unsound = before
        .filter(|metric| metric["type"] == "Object")
        .filter_map(|metric| metric["object"]["describedObject"]["apiVersion"].as_str())
        .any(|text| version_problem(text, ApiVersion::Any).is_some());
    let version = if unsound { ApiVersion::Unjudged } else { ApiVersion::Any };
    metrics.items().for_each(|metric| self::metric(&metric, version, errors));
    let from_outside = metrics.items().any(|metric| matches!(metric.text_of("type"), "Object" | "External"));
    if min == Some(0) && !from_outside {
        errors.push(metrics.forbidden(
            "must specify at least one Object or External metric to support scaling to zero replicas",
        ));
    }
}

fn metric(metric: &At<'_>, version: ApiVersion, errors: &mut Errors) {
    let kind = metric.get("type");
    if kind.text().is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    if !KINDS.contains(&kind.text()) {
        errors.push(Error::not_supported(&kind.path(), kind.text(), &KINDS));
    }
    let present: Vec<_> = SOURCES.iter().filter(|(_, field)| metric.has(field)).collect();
    if let Some((_, field)) = present.first() {
        source(field, &metric.get(field), version, errors);
    }
    match SOURCES.iter().find(|(name, _)| *name == kind.text()) {
        Some((_, field)) => {
            let own = metric.get(field);
            if !own.is_set() {
                errors.push(own.required("must populate information for the given metric source"));
            }
            if present.len() != 1 {
                for (_, other) in present.iter().filter(|(_, other)| other != field) {
                    errors.push(metric.get(other).forbidden("must populate the given metric source only"));
                }
            }
        }
        None => errors.push(Error::not_supported(&kind.path(), kind.text(), &KINDS)),
    }
}

fn source(field: &str, source: &At<'_>, version: ApiVersion, errors: &mut Errors) {
    let target = source.get("target");
    let (value, average, utilization) =
        (target.get("value"), target.get("averageValue"), target.get("averageUtilization"));
    match field {
        "object" => {
            reference(&source.get("describedObject"), version, errors);
            identifier(&source.get("metric"), errors);
            self::target(&target, errors);
            if !value.is_set() && !average.is_set() {
                errors.push(average.required("must set either a target value or averageValue"));
            }
        }
        "external" => {
            identifier(&source.get("metric"), errors);
            self::target(&target, errors);
            if !value.is_set() && !average.is_set() {
                errors
                    .push(average.required("must set either a target value for metric or a per-pod target"));
            }
            if value.is_set() && average.is_set() {
                errors
                    .push(value.forbidden("may not set both a target value for metric and a per-pod target"));
            }
        }
        "pods" => {
            identifier(&source.get("metric"), errors);
            self::target(&target, errors);
            if !average.is_set() {
                errors.push(average.required("must specify a positive target averageValue"));
            }
        }
        _ => {
            resource(field, source, errors);
            self::target(&target, errors);
            if !utilization.is_set() && !average.is_set() {
                errors
                    .push(utilization.required("must set either a target raw value or a target utilization"));
            }
            if utilization.is_set() && average.is_set() {
                errors
                    .push(average.forbidden("may not set both a target raw value and a target utilization"));
            }
        }
    }
}

/// A resource of the pods, or of one container of each.
fn resource(field: &str, source: &At<'_>, errors: &mut Errors) {
    let (name, container) = (source.get("name"), source.get("container"));
    if name.text().is_empty() {
        errors.push(name.required("must specify a resource name"));
    } else if field == "containerResource" {
        pod::container_resource(name.text(), &name, errors);
    }
    if field == "containerResource" {
        if container.text().is_empty() {
            errors.push(container.required("must specify a container"));
        } else {
            checks::named(&container, names::dns1123_label, errors);
        }
    }
}

fn identifier(metric: &At<'_>, errors: &mut Errors) {
    let name = metric.get("name");
    if name.text().is_empty() {
        errors.push(name.required("must specify a metric name"));
    } else {
        checks::named(&name, names::path_segment, errors);
    }
}

fn target(target: &At<'_>, errors: &mut Errors) {
    let kind = target.get("type");
    if kind.text().is_empty() {
        errors.push(kind.required("must specify a metric target type"));
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        let wrong = "must be either Utilization, Value, or AverageValue";
        errors.push(Error::invalid(&kind.path(), kind.text(), wrong));
    }
    for field in ["value", "averageValue"] {
        let at = target.get(field);
        if checks::quantity(&at).is_some_and(|amount| amount.is_negative() || amount.is_zero()) {
            errors.push(at.invalid("must be positive"));
        }
    }
    let utilization = target.get("averageUtilization");
    if utilization.number().is_some_and(|percent| percent < 1) {
        errors.push(utilization.invalid("must be greater than 0"));
    }
}

fn scaling_rules(rules: &At<'_>, errors: &mut Errors) {
    let window = rules.get("stabilizationWindowSeconds");
    if window.number().is_some_and(|seconds| seconds < 0) {
        errors.push(window.invalid("must be greater than or equal to zero"));
    }
    if window.number().is_some_and(|seconds| seconds > MAX_WINDOW) {
        errors.push(window.invalid(format!("must be less than or equal to {MAX_WINDOW}")));
    }
    checks::one_of_if_set(&rules.get("selectPolicy"), &["Disabled", "Max", "Min"], errors);
    let policies = rules.get("policies");
    if policies.len() == 0 {
        errors.push(policies.required("must specify at least one Policy"));
    }
    for policy in policies.items() {
        let (kind, value, period) = (policy.get("type"), policy.get("value"), policy.get("periodSeconds"));
        if !matches!(kind.text(), "Pods" | "Percent") {
            errors.push(Error::not_supported(&kind.path(), kind.text(), &["Percent", "Pods"]));
        }
        checks::positive(&value, errors);
        checks::positive(&period, errors);
        if period.number().is_some_and(|seconds| seconds > MAX_PERIOD) {
            errors.push(period.invalid(format!("must be less than or equal to {MAX_PERIOD}")));
        }
    }
    checks::non_negative_quantity(&rules.get("tolerance"), errors);
}

pub(super) fn status(autoscaler: &At<'_>, errors: &mut Errors) {
    let status = autoscaler.get("status");
    for field in ["currentReplicas", "desiredReplicas"] {
        checks::non_negative(&status.get(field), errors);
    }
}
