//! ReplicaSets.
//!
//! Source: `ValidateReplicaSet` and its updates of `k8s.io/kubernetes/pkg/apis/apps/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::template::{self, Selector};

pub(super) fn object(set: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = set.get("spec");
    checks::non_negative(&spec.get("replicas"), errors);
    checks::non_negative(&spec.get("minReadySeconds"), errors);
    selected_template(&spec, old, errors);
}

/// A selector, and a template whose pods it selects and that run for ever: of a Deployment, too, which
/// hands both on.
pub(super) fn selected_template(spec: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (own, template_at) = (spec.get("selector"), spec.get("template"));
    template::own_selector(&own, "deployment", errors);
    let selector = Selector::read(own.value());
    if matches!(selector, Selector::Unsound) {
        errors.push(own.invalid("invalid label selector"));
        return;
    }
    template::selected(&selector, &template_at, errors);
    template::template(&template_at, old.map(|old| &old.value()["spec"]["template"]), errors);
    template::runs_for_ever("ReplicaSet", &template_at, errors);
}

pub(super) fn status(set: &At<'_>, errors: &mut Errors) {
    let all = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    template::counts(&set.get("status"), &all, &parts, "readyReplicas", errors);
}
