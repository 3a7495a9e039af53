//! Services.
//!
//! Source: `ValidateServiceCreate` and its updates of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::at::At;
use super::checks::{self, Errors, PROTOCOLS};
use super::endpoints;
use crate::api::field::{Error, Path};
use crate::api::ip;
use crate::api::names;

const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

fn headless(spec: &At<'_>) -> bool {
    let addresses = spec.get("clusterIPs");
    addresses.len() == 1 && addresses.value()[0] == "None"
}

/// The texts of a list in another spec, which are not judged again.
fn known<'a>(old: Option<&At<'a>>, list: &str) -> Vec<&'a str> {
    let items = old.and_then(|old| old.value()["spec"][list].as_array()).into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// What every service must be, and the one that this one replaces.
pub(super) fn object(service: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (metadata, spec) = (service.get("metadata"), service.get("spec"));
    let annotations = metadata.get("annotations");
    let (mode, hints) = (annotations.key(TOPOLOGY_MODE), annotations.key(TOPOLOGY_HINTS));
    if mode.is_set() && hints.is_set() && mode.text() != hints.text() {
        let wrong = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        errors.push(mode.invalid(wrong));
    }
    let kind = spec.text_of("type");
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
    ports(&spec, errors);
    checks::labels(&spec.get("selector"), errors);
    affinity(&spec, errors);
    if kind != "ExternalName" {
        cluster_addresses(&spec, &known(old, "clusterIPs"), errors);
    }
    let known_external = known(old, "externalIPs");
    for address in spec.get("externalIPs").items() {
        let before = errors.len();
        checks::legacy_ip(&address, &known_external, errors);
        if errors.len() == before {
            endpoints::address(&address, false, errors);
        }
    }
    checks::one_of(&spec.get("type"), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    node_ports(&ports_at, kind, errors);
    source_ranges(&spec, &annotations, old, errors);
    let allocate = spec.get("allocateLoadBalancerNodePorts");
    if allocate.is_set() && kind != "LoadBalancer" {
        errors.push(allocate.forbidden("may only be used when `type` is 'LoadBalancer'"));
    }
    if !allocate.is_set() && kind == "LoadBalancer" {
        errors.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
    }
    let class = spec.get("loadBalancerClass");
    if class.is_set() && kind == "LoadBalancer" {
        checks::named(&class, names::qualified_name, errors);
    } else if class.is_set() {
        errors.push(class.forbidden("may only be used when `type` is 'LoadBalancer'"));
    }
    traffic(&spec, kind, errors);
}

/// From where a load balancer may be reached: in the field, or in the annotation that was there before it.
fn source_ranges(spec: &At<'_>, annotations: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    const WHY: &str = "may only be used when `type` is 'LoadBalancer'";
    let balanced = spec.text_of("type") == "LoadBalancer";
    let (ranges, shown) = (spec.get("loadBalancerSourceRanges"), spec.get("LoadBalancerSourceRanges"));
    let annotation = annotations.key(SOURCE_RANGES);
    if ranges.len() > 0 {
        if !balanced {
            errors.push(shown.forbidden(WHY));
        }
        let known = known(old, "loadBalancerSourceRanges");
        for (index, range) in ranges.items().enumerate() {
            let text = range.text().trim();
            if !known.iter().any(|known| known.trim() == text) {
                let wrong = ip::block_problems(text).into_iter();
                let path = shown.path().index(index);
                errors.extend(wrong.map(|sentence| Error::invalid(&path, text, sentence)));
            }
        }
    } else if annotation.is_set() {
        if !balanced {
            errors.push(annotation.forbidden(WHY));
        }
        let before = old.map(|old| &old.value()["metadata"]["annotations"][SOURCE_RANGES]);
        let text = annotation.text().trim();
        if before != Some(annotation.value()) && !text.is_empty() {
            for range in text.split(',').map(str::trim) {
                let wrong = ip::block_problems(range).into_iter();
                errors.extend(wrong.map(|sentence| Error::invalid(&annotation.path(), range, sentence)));
            }
        }
    }
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

fn ports(spec: &At<'_>, errors: &mut Errors) {
    let ports = spec.get("ports");
    let (mut port_names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
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
        let number = port.get("port").number().unwrap_or(0);
        if !numbers.insert((protocol.text().to_owned(), number)) {
            let shown = json!({"port": number, "protocol": protocol.text(), "targetPort": 0});
            errors.push(Error::duplicate(&port.path(), shown));
        }
    }
}

/// Ports of the nodes: each is taken once, and a service inside the cluster has none.
fn node_ports(ports: &At<'_>, kind: &str, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for port in ports.items() {
        let node_port = port.get("nodePort");
        let Some(number) = node_port.number().filter(|number| *number != 0) else { continue };
        if kind == "ClusterIP" {
            errors.push(node_port.forbidden("may not be used when `type` is 'ClusterIP'"));
        }
        if !taken.insert((port.text_of("protocol").to_owned(), number)) {
            errors.push(node_port.duplicate());
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

fn cluster_addresses(spec: &At<'_>, known: &[&str], errors: &mut Errors) {
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
            checks::legacy_ip(&address, known, errors);
            addresses.extend(ip::lenient(address.text()));
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
    if needs_health && health.number().unwrap_or(0) != 0 {
        checks::port_number(&health, errors);
    }
    if !needs_health && health.number().unwrap_or(0) != 0 {
        errors.push(
            health.invalid(
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ),
        );
    }
    let internal = spec.get("internalTrafficPolicy");
    if internal.is_set() || matches!(kind, "ClusterIP" | "LoadBalancer" | "NodePort") {
        checks::one_of(&internal, &["Cluster", "Local"], errors);
    }
    checks::one_of_if_set(
        &spec.get("trafficDistribution"),
        &["PreferClose", "PreferSameZone", "PreferSameNode"],
        errors,
    );
}

/// What a service has been given stays with it, unless it becomes or was only another name.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (new, old) = (new.get("spec"), old.get("spec"));
    let renamed = |spec: &At<'_>| spec.text_of("type") == "ExternalName";
    if !renamed(&new) && !renamed(&old) {
        if !(headless(&new) && headless(&old)) {
            kept_addresses(&new, &old, errors);
        }
        if !headless(&new) && !headless(&old) {
            kept_families(&new, &old, errors);
        }
    }
    let balanced = |spec: &At<'_>| spec.text_of("type") == "LoadBalancer";
    let class = new.get("loadBalancerClass");
    if balanced(&new) && balanced(&old) && class.value() != &old.value()["loadBalancerClass"] {
        errors.push(class.invalid("may not change once set"));
    }
    let checked = |spec: &At<'_>| balanced(spec) && spec.text_of("externalTrafficPolicy") == "Local";
    let health = new.get("healthCheckNodePort");
    if checked(&new) && checked(&old) && health.number().unwrap_or(0) != old.number_of("healthCheckNodePort")
    {
        errors.push(health.forbidden("field is immutable"));
    }
}

fn kept_addresses(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
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

/// A second family may come and go; the first stays.
fn kept_families(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (now, before) = (new.get("ipFamilies"), old.get("ipFamilies"));
    let path = Path::new("spec").child("ipFamilies").index(0);
    let first = |list: &At<'_>| list.value().get(0).cloned();
    let addresses = new.get("clusterIPs");
    let moved = first(&now).is_some() && first(&before).is_some() && first(&now) != first(&before);
    if now.len() == before.len() {
        for _ in now.items().zip(before.items()).filter(|(now, before)| now.text() != before.text()) {
            errors.push(Error::invalid(&path, now.value().clone(), "may not change once set"));
        }
        return;
    }
    if before.len() > now.len() && addresses.len() == 0 {
        errors.push(Error::invalid(&path, now.value().clone(), "primary ipFamily can not be unset"));
    }
    if moved {
        // Kubernetes shows the addresses here.
        errors.push(Error::invalid(&path, addresses.value().clone(), "may not change once set"));
    }
    let policy = new.get("ipFamilyPolicy");
    if before.len() > now.len() && now.len() == 1 && policy.text() != "SingleStack" {
        errors.push(policy.invalid("must be set to 'SingleStack' when releasing the secondary ipFamily"));
    }
}

/// Where a load balancer can be reached, as it says itself.
pub(super) fn status(service: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let status = service.get("status");
    let balancer = status.get("loadBalancer");
    let points = balancer.get("ingress");
    if service.get("spec").text_of("type") != "LoadBalancer" {
        if points.len() > 0 {
            errors.push(points.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
        }
        return;
    }
    let before = old.value()["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    let known: Vec<_> = before.filter_map(|point| point["ip"].as_str()).collect();
    points.items().for_each(|point| entry_point(&point, &known, errors));
}

/// One address or name of a load balancer. Ingresses have them, too.
pub(super) fn entry_point(point: &At<'_>, known: &[&str], errors: &mut Errors) {
    let (address, mode, name) = (point.get("ip"), point.get("ipMode"), point.get("hostname"));
    let has_address = !address.text().is_empty();
    if has_address {
        checks::legacy_ip(&address, known, errors);
    }
    match (mode.is_set(), has_address) {
        (false, true) => errors.push(mode.required("must be specified when `ip` is set")),
        (true, false) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
        _ => checks::one_of_if_set(&mode, &["Proxy", "VIP"], errors),
    }
    if !name.text().is_empty() {
        checks::named(&name, names::dns1123_subdomain, errors);
        if ip::lenient(name.text()).is_some() {
            errors.push(name.invalid("must be a DNS name, not an IP address"));
        }
    }
}
