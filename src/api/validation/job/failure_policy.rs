//! What the failure of a pod means to its job.

use std::collections::BTreeSet;

use super::super::at::At;
use super::super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;
const MAX_PATTERNS: usize = 20;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// A text that must be there, and one of these; `valid values` are told where it is not.
fn one_of(at: &At<'_>, allowed: &[&str], errors: &mut Errors) {
    if at.text().is_empty() {
        let quoted: Vec<_> = allowed.iter().map(|value| format!("{value:?}")).collect();
        errors.push(at.required(format!("valid values: [{}]", quoted.join(" "))));
    } else {
        checks::one_of_if_set(at, allowed, errors);
    }
}

pub(super) fn check(policy: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let rules = policy.get("rules");
    if rules.len() > MAX_RULES {
        errors.push(rules.too_many(MAX_RULES));
    }
    let pod = &spec.value()["template"]["spec"];
    let containers = ["containers", "initContainers"].into_iter().filter_map(|list| pod[list].as_array());
    let known: BTreeSet<_> =
        containers.flatten().filter_map(|container| container["name"].as_str()).collect();
    for rule in rules.items() {
        let action = rule.get("action");
        if action.text() == "FailIndex" {
            if !spec.has("backoffLimitPerIndex") {
                errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
            }
        } else {
            one_of(&action, &ACTIONS, errors);
        }
        let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &known, errors);
        }
        patterns(&conditions, errors);
        let wrong = match (codes.is_set(), conditions.len() > 0) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.push(Error::unshown(&rule.path(), wrong));
    }
}

fn patterns(patterns: &At<'_>, errors: &mut Errors) {
    if patterns.len() > MAX_PATTERNS {
        errors.push(patterns.too_many(MAX_PATTERNS));
    }
    for pattern in patterns.items() {
        checks::named(&pattern.get("type"), names::qualified_name, errors);
        one_of(&pattern.get("status"), &STATUSES, errors);
    }
}

fn exit_codes(codes: &At<'_>, containers: &BTreeSet<&str>, errors: &mut Errors) {
    let (operator, container, values) =
        (codes.get("operator"), codes.get("containerName"), codes.get("values"));
    one_of(&operator, &OPERATORS, errors);
    if container.is_set() && !containers.contains(container.text()) {
        errors.push(
            container.invalid("must be one of the container or initContainer names in the pod template"),
        );
    }
    if values.len() == 0 {
        errors.push(values.invalid("at least one value is required"));
    } else if values.len() > MAX_CODES {
        errors.push(values.too_many(MAX_CODES));
    }
    let mut seen = BTreeSet::new();
    for value in values.items() {
        let code = value.number().unwrap_or_default();
        if operator.text() == "In" && code == 0 {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            errors.push(value.duplicate());
        }
    }
    let all: Vec<_> = values.items().filter_map(|value| value.number()).collect();
    if !all.is_sorted() {
        errors.push(values.invalid("must be ordered"));
    }
}
