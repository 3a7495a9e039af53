//! Who answers for a service: its Endpoints say so, or where nobody writes these, its EndpointSlices.
//!
//! Source: `ResourceLocation` of `k8s.io/kubernetes/pkg/registry/core/service/storage` (1.36). Kubernetes reads
//! Endpoints alone, and has a controller that mirrors slices in them.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{EndpointSubset, Endpoints, ObjectReference, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube_core::GroupVersionResource;

use super::place::{decoded, may_go, view};
use crate::api::selector::LabelSelector;
use crate::api::{Status, status};
use crate::client::{ListOptions, Request, Response, Target};
use crate::server::ApiServer;
use crate::server::connect::pod::own_identity;

/// The label by which slices are a service's.
const OF_SERVICE: &str = "kubernetes.io/service-name";

/// Addresses that are ready, and the ports that each of them has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Subset {
    addresses: Vec<(String, Option<ObjectReference>)>,
    ports: Vec<(String, u16)>,
}

impl From<EndpointSubset> for Subset {
    fn from(subset: EndpointSubset) -> Self {
        let addresses = subset.addresses.into_iter().flatten().map(|one| (one.ip, one.target_ref));
        let ports = subset.ports.into_iter().flatten();
        let ports = ports.filter_map(|port| Some((port.name.unwrap_or_default(), number(Some(port.port))?)));
        Self { addresses: addresses.collect(), ports: ports.collect() }
    }
}

impl From<EndpointSlice> for Subset {
    fn from(slice: EndpointSlice) -> Self {
        let ready = slice.endpoints.into_iter().flatten().filter(|one| {
            let ready = one.conditions.as_ref().and_then(|conditions| conditions.ready);
            ready.unwrap_or(true)
        });
        let addresses = ready.filter_map(|one| Some((one.addresses.into_iter().next()?, one.target_ref)));
        let ports = slice.ports.into_iter().flatten();
        let ports = ports.filter_map(|port| Some((port.name.unwrap_or_default(), number(port.port)?)));
        Self { addresses: addresses.collect(), ports: ports.collect() }
    }
}

fn number(port: Option<i32>) -> Option<u16> {
    u16::try_from(port?).ok()
}

/// Whoever is said to answer for a service, ready or not.
///
/// # Errors
///
/// That the service has no Endpoints, and no slices either; that these name nobody.
pub(super) async fn of(server: &ApiServer, namespace: &str, service: &str) -> Result<Vec<Subset>, Status> {
    let target = |resource: GroupVersionResource, name: Option<&str>| Target {
        resource,
        namespace: Some(namespace.to_owned()),
        name: name.map(str::to_owned),
        subresource: None,
    };
    let endpoints = target(GroupVersionResource::gvr("", "v1", "endpoints"), Some(service));
    let subsets: Vec<Subset> = match view::<Endpoints>(server, endpoints).await {
        Ok(endpoints) => endpoints.subsets.into_iter().flatten().map(Subset::from).collect(),
        Err(missing) if missing.code == 404 => {
            let all = target(GroupVersionResource::gvr("discovery.k8s.io", "v1", "endpointslices"), None);
            let slices = slices(server, all, service).await?;
            if slices.is_empty() {
                return Err(missing);
            }
            let named = slices
                .into_iter()
                .filter(|slice| slice.endpoints.as_ref().is_some_and(|all| !all.is_empty()));
            named.map(Subset::from).collect()
        }
        Err(other) => return Err(other),
    };
    if subsets.is_empty() {
        return Err(nobody(service));
    }
    Ok(subsets)
}

async fn slices(server: &ApiServer, target: Target, service: &str) -> Result<Vec<EndpointSlice>, Status> {
    let labels = LabelSelector::of_labels(&[(OF_SERVICE.to_owned(), service.to_owned())].into());
    let options = ListOptions { labels, ..ListOptions::default() };
    match server.handle(&own_identity(), Request::List { target, options }).await?.response {
        Response::List(list) => list.items.iter().map(decoded).collect(),
        _ => Err(status::internal("a list was not answered with a list")),
    }
}

/// One of those that answer at a port, by chance, and the node that it is on: only what is a pod's of the same
/// namespace, so that whoever may write endpoints sends the server nowhere else.
pub(super) async fn pick(
    server: &ApiServer,
    namespace: &str,
    subsets: &[Subset],
    port: &str,
) -> Option<(SocketAddr, String)> {
    for subset in turned(server, subsets) {
        for (_, port) in subset.ports.iter().filter(|(name, _)| name == port) {
            for (address, target) in turned(server, &subset.addresses) {
                let Some(target) = target else { continue };
                if let Some((address, node)) = pod_at(server, namespace, address, target).await {
                    return Some((SocketAddr::new(address, *port), node));
                }
            }
        }
    }
    None
}

/// All of a list, from a place in it that chance has chosen.
fn turned<'a, T>(server: &ApiServer, list: &'a [T]) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let start = if list.is_empty() { 0 } else { server.any_below(list.len()) };
    list.iter().cycle().skip(start).take(list.len())
}

/// The address and the node of a pod, if it is the pod's address.
async fn pod_at(
    server: &ApiServer,
    namespace: &str,
    address: &str,
    target: &ObjectReference,
) -> Option<(std::net::IpAddr, String)> {
    let name = target.name.clone().filter(|_| target.namespace.as_deref() == Some(namespace))?;
    let pod = Target {
        resource: GroupVersionResource::gvr("", "v1", "pods"),
        namespace: Some(namespace.to_owned()),
        name: Some(name),
        subresource: None,
    };
    let pod = view::<Pod>(server, pod).await.ok()?;
    let ips = pod.status.and_then(|status| status.pod_ips).unwrap_or_default();
    if !ips.iter().any(|ip| ip.ip == address) {
        return None;
    }
    let address = may_go(server, Some(address)).ok()?;
    Some((address, pod.spec.and_then(|spec| spec.node_name).unwrap_or_default()))
}

/// 503: nobody answers for this, a service or one of its ports.
pub(super) fn nobody(asked: &str) -> Status {
    status::unavailable(format!("no endpoints available for service {asked:?}"))
}
