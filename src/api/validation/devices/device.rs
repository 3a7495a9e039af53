//! A device: its attributes, its capacities, and where it can be reached.

use serde_json::Value;

use super::{attribute_name, binding_conditions, capacity, fits, repeated, slice, taint};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::pod;

const MAX_ATTRIBUTES_AND_CAPACITIES: usize = 32;
const MAX_VALUES: usize = 48;
const MAX_VALUE_BYTES: usize = 64;
const MAX_TAINTS: usize = 16;
const MAX_CONSUMPTIONS: usize = 2;
/// Lists of values, by the type of the values.
const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];

/// Whether a device says so much that fewer of them fit into a slice.
pub(super) fn is_complex(device: &At<'_>) -> bool {
    let (taints, consumed) = (device.get("taints"), device.get("consumesCounters"));
    let has_lists =
        |(_, attribute): (&str, At<'_>)| LISTS.iter().any(|list| !attribute.value()[list].is_null());
    taints.len() + consumed.len() > 0 || device.get("attributes").entries().any(has_lists)
}

/// A device. Taints that it had before are not judged again.
pub(super) fn device(device: &At<'_>, old_taints: Option<&Value>, own_nodes: bool, errors: &mut Errors) {
    checks::named(&device.get("name"), names::dns1123_label, errors);
    let (attributes, capacities) = (device.get("attributes"), device.get("capacity"));
    let count = attributes.len() + capacities.len();
    if count > MAX_ATTRIBUTES_AND_CAPACITIES {
        let wrong = format!(
            "the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES_AND_CAPACITIES}"
        );
        errors.push(Error::invalid(&device.path(), count, wrong));
    }
    let values: usize = attributes.entries().map(|(_, attribute)| values(&attribute)).sum();
    if values > MAX_VALUES {
        let wrong = format!("the total number of attribute values must not exceed {MAX_VALUES}");
        errors.push(Error::invalid(&device.path(), values, wrong));
    }
    for (name, attribute) in attributes.entries() {
        attribute_name(name, &attributes, errors);
        self::attribute(&attribute, errors);
    }
    let shared = device.get("allowMultipleAllocations").flag();
    for (name, amount) in capacities.entries() {
        attribute_name(name, &capacities, errors);
        capacity::capacity(&amount, shared, errors);
    }
    let taints = device.get("taints");
    if old_taints.is_none_or(|old| !checks::same(old, taints.value())) && fits(&taints, MAX_TAINTS, errors) {
        taints.items().for_each(|at| taint::taint(&at, None, errors));
    }
    let consumed = device.get("consumesCounters");
    if fits(&consumed, MAX_CONSUMPTIONS, errors) {
        for consumption in consumed.items() {
            checks::present_and_named(&consumption.get("counterSet"), names::dns1123_label, errors);
            slice::counters(&consumption.get("counters"), errors);
        }
        repeated(&consumed, |at| at.value()["counterSet"].as_str().unwrap_or_default().to_owned(), errors);
    }
    nodes(device, own_nodes, errors);
    binding_conditions(device, errors);
}

fn values(attribute: &At<'_>) -> usize {
    let listed: usize = LISTS.iter().map(|list| attribute.value()[list].as_array().map_or(0, Vec::len)).sum();
    listed.max(1)
}

fn attribute(attribute: &At<'_>, errors: &mut Errors) {
    const ONE: &str = "exactly one value must be specified";
    let single =
        ["bool", "int", "string", "version"].iter().filter(|field| attribute.get(field).is_set()).count();
    text(&attribute.get("string"), errors);
    version(&attribute.get("version"), errors);
    let mut lists = 0;
    for field in LISTS {
        let list = attribute.get(field);
        if !list.is_set() {
            continue;
        }
        lists += 1;
        if list.len() == 0 {
            errors.push(list.invalid("must not be empty if specified"));
        }
        match field {
            "strings" => list.items().for_each(|item| text(&item, errors)),
            "versions" => list.items().for_each(|item| version(&item, errors)),
            _ => {}
        }
    }
    match single + lists {
        0 => errors.push(Error::invalid(&attribute.path(), "", ONE)),
        1 => {}
        _ => errors.push(attribute.invalid(ONE)),
    }
}

fn text(at: &At<'_>, errors: &mut Errors) {
    checks::short(at, MAX_VALUE_BYTES, errors);
}

fn version(at: &At<'_>, errors: &mut Errors) {
    if at.is_set() {
        if !is_semantic(at.text()) {
            errors.push(at.invalid("must be a string compatible with semver.org spec 2.0.0"));
        }
        text(at, errors);
    }
}

/// Whether a text is a version as semver.org has it.
pub(in crate::api::validation) fn is_semantic(text: &str) -> bool {
    let numeric = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3
        && numbers.into_iter().all(numeric)
        && before
            .is_none_or(|text| text.split('.').all(|part| word(part) && (!all_digits(part) || numeric(part))))
        && build.is_none_or(|text| text.split('.').all(word))
}

/// Where a device can be reached, if each says so itself.
fn nodes(device: &At<'_>, own_nodes: bool, errors: &mut Errors) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                       `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let (name, selector, all) = (device.get("nodeName"), device.get("nodeSelector"), device.get("allNodes"));
    if !own_nodes {
        if name.is_set() || selector.is_set() || all.is_set() {
            errors.push(Error::invalid(
                &device.path(),
                Value::Null,
                "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                 true in the ResourceSlice spec",
            ));
        }
        return;
    }
    let mut ways = Vec::new();
    if name.is_set() {
        if name.text().is_empty() {
            errors.push(name.invalid("must not be empty"));
        } else {
            ways.push("`nodeName`");
            checks::named(&name, names::dns1123_subdomain, errors);
        }
    }
    if selector.is_set() {
        ways.push("`nodeSelector`");
        pod::node_selector(&selector, false, errors);
    }
    if all.flag() {
        ways.push("`allNodes`");
    } else if all.is_set() {
        errors.push(all.invalid("must be either unset or set to true"));
    }
    match ways.len() {
        0 => errors.push(device.required(ONE)),
        1 => {}
        _ => errors.push(Error::invalid(&device.path(), format!("{{{}}}", ways.join(", ")), ONE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["0.0.0", "1.2.3", "1.2.3-alpha.1", "1.2.3+build.007", "1.0.0-0A.is.legal", "1.2.3--x"] {
            assert!(is_semantic(good), "{good}");
        }
        for bad in
            ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "1.2.3-a..b"]
        {
            assert!(!is_semantic(bad), "{bad}");
        }
    }
}
