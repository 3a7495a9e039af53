//! Devices: what drivers offer, what pods claim of it, and what they were given.
//!
//! CEL selectors are compiled where there is a compiler, which is with the feature `cel`.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/resource/validation` (1.36).

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

mod capacity;
mod claim;
mod device;
mod pool_status;
mod slice;
mod status;
mod taint;

pub(super) use device::is_semantic as is_semantic_version;

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "DeviceClass" => claim::class(object, old, errors),
        // What cannot change is not judged again.
        "ResourceClaim" if old.is_none() => claim::claim(&object.get("spec"), errors),
        "ResourceClaimTemplate" => claim::template(object, errors),
        "ResourceSlice" => slice::slice(object, old, errors),
        "DeviceTaintRule" => taint::rule(object, old, errors),
        "ResourcePoolStatusRequest" if old.is_none() => pool_status::request(object, errors),
        _ => {}
    }
}

pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    match kind {
        "ResourceClaim" | "ResourceClaimTemplate" | "ResourcePoolStatusRequest" => {
            checks::immutable(&new.get("spec"), &old.get("spec"), errors);
        }
        "ResourceSlice" => slice::update(new, old, errors),
        _ => {}
    }
}

pub(super) fn status(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    match kind {
        "ResourceClaim" => status::claim(new, old, errors),
        "DeviceTaintRule" => taint::status(new, errors),
        "ResourcePoolStatusRequest" => pool_status::status(new, old, errors),
        _ => {}
    }
}

const MAX_POOL_NAME: usize = 253;
const MAX_SELECTORS: usize = 32;
const MAX_EXPRESSION_BYTES: usize = 10 << 10;
const MAX_PARAMETERS_BYTES: usize = 10 << 10;

/// Whether a list has no more items than it may; a longer one is not looked into.
fn fits(list: &At<'_>, max: usize, errors: &mut Errors) -> bool {
    if list.len() > max {
        errors.push(Error::too_many(&list.path(), list.len(), max));
    }
    list.len() <= max
}

/// The items of a list whose keys repeat one before, each with its key.
fn repeated(list: &At<'_>, key: fn(&At<'_>) -> String, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for item in list.items() {
        let key = key(&item);
        if !seen.insert(key.clone()) {
            errors.push(Error::duplicate(&item.path(), key));
        }
    }
}

/// What a list of named things is told apart by.
fn name_of(item: &At<'_>) -> String {
    item.value()["name"].as_str().unwrap_or_default().to_owned()
}

/// What a list of texts is told apart by.
fn own_text(item: &At<'_>) -> String {
    item.text().to_owned()
}

/// The name of a pool: subdomains with slashes between them.
fn pool_name(at: &At<'_>, errors: &mut Errors) {
    if !checks::present(at, errors) {
        return;
    }
    checks::short(at, MAX_POOL_NAME, errors);
    for part in at.text().split('/') {
        for sentence in names::dns1123_subdomain(part) {
            errors.push(Error::invalid(&at.path(), part, sentence));
        }
    }
}

/// The name of an attribute or a capacity: an identifier, with the domain of a driver before it or not.
fn attribute_name(name: &str, at: &At<'_>, errors: &mut Errors) {
    const MAX_ID: usize = 32;
    let wrong = |shown: &str, why: String| Error::invalid(&at.path(), shown, why);
    let identifier = |id: &str, errors: &mut Errors| {
        if id.len() > MAX_ID {
            errors.push(Error::too_long(&at.path(), MAX_ID));
        }
        errors.extend(names::c_identifier(id).into_iter().map(|sentence| wrong(id, sentence)));
    };
    // More slashes than one go through, in Kubernetes, too.
    match name.split('/').collect::<Vec<_>>()[..] {
        [id] => identifier(id, errors),
        [domain, id] => {
            if domain.is_empty() {
                errors.push(wrong("", "the domain must not be empty".into()));
            } else {
                if domain.len() > 63 {
                    errors.push(Error::too_long(&at.path(), 63));
                }
                let sentences = names::dns1123_subdomain(&domain.to_lowercase());
                errors.extend(sentences.into_iter().map(|sentence| wrong(domain, sentence)));
            }
            if id.is_empty() {
                errors.push(wrong("", "the name must not be empty".into()));
            } else {
                identifier(id, errors);
            }
        }
        _ => {}
    }
}

