//! Priority classes.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/scheduling/validation` and `…/scheduling/v1/helpers.go` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use crate::api::priority::SYSTEM_PRIORITY_CLASSES;

/// The highest priority that anybody may give.
const HIGHEST_OF_USERS: i64 = 1_000_000_000;

pub(super) fn object(class: &At<'_>, errors: &mut Errors) {
    let metadata = class.get("metadata");
    let (name, value) = (metadata.get("name"), class.get("value"));
    let number = value.number().unwrap_or(0);
    if name.text().starts_with("system-") {
        if let Some(why) = unlike_system(name.text(), number, class.get("globalDefault").flag()) {
            errors.push(name.forbidden(format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {why}"
            )));
        }
    } else if number > HIGHEST_OF_USERS {
        errors
            .push(value.forbidden(format!(
                "maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
            )));
    }
    let policy = class.get("preemptionPolicy");
    if policy.is_set() {
        checks::one_of(&policy, &["PreemptLowerPriority", "Never"], errors);
    }
}

/// What tells a class from the one that the server itself makes of this name.
fn unlike_system(name: &str, value: i64, default: bool) -> Option<String> {
    match SYSTEM_PRIORITY_CLASSES.iter().find(|class| class.name == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some(class) if class.value != value => {
            Some(format!("value of {name} PriorityClass must be {}", class.value))
        }
        Some(_) if default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let value = new.get("value");
    if value.number().unwrap_or(0) != old.get("value").number().unwrap_or(0) {
        errors.push(value.forbidden("may not be changed in an update."));
    }
    checks::immutable(&new.get("preemptionPolicy"), &old.get("preemptionPolicy"), errors);
}
