//! Which endpoints a Service has: from its pods. Pure.
//!
//! Rules as Kubernetes 1.36 (`k8s.io/endpointslice`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::pods;

/// Endpoints by address type, and in it by the ports that they answer.
pub(super) type Desired = BTreeMap<&'static str, BTreeMap<Ports, Vec<Endpoint>>>;

/// Ports in a form that compares; pods of one Service may have a port name stand for different
/// numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ports(Vec<PortFields>);

/// Name, protocol, number, application protocol.
type PortFields = (Option<String>, Option<String>, Option<i32>, Option<String>);

impl Ports {
    pub(super) fn new<'a>(ports: impl IntoIterator<Item = &'a EndpointPort>) -> Self {
        let mut ports: Vec<_> = ports
            .into_iter()
            .map(|port| (port.name.clone(), port.protocol.clone(), port.port, port.app_protocol.clone()))
            .collect();
        // An absent name and an empty one are the same.
        for (name, ..) in &mut ports {
            name.get_or_insert_default();
        }
        ports.sort();
        Self(ports)
    }

    pub(super) fn to_ports(&self) -> Vec<EndpointPort> {
        let ports = self.0.iter().cloned();
        ports
            .map(|(name, protocol, port, app_protocol)| EndpointPort { name, protocol, port, app_protocol })
            .collect()
    }
}

/// The address types of a Service.
pub(super) fn address_types(service: &Service) -> Vec<&'static str> {
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.clone()).unwrap_or_default();
    let known = families.iter().filter_map(|family| match family.as_str() {
        "IPv4" => Some("IPv4"),
        "IPv6" => Some("IPv6"),
        _ => None,
    });
    let types: Vec<_> = known.collect();
    if types.is_empty() { vec!["IPv4"] } else { types }
}

/// The endpoints that a Service should have.
pub(super) fn desired(
    service: &Service,
    pods: &[Arc<Pod>],
    node: impl Fn(&str) -> Option<Arc<Node>>,
) -> Desired {
    let mut desired: Desired =
        address_types(service).into_iter().map(|kind| (kind, BTreeMap::new())).collect();
    for pod in pods.iter().filter(|pod| !pods::is_terminal(pod)) {
        let ports = ports(service, pod);
        for (kind, by_ports) in &mut desired {
            let addresses = addresses(pod, kind);
            if !addresses.is_empty() {
                let node = node(pods::node(pod));
                let endpoint = endpoint(service, pod, addresses, node.as_deref());
                by_ports.entry(ports.clone()).or_default().push(endpoint);
            }
        }
    }
    desired
}

fn addresses(pod: &Pod, kind: &str) -> Vec<String> {
    let Some(status) = &pod.status else { return Vec::new() };
    let listed = status.pod_ips.iter().flatten().map(|address| address.ip.as_str());
    let mut all: Vec<&str> = listed.collect();
    if all.is_empty() {
        all.extend(status.pod_ip.as_deref());
    }
    let of_kind = |text: &&str| match text.parse::<IpAddr>() {
        Ok(address) => address.is_ipv4() == (kind == "IPv4"),
        Err(_) => false,
    };
    all.into_iter().filter(of_kind).map(str::to_owned).collect()
}

fn endpoint(service: &Service, pod: &Pod, addresses: Vec<String>, node: Option<&Node>) -> Endpoint {
    let spec = service.spec.as_ref();
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let serving = pods::is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let name = pods::node(pod);
    let zone =
        node.and_then(|node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned());
    Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            // Traffic may go to what is not ready where the Service says so, else never to what stops.
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(service, pod),
        node_name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone,
        ..Endpoint::default()
    }
}

/// A pod has a name of its own below a Service that is its subdomain.
fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let below = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
    spec.hostname.clone().filter(|hostname| below && !hostname.is_empty())
}

/// The Service's ports as this pod answers them; those that it has not are left out.
fn ports(service: &Service, pod: &Pod) -> Ports {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let found: Vec<EndpointPort> = ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                protocol: Some(protocol(port.protocol.as_deref())),
                port: Some(target_port(port, pod)?),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    Ports::new(&found)
}

fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            // Init containers that are restarted run beside the others.
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
            let ports =
                spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
            let mut named = ports.filter(|own| {
                own.name.as_ref() == Some(name)
                    && protocol(own.protocol.as_deref()) == protocol(port.protocol.as_deref())
            });
            named.next().map(|own| own.container_port)
        }
    }
}

fn protocol(given: Option<&str>) -> String {
    given.unwrap_or("TCP").to_owned()
}
