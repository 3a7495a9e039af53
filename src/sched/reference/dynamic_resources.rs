//! DynamicResources: a pod goes where its claims to devices can be met.
//!
//! Not judged, but answered with an error that says so: selectors of devices in CEL, devices that
//! several claims share (`allowMultipleAllocations`), and extended resources that a node has as devices
//! alone. Conditions that drivers set before a pod is bound are not looked at.
//!
//! Source: `pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go` (1.36).

use k8s_openapi::api::core::v1::{Node, Pod, PodResourceClaim};
use k8s_openapi::api::resource::v1::{AllocationResult, DeviceClass, DeviceRequest, ResourceClaim};

use super::device_allocation::{Unmet, allocate};
use super::device_class::backs;
use super::layout::Place;
use super::node_terms::{error_in, selects};
use super::requests::{Reckoning, pod_requests};
use super::resources::{allocatable, counts};
use super::search::{Outcome, Search};
use super::settings::Plugin;
use super::verdict::{Attempt, Before, Scores, Verdict};
use super::world::{Named, World, find, find_in};
use crate::api::owner::is_controlled_by;

const UNAVAILABLE: &str = "resourceclaim not available on the node";

/// Why a pod is kept out of the queue: one of its claims cannot be used.
pub(super) fn waits(world: &World, pod: &Pod) -> Option<String> {
    claims(world, pod).err()
}

/// The claims of a pod. One that turned out not to be needed is none.
///
/// Source: `foreachPodResourceClaim`.
fn claims<'w>(world: &'w World, pod: &Pod) -> Result<Vec<&'w ResourceClaim>, String> {
    let mut claims = Vec::new();
    for wanted in pod.spec.iter().flat_map(|spec| spec.resource_claims.iter().flatten()) {
        let Some((name, made_for_it)) = claim_name(pod, wanted)? else { continue };
        let claim: &ResourceClaim =
            find_in(&world.resource_claims, pod.namespace(), name).ok_or_else(|| {
                format!("could not find ResourceClaim {:?}", format!("{}/{name}", pod.namespace()))
            })?;
        if claim.is_deleting() {
            return Err(format!("resourceclaim {name:?} is being deleted"));
        }
        if made_for_it && !is_controlled_by(&claim.metadata, pod.uid()) {
            let of = key(&claim.metadata.namespace, name);
            let pod = key(&pod.metadata.namespace, pod.name());
            return Err(format!("ResourceClaim {of} was not created for Pod {pod} (Pod is not owner)"));
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn key(namespace: &Option<String>, name: &str) -> String {
    format!("{}/{name}", namespace.as_deref().unwrap_or_default())
}

/// The name of a claim, and whether it is made for the pod.
///
/// Source: `Name` of `k8s.io/dynamic-resource-allocation/resourceclaim` (1.36).
fn claim_name<'a>(pod: &'a Pod, wanted: &'a PodResourceClaim) -> Result<Option<(&'a str, bool)>, String> {
    if let Some(name) = &wanted.resource_claim_name {
        return Ok(Some((name, false)));
    }
    let of = key(&pod.metadata.namespace, pod.name());
    if wanted.resource_claim_template_name.is_none() {
        let name = &wanted.name;
        return Err(format!("pod {of:?}, spec.resourceClaim {name:?}: none of the supported fields are set"));
    }
    let statuses = pod.status.iter().flat_map(|status| status.resource_claim_statuses.iter().flatten());
    match statuses.into_iter().find(|status| status.name == wanted.name) {
        Some(status) => Ok(status.resource_claim_name.as_deref().map(|name| (name, true))),
        None => Err(format!("pod {of:?}: ResourceClaim not created yet")),
    }
}

fn allocation(claim: &ResourceClaim) -> Option<&AllocationResult> {
    claim.status.as_ref()?.allocation.as_ref()
}

pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    let claims = match claims(attempt.world, attempt.pod) {
        Ok(claims) => claims,
        Err(reason) => return Before::for_good(reason),
    };
    if claims.is_empty() && by_class(attempt).is_empty() {
        return Before::Skip;
    }
    for claim in claims {
        match allocation(claim) {
            Some(allocation) => {
                if let Some(error) = allocation.node_selector.as_ref().and_then(error_in) {
                    return Before::Fail(error);
                }
            }
            None => {
                let requests =
                    claim.spec.devices.iter().flat_map(|devices| devices.requests.iter().flatten());
                for request in requests {
                    if let Some(refusal) = unknown(attempt.world, claim, request) {
                        return refusal;
                    }
                }
            }
        }
    }
    Before::Run
}

/// What refuses a request that no class is known for.
///
/// Source: `validateDeviceClass`.
fn unknown(world: &World, claim: &ResourceClaim, request: &DeviceRequest) -> Option<Before> {
    let check = |class: &str, name: &str| {
        if class.is_empty() {
            return Some(Before::Fail(format!("request {name}: unsupported request type")));
        }
        let known: Option<&DeviceClass> = find(&world.device_classes, class);
        match known {
            Some(_) => None,
            None => Some(Before::for_good(format!("request {name}: device class {class} does not exist"))),
        }
    };
    if let Some(exactly) = &request.exactly {
        return check(&exactly.device_class_name, &request.name);
    }
    let alternatives = request.first_available.as_deref().unwrap_or_default();
    if alternatives.is_empty() {
        let (claim, name) = (key(&claim.metadata.namespace, claim.name()), &request.name);
        return Some(Before::for_good(format!(
            "resource claim {claim}, request {name}: unknown request type"
        )));
    }
    alternatives
        .iter()
        .find_map(|one| check(&one.device_class_name, &format!("{}/{}", request.name, one.name)))
}

