//! What may help a pod that was rejected for its claims.
//!
//! Source: `EventsToRegister`, `isSchedulableAfterClaimChange` and `isSchedulableAfterPodChange` of
//! `dynamicresources.go` (1.36). What is given up without a word to the API may help, too, which kube-scheduler does
//! not say: a pod that has left was perhaps never bound, and a claim that is gone may have had devices to its end.

use std::sync::Arc;

use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim, ResourceSlice};

use super::claims::{allocation, of_pod, uid, wanted};
use super::{DynamicResources, extended};
use crate::sched::{Catalogued, ClusterEvent, NodeChange, ObjectEvent, ObjectKind, PodInfo, Snapshot};

pub(super) fn helps(
    plugin: &DynamicResources,
    event: &ClusterEvent<'_>,
    pod: &PodInfo,
    snapshot: &Snapshot,
) -> bool {
    match event {
        ClusterEvent::NodeAdded(_) => true,
        ClusterEvent::NodeUpdated { what: NodeChange { labels, allocatable, .. }, .. } => {
            *labels || *allocatable
        }
        ClusterEvent::Changed { old, new } => {
            let find = |namespace: &str, name: &str| plugin.books().find(snapshot, namespace, name);
            old.generated_claims() != new.generated_claims() && of_pod(new, find).is_ok()
        }
        ClusterEvent::PodRemoved(gone) => !wanted(gone).is_empty() || extended::concern(gone, snapshot),
        ClusterEvent::Object(object) => match object.kind() {
            ObjectKind::ResourceClaim => match object.as_kind::<ResourceClaim>() {
                Some((old, Some(new))) => claim_helps(plugin, old, new, pod, snapshot),
                Some((Some(gone), None)) => allocation(gone).is_some(),
                _ => false,
            },
            ObjectKind::DeviceClass => came::<DeviceClass>(object),
            ObjectKind::ResourceSlice => came::<ResourceSlice>(object),
            _ => false,
        },
        _ => false,
    }
}

/// Whether an object is there.
fn came<K: Catalogued>(object: &ObjectEvent<'_>) -> bool {
    matches!(object.as_kind::<K>(), Some((_, Some(_))))
}

fn claim_helps(
    plugin: &DynamicResources,
    old: Option<&ResourceClaim>,
    new: &ResourceClaim,
    pod: &PodInfo,
    snapshot: &Snapshot,
) -> bool {
    let books = plugin.books();
    let Ok(claims) = of_pod(pod, |namespace, name| books.find(snapshot, namespace, name)) else {
        return false;
    };
    let Some(old) = old else { return uses(&claims, new) };
    if allocation(old).is_some() && allocation(new).is_none() {
        // What it had, others can have.
        return true;
    }
    uses(&claims, new) && old.status != new.status
}

fn uses(claims: &[Arc<ResourceClaim>], claim: &ResourceClaim) -> bool {
    claims.iter().any(|own| uid(own) == uid(claim))
}
