//! PodDisruptionBudgets.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/policy/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::{conditions, template};

pub(super) fn object(budget: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = budget.get("spec");
    let (available, unavailable) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if available.is_set() && unavailable.is_set() {
        errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    for amount in [&available, &unavailable] {
        if amount.is_set() {
            checks::count_or_percent(amount, errors);
            template::at_most_all(amount, errors);
        }
    }
    let any_value = old.is_some_and(|old| {
        let mut found = Errors::new();
        checks::label_selector(&At::root(&old.value()["spec"]["selector"]), &mut found);
        !found.is_empty()
    });
    checks::label_selector_with(&spec.get("selector"), any_value, errors);
    checks::one_of_if_set(
        &spec.get("unhealthyPodEvictionPolicy"),
        &["AlwaysAllow", "IfHealthyBudget"],
        errors,
    );
}

pub(super) fn status(budget: &At<'_>, errors: &mut Errors) {
    let status = budget.get("status");
    conditions::all(&status.get("conditions"), errors);
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        checks::non_negative(&status.get(field), errors);
    }
}
