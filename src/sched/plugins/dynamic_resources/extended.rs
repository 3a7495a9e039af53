//! Extended resources that devices of a class stand for.
//!
//! A pod asks for an extended resource, and a class says that its devices are it. On a node that has none of the
//! resource itself, the pod gets devices: through a claim that the scheduler makes for it, once it is to be bound.
//!
//! Source: `extendeddynamicresources.go`, and `extendedresourcecache.go` of
//! `k8s.io/dynamic-resource-allocation/deviceclass` (1.36).

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerExtendedResourceRequest, PodSpec};
use k8s_openapi::api::resource::v1::{
    DeviceClaim, DeviceClass, DeviceRequest, ExactDeviceRequest, ResourceClaim, ResourceClaimSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::claims::name;
use crate::api::quantity::Quantity;
use crate::sched::{Catalog, NodeIndex, PodInfo, ResourceId, Snapshot};

/// The annotation of claims that the scheduler made for extended resources.
const ANNOTATION: &str = "resource.kubernetes.io/extended-resource-claim";
/// What stands before the name of a class in the resource that it is by its name alone.
const PREFIX: &str = "deviceclass.resource.kubernetes.io/";
/// The name of a claim that is not made yet. No claim can have it.
const UNMADE: &str = "<extended-resources>";

/// A claim that is to be made, and which of its requests are for which container's resources.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Made {
    pub(super) claim: Arc<ResourceClaim>,
    pub(super) mappings: Vec<ContainerExtendedResourceRequest>,
}

/// Whether a resource is one that a class may stand for.
fn is_extended(resource: &str) -> bool {
    let is_native = !resource.contains('/') || resource.contains("kubernetes.io/");
    resource.starts_with(PREFIX) || !(is_native || resource.starts_with("requests."))
}

/// The class whose devices stand for a resource: the one that the resource names, or that names the resource; of
/// several the newest, and of those the first by name.
pub(in crate::sched::plugins) fn class_of<'a>(
    catalog: &'a Catalog,
    resource: &str,
) -> Option<&'a DeviceClass> {
    if let Some(name) = resource.strip_prefix(PREFIX) {
        return catalog.get::<DeviceClass>("", name).map(AsRef::as_ref);
    }
    let classes = catalog.all::<DeviceClass>().map(AsRef::as_ref);
    classes
        .filter(|class: &&DeviceClass| class.spec.extended_resource_name.as_deref() == Some(resource))
        .min_by_key(|class| {
            let meta = &class.metadata;
            (Reverse(meta.creation_timestamp.as_ref().map(|time| time.0)), meta.name.as_deref())
        })
}

/// The extended resources that a pod asks for.
fn asked<'a>(pod: &'a PodInfo, snapshot: &'a Snapshot) -> impl Iterator<Item = (ResourceId, &'a str)> {
    let named = pod.requests.iter().map(|(id, _)| (*id, snapshot.resources().name(*id)));
    named.filter(|(_, name)| is_extended(name))
}

/// Whether classes stand for any of what a pod asks for.
pub(super) fn concern(pod: &PodInfo, snapshot: &Snapshot) -> bool {
    asked(pod, snapshot).any(|(_, name)| class_of(snapshot.catalog(), name).is_some())
}

/// Whether a claim is one that was made for a pod's extended resources.
pub(super) fn is_made_for(claim: &ResourceClaim, pod: &PodInfo) -> bool {
    let meta = &claim.metadata;
    let says = meta.annotations.as_ref().and_then(|own| own.get(ANNOTATION));
    let owns = |owner: &OwnerReference| {
        owner.name == pod.key.name && owner.controller == Some(true) && owner.uid == pod.uid
    };
    says.is_some_and(|says| says == "true") && meta.owner_references.iter().flatten().any(owns)
}

/// Whether a claim is there as yet only in the scheduler's mind.
pub(super) fn is_unmade(claim: &ResourceClaim) -> bool {
    name(claim) == UNMADE
}

