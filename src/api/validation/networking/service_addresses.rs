//! The addresses that services have, and the blocks that these are from.

use crate::api::field::Error;
use crate::api::ip_form;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// The name of an IPAddress is the address.
pub(in crate::api::validation) fn ip_address_name(name: &str) -> Vec<String> {
    ip_form::address_problems(name)
}

pub(super) fn ip_address(object: &At<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    let parent = spec.get("parentRef");
    if !parent.is_set() {
        errors.push(parent.required(""));
        return;
    }
    // The core group is the empty one, so that none can be asked for.
    checks::named_if_set(&parent.get("group"), names::dns1123_subdomain, errors);
    for field in ["resource", "name"] {
        checks::present_and_named(&parent.get(field), names::path_segment, errors);
    }
    checks::named_if_set(&parent.get("namespace"), names::path_segment, errors);
}

pub(super) fn ip_address_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    checks::immutable(&spec.get("parentRef"), &before.get("parentRef"), errors);
}

pub(super) fn service_cidr(object: &At<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    let cidrs = spec.get("cidrs");
    if cidrs.len() == 0 {
        errors.push(cidrs.required("at least one CIDR required"));
        return;
    }
    if cidrs.len() > 2 {
        errors.push(Error::invalid(&cidrs.path(), spec.value().clone(), "may only hold up to 2 values"));
        return;
    }
    for cidr in cidrs.items() {
        checks::sentences(&cidr, ip_form::block_problems(cidr.text()), errors);
    }
    let families: Vec<_> =
        cidrs.items().filter_map(|cidr| ip_form::block(cidr.text())).map(|block| block.is_ipv4()).collect();
    if families.len() == 2 && families[0] == families[1] {
        errors.push(cidrs.invalid(
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        ));
    }
}

/// A block stays; one of the other family may come to it.
pub(super) fn service_cidr_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (cidrs, was) = (spec.get("cidrs"), before.get("cidrs"));
    let changed = |errors: &mut Errors| {
        let pairs = cidrs.items().zip(was.items());
        errors.extend(
            pairs
                .filter(|(now, then)| now.text() != then.text())
                .map(|(now, _)| now.invalid(checks::IMMUTABLE)),
        );
    };
    match (was.len(), cidrs.len()) {
        (1, 2) => {
            changed(errors);
            service_cidr(new, errors);
        }
        (then, now) if then == now => changed(errors),
        _ => errors.push(cidrs.invalid(checks::IMMUTABLE)),
    }
}
