//! StatefulSets.
//!
//! Source: `ValidateStatefulSet` and its updates of `k8s.io/kubernetes/pkg/apis/apps/validation` (1.36).

use serde_json::{Value, json};

use super::at::At;
use super::checks::{self, Errors};
use super::persistent_volume_claim;
use super::template::{self, Selector};
use crate::api::names;

/// What may change, in the order in which Kubernetes names it.
const OPEN: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn object(set: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = set.get("spec");
    let template_counts = old.is_none_or(|old| {
        let (mut found, old_spec) = (Errors::new(), old.get("spec"));
        self::spec(&old_spec, Some(old), true, &mut found);
        found.is_empty()
    });
    self::spec(&spec, old, template_counts, errors);
}

fn spec(spec: &At<'_>, old: Option<&At<'_>>, template_counts: bool, errors: &mut Errors) {
    let management = spec.get("podManagementPolicy");
    if checks::present(&management, errors) && !matches!(management.text(), "OrderedReady" | "Parallel") {
        errors.push(management.invalid("must be 'OrderedReady' or 'Parallel'"));
    }
    strategy(&spec.get("updateStrategy"), errors);
    let retention = spec.get("persistentVolumeClaimRetentionPolicy");
    if retention.is_set() {
        for field in ["whenDeleted", "whenScaled"] {
            let policy = retention.get(field);
            if !matches!(policy.text(), "Retain" | "Delete") {
                errors.push(policy.not_supported(&["Retain", "Delete"]));
            }
        }
    }
    let claims = spec.get("volumeClaimTemplates");
    if old.is_none() {
        for claim in claims.items() {
            persistent_volume_claim::spec(&claim.get("spec"), None, errors);
        }
    }
    checks::non_negative(&spec.get("replicas"), errors);
    checks::non_negative(&spec.get("minReadySeconds"), errors);
    let ordinals = spec.get("ordinals");
    let start = spec.get("ordinals.start");
    checks::non_negative(&start.holding(&ordinals.value()["start"]), errors);
    if old.is_none() {
        checks::named_if_set(&spec.get("serviceName"), names::dns1123_label, errors);
    }
    let (own, template_at) = (spec.get("selector"), spec.get("template"));
    template::own_selector(&own, "statefulset", errors);
    let selector = Selector::read(own.value());
    if matches!(selector, Selector::Unsound) {
        errors.push(own.invalid(""));
    } else {
        template::selected(&selector, &template_at, errors);
        if template_counts {
            let with_claims = with_claims(template_at.value(), claims.value());
            let old = old.map(|old| &old.value()["spec"]["template"]);
            // What is judged is not what is shown: only its paths are.
            let mut found = Errors::new();
            template::template(&At::root(&with_claims), old, &mut found);
            let path = template_at.path();
            errors.extend(found.into_iter().map(|error| crate::api::field::Error {
                field: path.child(&error.field).to_string(),
                ..error
            }));
        }
    }
    template::runs_for_ever("StatefulSet", &template_at, errors);
}

/// The template as its pods will be: with a volume for each claim, and names that are theirs alone.
fn with_claims(template: &Value, claims: &Value) -> Value {
    let mut template = template.clone();
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else { return template };
    spec.remove("subdomain");
    spec.remove("hostname");
    let names: Vec<_> = claims
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|claim| claim["metadata"]["name"].as_str())
        .collect();
    if names.is_empty() {
        return template;
    }
    let own = spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    let others = own.into_iter().filter(|volume| !names.iter().any(|name| volume["name"] == *name));
    let claimed =
        names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    let volumes: Vec<_> = claimed.chain(others).collect();
    spec.insert("volumes".into(), volumes.into());
    template
}

fn strategy(strategy: &At<'_>, errors: &mut Errors) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.text_of("type") {
        "" => errors.push(strategy.required("")),
        "OnDelete" if rolling.is_set() => {
            errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            checks::non_negative(&rolling.get("partition"), errors);
            let unavailable = rolling.get("maxUnavailable");
            if unavailable.is_set() {
                checks::count_or_percent(&unavailable, errors);
                if template::amount(&unavailable) == 0 {
                    errors.push(unavailable.invalid("cannot be 0"));
                }
                template::at_most_all(&unavailable, errors);
            }
        }
        _ => errors.push(strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// Most of what a set is never changes: its pods and claims bear its mark.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let spec = new.get("spec");
    let kept = |spec: &Value| -> Value {
        let fields =
            spec.as_object().into_iter().flatten().filter(|(field, _)| !OPEN.contains(&field.as_str()));
        fields.map(|(field, value)| (field.clone(), value.clone())).collect()
    };
    if !checks::same(&kept(spec.value()), &kept(&old.value()["spec"])) {
        errors.push(spec.forbidden(
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
             'minReadySeconds' are forbidden",
        ));
    }
}

pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let all = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    template::counts(&new.get("status"), &all, &all[1..5], "status.readyReplicas", errors);
    template::collisions(new, old, errors);
}
