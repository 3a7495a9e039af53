//! What a controller may say of a job: it must make sense in itself, and only go forward.
//!
//! Rules that came later than the first controllers judge only what a write changes.

use jiff::Timestamp;
use serde_json::Value;

use super::super::at::At;
use super::super::checks::{self, Errors};
use super::{holds, indexes, is_indexed};
use crate::api::field::Error;

/// A job before and after a write of its status.
struct Change<'a> {
    new: &'a Value,
    old: &'a Value,
}

impl Change<'_> {
    fn of(&self, field: &str) -> bool {
        self.new["status"][field] != self.old["status"][field]
    }

    fn of_count(&self, field: &str) -> bool {
        let count = |job: &Value| job["status"][field].as_i64().unwrap_or(0);
        count(self.new) != count(self.old)
    }

    fn of_condition(&self, kind: &str) -> bool {
        holds(self.new, kind) != holds(self.old, kind)
    }

    fn of_end(&self) -> bool {
        is_finished(self.new) != is_finished(self.old)
    }
}

fn is_finished(job: &Value) -> bool {
    holds(job, "Complete") || holds(job, "Failed")
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

pub(in crate::api::validation) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = new.get("status");
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        checks::non_negative(&status.get(field), errors);
    }
    uncounted(&status.get("uncountedTerminatedPods"), errors);
    let change = Change { new: new.value(), old: old.value() };
    conditions(&status, &change, errors);
    times(&status, &change, errors);
    pods(&status, &change, errors);
    listed(&status, new.value(), &change, errors);
    forward(&status, &change, errors);
}

/// Pods that have ended and are not counted yet: each stands here once.
fn uncounted(uncounted: &At<'_>, errors: &mut Errors) {
    let mut seen = std::collections::BTreeSet::new();
    for list in ["succeeded", "failed"] {
        for uid in uncounted.get(list).items() {
            if uid.text().is_empty() {
                errors.push(uid.invalid("must not be empty"));
            } else if !seen.insert(uid.text().to_owned()) {
                errors.push(uid.duplicate());
            }
        }
    }
}

