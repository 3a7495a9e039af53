//! Events, of the core group and of their own.
//!
//! Old clients write events of the core group without much care, so little is asked of them; in the
//! group `events.k8s.io` everything is.

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::names;

/// How long texts may be, in bytes: by name in the core group, and in the events group.
const LIMITS: [(&str, &str, usize); 4] = [
    ("reportingInstance", "reportingInstance", 128),
    ("action", "action", 128),
    ("reason", "reason", 128),
    ("message", "note", 1024),
];

/// What both groups ask. `reporter` is what the group calls the reporting controller.
pub(super) fn object(event: &At<'_>, reporter: &str, errors: &mut Errors) {
    let either = |one: &str, other: &str| {
        event.value().get(one).or_else(|| event.value().get(other)).unwrap_or(&Value::Null).clone()
    };
    let about = either("involvedObject", "regarding");
    let theirs = about["namespace"].as_str().unwrap_or_default();
    let ours = event.value()["metadata"]["namespace"].as_str().unwrap_or_default();
    let new_style = event.get("eventTime").is_set();
    let agrees = match (new_style, theirs) {
        (false, "") => matches!(ours, "" | "default"),
        (false, theirs) => ours == theirs,
        (true, "") => matches!(ours, "default" | "kube-system"),
        (true, _) => true,
    };
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errors.push(Error::invalid(&path, theirs, "does not match event.namespace"));
    }
    if new_style {
        reported(event, reporter, either, errors);
    }
    let namespace = Path::new("namespace");
    errors.extend(
        names::dns1123_subdomain(ours).into_iter().map(|wrong| Error::invalid(&namespace, ours, wrong)),
    );
}

/// What an event that says when it was must say beyond. `either` finds what the groups call differently.
fn reported(event: &At<'_>, reporter: &str, either: impl Fn(&str, &str) -> Value, errors: &mut Errors) {
    let controller = event.get(reporter);
    checks::present(&controller, errors);
    checks::named(&controller, names::qualified_name, errors);
    for (core, own, limit) in LIMITS {
        let value = either(core, own);
        let text = value.as_str().unwrap_or_default();
        if text.is_empty() && core != "message" {
            errors.push(Error::required(&Path::new(core), ""));
        }
        if text.len() > limit {
            let wrong = format!("can have at most {limit} characters");
            errors.push(Error::invalid(&Path::new(core), "", wrong));
        }
    }
}

/// What the group `events.k8s.io` asks beyond.
pub(super) fn strict(event: &At<'_>, errors: &mut Errors) {
    let time = event.get("eventTime");
    if !time.is_set() {
        errors.push(time.required(""));
    }
    series(event, errors);
    let kind = event.get("type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        errors.push(Error::invalid(&kind.path(), "", format!("has invalid value: {}", kind.text())));
    }
    for (field, shown) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
    ] {
        if !checks::same(event.get(field).value(), &Value::Null) && event.get(field).number() != Some(0) {
            errors.push(Error::invalid(&Path::new(shown), "", "needs to be unset"));
        }
    }
}

fn series(event: &At<'_>, errors: &mut Errors) {
    let series = event.get("series");
    if !series.is_set() {
        return;
    }
    if series.get("count").number().unwrap_or(0) < 2 {
        errors.push(Error::invalid(&series.get("count").path(), "", "should be at least 2"));
    }
    if !series.get("lastObservedTime").is_set() {
        errors.push(series.get("lastObservedTime").required(""));
    }
}

/// An event says what it says; only that it happens again is news.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    if new.get("series").value() != old.get("series").value() {
        series(new, errors);
    }
    for (field, shown) in [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("type", "type"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        let (now, before) = (new.get(field), old.get(field));
        if !checks::same(now.value(), before.value()) {
            errors.push(Error::invalid(&Path::new(shown), now.value().clone(), checks::IMMUTABLE));
        }
    }
    // What is less than a microsecond is lost on the way in some clients.
    let micros = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond());
    let (time, before) = (new.get("eventTime"), old.text_of("eventTime"));
    if micros(time.text()) != micros(before) {
        errors.push(time.invalid(checks::IMMUTABLE));
    }
}