/// The name of an attribute that names its domain.
fn full_attribute_name(at: &At<'_>, errors: &mut Errors) {
    attribute_name(at.text(), at, errors);
    if !at.text().contains('/') {
        errors.push(at.invalid("a fully qualified name must be a domain and a name separated by a slash"));
    }
}

/// Which devices somebody means, now or since long ago.
fn selectors(list: &At<'_>, stored: bool, errors: &mut Errors) {
    if fits(list, MAX_SELECTORS, errors) {
        list.items().for_each(|item| selector(&item, stored, errors));
    }
}

fn selector(selector: &At<'_>, stored: bool, errors: &mut Errors) {
    let cel = selector.get("cel");
    if cel.is_set() {
        let expression = cel.get("expression");
        checks::short(&expression, MAX_EXPRESSION_BYTES, errors);
        if expression.text().len() <= MAX_EXPRESSION_BYTES {
            compiles(&expression, stored, errors);
        }
    } else {
        errors.push(cel.required(""));
    }
}

#[cfg(feature = "cel")]
fn compiles(expression: &At<'_>, stored: bool, errors: &mut Errors) {
    use crate::api::cel::{Environment, TypedError};

    const MAX_COST: u64 = 1_000_000;
    let environment = Environment::for_devices(if stored { 36 } else { 35 }, stored);
    match environment.compile_selector(expression.text()) {
        Ok(program) if program.estimate().max > MAX_COST => {
            errors.push(expression.forbidden("too complex, exceeds cost limit"));
        }
        Ok(_) => {}
        Err(TypedError::Invalid(why)) => {
            errors.push(Error::invalid(&expression.path(), expression.text(), why));
        }
        Err(TypedError::Internal(why)) => errors.push(Error::internal(&expression.path(), why)),
    }
}

/// Without the language any text passes.
#[cfg(not(feature = "cel"))]
fn compiles(_: &At<'_>, _: bool, _: &mut Errors) {}

/// What a driver is told that nobody else understands. It was of any length once, and may stay so.
fn opaque(config: &At<'_>, stored: bool, errors: &mut Errors) {
    let opaque = config.get("opaque");
    if opaque.is_set() {
        checks::driver_name(&opaque.get("driver"), errors);
        let max = if stored { usize::MAX } else { MAX_PARAMETERS_BYTES };
        json_object(&opaque.get("parameters"), max, errors);
    } else {
        errors.push(opaque.required(""));
    }
}

/// A JSON object of at most so many bytes.
fn json_object(at: &At<'_>, max_bytes: usize, errors: &mut Errors) {
    if !at.is_set() {
        errors.push(at.required(""));
    } else if at.value().to_string().len() > max_bytes {
        errors.push(Error::too_long(&at.path(), max_bytes));
    } else if !at.value().is_object() {
        errors.push(Error::invalid(&at.path(), "<value omitted>", "must be a valid JSON object"));
    }
}

/// Conditions that a device waits for before a pod is bound, and those that end the wait.
fn binding_conditions(device: &At<'_>, errors: &mut Errors) {
    const MAX: usize = 4;
    let (wanted, failing) = (device.get("bindingConditions"), device.get("bindingFailureConditions"));
    for list in [&wanted, &failing] {
        if fits(list, MAX, errors) {
            list.items().for_each(|name| checks::named(&name, names::qualified_name, errors));
        }
    }
    repeated(&wanted, own_text, errors);
    repeated(&failing, own_text, errors);
    for name in failing.items().filter(|name| wanted.items().any(|other| other.text() == name.text())) {
        errors.push(name.invalid("bindingFailureConditions must not overlap with bindingConditions"));
    }
    for (list, other, why) in [
        (&wanted, &failing, "bindingConditions are required to use bindingFailureConditions"),
        (&failing, &wanted, "bindingFailureConditions are required to use bindingConditions"),
    ] {
        if list.len() == 0 && other.len() > 0 {
            errors.push(list.invalid(why));
        }
    }
}
