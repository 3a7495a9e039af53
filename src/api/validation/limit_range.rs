//! LimitRanges.
//!
//! Source: `ValidateLimitRange` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::field::Error;
use crate::api::names;
use crate::api::quantity::{Format, Quantity};

/// The lists of a limit, in the order in which they are looked at.
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

pub(super) fn object(range: &At<'_>, errors: &mut Errors) {
    let spec = range.get("spec");
    let mut seen = BTreeSet::new();
    for limit in spec.get("limits").items() {
        let kind = limit.get("type");
        limit_type(&kind, errors);
        if !seen.insert(kind.text().to_owned()) {
            errors.push(kind.duplicate());
        }
        lists(&limit, errors);
        for name in names_of(&limit) {
            consistent(&limit, &name, errors);
        }
    }
}

fn limit_type(kind: &At<'_>, errors: &mut Errors) {
    let wrong = names::qualified_name(kind.text());
    let standard = matches!(kind.text(), "Pod" | "Container" | "PersistentVolumeClaim");
    if wrong.is_empty() && !kind.text().contains('/') && !standard {
        errors.push(kind.invalid("must be a standard limit type or fully qualified"));
    }
    checks::sentences(kind, wrong, errors);
}

fn lists(limit: &At<'_>, errors: &mut Errors) {
    let kind = limit.text_of("type");
    for list in LISTS {
        let amounts = limit.get(list);
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if amounts.len() > 0 {
                errors.push(amounts.forbidden("may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        if list == "maxLimitRequestRatio" {
            storage_bounded(limit, errors);
        }
        for (name, amount) in amounts.entries() {
            pod::resource_name(name, &amount, errors);
            let of_containers = matches!(kind, "Pod" | "Container");
            if of_containers && !name.contains('/') && !pod::is_standard_container(name) {
                let wrong = "must be a standard resource for containers";
                errors.push(Error::invalid(&amount.path(), name, wrong));
            }
        }
    }
}

fn storage_bounded(limit: &At<'_>, errors: &mut Errors) {
    let has = |list: &str| limit.value()[list].get("storage").is_some();
    if limit.text_of("type") == "PersistentVolumeClaim" && !has("min") && !has("max") {
        let limits = limit.get("limits");
        errors.push(
            limits.required("either minimum or maximum storage value is required, but neither was provided"),
        );
    }
}

fn names_of(limit: &At<'_>) -> BTreeSet<String> {
    let of_pods = limit.text_of("type") == "Pod";
    let lists = LISTS.iter().filter(|list| !(of_pods && list.starts_with("default")));
    let amounts = lists.filter_map(|list| limit.value()[*list].as_object());
    amounts.flatten().map(|(name, _)| name.clone()).collect()
}

/// The amounts of one resource must agree with each other.
fn consistent(limit: &At<'_>, name: &str, errors: &mut Errors) {
    let read = |list: &str| -> Option<Quantity> {
        limit.value()[list].get(name)?.as_str().and_then(|text| text.parse().ok())
    };
    let of_pods = limit.text_of("type") == "Pod";
    let (min, max, ratio) = (read("min"), read("max"), read("maxLimitRequestRatio"));
    let default = read("default").filter(|_| !of_pods);
    let request = read("defaultRequest").filter(|_| !of_pods);
    let mut wrong = |list: &str, shown: Quantity, why: String| {
        errors.push(Error::invalid(&limit.path().child(list).key(name), shown.to_string(), why));
    };
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        wrong("min", min, format!("min value {min} is greater than max value {max}"));
    }
    if let (Some(request), Some(min)) = (request, min)
        && min > request
    {
        let why = format!("min value {min} is greater than default request value {request}");
        wrong("defaultRequest", request, why);
    }
    if let (Some(request), Some(max)) = (request, max)
        && request > max
    {
        let why = format!("default request value {request} is greater than max value {max}");
        wrong("defaultRequest", request, why);
    }
    if let (Some(request), Some(default)) = (request, default)
        && request > default
    {
        let why = format!("default request value {request} is greater than default limit value {default}");
        wrong("defaultRequest", request, why);
    }
    if let (Some(default), Some(min)) = (default, min)
        && min > default
    {
        wrong("default", min, format!("min value {min} is greater than default value {default}"));
    }
    if let (Some(default), Some(max)) = (default, max)
        && default > max
    {
        wrong("default", max, format!("default value {default} is greater than max value {max}"));
    }
    if let Some(ratio) = ratio {
        if ratio < Quantity::new(1, Format::DecimalSi) {
            wrong("maxLimitRequestRatio", ratio, format!("ratio {ratio} is less than 1"));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let possible = max.milli_value() as f64 / min.milli_value() as f64;
            if ratio.milli_value() as f64 / 1000.0 > possible {
                let why = format!("ratio {ratio} is greater than max/min = {possible:.6}");
                wrong("maxLimitRequestRatio", ratio, why);
            }
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && default != request
        && !pod::is_overcommittable(name)
    {
        let why = format!("default value {default} must equal to defaultRequest value {request} in {name}");
        wrong("defaultRequest", request, why);
    }
}
