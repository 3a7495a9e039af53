//! Endpoints, ingresses and network policies: addresses that should be written otherwise.

use serde_json::Value;

use super::{list, text};
use crate::api::ip;

/// Who makes slices that nobody can write otherwise.
const CONTROLLERS: [&str; 2] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

pub(super) fn endpoint_slice(slice: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if old.is_none() && slice["addressType"] == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    let manager = text(&slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]);
    if CONTROLLERS.contains(&manager) {
        return warnings;
    }
    for (index, endpoint) in list(&slice["endpoints"]).iter().enumerate() {
        for (at, address) in list(&endpoint["addresses"]).iter().enumerate() {
            let warning = ip::address_warning(text(address));
            warnings.extend(warning.map(|warning| format!("endpoints[{index}].addresses[{at}]: {warning}")));
        }
    }
    warnings
}

pub(super) fn ingress(ingress: &Value, old: Option<&Value>) -> Vec<String> {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let annotated = !ingress["metadata"]["annotations"][CLASS].is_null();
    if old.is_some() || !annotated || !ingress["spec"]["ingressClassName"].is_null() {
        return Vec::new();
    }
    vec![format!("annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead")]
}

pub(super) fn ingress_status(ingress: &Value) -> Vec<String> {
    let points = list(&ingress["status"]["loadBalancer"]["ingress"]).iter().enumerate();
    points
        .filter_map(|(index, point)| {
            let warning = ip::address_warning(text(&point["ip"]))?;
            Some(format!("status.loadBalancer.ingress[{index}]: {warning}"))
        })
        .collect()
}

pub(super) fn policy(policy: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (rule_at, rule) in list(&policy["spec"][direction]).iter().enumerate() {
            for (peer_at, peer) in list(&rule[peers]).iter().enumerate() {
                let path = format!("spec.{direction}[{rule_at}].{peers}[{peer_at}].ipBlock");
                let block = &peer["ipBlock"];
                let mut say = |path: String, block: &Value| {
                    let found = ip::block_warnings(text(block)).into_iter();
                    warnings.extend(found.map(|warning| format!("{path}: {warning}")));
                };
                say(format!("{path}.cidr"), &block["cidr"]);
                for (at, except) in list(&block["except"]).iter().enumerate() {
                    say(format!("{path}.except[{at}]"), except);
                }
            }
        }
    }
    warnings
}
