//! What is written into a claim once its devices are found.
//!
//! Source: `Allocate` and `createNodeSelector` of `allocator_incubating.go` in
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};
use k8s_openapi::api::resource::v1::{
    AllocationResult, DeviceAllocationConfiguration, DeviceAllocationResult, DeviceRequestAllocationResult,
};

use super::claims::{name, uid};
use super::devices::Devices;
use super::request::{Claim, Request};
use super::search::Given;

/// The name by which what was given for a request is known.
fn full_name(request: &Request<'_>, alternative: usize) -> String {
    match request.is_list {
        true => format!("{}/{}", request.name, request.alternatives[alternative].name),
        false => request.name.to_owned(),
    }
}

/// What a claim gets. `user` is the uid of the pod for which it is.
///
/// # Errors
///
/// When the devices say of their nodes what cannot be said.
pub(super) fn result(
    claim: &Claim<'_>,
    given: &[Given],
    devices: &Devices<'_>,
    node: &str,
    user: &str,
) -> Result<AllocationResult, String> {
    let results = given.iter().enumerate().map(|(number, given)| {
        let request = &claim.requests[given.request];
        let asked = &request.alternatives[given.alternative];
        let (pool, device) = (&devices.pools[given.at.pool], devices.get(given.at));
        let share = || share_id(&[uid(claim.claim), user, &number.to_string()]);
        DeviceRequestAllocationResult {
            request: full_name(request, given.alternative),
            driver: pool.driver.to_owned(),
            pool: pool.name.to_owned(),
            device: device.name.clone(),
            admin_access: asked.admin.then_some(true),
            tolerations: (!asked.tolerations.is_empty()).then(|| asked.tolerations.to_vec()),
            share_id: given.amounts.is_some().then(share),
            consumed_capacity: given.amounts.as_ref().filter(|amounts| !amounts.is_empty()).map(|amounts| {
                amounts.iter().map(|(name, amount)| (name.clone(), (*amount).into())).collect()
            }),
            binding_conditions: device.binding_conditions.clone(),
            binding_failure_conditions: device.binding_failure_conditions.clone(),
        }
    });
    let results: Vec<_> = results.collect();
    let config = config(claim);
    Ok(AllocationResult {
        allocation_timestamp: None,
        node_selector: node_selector(claim, given, devices, node)?,
        devices: Some(DeviceAllocationResult {
            config: (!config.is_empty()).then_some(config),
            results: (!results.is_empty()).then_some(results),
        }),
    })
}

/// How the devices are to be set up: as their classes say, each class once, and then as the claim says.
fn config(claim: &Claim<'_>) -> Vec<DeviceAllocationConfiguration> {
    let mut config: Vec<DeviceAllocationConfiguration> = Vec::new();
    let mut classes: BTreeMap<&str, std::ops::Range<usize>> = BTreeMap::new();
    for request in &claim.requests {
        let class = request.alternatives[request.chosen].class;
        let name = full_name(request, request.chosen);
        if let Some(range) = classes.get(class.metadata.name.as_deref().unwrap_or_default()) {
            for own in &mut config[range.clone()] {
                own.requests.get_or_insert_default().push(name.clone());
            }
            continue;
        }
        let start = config.len();
        for own in class.spec.config.iter().flatten() {
            config.push(DeviceAllocationConfiguration {
                source: "FromClass".into(),
                requests: Some(vec![name.clone()]),
                opaque: own.opaque.clone(),
            });
        }
        classes.insert(class.metadata.name.as_deref().unwrap_or_default(), start..config.len());
    }
    for own in claim.claim.spec.devices.iter().flat_map(|devices| devices.config.iter().flatten()) {
        let meant = own.requests.as_deref().unwrap_or_default();
        let is_meant = |request: &&Request<'_>| {
            let both = [request.name.to_owned(), full_name(request, request.chosen)];
            both.iter().any(|name| meant.contains(name))
        };
        // What is for several requests is said once for each of them.
        let times = if meant.is_empty() { 1 } else { claim.requests.iter().filter(is_meant).count() };
        for _ in 0..times {
            config.push(DeviceAllocationConfiguration {
                source: "FromClaim".into(),
                requests: own.requests.clone(),
                opaque: own.opaque.clone(),
            });
        }
    }
    config
}

/// The nodes that reach all of the devices; nothing where all nodes do.
fn node_selector(
    claim: &Claim<'_>,
    given: &[Given],
    devices: &Devices<'_>,
    node: &str,
) -> Result<Option<NodeSelector>, String> {
    let mut term = NodeSelectorTerm::default();
    for given in given {
        let (slice, device) = (devices.pools[given.at.pool].slices[given.at.slice], devices.get(given.at));
        let by_device = slice.spec.per_device_node_selection == Some(true);
        let (own, selector) = match by_device {
            true => (&device.node_name, &device.node_selector),
            false => (&slice.spec.node_name, &slice.spec.node_selector),
        };
        if own.is_some() || device.binds_to_node == Some(true) {
            let here = NodeSelectorRequirement {
                key: "metadata.name".into(),
                operator: "In".into(),
                values: Some(vec![node.to_owned()]),
            };
            let term = NodeSelectorTerm { match_fields: Some(vec![here]), match_expressions: None };
            return Ok(Some(NodeSelector { node_selector_terms: vec![term] }));
        }
        match selector.as_ref().map(|selector| selector.node_selector_terms.as_slice()) {
            None | Some([]) => {}
            Some([own]) => {
                extend(&mut term.match_fields, own.match_fields.as_deref());
                extend(&mut term.match_expressions, own.match_expressions.as_deref());
            }
            Some(terms) => {
                return Err(format!(
                    "create NodeSelector for claim {}: unsupported ResourceSlice.NodeSelector with {} terms",
                    name(claim.claim),
                    terms.len()
                ));
            }
        }
    }
    let any = term.match_fields.is_some() || term.match_expressions.is_some();
    Ok(any.then(|| NodeSelector { node_selector_terms: vec![term] }))
}

/// Adds those requirements that are not there yet.
fn extend(to: &mut Option<Vec<NodeSelectorRequirement>>, from: Option<&[NodeSelectorRequirement]>) {
    let sorted = |one: &NodeSelectorRequirement| {
        let mut values = one.values.clone().unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        (one.key.clone(), one.operator.clone(), values)
    };
    for requirement in from.into_iter().flatten() {
        let known = to.get_or_insert_default();
        if !known.iter().any(|one| sorted(one) == sorted(requirement)) {
            known.push(requirement.clone());
        }
    }
}

/// An id of a share of a device, in the form of a UUID. It follows from whose it is, as a decision draws no chance.
fn share_id(whose: &[&str]) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for octet in whose.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u128::from(octet)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    // A UUID whose bits are one's own says so.
    let hash = (hash & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let text = format!("{hash:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_shares_are_uuids_that_follow_from_whose_they_are() {
        let id = share_id(&["claim", "pod", "0"]);
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(id.as_bytes()[14] == b'8' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_eq!(id, share_id(&["claim", "pod", "0"]));
        assert_ne!(id, share_id(&["claim", "pod", "1"]));
        assert_ne!(id, share_id(&["claimp", "od", "0"]));
    }
}