/// The extended resources that a pod asks for and that devices of a class stand for.
fn by_class(attempt: &Attempt<'_, '_>) -> Vec<String> {
    let how = Reckoning { pod_level: true, ..Reckoning::default() };
    let asked = counts(&pod_requests(attempt.pod, &how), false);
    let backed =
        asked.into_iter().filter(|(name, amount)| *amount != 0 && backs(attempt.world, name).is_some());
    backed.map(|(name, _)| name).collect()
}

pub(super) fn filter(attempt: &Attempt<'_, '_>, place: &Place<'_>) -> Verdict {
    let has = allocatable(place);
    if let Some(name) = by_class(attempt).iter().find(|name| has.get(*name).is_none_or(|amount| *amount == 0))
    {
        return Verdict::Fail(format!("devices in place of the extended resource {name} are not judged"));
    }
    let claims = match claims(attempt.world, attempt.pod) {
        Ok(claims) => claims,
        Err(reason) => return Verdict::for_good(reason),
    };
    if let Err(unmet) = allocate(attempt.world, place.node, &unallocated(&claims)) {
        return match unmet {
            Unmet::Never => Verdict::for_good("cannot allocate all claims"),
            Unmet::Here(reason) => Verdict::for_good(reason),
            Unmet::Broken(error) => Verdict::Fail(error),
        };
    }
    if claims.iter().any(|claim| !is_available(claim, place.node)) {
        return Verdict::for_good(UNAVAILABLE);
    }
    Verdict::Fit
}

fn unallocated<'w>(claims: &[&'w ResourceClaim]) -> Vec<&'w ResourceClaim> {
    claims.iter().copied().filter(|claim| allocation(claim).is_none()).collect()
}

/// Whether the devices of a claim that has them can be used on a node.
fn is_available(claim: &ResourceClaim, node: &Node) -> bool {
    let selector = allocation(claim).and_then(|allocation| allocation.node_selector.as_ref());
    selector.is_none_or(|selector| selects(selector, node))
}

/// What is said after no node was found. Where a claim's devices were in the way they are given back.
///
/// Source: `PostFilter`.
pub(super) fn after(attempt: &Attempt<'_, '_>, search: &Search) -> String {
    let claims = claims(attempt.world, attempt.pod).unwrap_or_default();
    // What it found out before it refused the pod, if it did, it did not keep.
    let refused = matches!(search.outcome, Outcome::Refused(Some(Plugin::DynamicResources), _));
    if refused || (claims.is_empty() && by_class(attempt).is_empty()) {
        return "no new claims to deallocate".into();
    }
    let Outcome::Looked { rejected, .. } = &search.outcome else { return "still not schedulable".into() };
    let in_the_way = |claim: &&ResourceClaim| {
        rejected.iter().any(|(place, (plugin, rejection))| {
            *plugin == Plugin::DynamicResources
                && rejection.reasons == [UNAVAILABLE]
                && !is_available(claim, attempt.start.places[*place].node)
        })
    };
    let unused = |claim: &ResourceClaim| {
        let users =
            claim.status.as_ref().and_then(|status| status.reserved_for.as_deref()).unwrap_or_default();
        match users {
            [] => true,
            [one] => one.uid == attempt.pod.uid(),
            _ => false,
        }
    };
    if claims.iter().filter(|claim| in_the_way(claim)).any(|claim| unused(claim)) {
        "deallocation of ResourceClaim completed".into()
    } else {
        "still not schedulable".into()
    }
}

/// How early in its list the alternative is that a request gets; the earlier the better.
///
/// Source: `Score` and `computeScore`. A pod whose claims all have their devices scores nothing.
pub(super) fn score(attempt: &Attempt<'_, '_>, feasible: &[usize]) -> Scores {
    let claims = claims(attempt.world, attempt.pod).unwrap_or_default();
    let to_allocate = unallocated(&claims);
    let of = |place: &usize| {
        let node = attempt.start.places[*place].node;
        let Ok(mut made) = allocate(attempt.world, node, &to_allocate) else { return 0 };
        if to_allocate.is_empty() {
            return 0;
        }
        made.reverse();
        let worth = claims.iter().map(|claim| {
            let results: Vec<String> = match allocation(claim) {
                Some(allocation) => allocation
                    .devices
                    .iter()
                    .flat_map(|devices| devices.results.iter().flatten())
                    .map(|result| result.request.clone())
                    .collect(),
                None => made.pop().unwrap_or_default(),
            };
            worth(claim, &results)
        });
        worth.sum()
    };
    Scores::proportional(feasible.iter().map(of).collect(), false)
}

/// The most alternatives that a request may have.
const ALTERNATIVES: i64 = 8;

fn worth(claim: &ResourceClaim, results: &[String]) -> i64 {
    let requests = claim.spec.devices.iter().flat_map(|devices| devices.requests.iter().flatten());
    let lists = requests.filter(|request| request.exactly.is_none());
    let alternatives = lists.flat_map(|request| {
        let list = request.first_available.iter().flatten().enumerate();
        list.map(|(index, one)| (index as i64, format!("{}/{}", request.name, one.name)))
    });
    alternatives.filter(|(_, name)| results.contains(name)).map(|(index, _)| ALTERNATIVES - index).sum()
}
