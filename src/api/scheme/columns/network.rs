//! The cells of services, endpoints and ingresses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::cells::{labels, marked_default, selector_text};
use super::{NONE, list, str_or};

pub(super) fn cluster_ip(service: &Value, _: Timestamp) -> Value {
    str_or(&service["spec"]["clusterIPs"][0], NONE).into()
}

pub(super) fn external_ip(service: &Value, now: Timestamp) -> Value {
    let spec = &service["spec"];
    let own = || list(&spec["externalIPs"]).iter().filter_map(Value::as_str);
    let mut shown: Vec<&str> = Vec::new();
    let balanced;
    let otherwise = match str_or(&spec["type"], "") {
        "ClusterIP" | "NodePort" => NONE,
        "LoadBalancer" => {
            balanced = load_balancer(service, now);
            shown.extend(balanced.as_str().filter(|text| !text.is_empty()));
            "<pending>"
        }
        "ExternalName" => return str_or(&spec["externalName"], "").into(),
        _ => return "<unknown>".into(),
    };
    shown.extend(own());
    if shown.is_empty() { otherwise.into() } else { shown.join(",").into() }
}

/// The addresses that a load balancer gave a service or an ingress.
pub(super) fn load_balancer(object: &Value, _: Timestamp) -> Value {
    let addresses: BTreeSet<_> = list(&object["status"]["loadBalancer"]["ingress"])
        .iter()
        .map(|ingress| str_or(&ingress["ip"], str_or(&ingress["hostname"], "")))
        .filter(|address| !address.is_empty())
        .collect();
    Vec::from_iter(addresses).join(",").into()
}

pub(super) fn service_ports(service: &Value, _: Timestamp) -> Value {
    let port = |port: &Value| {
        let node = port["nodePort"].as_i64().filter(|node| *node > 0);
        let node = node.map(|node| format!(":{node}")).unwrap_or_default();
        format!("{}{node}/{}", port["port"], str_or(&port["protocol"], "TCP"))
    };
    let ports: Vec<_> = list(&service["spec"]["ports"]).iter().map(port).collect();
    if ports.is_empty() { NONE.into() } else { ports.join(",").into() }
}

pub(super) fn service_selector(service: &Value, _: Timestamp) -> Value {
    labels(&service["spec"]["selector"]).into()
}

pub(super) fn endpoints(object: &Value, _: Timestamp) -> Value {
    let mut all = Vec::new();
    for subset in list(&object["subsets"]) {
        let addresses = || list(&subset["addresses"]).iter().map(|address| str_or(&address["ip"], ""));
        let ports = list(&subset["ports"]);
        if ports.is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            all.extend(addresses().map(|ip| {
                if ip.contains(':') {
                    format!("[{ip}]:{}", port["port"])
                } else {
                    format!("{ip}:{}", port["port"])
                }
            }));
        }
    }
    if list(&object["subsets"]).is_empty() { NONE.into() } else { first_three(&all).into() }
}

pub(super) fn slice_ports(slice: &Value, _: Timestamp) -> Value {
    let ports: Vec<_> = list(&slice["ports"])
        .iter()
        .map(|port| match (port["port"].as_i64(), port["name"].as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "*".to_owned(),
        })
        .collect();
    or_unset(&ports)
}

pub(super) fn slice_endpoints(slice: &Value, _: Timestamp) -> Value {
    let addresses: Vec<_> = list(&slice["endpoints"])
        .iter()
        .flat_map(|endpoint| list(&endpoint["addresses"]))
        .map(|address| str_or(address, "").to_owned())
        .collect();
    or_unset(&addresses)
}

pub(super) fn or_unset(all: &[String]) -> Value {
    if all.is_empty() { "<unset>".into() } else { first_three(all).into() }
}

fn first_three(all: &[String]) -> String {
    let shown = all[..all.len().min(3)].join(",");
    if all.len() > 3 { format!("{shown} + {} more...", all.len() - 3) } else { shown }
}

pub(super) fn ingress_class(ingress: &Value, _: Timestamp) -> Value {
    str_or(&ingress["spec"]["ingressClassName"], NONE).into()
}

/// The first three hosts; what else there is counts rules, with and without one.
pub(super) fn ingress_hosts(ingress: &Value, _: Timestamp) -> Value {
    let rules = list(&ingress["spec"]["rules"]);
    let named =
        |(at, rule): (usize, &'_ Value)| rule["host"].as_str().filter(|host| !host.is_empty()).map(|_| at);
    let third = rules.iter().enumerate().filter_map(named).nth(2);
    let shown = &rules[..third.map_or(rules.len(), |third| third + 1)];
    let hosts: Vec<_> =
        shown.iter().map(|rule| str_or(&rule["host"], "")).filter(|host| !host.is_empty()).collect();
    match hosts.join(",") {
        none if none.is_empty() => "*".into(),
        hosts if shown.len() < rules.len() => format!("{hosts} + {} more...", rules.len() - 3).into(),
        hosts => hosts.into(),
    }
}

pub(super) fn ingress_class_name(class: &Value, _: Timestamp) -> Value {
    marked_default(class, &["ingressclass.kubernetes.io/is-default-class"])
}

pub(super) fn ingress_class_parameters(class: &Value, _: Timestamp) -> Value {
    let parameters = &class["spec"]["parameters"];
    if parameters.is_null() {
        return NONE.into();
    }
    let group = parameters["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
    format!("{}{group}/{}", str_or(&parameters["kind"], ""), str_or(&parameters["name"], "")).into()
}

pub(super) fn ingress_ports(ingress: &Value, _: Timestamp) -> Value {
    if list(&ingress["spec"]["tls"]).is_empty() { "80" } else { "80, 443" }.into()
}

pub(super) fn pod_selector(policy: &Value, _: Timestamp) -> Value {
    let text = selector_text(&policy["spec"]["podSelector"]);
    if text.is_empty() { NONE.into() } else { text.into() }
}

pub(super) fn cidrs(object: &Value, _: Timestamp) -> Value {
    list(&object["spec"]["cidrs"]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()
}

pub(super) fn parent(address: &Value, _: Timestamp) -> Value {
    let parent = &address["spec"]["parentRef"];
    if parent.is_null() {
        return NONE.into();
    }
    let group = str_or(&parent["group"], "");
    let dot = if group.is_empty() { "" } else { "." };
    let mut text = format!("{}{dot}{group}", str_or(&parent["resource"], "")).to_lowercase();
    for part in ["namespace", "name"] {
        if let Some(part) = parent[part].as_str().filter(|part| !part.is_empty()) {
            text = format!("{text}/{part}");
        }
    }
    text.into()
}
