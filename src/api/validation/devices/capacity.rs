//! How much of a device may be asked for.

use super::{fits, repeated};
use crate::api::field::Error;
use crate::api::quantity::Quantity;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_OPTIONS: usize = 10;

/// A capacity, of a device that several may share or not.
pub(super) fn capacity(capacity: &At<'_>, shared: bool, errors: &mut Errors) {
    let policy = capacity.get("requestPolicy");
    if !policy.is_set() {
        return;
    }
    if !shared {
        errors.push(policy.forbidden("allowMultipleAllocations must be true"));
        return;
    }
    let whole = checks::quantity(&capacity.get("value")).unwrap_or_else(|| Quantity::bytes(0));
    let (options, range, default) =
        (policy.get("validValues"), policy.get("validRange"), policy.get("default"));
    let needs = |what: &str| default.required(format!("required when {what} is defined"));
    match (options.len() > 0, range.is_set(), checks::quantity(&default)) {
        (true, true, _) => errors.push(policy.forbidden(
            "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time",
        )),
        (true, false, Some(default)) => self::options(&options, default, whole, errors),
        (true, false, None) => errors.push(needs("validValues")),
        (false, true, Some(default)) => self::range(&range, default, whole, errors),
        (false, true, None) => errors.push(needs("validRange")),
        (false, false, _) => {}
    }
}

fn options(options: &At<'_>, default: Quantity, whole: Quantity, errors: &mut Errors) {
    let amounts: Vec<_> =
        options.items().filter_map(|at| Some((at.path(), checks::quantity(&at)?))).collect();
    for pair in amounts.windows(2) {
        if pair[0].1 > pair[1].1 {
            let (path, amount) = &pair[1];
            errors.push(Error::invalid(path, amount.to_string(), "values must be sorted in ascending order"));
        }
    }
    let mut found = false;
    if fits(options, MAX_OPTIONS, errors) {
        for (path, amount) in &amounts {
            if *amount > whole {
                let wrong = format!("option is larger than capacity value: {whole}");
                errors.push(Error::invalid(path, amount.to_string(), wrong));
            }
            found |= *amount == default;
        }
        repeated(
            options,
            |at| checks::quantity(at).map_or_else(String::new, |amount| amount.value().to_string()),
            errors,
        );
    }
    if !found {
        let wrong = "default value is not valid according to the requestPolicy";
        errors.push(Error::invalid(&options.path(), default.to_string(), wrong));
    }
}

fn range(range: &At<'_>, default: Quantity, whole: Quantity, errors: &mut Errors) {
    let (least_at, most_at, step_at) = (range.get("min"), range.get("max"), range.get("step"));
    let Some(least) = checks::quantity(&least_at) else {
        errors.push(least_at.required("required when validRange is defined"));
        return;
    };
    let wrong =
        |at: &At<'_>, amount: Quantity, why: String| Error::invalid(&at.path(), amount.to_string(), why);
    let most = checks::quantity(&most_at);
    if least > whole {
        errors.push(wrong(&least_at, least, format!("min is larger than capacity value: {whole}")));
    }
    if default < least {
        errors.push(wrong(&least_at, default, format!("default is less than min: {least}")));
    }
    if let Some(most) = most {
        if least > most {
            errors.push(wrong(&most_at, least, format!("min is larger than max: {most}")));
        }
        if most > whole {
            errors.push(wrong(&most_at, most, format!("max is larger than capacity value: {whole}")));
        }
        if default > most {
            errors.push(wrong(&most_at, default, format!("default is more than max: {most}")));
        }
    }
    let Some(step) = checks::quantity(&step_at) else { return };
    let first = least.plus(step);
    if first > whole {
        let why = format!("one step {first} is larger than capacity value: {whole}");
        errors.push(wrong(&step_at, step, why));
    }
    for amount in [Some(default), most].into_iter().flatten() {
        // A step of nothing fits nothing; Kubernetes' division by it panics.
        let rest = (amount.value() - least.value()).checked_rem(step.value());
        if rest != Some(0) {
            let why = format!("value is not a multiple of a given step ({step}) from ({least})");
            errors.push(wrong(&step_at, amount, why));
        }
    }
}
