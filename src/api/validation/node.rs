//! Nodes.
//!
//! Source: `ValidateNode` and `ValidateNodeUpdate` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::field::{Error, Path};
use crate::api::ip;
use crate::api::names;

/// What every node must be, new or changed. One that is changed keeps blocks that it had.
pub(super) fn object(node: &At<'_>, errors: &mut Errors) {
    taints(&node.get("spec").get("taints"), errors);
    resources(node, errors);
    let (spec, status) = (node.get("spec"), node.get("status"));
    let swap = status.value()["nodeInfo"]["swap"]["capacity"].as_i64();
    if let Some(swap) = swap.filter(|swap| *swap <= 0) {
        let path = Path::new("metadata").child("nodeSwapStatus").child("capacity");
        errors.push(Error::invalid(&path, swap, "must be greater than zero"));
    }
    features(&status.get("declaredFeatures"), errors);
    let ranges = spec.get("podCIDRs");
    let mut families = Vec::new();
    for range in ranges.items() {
        checks::legacy_cidr(&range, &[], errors);
        families.extend(ip::block_is_ipv6(range.text()));
    }
    let one_each = families.contains(&true) && families.contains(&false);
    if ranges.len() > 2 || (ranges.len() == 2 && !one_each) {
        errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
    }
}

/// What a node's agent can do that not all can, by name and in order.
fn features(list: &At<'_>, errors: &mut Errors) {
    let mut previous: Option<&str> = None;
    let names: Vec<_> =
        list.value().as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    for (feature, name) in list.items().zip(names) {
        if name.len() > 253 {
            errors.push(
                feature
                    .invalid(format!("invalid feature name {name:?}: must be no more than 253 characters")),
            );
        } else if !is_feature(name) {
            errors.push(feature.invalid(format!(
                "invalid feature name {name:?}: must start with an UpperCamelCase segment, with subsequent segments \
                 separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric \
                 characters and slashes"
            )));
        }
        match previous {
            Some(before) if before == name => errors.push(feature.duplicate()),
            Some(before) if before > name => {
                errors.push(feature.invalid("list must be sorted alphabetically"));
            }
            _ => {}
        }
        previous = Some(name);
    }
}

fn is_feature(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.split('/').all(|part| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// Kubernetes gives their path below the metadata, where taints once were.
fn taints(taints: &At<'_>, errors: &mut Errors) {
    let mut found = Errors::new();
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        checks::named(&taint.get("key"), names::qualified_name, &mut found);
        let value = taint.get("value");
        let sentences = names::label_value(value.text());
        if !sentences.is_empty() {
            found.push(value.invalid(sentences.join(";")));
        }
        pod::taint_effect(&taint.get("effect"), &mut found);
        if !seen.insert((taint.get("key").text().to_owned(), taint.get("effect").text().to_owned())) {
            let detail = "taints must be unique by key and effect pair".to_owned();
            found.push(Error { detail, ..taint.duplicate() });
        }
    }
    errors.extend(
        found.into_iter().map(|error| Error { field: error.field.replacen("spec", "metadata", 1), ..error }),
    );
}

/// What a node has and may give.
fn resources(node: &At<'_>, errors: &mut Errors) {
    let status = node.get("status");
    for list in ["capacity", "allocatable"] {
        let mut found = Errors::new();
        let amounts = status.get(list);
        for (name, quantity) in amounts.entries() {
            pod::resource_quantity(name, &quantity, &mut found);
            let path = Path::new("status").child(list).child(name).to_string();
            errors.extend(found.drain(..).map(|error| Error { field: path.clone(), ..error }));
        }
    }
}

/// What is asked of a node whose status alone is written.
pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    taints(&new.get("spec").get("taints"), errors);
    resources(new, errors);
    features(&new.get("status").get("declaredFeatures"), errors);
    update(new, old, errors);
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = new.get("status");
    let addresses = status.get("addresses");
    let mut seen = Vec::new();
    for address in addresses.items() {
        if seen.contains(&address.value()) {
            errors.push(Error::duplicate(&address.path(), address.value().clone()));
        }
        seen.push(address.value());
    }
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (ranges, had) = (spec.get("podCIDRs"), before.get("podCIDRs"));
    let moved = had.items().zip(ranges.items()).filter(|(had, has)| had.text() != has.text()).count();
    let changes = if had.len() == 0 || had.len() == ranges.len() { moved } else { 1 };
    if had.len() > 0 {
        for _ in 0..changes {
            errors.push(ranges.forbidden("node updates may not change podCIDR except from \"\" to valid"));
        }
    }
    let (provider, had) = (spec.get("providerID"), before.text_of("providerID"));
    if !had.is_empty() && provider.text() != had {
        errors.push(provider.forbidden("node updates may not change providerID except from \"\" to valid"));
    }
    config_source(&spec.get("configSource"), false, errors);
    let config = status.get("config");
    for field in ["assigned", "active", "lastKnownGood"] {
        config_source(&config.get(field), true, errors);
    }
    if spec.text_of("externalID") != before.text_of("externalID") {
        errors.push(spec.get("externalID").forbidden("may not be updated"));
    }
}

/// Where a node's agent had its configuration from, when it still could have it from here.
fn config_source(source: &At<'_>, in_status: bool, errors: &mut Errors) {
    if !source.is_set() {
        return;
    }
    let map = source.get("configMap");
    if !map.is_set() {
        errors.push(source.invalid("exactly one reference subfield must be non-nil"));
        return;
    }
    for field in ["uid", "resourceVersion"] {
        let at = map.get(field);
        if in_status {
            checks::present(&at, errors);
        } else if !at.text().is_empty() {
            errors.push(at.forbidden(format!("{field} must not be set in spec")));
        }
    }
    checks::present_and_named(&map.get("namespace"), names::dns1123_label, errors);
    checks::present_and_named(&map.get("name"), names::dns1123_subdomain, errors);
    checks::present_and_named(&map.get("kubeletConfigKey"), names::config_map_key, errors);
}
