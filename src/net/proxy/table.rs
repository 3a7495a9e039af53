//! What a service's addresses stand for: Services and EndpointSlices become rules. Pure.
//!
//! Source of the choices: kube-proxy (`pkg/proxy/topology.go`, `pkg/proxy/endpointslicecache.go`,
//! v1.36). Ready endpoints are used; where there is none, those that terminate but still serve; a
//! condition that is not given counts as ready, serving, and not terminating.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// How long a client stays with its endpoint where the service does not say: three hours.
const DEFAULT_AFFINITY: Duration = Duration::from_secs(10_800);

/// The label that names the service of a slice.
#[cfg(any(feature = "process", feature = "server"))]
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that gives a service to another proxy.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// The label that makes a service headless for proxies.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What answers at one address and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The name of the service's port; empty where it has none.
    pub port: String,
    /// How long a client stays with the endpoint that it was given; not at all where none is given.
    pub affinity: Option<Duration>,
    /// Where new connections go, in ascending order.
    pub endpoints: Vec<SocketAddr>,
}

/// Where a proxy stands.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The node whose traffic it carries; `None` when it is that of all nodes. Only with a node
    /// does `internalTrafficPolicy: Local` mean anything.
    pub node: Option<String>,
    /// The addresses that answer node ports, each with its node's name.
    pub nodes: Vec<(String, IpAddr)>,
}

/// The rules of one service, by the address that clients connect to. Only TCP.
#[must_use]
pub fn rules(
    service: &Service,
    slices: &[impl AsRef<EndpointSlice>],
    place: &Place,
) -> BTreeMap<SocketAddr, Rule> {
    let mut rules = BTreeMap::new();
    let Some(spec) = service.spec.as_ref().filter(|_| is_ours(service)) else { return rules };
    let affinity = affinity(spec);
    for port in spec.ports.iter().flatten().filter(|port| is_tcp(port.protocol.as_deref())) {
        let endpoints = endpoints_of(port, slices);
        let rule = |family: &IpAddr, node: Option<&str>| Rule {
            port: port.name.clone().unwrap_or_default(),
            affinity,
            endpoints: usable(&endpoints, family, node),
        };
        if let Ok(number) = u16::try_from(port.port) {
            let local = spec.internal_traffic_policy.as_deref() == Some("Local");
            let node = place.node.as_deref().filter(|_| local);
            for address in cluster_addresses(spec) {
                rules.insert(SocketAddr::new(address, number), rule(&address, node));
            }
        }
        if let Some(Ok(number @ 1..)) = port.node_port.map(u16::try_from) {
            let local = spec.external_traffic_policy.as_deref() == Some("Local");
            for (node, address) in &place.nodes {
                let node = Some(node.as_str()).filter(|_| local);
                rules.insert(SocketAddr::new(*address, number), rule(address, node));
            }
        }
    }
    rules
}

fn is_ours(service: &Service) -> bool {
    let labels = service.metadata.labels.as_ref();
    !labels.is_some_and(|labels| labels.contains_key(PROXY_NAME) || labels.contains_key(HEADLESS))
}

fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("" | "TCP"))
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
        let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
        let seconds = config.and_then(|client_ip| client_ip.timeout_seconds);
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_AFFINITY, Duration::from_secs)
    })
}

/// None for a headless service, nor for one that is a name only.
fn cluster_addresses(spec: &ServiceSpec) -> BTreeSet<IpAddr> {
    if spec.type_.as_deref() == Some("ExternalName") {
        return BTreeSet::new();
    }
    spec.cluster_ips
        .iter()
        .flatten()
        .chain(&spec.cluster_ip)
        .filter_map(|address| address.parse().ok())
        .collect()
}

/// How an endpoint is, and on which node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    ready: bool,
    serving_and_terminating: bool,
    node: Option<String>,
}

fn condition(endpoint: &Endpoint) -> Condition {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    Condition {
        ready: conditions.ready.unwrap_or(true),
        serving_and_terminating: conditions.serving.unwrap_or(true)
            && conditions.terminating.unwrap_or(false),
        node: endpoint.node_name.clone(),
    }
}

