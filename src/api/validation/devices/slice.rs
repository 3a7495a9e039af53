//! Slices: the devices that a driver offers.

use super::{device, fits, name_of, pool_name, repeated};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::pod;

const MAX_DEVICES: usize = 128;
/// Where devices have taints, counters, or lists of values.
const MAX_COMPLEX_DEVICES: usize = 64;
const MAX_COUNTER_SETS: usize = 8;
const MAX_COUNTERS: usize = 32;

pub(super) fn slice(slice: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = slice.get("spec");
    checks::driver_name(&spec.get("driver"), errors);
    pool(&spec.get("pool"), errors);
    nodes(&spec, errors);
    let (counters, devices) = (spec.get("sharedCounters"), spec.get("devices"));
    if counters.is_set() && devices.is_set() {
        errors.push(Error::invalid(&spec.path(), "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let each_its_nodes = spec.get("perDeviceNodeSelection").flag();
    let max =
        if devices.items().any(|at| device::is_complex(&at)) { MAX_COMPLEX_DEVICES } else { MAX_DEVICES };
    if fits(&devices, max, errors) {
        for at in devices.items() {
            let taints = old.and_then(|old| {
                let before = old.value()["spec"]["devices"].as_array()?;
                before.iter().find(|known| known["name"] == at.value()["name"]).map(|known| &known["taints"])
            });
            device::device(&at, taints, each_its_nodes, errors);
        }
        repeated(&devices, name_of, errors);
    }
    if fits(&counters, MAX_COUNTER_SETS, errors) {
        for set in counters.items() {
            checks::present_and_named(&set.get("name"), names::dns1123_label, errors);
            self::counters(&set.get("counters"), errors);
        }
        repeated(&counters, name_of, errors);
    }
}

/// Counters by name.
pub(super) fn counters(counters: &At<'_>, errors: &mut Errors) {
    if counters.len() == 0 {
        errors.push(counters.required(""));
    } else if fits(counters, MAX_COUNTERS, errors) {
        for (name, _) in counters.entries() {
            for sentence in names::dns1123_label(name) {
                errors.push(Error::invalid(&counters.path(), name, sentence));
            }
        }
    }
}

fn pool(pool: &At<'_>, errors: &mut Errors) {
    pool_name(&pool.get("name"), errors);
    let number = |field: &str| pool.value()[field].as_i64().unwrap_or(0);
    let wrong = |field: &str, why: &str| Error::invalid(&pool.path().child(field), number(field), why);
    if number("resourceSliceCount") <= 0 {
        errors.push(wrong("resourceSliceCount", "must be greater than zero"));
    }
    if number("generation") < 0 {
        errors.push(wrong("generation", "must be greater than or equal to zero"));
    }
}

/// Where the devices can be reached: in one of four ways.
fn nodes(spec: &At<'_>, errors: &mut Errors) {
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut ways = Vec::new();
    let (name, selector) = (spec.get("nodeName"), spec.get("nodeSelector"));
    if name.is_set() {
        if name.text().is_empty() {
            errors.push(name.invalid("must be either unset or set to a non-empty string"));
        } else {
            ways.push("`nodeName`");
            checks::named(&name, names::dns1123_subdomain, errors);
        }
    }
    if selector.is_set() {
        ways.push("`nodeSelector`");
        pod::node_selector(&selector, false, errors);
        let terms = selector.get("nodeSelectorTerms");
        if terms.len() != 1 {
            errors.push(terms.invalid("must have exactly one node selector term"));
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")]
    {
        let at = spec.get(field);
        if at.flag() {
            ways.push(shown);
        } else if at.is_set() {
            errors.push(at.invalid("must be either unset or set to true"));
        }
    }
    match ways.len() {
        0 => errors.push(spec.required(ONE)),
        1 => {}
        _ => errors.push(Error::invalid(
            &spec.path(),
            format!("{{{}}}", ways.join(", ")),
            format!("{ONE}, but multiple fields are set"),
        )),
    }
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (pool, was) = (spec.get("pool"), before.get("pool"));
    checks::immutable(&pool.get("name"), &was.get("name"), errors);
    checks::immutable(&spec.get("driver"), &before.get("driver"), errors);
    checks::immutable(&spec.get("nodeName"), &before.get("nodeName"), errors);
}
