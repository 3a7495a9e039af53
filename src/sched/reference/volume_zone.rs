//! VolumeZone: a pod goes where its volumes are, for all that their labels say.
//!
//! Source: `pkg/scheduler/framework/plugins/volumezone/volume_zone.go` (1.36).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, PersistentVolume};

use super::claims::{
    claim, claim_not_found, class, class_of_claim, volume_name, volumes, waits_for_consumer,
};
use super::verdict::{Attempt, Before, Verdict};
use super::world::{Named, find};

const LABELS: [&str; 4] = [
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
];

/// A label, and which values of it will do.
type Place = (&'static str, BTreeSet<String>);

pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    match places(attempt) {
        Err(reason) => Before::for_good(reason),
        Ok(places) if places.is_empty() => Before::Skip,
        Ok(_) => Before::Run,
    }
}

/// A node without any of the labels is in a cluster of one zone, and will do.
pub(super) fn filter(attempt: &Attempt<'_, '_>, node: &Node) -> Verdict {
    let places = match places(attempt) {
        Ok(places) => places,
        Err(reason) => return Verdict::for_good(reason),
    };
    if LABELS.iter().all(|label| node.label(label).is_none()) {
        return Verdict::Fit;
    }
    let there = |(label, values): &Place| {
        let newer = match *label {
            "failure-domain.beta.kubernetes.io/zone" => "topology.kubernetes.io/zone",
            "failure-domain.beta.kubernetes.io/region" => "topology.kubernetes.io/region",
            label => label,
        };
        node.label(label).or_else(|| node.label(newer)).is_some_and(|value| values.contains(value))
    };
    if places.iter().all(there) {
        Verdict::Fit
    } else {
        Verdict::for_good("node(s) had no available volume zone")
    }
}

/// Where the volumes of the pod's claims are. Those that are still to be made are anywhere.
///
/// # Errors
///
/// Why the pod has to wait, where a claim has no volume that could be looked at.
fn places(attempt: &Attempt<'_, '_>) -> Result<Vec<Place>, String> {
    let world = attempt.world;
    let mut places = Vec::new();
    for source in volumes(attempt.pod).iter().filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
        if source.claim_name.is_empty() {
            return Err("PersistentVolumeClaim had no name".into());
        }
        let claim = claim(world, attempt.pod, &source.claim_name)
            .ok_or_else(|| claim_not_found(&source.claim_name))?;
        let name = volume_name(claim);
        if name.is_empty() {
            let name = class_of_claim(claim);
            if name.is_empty() {
                return Err("PersistentVolumeClaim had no pv name and storageClass name".into());
            }
            let class = class(world, name)
                .ok_or_else(|| format!("storageclass.storage.k8s.io {name:?} not found"))?;
            if waits_for_consumer(class)? {
                continue;
            }
            return Err("PersistentVolume had no name".into());
        }
        let volume: &PersistentVolume = find(&world.persistent_volumes, name)
            .ok_or_else(|| format!("persistentvolume {name:?} not found"))?;
        for label in LABELS {
            places.extend(volume.label(label).and_then(values).map(|values| (label, values)));
        }
    }
    Ok(places)
}

/// The values that a volume's label lists. A label with an empty one says nothing.
fn values(text: &str) -> Option<BTreeSet<String>> {
    let values: BTreeSet<_> = text.split("__").map(|value| value.trim().to_owned()).collect();
    (!values.contains("")).then_some(values)
}
