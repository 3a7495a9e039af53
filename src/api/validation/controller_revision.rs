//! ControllerRevisions.
//!
//! Source: `ValidateControllerRevisionCreate` of `k8s.io/kubernetes/pkg/apis/apps/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};

pub(super) fn object(revision: &At<'_>, new: bool, errors: &mut Errors) {
    checks::non_negative(&revision.get("revision"), errors);
    let data = revision.get("data");
    if new && !data.is_set() {
        errors.push(data.required("data is mandatory"));
    } else if new && !data.value().is_object() {
        errors.push(data.required("data must be a valid JSON object"));
    }
}

/// What a revision holds is what was there then.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let data = new.get("data");
    if data.value() != &old.value()["data"] {
        errors.push(data.invalid(checks::IMMUTABLE));
    }
}
