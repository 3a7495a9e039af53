//! Bindings: where a policy applies, and with which parameters.

use std::collections::BTreeSet;

use super::matching;
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];

pub(super) fn validating(binding: &At<'_>, errors: &mut Errors) {
    let spec = binding.get("spec");
    common(&spec, errors);
    let actions = spec.get("validationActions");
    let mut seen = BTreeSet::new();
    for action in actions.items() {
        if !ACTIONS.contains(&action.text()) {
            errors.push(action.not_supported(&ACTIONS));
        }
        if !seen.insert(action.text().to_owned()) {
            errors.push(action.duplicate());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        errors.push(actions.invalid(
            "must not contain both Deny and Warn (repeating the same validation failure information in the API \
             response and headers serves no purpose)",
        ));
    }
    if seen.is_empty() {
        errors.push(actions.required("at least one validation action is required"));
    }
}

pub(super) fn mutating(binding: &At<'_>, errors: &mut Errors) {
    let spec = binding.get("spec");
    common(&spec, errors);
    matching::only_mutable(&spec.get("matchResources"), errors);
}

fn common(spec: &At<'_>, errors: &mut Errors) {
    checks::present_and_named(&spec.get("policyName"), names::dns1123_subdomain, errors);
    let (parameters, resources) = (spec.get("paramRef"), spec.get("matchResources"));
    if parameters.is_set() {
        self::parameters(&parameters, errors);
    }
    if resources.is_set() {
        matching::resources(&resources, errors);
    }
}

fn parameters(reference: &At<'_>, errors: &mut Errors) {
    const ONE: &str = "name and selector are mutually exclusive";
    let (name, selector) = (reference.get("name"), reference.get("selector"));
    let named = !name.text().is_empty();
    if named {
        checks::named(&name, names::path_segment, errors);
        if selector.is_set() {
            errors.push(name.forbidden(ONE));
        }
    }
    if selector.is_set() {
        checks::label_selector(&selector, errors);
        if named {
            errors.push(selector.forbidden(ONE));
        }
    }
    if !named && !selector.is_set() {
        errors.push(reference.required("one of name or selector must be specified"));
    }
    let action = reference.get("parameterNotFoundAction");
    if checks::present(&action, errors) && !matches!(action.text(), "Deny" | "Allow") {
        errors.push(Error::not_supported(&action.path(), action.text(), &["Deny", "Allow"]));
    }
}