/// Every endpoint of a service's port. One that moves from slice to slice may stand in two for a
/// while; then it is ready only where both say so.
fn endpoints_of(port: &ServicePort, slices: &[impl AsRef<EndpointSlice>]) -> BTreeMap<SocketAddr, Condition> {
    let name = port.name.as_deref().unwrap_or_default();
    let mut endpoints = BTreeMap::<_, Condition>::new();
    for slice in slices.iter().map(AsRef::as_ref) {
        let ports = slice.ports.iter().flatten();
        let numbers = ports
            .filter(|port| {
                port.name.as_deref().unwrap_or_default() == name && is_tcp(port.protocol.as_deref())
            })
            .filter_map(|port| u16::try_from(port.port?).ok());
        for number in numbers {
            for endpoint in slice.endpoints.iter().flatten() {
                let condition = condition(endpoint);
                for address in endpoint.addresses.iter().filter_map(|address| address.parse().ok()) {
                    endpoints
                        .entry(SocketAddr::new(address, number))
                        .and_modify(|known| {
                            known.ready &= condition.ready;
                            known.serving_and_terminating |= condition.serving_and_terminating;
                        })
                        .or_insert_with(|| condition.clone());
                }
            }
        }
    }
    endpoints
}

/// Where connections to an address of this family go; only to a node's own endpoints where one is
/// named.
fn usable(
    endpoints: &BTreeMap<SocketAddr, Condition>,
    family: &IpAddr,
    node: Option<&str>,
) -> Vec<SocketAddr> {
    let those = |wanted: fn(&Condition) -> bool| -> Vec<_> {
        let reachable = endpoints.iter().filter(|(address, condition)| {
            address.is_ipv4() == family.is_ipv4()
                && node.is_none_or(|node| condition.node.as_deref() == Some(node))
        });
        reachable.filter(|(_, condition)| wanted(condition)).map(|(address, _)| *address).collect()
    };
    let ready = those(|condition| condition.ready);
    if ready.is_empty() { those(|condition| condition.serving_and_terminating) } else { ready }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: serde_json::Value) -> Service {
        serde_json::from_value(json!({ "metadata": { "name": "web", "namespace": "default" }, "spec": spec }))
            .unwrap()
    }

    /// `address`, `address!` (not ready), `address~` (terminating, still serving), `address@node`.
    fn slice(port: i32, endpoints: &[&str]) -> Box<EndpointSlice> {
        let endpoint = |text: &&str| {
            let (rest, node) = text.split_once('@').map_or((*text, None), |(rest, node)| (rest, Some(node)));
            let conditions = match rest.chars().last() {
                Some('!') => json!({ "ready": false, "serving": false, "terminating": false }),
                Some('~') => json!({ "ready": false, "serving": true, "terminating": true }),
                _ => json!({}),
            };
            json!({ "addresses": [rest.trim_end_matches(['!', '~'])], "conditions": conditions, "nodeName": node })
        };
        let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
        serde_json::from_value(json!({
            "metadata": { "name": "web-1" }, "addressType": "IPv4",
            "ports": [{ "name": "http", "protocol": "TCP", "port": port }],
            "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn spec() -> serde_json::Value {
        json!({ "clusterIP": "10.0.0.1", "ports": [{ "name": "http", "port": 80 }] })
    }

    /// Where connections to an address go.
    fn goes(rules: &BTreeMap<SocketAddr, Rule>, address: &str) -> Vec<String> {
        let rule =
            rules.get(&address.parse().unwrap()).unwrap_or_else(|| panic!("no {address} in {rules:?}"));
        rule.endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ready_endpoints_then_terminating_ones_that_serve_then_none() {
        for (endpoints, expected) in [
            (&["10.1.0.1", "10.1.0.2", "10.1.0.3!"][..], &["10.1.0.1:8080", "10.1.0.2:8080"][..]),
            (&["10.1.0.1", "10.1.0.2~"], &["10.1.0.1:8080"]),
            (&["10.1.0.1!", "10.1.0.2~"], &["10.1.0.2:8080"]),
            (&["10.1.0.1!"], &[]),
            (&[], &[]),
            (&["fd00::1", "not an address"], &[]),
        ] {
            let rules = rules(&service(spec()), &[slice(8080, endpoints)], &Place::default());
            assert_eq!(goes(&rules, "10.0.0.1:80"), expected, "{endpoints:?}");
        }
    }

    #[test]
    fn an_endpoint_in_two_slices_stands_once_and_is_ready_only_where_both_say_so() {
        let slices = [slice(8080, &["10.1.0.1", "10.1.0.2"]), slice(8080, &["10.1.0.1", "10.1.0.2~"])];
        let rules = rules(&service(spec()), &slices, &Place::default());
        assert_eq!(goes(&rules, "10.0.0.1:80"), ["10.1.0.1:8080"]);
    }

    #[test]
    fn services_without_a_stable_address_or_of_another_proxy_have_no_rules() {
        let with_label = |label: &str| {
            let mut service = service(spec());
            service.metadata.labels = Some([(label.to_owned(), "x".to_owned())].into());
            service
        };
        for service in [
            service(json!({ "clusterIP": "None", "ports": [{ "name": "http", "port": 80 }] })),
            service(json!({ "type": "ExternalName", "externalName": "example.org", "clusterIP": "10.0.0.1",
                "ports": [{ "name": "http", "port": 80 }] })),
            service(
                json!({ "clusterIP": "10.0.0.1", "ports": [{ "name": "http", "port": 53, "protocol": "UDP" }] }),
            ),
            service(json!({ "clusterIP": "10.0.0.1" })),
            with_label(PROXY_NAME),
            with_label(HEADLESS),
            Service::default(),
        ] {
            assert_eq!(rules(&service, &[slice(1, &["10.1.0.1"])], &Place::default()), BTreeMap::new());
        }
    }

    #[test]
    fn ports_are_matched_by_name() {
        let two = json!({ "clusterIP": "10.0.0.1",
            "ports": [{ "name": "http", "port": 80 }, { "name": "metrics", "port": 9090 }] });
        let rules = rules(&service(two), &[slice(8080, &["10.1.0.1"])], &Place::default());
        assert_eq!(goes(&rules, "10.0.0.1:80"), ["10.1.0.1:8080"]);
        assert_eq!(goes(&rules, "10.0.0.1:9090"), [""; 0]);
    }

    #[test]
    fn node_ports_answer_on_every_node_and_local_policies_keep_to_the_node() {
        let place = Place {
            node: Some("one".into()),
            nodes: vec![
                ("one".into(), "10.2.0.1".parse().unwrap()),
                ("two".into(), "10.2.0.2".parse().unwrap()),
            ],
        };
        let endpoints = [slice(8080, &["10.1.0.1@one", "10.1.0.2@two"])];
        let mut spec = spec();
        spec["ports"][0]["nodePort"] = json!(30080);
        let everywhere = rules(&service(spec.clone()), &endpoints, &place);
        for address in ["10.0.0.1:80", "10.2.0.1:30080", "10.2.0.2:30080"] {
            assert_eq!(goes(&everywhere, address), ["10.1.0.1:8080", "10.1.0.2:8080"], "{address}");
        }
        spec["internalTrafficPolicy"] = json!("Local");
        spec["externalTrafficPolicy"] = json!("Local");
        let local = rules(&service(spec), &endpoints, &place);
        assert_eq!(goes(&local, "10.0.0.1:80"), ["10.1.0.1:8080"]);
        assert_eq!(goes(&local, "10.2.0.1:30080"), ["10.1.0.1:8080"]);
        assert_eq!(goes(&local, "10.2.0.2:30080"), ["10.1.0.2:8080"]);
    }

    #[test]
    fn affinity_and_both_families() {
        let spec = json!({ "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::10"],
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 60 } },
            "ports": [{ "name": "http", "port": 80 }] });
        let rules = rules(&service(spec), &[slice(8080, &["10.1.0.1", "fd00::1"])], &Place::default());
        assert_eq!(goes(&rules, "10.0.0.1:80"), ["10.1.0.1:8080"]);
        assert_eq!(goes(&rules, "[fd00::10]:80"), ["[fd00::1]:8080"]);
        assert!(rules.values().all(|rule| rule.affinity == Some(Duration::from_secs(60))));
    }
}
