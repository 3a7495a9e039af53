//! When a job counts as done before all of its pods are.

use super::super::at::At;
use super::super::checks::{self, Errors};
use super::indexes;

const MAX_RULES: usize = 20;
const MAX_INDEXES: usize = 64 * 1024;

pub(super) fn check(policy: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let rules = policy.get("rules");
    if rules.len() == 0 {
        errors
            .push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    }
    if rules.len() > MAX_RULES {
        errors.push(rules.too_many(MAX_RULES));
    }
    let completions = spec.number_of("completions");
    rules.items().for_each(|rule| self::rule(&rule, completions, errors));
}

fn rule(rule: &At<'_>, completions: i64, errors: &mut Errors) {
    let (count, listed) = (rule.get("succeededCount"), rule.get("succeededIndexes"));
    if !count.is_set() && !listed.is_set() {
        errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
    }
    let mut total = 0;
    if listed.is_set() {
        if listed.text().len() > MAX_INDEXES {
            errors.push(listed.too_long(MAX_INDEXES));
        }
        match indexes::count(listed.text(), completions) {
            Ok(count) => total = count,
            Err(why) => errors.push(listed.invalid(format!("error parsing succeededIndexes: {why}"))),
        }
    }
    let Some(wanted) = count.number() else { return };
    checks::non_negative(&count, errors);
    if wanted > completions {
        errors.push(count.invalid(format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        )));
    }
    if listed.is_set() && wanted > total {
        errors.push(count.invalid(format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        )));
    }
}
