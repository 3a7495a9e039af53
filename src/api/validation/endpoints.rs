//! Endpoints, in slices and as they once were.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::at::At;
use super::checks::{self, Errors, PROTOCOLS};
use crate::api::field::Error;
use crate::api::{ip, names};

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_ZONES: usize = 8;

/// An EndpointSlice. Endpoints that were there before are not judged again.
pub(super) fn slice(object: &At<'_>, old: Option<&At<'_>>, loopback: bool, errors: &mut Errors) {
    let family = object.get("addressType");
    checks::one_of(&family, &["FQDN", "IPv4", "IPv6"], errors);
    let ports = object.get("ports");
    if ports.len() > MAX_PORTS {
        errors.push(Error::too_many(&ports.path(), ports.len(), MAX_PORTS));
    } else {
        slice_ports(&ports, errors);
    }
    let endpoints = object.get("endpoints");
    let known = old.is_some_and(|old| old.get("endpoints").value() == endpoints.value());
    if endpoints.len() > MAX_ENDPOINTS {
        errors.push(Error::too_many(&endpoints.path(), endpoints.len(), MAX_ENDPOINTS));
    } else if !known {
        endpoints.items().for_each(|endpoint| self::endpoint(&endpoint, family.text(), loopback, errors));
    }
}

fn slice_ports(ports: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        checks::named_if_set(&name, names::dns1123_label, errors);
        if !seen.insert(name.text().to_owned()) {
            errors.push(name.duplicate());
        }
        checks::one_of(&port.get("protocol"), &PROTOCOLS, errors);
        checks::named_if_set(&port.get("appProtocol"), names::qualified_name, errors);
    }
}

fn endpoint(endpoint: &At<'_>, family: &str, loopback: bool, errors: &mut Errors) {
    let addresses = endpoint.get("addresses");
    if addresses.len() == 0 {
        errors.push(addresses.required("must contain at least 1 address"));
    } else if addresses.len() > MAX_ADDRESSES {
        errors.push(Error::too_many(&addresses.path(), addresses.len(), MAX_ADDRESSES));
    }
    for at in addresses.items() {
        match family {
            "IPv4" | "IPv6" => {
                if let Some(ip) = address(&at, loopback, errors)
                    && ip.is_ipv4() != (family == "IPv4")
                {
                    let wrong = format!("must be an {family} address");
                    errors.push(Error::invalid(&addresses.path(), at.text(), wrong));
                }
            }
            "FQDN" => {
                checks::named(&at, names::dns1123_subdomain, errors);
                if !at.text().contains('.') {
                    errors
                        .push(at.invalid("should be a domain with at least two segments separated by dots"));
                }
            }
            _ => {}
        }
    }
    checks::named_if_set(&endpoint.get("nodeName"), names::dns1123_subdomain, errors);
    checks::named_if_set(&endpoint.get("hostname"), names::dns1123_label, errors);
    checks::labels(&endpoint.get("deprecatedTopology"), errors);
    let hints = endpoint.get("hints");
    for (list, rule) in
        [("forZones", names::label_value as names::Check), ("forNodes", names::dns1123_subdomain)]
    {
        let list = hints.get(list);
        if list.len() > MAX_ZONES {
            errors.push(Error::too_many(&list.path(), list.len(), MAX_ZONES));
            continue;
        }
        let mut seen = BTreeSet::new();
        for hint in list.items() {
            let name = hint.get("name");
            if !seen.insert(name.text().to_owned()) {
                errors.push(name.duplicate());
            }
            checks::named(&name, rule, errors);
        }
    }
}

/// An address to which traffic may go.
pub(super) fn address(at: &At<'_>, loopback: bool, errors: &mut Errors) -> Option<IpAddr> {
    let ip = checks::ip(at, errors)?;
    reachable(at, ip, loopback, errors);
    Some(ip)
}

/// An address that means the same to everybody.
fn reachable(at: &At<'_>, ip: IpAddr, loopback: bool, errors: &mut Errors) {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let link_local_multicast = match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    if ip.is_unspecified() {
        errors.push(at.invalid(format!("may not be unspecified ({})", at.text())));
    }
    if ip.is_loopback() && !loopback {
        errors.push(at.invalid("may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
    if link_local {
        errors.push(at.invalid("may not be in the link-local range (169.254.0.0/16, fe80::/10)"));
    }
    if link_local_multicast {
        errors.push(at.invalid("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"));
    }
}

/// Endpoints as they were before slices. Subsets that stay as they were are not judged again.
pub(super) fn legacy(object: &At<'_>, old: Option<&At<'_>>, loopback: bool, errors: &mut Errors) {
    let subsets = object.get("subsets");
    if old.is_some_and(|old| checks::same(old.get("subsets").value(), subsets.value())) {
        return;
    }
    for subset in subsets.items() {
        let (ready, not_ready) = (subset.get("addresses"), subset.get("notReadyAddresses"));
        if ready.len() + not_ready.len() == 0 {
            errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for entry in ready.items().chain(not_ready.items()) {
            let ip = entry.get("ip");
            checks::legacy_ip(&ip, &[], errors);
            checks::named_if_set(&entry.get("hostname"), names::dns1123_label, errors);
            checks::named_if_set(&entry.get("nodeName"), names::dns1123_subdomain, errors);
            match ip::lenient(ip.text()) {
                Some(address) => reachable(&ip, address, loopback, errors),
                None => errors.push(ip.invalid("must be a valid IP address")),
            }
        }
        let ports = subset.get("ports");
        for port in ports.items() {
            let name = port.get("name");
            if ports.len() > 1 {
                checks::present(&name, errors);
            }
            checks::named_if_set(&name, names::dns1123_label, errors);
            checks::port_number(&port.get("port"), errors);
            checks::one_of(&port.get("protocol"), &PROTOCOLS, errors);
            checks::named_if_set(&port.get("appProtocol"), names::qualified_name, errors);
        }
    }
}
