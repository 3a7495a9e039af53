//! Taints of devices, and what tolerates them.

use super::{fits, pool_name};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::conditions;

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const MAX_CONDITIONS: usize = 8;

/// A taint. Its effect is judged where it is new.
pub(super) fn taint(taint: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    checks::named(&taint.get("key"), names::qualified_name, errors);
    checks::named_if_set(&taint.get("value"), names::label_value, errors);
    let effect = taint.get("effect");
    if old.is_none_or(|old| old.get("effect").text() != effect.text()) {
        checks::one_of(&effect, &EFFECTS, errors);
    }
}

pub(super) fn toleration(toleration: &At<'_>, errors: &mut Errors) {
    checks::named_if_set(&toleration.get("key"), names::qualified_name, errors);
    let (operator, value) = (toleration.get("operator"), toleration.get("value"));
    match operator.text() {
        "Exists" => {
            if !value.text().is_empty() {
                errors.push(value.invalid("must be empty for operator `Exists`"));
            }
        }
        "Equal" => checks::named(&value, names::label_value, errors),
        _ => checks::one_of(&operator, &["Equal", "Exists"], errors),
    }
    let effect = toleration.get("effect");
    if !effect.text().is_empty() {
        checks::one_of(&effect, &EFFECTS, errors);
    }
}

/// A rule that taints devices from outside their driver.
pub(super) fn rule(rule: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = rule.get("spec");
    let selector = spec.get("deviceSelector");
    let (driver, pool, device) = (selector.get("driver"), selector.get("pool"), selector.get("device"));
    if driver.is_set() {
        checks::driver_name(&driver, errors);
    }
    if pool.is_set() {
        pool_name(&pool, errors);
    }
    if device.is_set() {
        checks::named(&device, names::dns1123_label, errors);
    }
    let own = spec.get("taint");
    match old {
        Some(old) => {
            let before = old.get("spec");
            taint(&own, Some(&before.get("taint")), errors);
        }
        None => taint(&own, None, errors),
    }
}

pub(super) fn status(rule: &At<'_>, errors: &mut Errors) {
    let status = rule.get("status");
    let conditions = status.get("conditions");
    conditions::all(&conditions, errors);
    fits(&conditions, MAX_CONDITIONS, errors);
}
