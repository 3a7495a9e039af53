//! Jobs, and the templates of jobs.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/batch/validation`, and the options of the Job's strategy (1.36).

mod failure_policy;
mod indexes;
mod status;
mod success_policy;
mod update;

pub(super) use status::update as status;
pub(super) use update::update;

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::template::{self, Selector};
use crate::api::field::Error;
use crate::api::names;
use crate::api::selector::LabelSelector;

const MAX_INDEXED_PARALLELISM: i64 = 100_000;
const MAX_FAILED_INDEXES: i64 = 100_000;
/// Above this many completions, the indexes that fail must stay few, or could not be recorded.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_LIMIT: i64 = 10_000;
const MAX_MANAGED_BY: usize = 63;

/// The labels of a Job's pods: which job, by its name and by its uid, each under an old name and a new one.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// A job, and the one that it replaces.
pub(super) fn object(job: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (metadata, spec) = (job.get("metadata"), job.get("spec"));
    generated_selector(&metadata, &spec, old, errors);
    let old_spec = old.map(|old| &old.value()["spec"]);
    self::spec(&spec, old_spec, errors);
    let (selector, template_at) = (spec.get("selector"), spec.get("template"));
    if selector.is_set() {
        let any_value = old_spec.is_some_and(|old| {
            let mut found = Errors::new();
            checks::label_selector(&At::root(&old["selector"]), &mut found);
            !found.is_empty()
        });
        checks::label_selector_with(&selector, any_value, errors);
    } else {
        errors.push(selector.required(""));
    }
    let selects = Selector::read(selector.value());
    if !matches!(selects, Selector::Unsound) {
        template::selected(&selects, &template_at, errors);
    }
    hostnames(&metadata.get("name"), &spec, errors);
}

/// Each pod of an indexed job has the job's name and an index as its host's name.
fn hostnames(name: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let completions = spec.number_of("completions");
    if !is_indexed(spec.value()) || completions <= 0 {
        return;
    }
    let last = format!("{}-{}", name.text(), completions - 1);
    if !names::dns1123_label(&last).is_empty() {
        errors.push(name.invalid(format!("will not able to create pod with invalid DNS label: {last}")));
    }
}

fn is_indexed(spec: &Value) -> bool {
    spec["completionMode"] == "Indexed"
}

/// A selector that nobody wrote is the server's: it finds the pods of this job alone.
fn generated_selector(metadata: &At<'_>, spec: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let selector = spec.get("selector");
    if spec.get("manualSelector").flag() || !selector.is_set() {
        return;
    }
    let (name, uid) = (metadata.text_of("name"), metadata.text_of("uid"));
    if uid.is_empty() {
        errors.push(metadata.get("uid").required(""));
    }
    // Jobs from before the newer labels go on without them.
    let newer = old.is_none_or(|old| {
        let labels = &old.value()["spec"]["template"]["metadata"]["labels"];
        labels.get(NAME_LABELS[1]).is_some() && labels.get(UID_LABELS[1]).is_some()
    });
    let generations = if newer { 0..2 } else { 0..1 };
    let template = spec.get("template");
    let own = template.get("metadata");
    let labels = own.get("labels");
    let mut expected = std::collections::BTreeMap::new();
    for generation in generations {
        for (label, value) in [(UID_LABELS[generation], uid), (NAME_LABELS[generation], name)] {
            expected.insert(label.to_owned(), value.to_owned());
            let at = labels.key(label);
            if !at.is_set() {
                errors.push(at.required(format!("must be '{value}'")));
            } else if at.text() != value {
                errors.push(at.holding(labels.value()).invalid(format!("must be '{value}'")));
            }
        }
    }
    let typed = serde_json::from_value(selector.value().clone()).ok();
    let parsed = typed.and_then(|typed| LabelSelector::from_k8s(Some(&typed)).ok());
    if parsed.is_some_and(|parsed| !parsed.matches(&expected)) {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

/// What a Job and a template of jobs have in common.
pub(super) fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        checks::non_negative(&spec.get(field), errors);
    }
    let (per_index, failed) = (spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes"));
    if failed.is_set() && !per_index.is_set() {
        errors.push(per_index.required("when maxFailedIndexes is specified"));
    }
    let manager = spec.get("managedBy");
    if manager.is_set() {
        checks::domain_prefixed_path(&manager, errors);
        if manager.text().len() > MAX_MANAGED_BY {
            errors.push(manager.too_long(MAX_MANAGED_BY));
        }
    }
    let mode = spec.get("completionMode");
    checks::one_of_if_set(&mode, &["NonIndexed", "Indexed"], errors);
    if is_indexed(spec.value()) {
        indexed(spec, errors);
    }
    if matches!(mode.text(), "" | "NonIndexed") {
        for at in [&per_index, &failed] {
            if at.is_set() {
                errors.push(at.invalid("requires indexed completion mode"));
            }
        }
    }
    let failure = spec.get("podFailurePolicy");
    if failure.is_set() {
        failure_policy::check(&failure, spec, errors);
    }
    let success = spec.get("successPolicy");
    if success.is_set() {
        if is_indexed(spec.value()) {
            success_policy::check(&success, spec, errors);
        } else {
            errors.push(success.invalid("requires indexed completion mode"));
        }
    }
    let replacement = spec.get("podReplacementPolicy");
    let allowed: &[&str] = if failure.is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    // Kubernetes leaves the field out of this path.
    checks::one_of_if_set(&spec.holding(replacement.value()), allowed, errors);
    let template_at = spec.get("template");
    template::template(&template_at, old.map(|old| &old["template"]), errors);
    restart_policy(&template_at.get("spec").get("restartPolicy"), failure.is_set(), errors);
}

fn indexed(spec: &At<'_>, errors: &mut Errors) {
    let (completions, parallelism, failed) =
        (spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes"));
    let above = |at: &At<'_>, limit: i64| at.number().is_some_and(|number| number > limit);
    if !completions.is_set() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    if above(&parallelism, MAX_INDEXED_PARALLELISM) {
        errors.push(parallelism.invalid(format!(
            "must be less than or equal to {MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        )));
    }
    if completions.number().is_some_and(|completions| above(&failed, completions)) {
        errors.push(failed.invalid("must be less than or equal to completions"));
    }
    if above(&failed, MAX_FAILED_INDEXES) {
        errors.push(failed.invalid(format!("must be less than or equal to {MAX_FAILED_INDEXES}")));
    }
    if above(&completions, MANY_COMPLETIONS) && spec.has("backoffLimitPerIndex") {
        if !failed.is_set() {
            let why = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            errors.push(failed.required(why));
        }
        for at in [&parallelism, &failed] {
            if above(at, MANY_LIMIT) {
                errors.push(at.invalid(format!(
                    "must be less than or equal to {MANY_LIMIT} when completions are above {MANY_COMPLETIONS} and \
                     used with backoff limit per index"
                )));
            }
        }
    }
}

/// The pods of a job end.
fn restart_policy(policy: &At<'_>, has_failure_policy: bool, errors: &mut Errors) {
    match policy.text() {
        "" | "Always" => {
            errors.push(Error::required(&policy.path(), r#"valid values: "OnFailure", "Never""#));
        }
        "OnFailure" if has_failure_policy => {
            errors.push(policy.invalid(r#"only "Never" is supported when podFailurePolicy is specified"#));
        }
        "OnFailure" | "Never" => {}
        _ => errors.push(policy.not_supported(&["OnFailure", "Never"])),
    }
}

/// Whether a job has a condition that holds.
pub(super) fn holds(job: &Value, kind: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}