/// Conditions that contradict each other, or hold without what leads to them.
fn conditions(status: &At<'_>, change: &Change<'_>, errors: &mut Errors) {
    let at = status.get("conditions");
    let has = |kind| holds(change.new, kind);
    let mut wrong = |applies: bool, why: &str| {
        if applies {
            errors.push(Error::unshown(&at.path(), why));
        }
    };
    let (complete, failed) = (has("Complete"), has("Failed"));
    let (target, met) = (has("FailureTarget"), has("SuccessCriteriaMet"));
    let changed = |kind| change.of_condition(kind);
    wrong(
        complete && failed && (changed("Complete") || changed("Failed")),
        "cannot set Complete=True and Failed=true conditions",
    );
    wrong(
        complete && target && (changed("Complete") || changed("FailureTarget")),
        "cannot set Complete=True and FailureTarget=true conditions",
    );
    wrong(
        failed && !target && (changed("Failed") || change.of("failedIndexes")),
        "cannot set Failed=True condition without the FailureTarget=true condition",
    );
    wrong(
        complete && !met && (changed("Complete") || changed("SuccessCriteriaMet")),
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
    wrong(met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    wrong(met && target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    wrong(
        !change.new["spec"]["successPolicy"].is_null() && !met && complete,
        "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    );
}

fn times(status: &At<'_>, change: &Change<'_>, errors: &mut Errors) {
    let (start, end) = (status.get("startTime"), status.get("completionTime"));
    let complete = holds(change.new, "Complete");
    if change.of_condition("Complete") || change.of("completionTime") {
        if end.is_set() && !complete {
            errors.push(end.invalid("cannot set completionTime when there is no Complete=True condition"));
        }
        if !end.is_set() && complete {
            errors.push(end.required("completionTime is required for Complete jobs"));
        }
    }
    let moved = change.of("startTime") || change.of("completionTime");
    if let (true, Some(started), Some(ended)) = (moved, time(start.value()), time(end.value()))
        && ended < started
    {
        errors.push(end.invalid("must be equal to or after `startTime`"));
    }
    let spec = &change.new["spec"];
    let never_starts = spec["suspend"] == true && spec["completions"] == 0;
    let judged = (change.of_end() || change.of("startTime")) && !never_starts;
    if judged && !start.is_set() && is_finished(change.new) {
        errors.push(start.required("startTime is required for finished job"));
    }
}

/// A job that has ended has no pods left.
fn pods(status: &At<'_>, change: &Change<'_>, errors: &mut Errors) {
    let (active, ready, terminating) = (status.get("active"), status.get("ready"), status.get("terminating"));
    let finished = is_finished(change.new);
    let some = |at: &At<'_>| at.number().is_some_and(|number| number > 0);
    if finished && some(&active) && (change.of_end() || change.of_count("active")) {
        errors.push(active.invalid("active>0 is invalid for finished job"));
    }
    let uncounted = status.get("uncountedTerminatedPods");
    let left = uncounted.get("succeeded").len() + uncounted.get("failed").len();
    if finished && left > 0 && (change.of_end() || change.of("uncountedTerminatedPods")) {
        errors.push(uncounted.invalid("must be empty for finished job"));
    }
    if finished && some(&terminating) && (change.of_end() || change.of("terminating")) {
        errors.push(terminating.invalid("terminating>0 is invalid for finished job"));
    }
    let more = ready.number().is_some_and(|ready| ready > active.number().unwrap_or(0));
    if more && (change.of("ready") || change.of_count("active")) {
        errors.push(ready.invalid("cannot set more ready pods than active"));
    }
}

/// The indexes that have ended, one way or the other.
fn listed(status: &At<'_>, job: &Value, change: &Change<'_>, errors: &mut Errors) {
    let (completed, failed) = (status.get("completedIndexes"), status.get("failedIndexes"));
    let spec = &job["spec"];
    let (of_completed, of_failed) = (change.of("completedIndexes"), change.of("failedIndexes"));
    let completions = spec["completions"].as_i64();
    if let (true, Some(completions)) = (of_completed, completions)
        && let Err(why) = indexes::count(completed.text(), completions)
    {
        errors.push(completed.invalid(format!("error parsing completedIndexes: {why}")));
    }
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    if let (true, Some(completions)) = (of_failed && per_index && failed.is_set(), completions)
        && let Err(why) = indexes::count(failed.text(), completions)
    {
        errors.push(failed.invalid(format!("error parsing failedIndexes: {why}")));
    }
    if of_completed && !completed.text().is_empty() && !is_indexed(spec) {
        errors.push(
            completed.invalid("cannot set non-empty completedIndexes when non-indexed completion mode"),
        );
    }
    if of_failed && failed.is_set() && !per_index {
        errors.push(failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null"));
    }
    if let (true, Some(completions)) = ((of_completed || of_failed) && failed.is_set(), completions)
        && let Some(index) = indexes::overlap(completed.text(), failed.text(), completions)
    {
        errors.push(failed.invalid(format!("failedIndexes and completedIndexes overlap at index: {index}")));
    }
}

/// What has been counted, begun or ended stays so.
fn forward(status: &At<'_>, change: &Change<'_>, errors: &mut Errors) {
    let conditions = status.get("conditions");
    let (new, old) = (change.new, change.old);
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if holds(old, kind) && !holds(new, kind) {
            let why = format!("cannot disable the terminal {kind}=True condition");
            errors.push(Error::unshown(&conditions.path(), why));
        }
    }
    let less = |field: &str| status.number_of(field) < old["status"][field].as_i64().unwrap_or(0);
    let shown =
        |field: &str, why: &str| Error::invalid(&status.path().child(field), status.number_of(field), why);
    if less("failed") {
        errors.push(shown("failed", "cannot decrease the failed counter"));
    }
    let spec = &new["spec"];
    let elastic = is_indexed(spec) && spec["completions"] == spec["parallelism"];
    if !elastic && less("succeeded") {
        errors.push(shown("succeeded", "cannot decrease the succeeded counter"));
    }
    let (start, end) = (status.get("startTime"), status.get("completionTime"));
    let was_ended = &old["status"]["completionTime"];
    if end.is_set() && !was_ended.is_null() && end.value() != was_ended {
        errors.push(end.invalid("field is immutable"));
    }
    let resumed = holds(old, "Suspended") && {
        let mut conditions = new["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Suspended" && condition["status"] == "False")
    };
    let was_started = !old["status"]["startTime"].is_null();
    if was_started && change.of("startTime") && !resumed && spec["suspend"] != true {
        errors.push(start.invalid("field is immutable for unsuspended job once set"));
    }
    if holds(old, "SuccessCriteriaMet") && !holds(new, "SuccessCriteriaMet") {
        let why = "cannot disable the SuccessCriteriaMet=True condition";
        errors.push(Error::unshown(&conditions.path(), why));
    }
    if holds(old, "Complete") && !holds(old, "SuccessCriteriaMet") && holds(new, "SuccessCriteriaMet") {
        let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        errors.push(Error::unshown(&conditions.path(), why));
    }
}
