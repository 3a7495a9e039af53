//! Deployments.
//!
//! Source: `ValidateDeployment` and its updates of `k8s.io/kubernetes/pkg/apis/apps/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::replica_set;
use super::template;

pub(super) fn object(deployment: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = deployment.get("spec");
    checks::non_negative(&spec.get("replicas"), errors);
    replica_set::selected_template(&spec, old, errors);
    strategy(&spec.get("strategy"), errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        checks::non_negative(&spec.get(field), errors);
    }
    let deadline = spec.get("progressDeadlineSeconds");
    if deadline.number().is_some_and(|deadline| deadline <= spec.number_of("minReadySeconds")) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

fn strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.text_of("type") {
        "Recreate" if rolling.is_set() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            checks::count_or_percent(&unavailable, errors);
            checks::count_or_percent(&surge, errors);
            if template::amount(&unavailable) == 0 && template::amount(&surge) == 0 {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            template::at_most_all(&unavailable, errors);
        }
        _ => errors.push(strategy.not_supported(&["Recreate", "RollingUpdate"])),
    }
}

pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let all = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    template::counts(&new.get("status"), &all, &parts, "readyReplicas", errors);
    template::collisions(new, old, errors);
}