/// A claim for a pod that asks for nothing as yet.
pub(super) fn template(pod: &PodInfo) -> ResourceClaim {
    ResourceClaim {
        metadata: ObjectMeta {
            namespace: Some(pod.key.namespace.clone()),
            name: Some(UNMADE.into()),
            // No claim of the cluster has it.
            uid: Some(format!("{UNMADE}/{}", pod.uid)),
            generate_name: Some(format!("{}-extended-resources-", pod.key.name)),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".into(),
                kind: "Pod".into(),
                name: pod.key.name.clone(),
                uid: pod.uid.clone(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            annotations: Some([(ANNOTATION.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..ResourceClaim::default()
    }
}

/// The claim that a pod needs on a node; nothing where the node has itself what the pod asks for.
///
/// # Errors
///
/// When neither the node nor devices are what the pod asks for.
pub(super) fn on_node(
    pod: &PodInfo,
    snapshot: &Snapshot,
    node: NodeIndex,
    template: &ResourceClaim,
) -> Result<Option<Made>, &'static str> {
    let mut by_devices = Vec::new();
    for (id, resource) in asked(pod, snapshot) {
        let class = class_of(snapshot.catalog(), resource);
        if let Some(class) = class.filter(|_| snapshot.allocatable(id, node) == 0) {
            by_devices.push((resource, class.metadata.name.as_deref().unwrap_or_default()));
        } else if !is_named(snapshot, node, resource) {
            return Err("cannot fit resource");
        }
    }
    if by_devices.is_empty() {
        return Ok(None);
    }
    by_devices.sort_unstable();
    let mut claim = template.clone();
    let (requests, mappings) = requests(pod.spec(), &by_devices);
    let devices = DeviceClaim { requests: Some(requests), ..DeviceClaim::default() };
    claim.spec = ResourceClaimSpec { devices: Some(devices) };
    Ok(Some(Made { claim: Arc::new(claim), mappings }))
}

fn is_named(snapshot: &Snapshot, node: NodeIndex, resource: &str) -> bool {
    let status = snapshot.node(node).status.as_ref();
    let allocatable = status.and_then(|status| status.allocatable.as_ref());
    allocatable.is_some_and(|allocatable| allocatable.contains_key(resource))
}

/// A request, and what it is for.
type Asked = (Option<(String, i64)>, Vec<ContainerExtendedResourceRequest>);

/// The requests for devices of a pod's containers, by name, and which container's resource each is for.
///
/// A container that ends before others start leaves its devices to them; so of those containers only what the one
/// that asks for most lacks is asked for anew.
fn requests(
    spec: Option<&PodSpec>,
    resources: &[(&str, &str)],
) -> (Vec<DeviceRequest>, Vec<ContainerExtendedResourceRequest>) {
    let first = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let containers: Vec<_> = first.iter().chain(spec.into_iter().flat_map(|spec| &spec.containers)).collect();
    let ends = |at: usize| at < first.len() && containers[at].restart_policy.as_deref() != Some("Always");
    let (mut requests, mut mappings) = (Vec::new(), Vec::new());
    for (resource, class) in resources {
        let mut lasting: Vec<Option<(String, i64)>> = vec![None; containers.len()];
        for at in (0..containers.len()).filter(|at| !ends(*at)) {
            let (request, own) = ask(at, containers[at], resource, &[]);
            lasting[at] = request;
            mappings.extend(own);
        }
        let mut most: Option<(String, i64)> = None;
        let (mut names, mut passing) = (Vec::new(), Vec::new());
        for at in (0..containers.len()).filter(|at| ends(*at)) {
            let (request, own) = ask(at, containers[at], resource, &lasting[at..]);
            passing.extend(own);
            if let Some(request) = request {
                names.push(request.0.clone());
                if most.as_ref().is_none_or(|most| most.1 < request.1) {
                    most = Some(request);
                }
            }
        }
        if let Some((name, _)) = &most {
            for mapping in passing.iter_mut().filter(|mapping| names.contains(&mapping.request_name)) {
                mapping.request_name.clone_from(name);
            }
        }
        mappings.extend(passing);
        let all = most.into_iter().chain(lasting.into_iter().flatten());
        requests.extend(all.map(|(name, count)| DeviceRequest {
            name,
            exactly: Some(ExactDeviceRequest {
                device_class_name: (*class).to_owned(),
                allocation_mode: Some("ExactCount".into()),
                count: Some(count),
                ..ExactDeviceRequest::default()
            }),
            first_available: None,
        }));
    }
    requests.sort_by(|one, other| one.name.cmp(&other.name));
    (requests, mappings)
}

/// What a container asks for of a resource that is not among what it may use of others.
fn ask(at: usize, container: &Container, resource: &str, others: &[Option<(String, i64)>]) -> Asked {
    let own = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let Some(amount) = own.and_then(|own| own.get(resource)) else { return (None, Vec::new()) };
    let amount = Quantity::try_from(amount).unwrap_or_default();
    if amount.is_zero() || !amount.is_whole() {
        return (None, Vec::new());
    }
    let amount = amount.value();
    let mapping = |request: &str| ContainerExtendedResourceRequest {
        container_name: container.name.clone(),
        resource_name: resource.to_owned(),
        request_name: request.to_owned(),
    };
    let (mut sum, mut mappings) = (0, Vec::new());
    for (name, count) in others.iter().flatten() {
        sum += count;
        mappings.push(mapping(name));
        if sum >= amount {
            return (None, mappings);
        }
    }
    let place = own.into_iter().flatten().position(|(name, _)| name == resource).unwrap_or(0);
    let name = format!("container-{at}-request-{place}");
    mappings.push(mapping(&name));
    (Some((name, amount - sum)), mappings)
}
