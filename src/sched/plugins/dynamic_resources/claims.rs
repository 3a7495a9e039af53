//! The claims of a pod: which they are, and whether they may be used.
//!
//! Source: `foreachPodResourceClaim` of `dynamicresources.go`, and `resourceclaim.go` of
//! `k8s.io/dynamic-resource-allocation/resourceclaim` (1.36).

use std::sync::Arc;

use k8s_openapi::api::core::v1::PodResourceClaim;
use k8s_openapi::api::resource::v1::{AllocationResult, DeviceRequestAllocationResult, ResourceClaim};

use crate::api::owner::is_controlled_by;
use crate::sched::PodInfo;

/// `namespace/name`.
pub(super) fn shown(claim: &ResourceClaim) -> String {
    let meta = &claim.metadata;
    format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), name(claim))
}

pub(super) fn name(claim: &ResourceClaim) -> &str {
    claim.metadata.name.as_deref().unwrap_or_default()
}

pub(super) fn uid(claim: &ResourceClaim) -> &str {
    claim.metadata.uid.as_deref().unwrap_or_default()
}

/// What the claim has been given.
pub(super) fn allocation(claim: &ResourceClaim) -> Option<&AllocationResult> {
    claim.status.as_ref()?.allocation.as_ref()
}

/// The devices that are given.
pub(super) fn results(allocation: &AllocationResult) -> &[DeviceRequestAllocationResult] {
    let devices = allocation.devices.as_ref();
    devices.and_then(|devices| devices.results.as_deref()).unwrap_or_default()
}

/// Whether a claim is kept for a pod, perhaps among others.
pub(super) fn is_reserved_for(claim: &ResourceClaim, pod: &str) -> bool {
    let users = claim.status.iter().flat_map(|status| status.reserved_for.iter().flatten());
    users.into_iter().any(|user| user.uid == pod)
}

/// What a pod says of its claims.
pub(super) fn wanted(pod: &PodInfo) -> &[PodResourceClaim] {
    pod.spec().and_then(|spec| spec.resource_claims.as_deref()).unwrap_or_default()
}

/// The name of a claim, and whether it was made for the pod. One that turned out not to be needed has none.
fn find<'a>(pod: &'a PodInfo, wanted: &'a PodResourceClaim) -> Result<Option<(&'a str, bool)>, String> {
    if let Some(name) = &wanted.resource_claim_name {
        return Ok(Some((name, false)));
    }
    let of = format!("{}/{}", pod.key.namespace, pod.key.name);
    if wanted.resource_claim_template_name.is_none() {
        let name = &wanted.name;
        return Err(format!("pod {of:?}, spec.resourceClaim {name:?}: none of the supported fields are set"));
    }
    match pod.generated_claims().iter().find(|status| status.name == wanted.name) {
        Some(status) => Ok(status.resource_claim_name.as_deref().map(|name| (name, true))),
        None => Err(format!("pod {of:?}: ResourceClaim not created yet")),
    }
}

/// Whether all claims that are to be made for a pod have been made.
///
/// # Errors
///
/// Which has not.
pub(super) fn are_made(pod: &PodInfo) -> Result<(), String> {
    wanted(pod).iter().try_for_each(|wanted| find(pod, wanted).map(drop))
}

/// The claims of a pod, as `get` finds them by namespace and name.
///
/// # Errors
///
/// Why one of them cannot be used.
pub(super) fn of_pod(
    pod: &PodInfo,
    get: impl Fn(&str, &str) -> Option<Arc<ResourceClaim>>,
) -> Result<Vec<Arc<ResourceClaim>>, String> {
    let namespace = pod.key.namespace.as_str();
    let mut claims = Vec::new();
    for wanted in wanted(pod) {
        let Some((name, made_for_it)) = find(pod, wanted)? else { continue };
        let claim = get(namespace, name)
            .ok_or_else(|| format!("could not find ResourceClaim {:?}", format!("{namespace}/{name}")))?;
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("resourceclaim {name:?} is being deleted"));
        }
        if made_for_it && !is_controlled_by(&claim.metadata, &pod.uid) {
            return Err(format!(
                "ResourceClaim {namespace}/{name} was not created for Pod {namespace}/{} (Pod is not owner)",
                pod.key.name
            ));
        }
        claims.push(claim);
    }
    Ok(claims)
}
