//! How endpoints are laid out in slices, with as few writes as may be. Pure.
//!
//! A slice holds at most 100 endpoints, all of one address type and with the same ports. What is
//! there already stays where it is: first every slice keeps those of its endpoints that are still
//! wanted, then what is missing fills the slices that change anyway, then one that has room for all
//! of it, and at last new slices (`k8s.io/endpointslice`, `reconcileByPortMapping`, 1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::claims;
use super::endpoints::{Desired, Ports};

/// The most endpoints in a slice.
const MAX_ENDPOINTS: usize = 100;

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    Create(EndpointSlice),
    Update(EndpointSlice),
    Delete(Arc<EndpointSlice>),
}

/// What brings `slices`, which are those of the Service, to what is desired.
pub(super) fn plan(service: &Service, desired: Desired, slices: &[Arc<EndpointSlice>]) -> Vec<Write> {
    let mut made = Vec::new();
    let mut updated = Vec::new();
    let mut gone = Vec::new();
    let mut left: Vec<Arc<EndpointSlice>> =
        slices.iter().filter(|slice| slice.metadata.deletion_timestamp.is_none()).cloned().collect();
    for (kind, mut by_ports) in desired {
        if by_ports.is_empty() {
            // A Service without endpoints says so by an empty slice.
            by_ports.insert(Ports::new([]), Vec::new());
        }
        for (ports, endpoints) in by_ports {
            let (own, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|slice| {
                slice.address_type == kind && Ports::new(slice.ports.iter().flatten()) == ports
            });
            left = others;
            let layout = lay_out(service, kind, &ports, endpoints, own);
            made.extend(layout.made);
            updated.extend(layout.updated);
            gone.extend(layout.gone);
        }
    }
    gone.extend(left);
    reuse(&mut made, &mut updated, &mut gone);
    let deletions = gone.into_iter().map(Write::Delete);
    deletions
        .chain(made.into_iter().map(Write::Create))
        .chain(updated.into_iter().map(Write::Update))
        .collect()
}

/// A slice that goes and one that comes are one that changes, where their type allows it.
fn reuse(
    made: &mut Vec<EndpointSlice>,
    updated: &mut Vec<EndpointSlice>,
    gone: &mut Vec<Arc<EndpointSlice>>,
) {
    let mut kept = Vec::new();
    for slice in made.drain(..) {
        match gone.iter().position(|old| old.address_type == slice.address_type) {
            Some(at) => {
                let old = gone.remove(at);
                let mut metadata = old.metadata.clone();
                metadata.labels = slice.metadata.labels;
                updated.push(EndpointSlice { metadata, ..slice });
            }
            None => kept.push(slice),
        }
    }
    *made = kept;
}

struct Layout {
    made: Vec<EndpointSlice>,
    updated: Vec<EndpointSlice>,
    gone: Vec<Arc<EndpointSlice>>,
}

struct Slot {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
    changed: bool,
}

fn lay_out(
    service: &Service,
    kind: &str,
    ports: &Ports,
    endpoints: Vec<Endpoint>,
    slices: Vec<Arc<EndpointSlice>>,
) -> Layout {
    let placeholder = endpoints.is_empty();
    let order: Vec<_> = endpoints.iter().map(identity).collect();
    let mut missing: BTreeMap<_, _> =
        endpoints.into_iter().map(|endpoint| (identity(&endpoint), endpoint)).collect();
    let labels = labels(service);
    let mut slots: Vec<Slot> = slices
        .into_iter()
        .map(|slice| {
            let old = slice.endpoints.clone().unwrap_or_default();
            // An endpoint is kept with its new state, once.
            let kept: Vec<Endpoint> =
                old.iter().filter_map(|endpoint| missing.remove(&identity(endpoint))).collect();
            let changed =
                kept != old || slice.metadata.labels.as_ref() != Some(&labels) || !is_owned(service, &slice);
            Slot { slice, endpoints: kept, changed }
        })
        .collect();
    let mut rest: Vec<Endpoint> = order.iter().filter_map(|id| missing.remove(id)).collect();
    for slot in slots.iter_mut().filter(|slot| slot.changed) {
        slot.fill(&mut rest);
    }
    if !rest.is_empty() && rest.len() < MAX_ENDPOINTS {
        // The fullest that has room for all.
        let room = slots.iter_mut().filter(|slot| slot.endpoints.len() + rest.len() <= MAX_ENDPOINTS);
        if let Some(slot) = room.max_by_key(|slot| slot.endpoints.len()) {
            slot.fill(&mut rest);
        }
    }
    let mut layout = Layout { made: Vec::new(), updated: Vec::new(), gone: Vec::new() };
    let mut kept = 0;
    for slot in slots {
        if slot.endpoints.is_empty() && !(placeholder && kept == 0) {
            layout.gone.push(slot.slice);
            continue;
        }
        kept += 1;
        if slot.changed {
            let mut metadata = slot.slice.metadata.clone();
            metadata.labels = Some(labels.clone());
            metadata.owner_references = Some(vec![claims::controller_ref(service)]);
            layout.updated.push(slice(metadata, kind, ports, slot.endpoints));
        }
    }
    while !rest.is_empty() || (placeholder && kept == 0) {
        let more = rest.split_off(rest.len().min(MAX_ENDPOINTS));
        let metadata = ObjectMeta {
            generate_name: Some(format!("{}-", service.metadata.name.as_deref().unwrap_or_default())),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels.clone()),
            owner_references: Some(vec![claims::controller_ref(service)]),
            ..ObjectMeta::default()
        };
        layout.made.push(slice(metadata, kind, ports, std::mem::replace(&mut rest, more)));
        kept += 1;
    }
    layout
}

impl Slot {
    fn fill(&mut self, rest: &mut Vec<Endpoint>) {
        let room = (MAX_ENDPOINTS - self.endpoints.len().min(MAX_ENDPOINTS)).min(rest.len());
        self.changed |= room > 0;
        self.endpoints.extend(rest.drain(..room));
    }
}

fn slice(metadata: ObjectMeta, kind: &str, ports: &Ports, endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        metadata,
        address_type: kind.to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.to_ports()),
    }
}

/// What makes an endpoint the same one in another state.
fn identity(endpoint: &Endpoint) -> (String, Vec<String>) {
    let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()).unwrap_or_default();
    (uid, endpoint.addresses.clone())
}

fn is_owned(service: &Service, slice: &EndpointSlice) -> bool {
    let owner = claims::controller_of(&slice.metadata);
    owner.is_some_and(|owner| Some(&owner.uid) == service.metadata.uid.as_ref())
}

/// The Service's own labels and those by which slices are found.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None") {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels.insert(SERVICE_NAME.into(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels
}
