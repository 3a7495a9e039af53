//! Nodes, and namespaces: the two kinds that everything else lives on or in.

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use super::pod;
use crate::api::cidr::Cidr;
use crate::api::field::{Error, Path};
use crate::api::names;

pub(super) fn object(node: &At<'_>, errors: &mut Errors) {
    taints(&node.get("spec").get("taints"), errors);
    resources(node, errors);
    let spec = node.get("spec");
    let ranges = spec.get("podCIDRs");
    let mut parsed = Vec::new();
    for range in ranges.items() {
        match range.text().parse::<Cidr>() {
            Ok(cidr) => parsed.push(cidr),
            Err(_) => {
                errors.push(range.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
            }
        }
    }
    let one_each = matches!(&parsed[..], [one, other] if one.is_ipv4() != other.is_ipv4());
    if ranges.len() > 2 || (ranges.len() == 2 && parsed.len() == 2 && !one_each) {
        errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
    }
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
pub(super) fn resources(node: &At<'_>, errors: &mut Errors) {
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
    for (field, shown) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        let (now, was) = (spec.get(field), before.get(field));
        let was_set = was.len() > 0 || !was.text().is_empty();
        if was_set && now.value() != was.value() {
            errors.push(
                now.forbidden(format!("node updates may not change {shown} except from \"\" to valid")),
            );
        }
    }
}

pub(super) fn namespace(object: &At<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    let finalizers = spec.get("finalizers");
    for finalizer in finalizers.items() {
        let wrong = |sentence: String| Error::invalid(&finalizers.path(), finalizer.text(), sentence);
        errors.extend(names::qualified_name(finalizer.text()).into_iter().map(wrong));
        let standard = matches!(finalizer.text(), "kubernetes" | "orphan" | "foregroundDeletion");
        if !finalizer.text().contains('/') && !standard {
            errors.push(wrong(
                "name is neither a standard finalizer name nor is it fully qualified".to_owned(),
            ));
        }
    }
}
