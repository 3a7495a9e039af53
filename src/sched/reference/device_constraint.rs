//! What speaks against a device: its taints, and what must hold between the devices of a claim.
//!
//! Source: `constraint.go` and `allocator_incubating.go` of
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::resource::v1::{
    Device, DeviceAttribute, DeviceConstraint, DeviceTaint, DeviceToleration,
};

use super::device_allocation::{Given, GivenDevice};

/// Whether a taint of a device is not tolerated. Effects that are not known do nothing.
///
/// Source: `taintPreventsAllocation`, and `ToleratesTaint` of
/// `k8s.io/dynamic-resource-allocation/resourceclaim` (1.36).
pub(super) fn is_kept_off(device: &Device, tolerations: &[DeviceToleration]) -> bool {
    let tolerates = |toleration: &DeviceToleration, taint: &DeviceTaint| {
        let any_or = |own: &Option<String>, other: &str| {
            own.as_deref().is_none_or(|own| own.is_empty() || own == other)
        };
        let value = |value: &Option<String>| value.clone().unwrap_or_default();
        any_or(&toleration.effect, &taint.effect)
            && any_or(&toleration.key, &taint.key)
            && match toleration.operator.as_deref().unwrap_or_default() {
                "" | "Equal" => value(&toleration.value) == value(&taint.value),
                operator => operator == "Exists",
            }
    };
    device
        .taints
        .iter()
        .flatten()
        .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
        .any(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

/// Whether all devices of a claim that a constraint is about have the attribute, with the same value or
/// each with its own. Of a request for several devices only the last one's own value is remembered.
pub(super) fn is_met(constraint: &DeviceConstraint, claim: usize, given: &Given<'_>) -> bool {
    let named = constraint.requests.as_deref().unwrap_or_default();
    let about = |device: &&GivenDevice<'_>| {
        device.claim == claim
            && (named.is_empty() || named.contains(&device.base) || named.contains(&device.request))
    };
    let concerned: Vec<_> = given.devices.iter().filter(about).collect();
    let own = |name: &str| concerned.iter().map(|device| attribute(device, name)).collect::<Option<Vec<_>>>();
    if let Some(name) = &constraint.match_attribute {
        let Some(values) = own(name) else { return false };
        return values.windows(2).all(|pair| is_known(pair[1]) && pair[0] == pair[1]);
    }
    let Some(name) = &constraint.distinct_attribute else { return false };
    let Some(values) = own(name) else { return false };
    let mut seen: BTreeMap<&str, &DeviceAttribute> = BTreeMap::new();
    concerned.iter().zip(values).all(|(device, value)| {
        let distinct = seen.is_empty() || (is_known(value) && seen.values().all(|other| *other != value));
        seen.insert(&device.base, value);
        distinct
    })
}

fn is_known(value: &DeviceAttribute) -> bool {
    value.string.is_some() || value.int.is_some() || value.bool.is_some() || value.version.is_some()
}

/// An attribute by its full name, which the device's driver may leave out.
fn attribute<'w>(device: &GivenDevice<'w>, name: &str) -> Option<&'w DeviceAttribute> {
    let attributes = device.found.device.attributes.as_ref()?;
    let short = || name.split_once('/').filter(|(domain, _)| *domain == device.found.id.0).map(|(_, id)| id);
    attributes.get(name).or_else(|| attributes.get(short()?))
}
