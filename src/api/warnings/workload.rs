//! Kinds with templates of pods. Of a template that stays as it is nothing is said again.

use serde_json::Value;

use super::{claim, list, pod, text};

const POD_NAMES: &str = "Pod names and hostnames";

/// Whether somebody changed what the object is to be: a new one, too.
fn is_new_generation(tree: &Value, old: Option<&Value>) -> bool {
    old.is_none_or(|old| old["metadata"]["generation"] != tree["metadata"]["generation"])
}

/// A template at a path of the object.
pub(super) fn template(tree: &Value, old: Option<&Value>, pointer: &str) -> Vec<String> {
    let Some(own) = tree.pointer(pointer).filter(|_| is_new_generation(tree, old)) else { return Vec::new() };
    pod::of(own, &format!("{}.", pointer[1..].replace('/', ".")))
}

/// The same, of a kind whose name its pods carry on.
pub(super) fn named(tree: &Value, old: Option<&Value>, pointer: &str) -> Vec<String> {
    let mut warnings = if old.is_none() { pod::name(tree, POD_NAMES) } else { Vec::new() };
    warnings.extend(template(tree, old, pointer));
    warnings
}

pub(super) fn daemon_set(tree: &Value, old: Option<&Value>) -> Vec<String> {
    let generation =
        |tree: &Value| tree["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone();
    match old {
        Some(old) if generation(old) == generation(tree) => Vec::new(),
        _ => template(tree, None, "/spec/template"),
    }
}

pub(super) fn stateful_set(tree: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = template(tree, old, "/spec/template");
    for (index, own) in list(&tree["spec"]["volumeClaimTemplates"]).iter().enumerate() {
        // Kubernetes has it so.
        let spec = if old.is_some() { ".Spec" } else { "" };
        warnings.extend(claim::spec(&own["spec"], &format!("spec.volumeClaimTemplates[{index}]{spec}")));
    }
    if tree["spec"]["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        warnings.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
    warnings
}

pub(super) fn job(tree: &Value, old: Option<&Value>) -> Vec<String> {
    job_spec(tree, old, "/spec")
}

pub(super) fn cron_job(tree: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = job_spec(tree, old, "/spec/jobTemplate/spec");
    if old.is_some() && text(&tree["spec"]["schedule"]).contains("TZ") {
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
    warnings
}

fn job_spec(tree: &Value, old: Option<&Value>, pointer: &str) -> Vec<String> {
    let mut warnings = if old.is_none() { pod::name(tree, POD_NAMES) } else { Vec::new() };
    let Some(spec) = tree.pointer(pointer).filter(|_| is_new_generation(tree, old)) else { return warnings };
    let count = |field: &str| spec[field].as_i64().unwrap_or(0);
    if spec["completionMode"] == "Indexed" && count("completions") > 100_000 && count("parallelism") > 10_000
    {
        warnings.push(format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            pointer[1..].replace('/', ".")
        ));
    }
    warnings.extend(template(tree, old, &format!("{pointer}/template")));
    warnings
}
