//! How much of a device a request takes, where it takes a part.
//!
//! A request may name an amount of a capacity; where it names none, the device says what that means, and else it is
//! all of it. What is asked for is rounded up to what the device gives out.
//!
//! Source: `consumable_capacity.go` of `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::resource::v1::{CapacityRequestPolicy, Device, DeviceCapacity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::api::quantity::{Format, Quantity};

/// Amounts by the names of capacities.
pub(super) type Amounts = BTreeMap<String, Quantity>;

fn read(text: &Text) -> Quantity {
    Quantity::try_from(text).unwrap_or_default()
}

/// What a request takes of each capacity of a device; nothing where the device does not give that, or has no such
/// capacity.
pub(super) fn taken(device: &Device, requests: Option<&BTreeMap<String, Text>>) -> Option<Amounts> {
    let capacities = device.capacity.as_ref();
    let known = |name: &String| capacities.is_some_and(|capacities| capacities.contains_key(name));
    if !requests.into_iter().flatten().all(|(name, _)| known(name)) {
        return None;
    }
    let mut amounts = Amounts::new();
    for (name, capacity) in capacities.into_iter().flatten() {
        let asked = requests.and_then(|requests| requests.get(name)).map(read);
        let amount = rounded(asked, capacity);
        if capacity.request_policy.as_ref().is_some_and(|policy| violates(amount, policy)) {
            return None;
        }
        amounts.insert(name.clone(), amount);
    }
    Some(amounts)
}

/// Whether so much is left of a device of which others have taken this already.
pub(super) fn is_left(device: &Device, amounts: &Amounts, others: &[Option<&Amounts>]) -> bool {
    device.capacity.iter().flatten().all(|(name, capacity)| {
        let all = others.iter().flatten().filter_map(|taken| taken.get(name)).chain(amounts.get(name));
        all.fold(Quantity::ZERO, |sum, amount| sum.plus(*amount)) <= read(&capacity.value)
    })
}

/// What is given for what is asked.
fn rounded(asked: Option<Quantity>, capacity: &DeviceCapacity) -> Quantity {
    let policy = capacity.request_policy.as_ref();
    let Some(asked) = asked else {
        let default = policy.and_then(|policy| policy.default.as_ref());
        return read(default.unwrap_or(&capacity.value));
    };
    let Some(policy) = policy else { return asked };
    if let Some(range) = policy.valid_range.as_ref().filter(|range| !range.min.0.is_empty()) {
        let least = read(&range.min);
        if asked < least {
            return least;
        }
        return match range.step.as_ref().map(|step| read(step).value()) {
            Some(step) if step > 0 => {
                let least = least.value();
                let steps = (asked.value() - least + step - 1) / step;
                Quantity::new(least.saturating_add(step.saturating_mul(steps)), Format::BinarySi)
            }
            _ => asked,
        };
    }
    let mut valid = policy.valid_values.iter().flatten().map(read);
    valid.find(|valid| asked <= *valid).unwrap_or(asked)
}

/// Whether a device does not give such an amount.
fn violates(amount: Quantity, policy: &CapacityRequestPolicy) -> bool {
    if policy.default.as_ref().is_some_and(|default| read(default) == amount) {
        return false;
    }
    if let Some(range) = &policy.valid_range {
        let beyond = range.max.as_ref().is_some_and(|most| amount > read(most));
        let step = range.step.as_ref().map_or(0, |step| read(step).value());
        return beyond || (step > 0 && (amount.value() - read(&range.min).value()) % step != 0);
    }
    match policy.valid_values.as_deref() {
        None | Some([]) => false,
        Some(valid) => !valid.iter().any(|valid| read(valid) == amount),
    }
}
