//! Which requests a webhook or a policy is about.

use std::collections::BTreeSet;

use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

/// A rule of a webhook.
pub(super) fn rule(rule: &At<'_>, errors: &mut Errors) {
    let operations = rule.get("operations");
    some(&operations, "operations", errors);
    for operation in operations.items() {
        if !OPERATIONS.contains(&operation.text()) {
            errors.push(operation.not_supported(&OPERATIONS));
        }
    }
    let (groups, versions) = (rule.get("apiGroups"), rule.get("apiVersions"));
    some(&groups, "API groups", errors);
    some(&versions, "API versions", errors);
    // A group may be the empty one; a version may not.
    errors.extend(versions.items().filter(|item| item.text().is_empty()).map(|item| item.required("")));
    resources(&rule.get("resources"), errors);
    checks::one_of_if_set(&rule.get("scope"), &SCOPES, errors);
}

/// A rule of a policy, which may name objects, too.
pub(super) fn named_rule(rule: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for name in rule.get("resourceNames").items() {
        checks::named(&name, names::path_segment, errors);
        if !seen.insert(name.text().to_owned()) {
            errors.push(name.duplicate());
        }
    }
    self::rule(rule, errors);
}

/// There must be something, and `*` stands for all.
fn some(list: &At<'_>, others: &str, errors: &mut Errors) {
    if list.len() == 0 {
        errors.push(list.required(""));
    }
    if list.len() > 1 && list.items().any(|item| item.text() == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {others}")));
    }
}

fn resources(list: &At<'_>, errors: &mut Errors) {
    if list.len() == 0 {
        errors.push(list.required(""));
    }
    let (mut with_all_parts, mut part_of_all) = (BTreeSet::new(), BTreeSet::new());
    let mut without_part = false;
    for item in list.items() {
        let text = item.text();
        let Some((resource, part)) = text.split_once('/') else {
            if text.is_empty() {
                errors.push(item.required(""));
            } else {
                without_part = text != "*";
            }
            continue;
        };
        if with_all_parts.contains(resource) {
            errors.push(item.invalid(format!("if '{resource}/*' is present, must not specify {text}")));
        }
        if part_of_all.contains(part) {
            errors.push(item.invalid(format!("if '*/{part}' is present, must not specify {text}")));
        }
        if part == "*" {
            with_all_parts.insert(resource.to_owned());
        }
        if resource == "*" {
            part_of_all.insert(part.to_owned());
        }
    }
    let has = |wanted: &str| list.items().any(|item| item.text() == wanted);
    if list.len() > 1 && has("*/*") {
        errors.push(list.invalid("if '*/*' is present, must not specify other resources"));
    }
    if has("*") && without_part {
        errors.push(list.invalid("if '*' is present, must not specify other resources without subresources"));
    }
}
