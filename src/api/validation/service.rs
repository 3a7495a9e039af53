//! Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::at::At;
use super::checks::{self, Errors, PROTOCOLS};
use super::endpoints;
use crate::api::field::{Error, Path};
use crate::api::names;

fn headless(spec: &At<'_>) -> bool {
    let addresses = spec.get("clusterIPs");
    addresses.len() == 1 && addresses.value()[0] == "None"
}

pub(super) fn object(service: &At<'_>, errors: &mut Errors) {
    let spec = service.get("spec");
    let kind = spec.get("type").text();
    let ports_at = spec.get("ports");
    if ports_at.len() == 0 && !headless(&spec) && kind != "ExternalName" {
        errors.push(ports_at.required(""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless(&spec) => errors.push(Error::invalid(
            &spec.get("clusterIPs").path().index(0),
            "None",
            format!("may not be set to 'None' for {kind} services"),
        )),
        "ExternalName" => external_name(&spec, errors),
        _ => {}
    }
    ports(&spec, kind, errors);
    checks::labels(&spec.get("selector"), errors);
    affinity(&spec, errors);
    if kind != "ExternalName" {
        cluster_addresses(&spec, errors);
    }
    for address in spec.get("externalIPs").items() {
        endpoints::address(&address, false, errors);
    }
    checks::one_of(&spec.get("type"), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    let ranges = spec.get("loadBalancerSourceRanges");
    if ranges.len() > 0 && kind != "LoadBalancer" {
        let path = spec.path().child("LoadBalancerSourceRanges");
        errors.push(Error::forbidden(&path, "may only be used when `type` is 'LoadBalancer'"));
    }
    let allocate = spec.get("allocateLoadBalancerNodePorts");
    if allocate.is_set() && kind != "LoadBalancer" {
        errors.push(allocate.forbidden("may only be used when `type` is 'LoadBalancer'"));
    }
    traffic(&spec, kind, errors);
}

fn external_name(spec: &At<'_>, errors: &mut Errors) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let at = spec.get(field);
        if at.len() > 0 || at.value().is_string() {
            errors.push(at.forbidden("may not be set for ExternalName services"));
        }
    }
    let name = spec.get("externalName");
    if checks::present(&name, errors) {
        let plain = name.text().strip_suffix('.').unwrap_or(name.text());
        checks::sentences(&name, names::dns1123_subdomain(plain), errors);
    }
}

fn ports(spec: &At<'_>, kind: &str, errors: &mut Errors) {
    let ports = spec.get("ports");
    let (mut port_names, mut numbers, mut node_ports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        let name = port.get("name");
        if name.text().is_empty() {
            if ports.len() > 1 {
                errors.push(name.required(""));
            }
        } else {
            checks::named(&name, names::dns1123_label, errors);
            if !port_names.insert(name.text().to_owned()) {
                errors.push(name.duplicate());
            }
        }
        checks::port_number(&port.get("port"), errors);
        let protocol = port.get("protocol");
        checks::one_of(&protocol, &PROTOCOLS, errors);
        let target = port.get("targetPort");
        if target.is_set() {
            checks::port_number_or_name(&target, errors);
        }
        checks::named_if_set(&port.get("appProtocol"), names::qualified_name, errors);
        let node_port = port.get("nodePort");
        if let Some(number @ 1..) = node_port.number() {
            if kind == "ClusterIP" {
                errors.push(node_port.forbidden("may not be used when `type` is 'ClusterIP'"));
            }
            if !node_ports.insert((protocol.text().to_owned(), number)) {
                errors.push(node_port.duplicate());
            }
        }
        let number = port.get("port").number().unwrap_or(0);
        if !numbers.insert((protocol.text().to_owned(), number)) {
            let shown = json!({"port": number, "protocol": protocol.text(), "targetPort": 0});
            errors.push(Error::duplicate(&port.path(), shown));
        }
    }
}

fn affinity(spec: &At<'_>, errors: &mut Errors) {
    let kind = spec.get("sessionAffinity");
    let config = spec.get("sessionAffinityConfig");
    checks::one_of(&kind, &["ClientIP", "None"], errors);
    match kind.text() {
        "ClientIP" => {
            let why = "when session affinity type is ClientIP";
            let client = config.get("clientIP");
            let timeout = client.get("timeoutSeconds");
            if !config.is_set() {
                errors.push(config.required(why));
            } else if !client.is_set() {
                errors.push(client.required(why));
            } else if !timeout.is_set() {
                errors.push(timeout.required(why));
            } else if !(1..=86400).contains(&timeout.number().unwrap_or(0)) {
                errors.push(timeout.invalid("must be greater than 0 and less than 86400"));
            }
        }
        "None" if config.is_set() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        _ => {}
    }
}

fn cluster_addresses(spec: &At<'_>, errors: &mut Errors) {
    let (first, all) = (spec.get("clusterIP"), spec.get("clusterIPs"));
    if first.text().is_empty() {
        if all.len() > 0 {
            errors.push(all.invalid("must be empty when `clusterIP` is not specified"));
        }
    } else if all.len() == 0 {
        errors.push(all.required(""));
    } else if all.value()[0] != *first.value() {
        errors.push(all.invalid("first value must match `clusterIP`"));
    }
    let families = spec.get("ipFamilies");
    let mut seen = BTreeSet::new();
    for family in families.items() {
        checks::one_of_if_set(&family, &["IPv4", "IPv6"], errors);
        if !seen.insert(family.text().to_owned()) {
            errors.push(family.duplicate());
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    checks::one_of_if_set(&spec.get("ipFamilyPolicy"), &policies, errors);
    let before = errors.len();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (index, address) in all.items().enumerate() {
        if index == 0 && address.text() == "None" {
            if all.len() > 1 {
                errors.push(all.invalid("'None' must be the first and only value"));
            }
        } else {
            addresses.extend(checks::ip(&address, errors));
        }
    }
    let sound = errors.len() == before;
    if all.len() > 2 {
        errors.push(all.invalid("may only hold up to 2 values"));
    }
    if !sound {
        return;
    }
    if let [one, other] = addresses[..]
        && one.is_ipv4() == other.is_ipv4()
    {
        errors.push(all.invalid("may specify no more than one IP for each IP family"));
    }
    for (index, (address, family)) in addresses.iter().zip(families.items()).enumerate() {
        if address.is_ipv4() != (family.text() == "IPv4") {
            errors.push(Error::invalid(
                &all.path().index(index),
                address.to_string(),
                format!("expected an {} value as indicated by `ipFamilies[{index}]`", family.text()),
            ));
        }
    }
}

fn traffic(spec: &At<'_>, kind: &str, errors: &mut Errors) {
    let external = spec.get("externalTrafficPolicy");
    let open = matches!(kind, "LoadBalancer" | "NodePort")
        || (kind == "ClusterIP" && spec.get("externalIPs").len() > 0);
    if open {
        checks::one_of(&external, &["Cluster", "Local"], errors);
    } else if !external.text().is_empty() {
        errors.push(external.invalid("may only be set for externally-accessible services"));
    }
    let health = spec.get("healthCheckNodePort");
    let needs_health = kind == "LoadBalancer" && external.text() == "Local";
    if !needs_health && health.number().unwrap_or(0) != 0 {
        errors.push(
            health.invalid(
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ),
        );
    }
    let internal = spec.get("internalTrafficPolicy");
    if internal.is_set() || kind != "ExternalName" {
        checks::one_of(&internal, &["Cluster", "Local"], errors);
    }
    checks::one_of_if_set(
        &spec.get("trafficDistribution"),
        &["PreferClose", "PreferSameNode", "PreferSameZone"],
        errors,
    );
}

/// A service keeps its first address, unless it becomes or was only another name.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (new, old) = (new.get("spec"), old.get("spec"));
    let renamed = |spec: &At<'_>| spec.get("type").text() == "ExternalName";
    if renamed(&new) || renamed(&old) || (headless(&new) && headless(&old)) {
        return;
    }
    let (now, before) = (new.get("clusterIPs"), old.get("clusterIPs"));
    let path = |index: usize| Path::new("spec").child("clusterIPs").index(index);
    let (had, has): (Vec<&Value>, Vec<&Value>) =
        (before.items().map(|at| at.value()).collect(), now.items().map(|at| at.value()).collect());
    let mut wrong =
        |index: usize, why: &str| errors.push(Error::invalid(&path(index), now.value().clone(), why));
    if had.len() == has.len() {
        for index in (0..had.len()).filter(|index| had[*index] != has[*index]) {
            wrong(index, "may not change once set");
        }
        return;
    }
    if has.is_empty() {
        wrong(0, "primary clusterIP can not be unset");
    } else if !had.is_empty() && had[0] != has[0] {
        wrong(0, "may not change once set");
    }
    let policy = new.get("ipFamilyPolicy");
    if had.len() > 1 && has.len() == 1 && policy.text() != "SingleStack" {
        errors.push(policy.invalid("must be set to 'SingleStack' when releasing the secondary clusterIP"));
    }
}
