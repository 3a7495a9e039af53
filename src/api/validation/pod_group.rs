//! Workloads, and the groups of pods that they are made of.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/scheduling/validation` and the declarative rules of
//! `k8s.io/api/scheduling/v1alpha2` (1.36). Fields of features that are off do not come here.

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use super::conditions;
use crate::api::field::Error;
use crate::api::names;

const MAX_TEMPLATES: usize = 8;

pub(super) fn workload(workload: &At<'_>, errors: &mut Errors) {
    let spec = workload.get("spec");
    let controller = spec.get("controllerRef");
    if controller.is_set() {
        checks::named_if_set(&controller.get("apiGroup"), names::dns1123_subdomain, errors);
        for field in ["kind", "name"] {
            checks::present_and_named(&controller.get(field), names::path_segment, errors);
        }
    }
    let templates = spec.get("podGroupTemplates");
    if templates.len() == 0 {
        errors.push(templates.required(""));
    } else if templates.len() > MAX_TEMPLATES {
        errors.push(Error::too_many(&templates.path(), templates.len(), MAX_TEMPLATES));
        return;
    }
    let mut seen = BTreeSet::new();
    for template in templates.items() {
        let name = template.get("name");
        if !seen.insert(name.text().to_owned()) {
            errors.push(template.duplicate());
        }
        checks::present_and_named(&name, names::dns1123_label, errors);
        policy(&template.get("schedulingPolicy"), errors);
    }
}

pub(super) fn workload_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    for field in ["controllerRef", "podGroupTemplates"] {
        checks::immutable(&spec.get(field), &before.get(field), errors);
    }
}

/// How the pods of a group are scheduled: each by itself, or together.
fn policy(policy: &At<'_>, errors: &mut Errors) {
    let (basic, gang) = (policy.get("basic"), policy.get("gang"));
    let (shown, wrong) = match (basic.is_set(), gang.is_set()) {
        (false, false) => ("", "must specify one of: `basic`, `gang`"),
        (true, true) => ("{`basic`, `gang`}", "must specify exactly one of: `basic`, `gang`"),
        _ => ("", ""),
    };
    if !wrong.is_empty() {
        errors.push(Error::invalid(&policy.path(), shown, wrong));
    }
    let least = gang.get("minCount");
    match least.number() {
        _ if !gang.is_set() => {}
        None | Some(0) => errors.push(least.required("")),
        Some(number) if number < 1 => errors.push(least.invalid("must be greater than or equal to 1")),
        Some(_) => {}
    }
}

pub(super) fn group(group: &At<'_>, errors: &mut Errors) {
    let spec = group.get("spec");
    let reference = spec.get("podGroupTemplateRef");
    if reference.is_set() {
        let workload = reference.get("workload");
        if workload.is_set() {
            checks::present_and_named(&workload.get("workloadName"), names::dns1123_subdomain, errors);
            checks::present_and_named(&workload.get("podGroupTemplateName"), names::dns1123_label, errors);
        } else {
            errors.push(Error::invalid(&reference.path(), "", "must specify one of: `workload`"));
        }
    }
    policy(&spec.get("schedulingPolicy"), errors);
}

pub(super) fn group_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    for field in ["podGroupTemplateRef", "schedulingPolicy"] {
        checks::immutable(&spec.get(field), &before.get(field), errors);
    }
}

pub(super) fn group_status(group: &At<'_>, errors: &mut Errors) {
    let status = group.get("status");
    conditions::all(&status.get("conditions"), errors);
}
