//! What narrows down the requests that a webhook or a policy is about.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expression::{Expressions, Purpose};
use super::{MATCH_POLICIES, rules};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_CONDITIONS: usize = 64;

/// Conditions in CEL on a request.
pub(super) fn conditions(list: &At<'_>, expressions: &Expressions<'_>, errors: &mut Errors) {
    if list.len() > MAX_CONDITIONS {
        errors.push(Error::too_many(&list.path(), list.len(), MAX_CONDITIONS));
    }
    let mut seen = BTreeSet::new();
    for condition in list.items() {
        let (name, expression) = (condition.get("name"), condition.get("expression"));
        if expression.text().trim().is_empty() {
            errors.push(expression.required(""));
        } else {
            expressions.compile(Purpose::Match, &expression, errors);
        }
        if checks::present(&name, errors) {
            checks::named(&name, names::qualified_name, errors);
            if !seen.insert(name.text().to_owned()) {
                errors.push(name.duplicate());
            }
        }
    }
}

/// The expressions of such conditions.
pub(super) fn stored(of: &Value) -> impl Iterator<Item = (Purpose, &str)> {
    let conditions = of["matchConditions"].as_array().into_iter().flatten();
    conditions.filter_map(|condition| Some((Purpose::Match, condition["expression"].as_str()?)))
}

/// The resources of a policy or a binding.
pub(super) fn resources(resources: &At<'_>, errors: &mut Errors) {
    let policy = resources.get("matchPolicy");
    if policy.is_set() {
        checks::one_of_if_set(&policy, &MATCH_POLICIES, errors);
    } else {
        errors.push(policy.required(""));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        let selector = resources.get(field);
        if selector.is_set() {
            checks::label_selector(&selector, errors);
        } else {
            errors.push(selector.required(""));
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        resources.get(field).items().for_each(|rule| rules::named_rule(&rule, errors));
    }
}

/// What mutates can only do so before something is stored. The error stands at the rules, whichever it is.
pub(super) fn only_mutable(resources: &At<'_>, errors: &mut Errors) {
    const OPERATIONS: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
    for rule in resources.get("resourceRules").items() {
        for operation in rule.get("operations").items() {
            if !OPERATIONS.contains(&operation.text()) {
                let path = resources.path().child("resourceRules").child("operations");
                errors.push(Error::not_supported(&path, operation.text(), &OPERATIONS));
            }
        }
    }
}
