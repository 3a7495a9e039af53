//! Services: which addresses and ports they have, want and keep.

use serde_json::{Map, Value, json};

use super::{DEFAULT, Strategy};
use crate::server::tree::{at, copy_field, map_mut, text, texts};

pub(super) const SERVICE: Strategy = Strategy {
    create_on_update: true,
    answers_deleted: true,
    create: |_, tree| {
        map_mut(tree, "status").insert("loadBalancer".into(), json!({}));
        same_addresses(tree, None);
    },
    update: |_, new, old| {
        keep_allocated(new, old);
        drop_unneeded(new, old);
        same_addresses(new, Some(old));
    },
    ..DEFAULT
};

/// Whether a service of this kind has a cluster address.
pub(crate) fn wants_addresses(tree: &Value) -> bool {
    text(tree, &["spec", "type"]) != "ExternalName" && text(tree, &["spec", "clusterIP"]) != "None"
}

/// Whether its ports are open on every node.
pub(crate) fn wants_node_ports(tree: &Value) -> bool {
    match text(tree, &["spec", "type"]) {
        "NodePort" => true,
        "LoadBalancer" => at(tree, &["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false)),
        _ => false,
    }
}

/// Whether it has a node port for health checks.
pub(crate) fn wants_health_port(tree: &Value) -> bool {
    text(tree, &["spec", "type"]) == "LoadBalancer"
        && text(tree, &["spec", "externalTrafficPolicy"]) == "Local"
}

fn is_load_balancer(tree: &Value) -> bool {
    text(tree, &["spec", "type"]) == "LoadBalancer"
}

/// Whether clients outside the cluster reach it.
fn is_reached_from_outside(tree: &Value) -> bool {
    match text(tree, &["spec", "type"]) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !texts(tree, &["spec", "externalIPs"]).is_empty(),
        _ => false,
    }
}

/// `clusterIPs` begins with `clusterIP`: whoever says one says the other.
///
/// Source: `NormalizeClusterIPs` of `k8s.io/kubernetes/pkg/registry/core/service` (1.36).
fn same_addresses(tree: &mut Value, old: Option<&Value>) {
    let one = text(tree, &["spec", "clusterIP"]).to_owned();
    let before = old.map(|old| text(old, &["spec", "clusterIP"]).to_owned());
    let spec = map_mut(tree, "spec");
    let listed = spec.get("clusterIPs").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    match before {
        None if !one.is_empty() && !listed => {
            spec.insert("clusterIPs".into(), json!([one]));
        }
        Some(before) if one.is_empty() && !before.is_empty() => {
            spec.remove("clusterIPs");
        }
        Some(before) if one != before => {
            let same = old.is_some_and(|old| at(old, &["spec", "clusterIPs"]) == spec.get("clusterIPs"));
            if same || !listed {
                spec.insert("clusterIPs".into(), json!([one]));
            }
        }
        _ => {}
    }
}

/// What was allocated stays, where an update says nothing of it.
///
/// Source: `patchAllocatedValues` of `k8s.io/kubernetes/pkg/registry/core/service` (1.36).
fn keep_allocated(new: &mut Value, old: &Value) {
    let was = old["spec"].as_object();
    if wants_addresses(new) && wants_addresses(old) || text(old, &["spec", "clusterIP"]) == "None" {
        let spec = map_mut(new, "spec");
        if spec.get("type").and_then(Value::as_str) != Some("ExternalName") {
            for field in ["clusterIP", "clusterIPs"] {
                if is_empty(spec, field) {
                    copy_field(spec, was, field);
                }
            }
        }
    }
    if text(new, &["spec", "type"]) != "ExternalName" && text(old, &["spec", "type"]) != "ExternalName" {
        let spec = map_mut(new, "spec");
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if is_empty(spec, field) {
                copy_field(spec, was, field);
            }
        }
    }
    if wants_node_ports(new) && wants_node_ports(old) {
        let held: Vec<(Value, Value, Value)> = ports(old)
            .map(|port| (port["protocol"].clone(), port["port"].clone(), port["nodePort"].clone()))
            .collect();
        let taken: Vec<Value> = ports(new).filter_map(|port| at(port, &["nodePort"]).cloned()).collect();
        if let Some(list) = map_mut(new, "spec").get_mut("ports").and_then(Value::as_array_mut) {
            for port in list.iter_mut().filter(|port| node_port(port) == 0) {
                let found = held
                    .iter()
                    .find(|(protocol, number, _)| *protocol == port["protocol"] && *number == port["port"]);
                if let Some((_, _, node_port)) = found
                    && !taken.contains(node_port)
                {
                    port["nodePort"] = node_port.clone();
                }
            }
        }
    }
    if wants_health_port(new) && wants_health_port(old) {
        let spec = map_mut(new, "spec");
        if spec.get("healthCheckNodePort").and_then(Value::as_i64).unwrap_or(0) == 0 {
            copy_field(spec, was, "healthCheckNodePort");
        }
    }
}

