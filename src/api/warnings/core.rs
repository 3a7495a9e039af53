//! Services, endpoints, nodes, quotas and service accounts.

use serde_json::Value;

use super::{list, text};
use crate::api::ip;
use crate::api::quantity::Quantity;

fn address(path: &str, value: &Value) -> Option<String> {
    ip::address_warning(text(value)).map(|warning| format!("{path}: {warning}"))
}

fn block(path: &str, value: &Value) -> impl Iterator<Item = String> {
    ip::block_warnings(text(value)).into_iter().map(move |warning| format!("{path}: {warning}"))
}

/// Source: `GetWarningsForService` of `k8s.io/kubernetes/pkg/api/service` (1.36).
pub(super) fn service(service: &Value) -> Vec<String> {
    let spec = &service["spec"];
    let mut warnings = Vec::new();
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    if service["metadata"]["annotations"].get(HINTS).is_some() {
        let instead = "service.kubernetes.io/topology-mode";
        warnings.push(format!("annotation {HINTS} is deprecated, please use {instead} instead"));
    }
    let (kind, headless) = (text(&spec["type"]), spec["clusterIP"] == "None");
    let external = list(&spec["externalIPs"]);
    if !headless {
        for (index, address_at) in list(&spec["clusterIPs"]).iter().enumerate() {
            warnings.extend(address(&format!("spec.clusterIPs[{index}]"), address_at));
        }
    }
    let headless = headless && kind == "ClusterIP";
    let mut say = |warning: String| warnings.push(warning);
    if headless {
        if !text(&spec["loadBalancerIP"]).is_empty() {
            say("spec.loadBalancerIP is ignored for headless services".into());
        }
        if !external.is_empty() {
            say("spec.externalIPs is ignored for headless services".into());
        }
        if text(&spec["sessionAffinity"]) != "None" {
            say("spec.SessionAffinity is ignored for headless services".into());
        }
    }
    for (index, address_at) in external.iter().enumerate() {
        address(&format!("spec.externalIPs[{index}]"), address_at).into_iter().for_each(&mut say);
    }
    if !external.is_empty() && !headless && kind != "ExternalName" {
        say("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    address("spec.loadBalancerIP", &spec["loadBalancerIP"]).into_iter().for_each(&mut say);
    for (index, range) in list(&spec["loadBalancerSourceRanges"]).iter().enumerate() {
        block(&format!("spec.loadBalancerSourceRanges[{index}]"), range).for_each(&mut say);
    }
    if kind == "ExternalName" && !external.is_empty() {
        say("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if kind != "ExternalName" && !text(&spec["externalName"]).is_empty() {
        say("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if spec["trafficDistribution"] == "PreferClose" {
        say("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
    warnings
}

pub(super) fn service_status(service: &Value) -> Vec<String> {
    let points = list(&service["status"]["loadBalancer"]["ingress"]).iter().enumerate();
    points
        .filter_map(|(index, point)| address(&format!("status.loadBalancer.ingress[{index}]"), &point["ip"]))
        .collect()
}

/// Endpoints that a controller makes are nobody's to write otherwise.
pub(super) fn endpoints(endpoints: &Value) -> Vec<String> {
    if endpoints["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (index, subset) in list(&endpoints["subsets"]).iter().enumerate() {
        for field in ["addresses", "notReadyAddresses"] {
            for (at, entry) in list(&subset[field]).iter().enumerate() {
                warnings.extend(address(&format!("subsets[{index}].{field}[{at}].ip"), &entry["ip"]));
            }
        }
    }
    warnings
}

pub(super) fn node(node: &Value) -> Vec<String> {
    let spec = &node["spec"];
    let mut warnings = Vec::new();
    if spec["configSource"].is_object() {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if !text(&spec["externalID"]).is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    for (index, range) in list(&spec["podCIDRs"]).iter().enumerate() {
        warnings.extend(block(&format!("spec.podCIDRs[{index}]"), range));
    }
    warnings
}

/// Who may ask for more than may be used may not use what is asked for.
pub(super) fn quota(quota: &Value) -> Vec<String> {
    let hard = &quota["spec"]["hard"];
    let amount =
        |name: &str| text(&hard[name]).parse::<Quantity>().ok().map(|amount| (name.to_owned(), amount));
    let mut warnings = Vec::new();
    for name in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let short = || amount(name).filter(|_| matches!(name, "cpu" | "memory"));
        let request = amount(&format!("requests.{name}")).or_else(short);
        if let (Some((asked, request)), Some((allowed, limit))) = (request, amount(&format!("limits.{name}")))
            && request > limit
        {
            warnings
                .push(format!("ResourceQuota {asked} ({request}) should be less than {allowed} ({limit})"));
        }
    }
    warnings
}

pub(super) fn service_account(account: &Value, old: Option<&Value>) -> Vec<String> {
    const KEY: &str = "kubernetes.io/enforce-mountable-secrets";
    let annotated = |account: &Value| account["metadata"]["annotations"].get(KEY).is_some();
    if !annotated(account) || old.is_some_and(annotated) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{KEY}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted \
         secrets"
    )]
}
