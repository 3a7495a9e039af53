//! DaemonSets.
//!
//! Source: `ValidateDaemonSet` and its updates of `k8s.io/kubernetes/pkg/apis/apps/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::template::{self, Selector};
use crate::api::validation::template::amount;

pub(super) fn object(set: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = set.get("spec");
    let (own, template_at) = (spec.get("selector"), spec.get("template"));
    let any_value = old.is_some_and(|old| {
        let mut found = Errors::new();
        checks::label_selector(&At::root(&old.value()["spec"]["selector"]), &mut found);
        !found.is_empty()
    });
    checks::label_selector_with(&own, any_value, errors);
    let selector = Selector::read(own.value());
    if !matches!(selector, Selector::Unsound) {
        template::selected(&selector, &template_at, errors);
    }
    if own.is_set() && own.get("matchLabels").len() + own.get("matchExpressions").len() == 0 {
        errors.push(own.invalid("empty selector is invalid for daemonset"));
    }
    template::template(&template_at, old.map(|old| &old.value()["spec"]["template"]), errors);
    template::runs_for_ever("DaemonSet", &template_at, errors);
    checks::non_negative(&spec.get("minReadySeconds"), errors);
    strategy(&spec.get("updateStrategy"), errors);
    checks::non_negative(&spec.get("revisionHistoryLimit"), errors);
}

fn strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.text_of("type") {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            for at in [&unavailable, &surge] {
                checks::count_or_percent(at, errors);
            }
            for at in [&unavailable, &surge] {
                template::at_most_all(at, errors);
            }
            match (amount(&unavailable) != 0, amount(&surge) != 0) {
                (true, true) => {
                    errors.push(surge.invalid("may not be set when maxUnavailable is non-zero"));
                }
                (false, false) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
                _ => {}
            }
        }
        _ => errors.push(strategy.not_supported(&["RollingUpdate", "OnDelete"])),
    }
}

pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = new.get("status");
    for field in [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ] {
        checks::non_negative(&status.get(field), errors);
    }
    template::collisions(new, old, errors);
}
