//! CronJobs.
//!
//! Source: `ValidateCronJobCreate` and its update of `k8s.io/kubernetes/pkg/apis/batch/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::{job, schedule, time_zone};
use crate::api::field::Error;

/// The longest name, so that those of the jobs, which end in a minute's number, are labels.
const MAX_NAME: usize = 63 - 11;

pub(super) fn object(cron: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = cron.get("spec");
    let (schedule_at, zone) = (spec.get("schedule"), spec.get("timeZone"));
    if checks::present(&schedule_at, errors) {
        let had_zone = old.is_some_and(|old| old.get("spec").text_of("schedule").contains("TZ"));
        schedule(&schedule_at, had_zone, zone.is_set(), errors);
    }
    checks::non_negative(&spec.get("startingDeadlineSeconds"), errors);
    let zone_before = old.map(|old| &old.value()["spec"]["timeZone"]);
    if zone.is_set() && zone_before != Some(zone.value()) {
        checks::sentences(&zone, time_zone::problems(zone.text()), errors);
    }
    checks::one_of(&spec.get("concurrencyPolicy"), &["Allow", "Forbid", "Replace"], errors);
    let template = spec.get("jobTemplate");
    job_template(&template, old, errors);
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        checks::non_negative(&spec.get(field), errors);
    }
    let name = cron.get("metadata").text_of("name");
    if old.is_none() && name.len() > MAX_NAME {
        let path = crate::api::field::Path::new("metadata").child("name");
        errors.push(Error::invalid(&path, name, "must be no more than 52 characters"));
    }
}

fn schedule(at: &At<'_>, may_name_zone: bool, has_zone: bool, errors: &mut Errors) {
    if let Err(why) = schedule::check(at.text()) {
        errors.push(at.invalid(why));
    }
    if at.text().contains("TZ") {
        if !may_name_zone {
            errors.push(at.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
        } else if has_zone {
            errors.push(at.invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
        }
    }
}

fn job_template(template: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = template.get("spec");
    job::spec(&spec, old.map(|old| &old.value()["spec"]["jobTemplate"]["spec"]), errors);
    let (selector, manual) = (spec.get("selector"), spec.get("manualSelector"));
    if selector.is_set() {
        errors.push(selector.invalid("`selector` will be auto-generated"));
    }
    if manual.flag() {
        errors.push(manual.not_supported(&["nil", "false"]));
    }
}