/// What only the old type needed goes, where an update has left it as it was.
///
/// Source: `dropTypeDependentFields` of `k8s.io/kubernetes/pkg/registry/core/service` (1.36).
fn drop_unneeded(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| at(new, &["spec", field]) == at(old, &["spec", field]);
    let external = text(new, &["spec", "type"]) == "ExternalName";
    if external && text(old, &["spec", "type"]) != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if same(new, field) || field.starts_with("ip") {
                map_mut(new, "spec").remove(field);
            }
        }
    }
    let has_node_ports = |tree: &Value| matches!(text(tree, &["spec", "type"]), "NodePort" | "LoadBalancer");
    if has_node_ports(old) && !has_node_ports(new) {
        let held: Vec<i64> = ports(old).map(node_port).collect();
        let all_held = ports(new).map(node_port).all(|port| port == 0 || held.contains(&port));
        if all_held && let Some(list) = map_mut(new, "spec").get_mut("ports").and_then(Value::as_array_mut) {
            for port in list.iter_mut().filter_map(Value::as_object_mut) {
                port.remove("nodePort");
            }
        }
    }
    if !is_load_balancer(new) {
        map_mut(new, "status").insert("loadBalancer".into(), json!({}));
    }
    type Needed = fn(&Value) -> bool;
    let fields: [(&str, Needed); 4] = [
        ("healthCheckNodePort", wants_health_port),
        ("externalTrafficPolicy", is_reached_from_outside),
        ("allocateLoadBalancerNodePorts", is_load_balancer),
        ("loadBalancerClass", is_load_balancer),
    ];
    for (field, needed) in fields {
        if needed(old) && !needed(new) && same(new, field) {
            map_mut(new, "spec").remove(field);
        }
    }
}

fn is_empty(spec: &Map<String, Value>, field: &str) -> bool {
    match spec.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

/// `spec.ports`.
pub(crate) fn ports(tree: &Value) -> impl Iterator<Item = &Value> {
    at(tree, &["spec", "ports"]).and_then(Value::as_array).into_iter().flatten()
}

/// A port's node port; 0 where it has none.
pub(crate) fn node_port(port: &Value) -> i64 {
    port.get("nodePort").and_then(Value::as_i64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(new: Value, old: &Value) -> Value {
        let mut new = json!({"spec": new});
        keep_allocated(&mut new, old);
        drop_unneeded(&mut new, old);
        same_addresses(&mut new, Some(old));
        new["spec"].clone()
    }

    #[test]
    fn what_was_allocated_stays_until_the_type_needs_it_no_more() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"],
            "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        let silent = json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]});
        let kept = updated(silent, &old);
        assert_eq!(kept["clusterIPs"], json!(["10.0.0.7"]));
        assert_eq!(kept["ports"][0]["nodePort"], 30080);
        let mut narrowed = old["spec"].clone();
        narrowed["type"] = "ClusterIP".into();
        let narrowed = updated(narrowed, &old);
        assert_eq!(narrowed["clusterIP"], "10.0.0.7");
        assert_eq!(narrowed["ports"][0].get("nodePort"), None);
        assert_eq!(narrowed.get("externalTrafficPolicy"), None);
        let external = json!({"type": "ExternalName", "externalName": "x", "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7"]});
        let external = updated(external, &old);
        assert_eq!((external.get("clusterIP"), external.get("clusterIPs")), (None, None));
    }
}
