//! How a pod spreads over places together with others like it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Rules;
use super::rules::selector_is_sound;
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

pub(super) fn constraints(constraints: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let pair = |constraint: &At<'_>| {
        (constraint.text_of("topologyKey").to_owned(), constraint.text_of("whenUnsatisfiable").to_owned())
    };
    for (index, constraint) in constraints.items().enumerate() {
        checks::positive(&constraint.get("maxSkew"), errors);
        let (key, when) = (constraint.get("topologyKey"), constraint.get("whenUnsatisfiable"));
        if key.text().is_empty() {
            errors.push(key.required("can not be empty"));
        }
        if !matches!(when.text(), "DoNotSchedule" | "ScheduleAnyway") {
            let supported = ["DoNotSchedule", "ScheduleAnyway"];
            errors.push(Error::not_supported(&when.path(), when.text(), &supported));
        }
        if constraints.items().skip(index + 1).any(|other| pair(&other) == pair(&constraint)) {
            let shown = format!("{{{}, {}}}", key.text(), when.text());
            errors
                .push(Error::duplicate(&constraint.path().child("{topologyKey, whenUnsatisfiable}"), shown));
        }
        let domains = constraint.get("minDomains");
        if domains.is_set() {
            checks::positive(&domains, errors);
            if when.text() != "DoNotSchedule" {
                errors.push(domains.invalid(format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                    when.text()
                )));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            checks::one_of_if_set(&constraint.get(policy), &["Honor", "Ignore"], errors);
        }
        let selector = constraint.get("labelSelector");
        if rules.allows_spread_keys_twice() {
            keys_beside(&constraint.get("matchLabelKeys"), &selector, errors);
        } else {
            label_keys(&constraint, &selector, errors);
        }
        if !rules.allows_any_spread_selector() {
            checks::label_selector(&selector, errors);
        }
    }
}

/// The keys of labels whose values are the pod's own: none of them twice. The selector may name one
/// that the server has put there itself, and only once.
///
/// Source: `ValidateMatchLabelKeysAndMismatchLabelKeys` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
pub(super) fn label_keys(holder: &At<'_>, selector: &At<'_>, errors: &mut Errors) {
    let (same, other) = (holder.get("matchLabelKeys"), holder.get("mismatchLabelKeys"));
    for keys in [&same, &other] {
        if keys.len() == 0 {
            continue;
        }
        if !selector.is_set() {
            errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
            continue;
        }
        keys.items().for_each(|key| checks::named(&key, names::qualified_name, errors));
    }
    let labels = selector.get("matchLabels");
    let mut seen: BTreeSet<&str> =
        labels.value().as_object().into_iter().flatten().map(|(key, _)| &**key).collect();
    let expressions = selector.value()["matchExpressions"].as_array().into_iter().flatten();
    for key in expressions.filter_map(|expression| expression["key"].as_str()) {
        let index = same.items().rposition(|own| own.text() == key);
        if let Some(index) = index
            && seen.contains(key)
        {
            let path = holder.path().index(index);
            errors.push(Error::invalid(&path, key, "exists in both matchLabelKeys and labelSelector"));
        }
        seen.insert(key);
    }
    for key in same.items().filter(|key| other.items().any(|other| other.text() == key.text())) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

/// The same as it was before the server put keys into selectors: a selector names none of them.
fn keys_beside(keys: &At<'_>, selector: &At<'_>, errors: &mut Errors) {
    if keys.len() == 0 {
        return;
    }
    if !selector.is_set() {
        errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
    }
    let names_it = |key: &str| {
        let expressions = selector.value()["matchExpressions"].as_array().into_iter().flatten();
        selector.value()["matchLabels"].get(key).is_some()
            || expressions.into_iter().any(|expression| expression["key"] == key)
    };
    for key in keys.items() {
        checks::named(&key, names::qualified_name, errors);
        if names_it(key.text()) {
            errors.push(key.invalid("exists in both matchLabelKeys and labelSelector"));
        }
    }
}

fn list(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["topologySpreadConstraints"].as_array().into_iter().flatten()
}

/// Whether a spec has a constraint with a selector that is not sound.
pub(super) fn has_unsound_selector(spec: &Value) -> bool {
    list(spec).any(|constraint| !selector_is_sound(&constraint["labelSelector"]))
}

/// Whether a spec has a constraint whose keys are not sound.
pub(super) fn has_unsound_keys(spec: &Value) -> bool {
    list(spec).any(|constraint| {
        let at = At::root(constraint);
        let mut errors = Vec::new();
        label_keys(&at, &at.get("labelSelector"), &mut errors);
        !errors.is_empty()
    })
}
