//! What a node has, and what of it is in use.
//!
//! Source: `NodeInfo`, `Resource` and `PodInfo` of `pkg/scheduler/framework/types.go` (1.36).

use k8s_openapi::api::core::v1::Pod;

use super::layout::Place;
use super::requests::{Amounts, Counts, Reckoning, asks_as_a_whole, count, least, pod_requests, read};
use crate::api::names;

/// What a node has to give. How many pods is under `pods`.
pub(super) fn allocatable(place: &Place<'_>) -> Counts {
    let status = place.node.status.as_ref();
    counts(&read(status.and_then(|status| status.allocatable.as_ref())), true)
}

/// What the pods on a node ask for together.
pub(super) fn requested(place: &Place<'_>) -> Counts {
    let how = Reckoning { by_status: true, pod_level: true, ..Reckoning::default() };
    let mut total = Counts::new();
    for pod in &place.pods {
        for (name, amount) in counts(&pod_requests(pod, &how), false) {
            *total.entry(name).or_default() += amount;
        }
    }
    total
}

/// What the pods on a node are taken to use of CPU and memory, be it that they ask for nothing.
pub(super) fn assumed(place: &Place<'_>) -> Counts {
    let mut total = Counts::new();
    for pod in &place.pods {
        let amounts = assumed_of(pod);
        for name in ["cpu", "memory"] {
            let amount = count(name, amounts.get(name).copied().unwrap_or_default());
            *total.entry(name.to_owned()).or_default() += amount;
        }
    }
    total
}

/// A pod that asks for CPU or memory as a whole, or whose containers do, is not taken to use more.
///
/// Source: `CalculateResource` and `getNonMissingContainerRequests`.
fn assumed_of(pod: &Pod) -> Amounts {
    let mut how = Reckoning { by_status: true, pod_level: true, ..Reckoning::default() };
    let asked = pod_requests(pod, &how);
    how.least = least();
    if asks_as_a_whole(pod) {
        how.least.retain(|name, _| !asked.contains_key(name));
    }
    pod_requests(pod, &how)
}

/// What is counted of some amounts: CPU, memory, local disk, scalar resources, and of a node pods.
pub(super) fn counts(amounts: &Amounts, pods: bool) -> Counts {
    let counted = |name: &str| match name {
        "cpu" | "memory" | "ephemeral-storage" => true,
        "pods" => pods,
        other => is_scalar(other),
    };
    let known = amounts.iter().filter(|(name, _)| counted(name));
    known.map(|(name, amount)| (name.clone(), count(name, *amount))).collect()
}

/// Whether a resource is counted in whole numbers: an extended one, huge pages, one of Kubernetes' own
/// with a prefix, or volumes that can be attached.
///
/// Source: `IsScalarResourceName` of `pkg/scheduler/util/utils.go` (1.36).
pub(super) fn is_scalar(name: &str) -> bool {
    is_extended(name)
        || name.starts_with("hugepages-")
        || is_prefixed_native(name)
        || name.starts_with("attachable-volumes-")
}

/// Whether a resource is one that a cluster's own devices or drivers give.
///
/// Source: `IsExtendedResourceName` of `pkg/apis/core/v1/helper/helpers.go` (1.36).
pub(super) fn is_extended(name: &str) -> bool {
    let native = !name.contains('/') || is_prefixed_native(name);
    !native && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_prefixed_native(name: &str) -> bool {
    name.contains("kubernetes.io/")
}
