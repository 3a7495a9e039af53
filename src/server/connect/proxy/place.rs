//! Which connection a proxied request goes over.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use serde::de::DeserializeOwned;

use super::address::{Named, Scheme, allowed};
use super::endpoints;
use crate::api::{Object, Status, status};
use crate::client::Target;
use crate::server::ApiServer;
use crate::server::connect::pod::read;

/// Where a proxied request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The API of a node's agent.
    Agent { node: String },
    /// A port of an address, as from a node.
    Port { node: String, address: SocketAddr, scheme: Scheme },
}

impl Place {
    /// What the backend sees as its host.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Agent { node } => node.clone(),
            Self::Port { address, .. } => address.to_string(),
        }
    }
}

/// Finds where a request for the proxy of `target` goes.
pub(super) async fn find(server: &ApiServer, target: &Target) -> Result<Place, Status> {
    let id = target.name.as_deref().unwrap_or_default();
    let kind = target.resource.resource.as_str();
    let singular = kind.trim_end_matches('s');
    let named =
        Named::parse(id).ok_or_else(|| status::bad_request(format!("invalid {singular} request {id:?}")))?;
    let object = Target { name: Some(named.name.clone()), subresource: None, ..target.clone() };
    match kind {
        "nodes" => node(server, object, named).await,
        "pods" => pod(server, object, named).await,
        "services" => service(server, object, named, id).await,
        _ => Err(status::no_such_resource()),
    }
}

pub(super) fn may_go(server: &ApiServer, address: Option<&str>) -> Result<IpAddr, Status> {
    address
        .and_then(|text| text.parse().ok())
        .filter(|address| allowed(*address, server.allows_loopback_endpoints()))
        .ok_or_else(|| status::bad_request("address not allowed"))
}

/// Source: `ResourceLocation` of `k8s.io/kubernetes/pkg/registry/core/node` (1.36). The agent itself is
/// reached by its node's name through the [`NodeDialer`](crate::client::NodeDialer), never by an address
/// that somebody wrote into an object.
async fn node(server: &ApiServer, target: Target, named: Named) -> Result<Place, Status> {
    let node = view::<Node>(server, target).await?;
    let node_status = node.status.unwrap_or_default();
    let own = node_status.daemon_endpoints.and_then(|endpoints| endpoints.kubelet_endpoint);
    if named.port.is_empty() || own.is_some_and(|own| own.port.to_string() == named.port) {
        return Ok(Place::Agent { node: named.name });
    }
    let addresses = node_status.addresses.unwrap_or_default();
    let of_kind = |kind: &str| addresses.iter().find(|address| address.type_ == kind);
    let address = of_kind("InternalIP").or_else(|| of_kind("ExternalIP"));
    let address = may_go(server, address.map(|address| address.address.as_str()))?;
    let port = number(&named.port)?;
    Ok(Place::Port { node: named.name, address: SocketAddr::new(address, port), scheme: named.scheme })
}

/// Source: `ResourceLocation` of `k8s.io/kubernetes/pkg/registry/core/pod` (1.36).
async fn pod(server: &ApiServer, target: Target, named: Named) -> Result<Place, Status> {
    let pod = view::<Pod>(server, target).await?;
    let spec = pod.spec.unwrap_or_default();
    let ips = pod.status.and_then(|status| status.pod_ips).unwrap_or_default();
    let address = may_go(server, ips.first().map(|ip| ip.ip.as_str()))?;
    let declared = || spec.containers.iter().flat_map(|one| one.ports.iter().flatten()).next();
    let port = match (named.port.as_str(), named.scheme) {
        ("", scheme) => match (declared().and_then(|port| u16::try_from(port.container_port).ok()), scheme) {
            (Some(port), _) => port,
            (None, Scheme::Http) => 80,
            (None, Scheme::Https) => 443,
        },
        (text, _) => number(text)?,
    };
    let node = spec.node_name.unwrap_or_default();
    Ok(Place::Port { node, address: SocketAddr::new(address, port), scheme: named.scheme })
}

/// Source: `ResourceLocation` of `k8s.io/kubernetes/pkg/registry/core/service/storage` (1.36). A service whose
/// port is named, or not said, is not read itself.
async fn service(server: &ApiServer, target: Target, named: Named, id: &str) -> Result<Place, Status> {
    let namespace = target.namespace.clone().unwrap_or_default();
    let mut port = named.port;
    if let Ok(number) = port.parse::<i64>() {
        let service = view::<Service>(server, target).await?;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let declared = ports.into_iter().find(|port| i64::from(port.port) == number).ok_or_else(|| {
            let name = &named.name;
            status::unavailable(format!("no service port {number} found for service {name:?}"))
        })?;
        port = declared.name.unwrap_or_default();
    }
    let subsets = endpoints::of(server, &namespace, &named.name).await?;
    let picked = endpoints::pick(server, &namespace, &subsets, &port).await;
    let (address, node) = picked.ok_or_else(|| endpoints::nobody(id))?;
    Ok(Place::Port { node, address, scheme: named.scheme })
}

fn number(port: &str) -> Result<u16, Status> {
    let number = port.parse::<u16>().ok().filter(|port| *port > 0);
    number.ok_or_else(|| status::unavailable(format!("error trying to reach service: invalid port {port:?}")))
}

pub(super) async fn view<K>(server: &ApiServer, target: Target) -> Result<K, Status>
where
    K: DeserializeOwned + Clone + Send + Sync + 'static,
{
    decoded(&read(server, target).await?)
}

pub(super) fn decoded<K>(object: &Object) -> Result<K, Status>
where
    K: DeserializeOwned + Clone + Send + Sync + 'static,
{
    object.view().map(Arc::unwrap_or_clone).map_err(|error| status::internal(error.to_string()))
}
