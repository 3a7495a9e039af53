//! Conditions of the one shape that newer kinds share.
//!
//! Source: `ValidateConditions` of `k8s.io/apimachinery/pkg/apis/meta/v1/validation` (1.36).

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

pub(super) const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const MAX_REASON: usize = 1 << 10;
const MAX_MESSAGE: usize = 32 << 10;

/// A list of conditions.
pub(super) fn conditions(list: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for condition in list.items() {
        let (kind, status) = (condition.get("type"), condition.get("status"));
        if !seen.insert(kind.text().to_owned()) {
            errors.push(kind.duplicate());
        }
        checks::named(&kind, names::qualified_name, errors);
        if !STATUSES.contains(&status.text()) {
            errors.push(Error::not_supported(&status.path(), status.text(), &STATUSES));
        }
        let generation = condition.get("observedGeneration");
        if generation.number().is_some_and(|number| number < 0) {
            errors.push(generation.invalid("must be greater than or equal to zero"));
        }
        let time = condition.get("lastTransitionTime");
        if !time.is_set() {
            errors.push(time.required(""));
        }
        let (reason, message) = (condition.get("reason"), condition.get("message"));
        if checks::present(&reason, errors) {
            checks::named(&reason, names::condition_reason, errors);
            checks::short(&reason, MAX_REASON, errors);
        }
        checks::short(&message, MAX_MESSAGE, errors);
    }
}
