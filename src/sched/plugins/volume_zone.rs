//! VolumeZone: a pod goes where its volumes are, for all that their labels say.
//!
//! Source: `pkg/scheduler/framework/plugins/volumezone/volume_zone.go` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::sched::volumes::{class_of_claim, not_found, volume_name, volumes, waits_for_consumer};
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, ObjectEvent, ObjectKind, Plugin,
    PodInfo, PreFilter, PreFiltered, Snapshot, Verdict,
};

/// Filters by the zones and regions that volumes are labelled with.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeZone;

/// The labels that count, each with the one that has taken its place.
const LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// A label of nodes, the one to read where that is missing, and the values that will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    label: &'static str,
    newer: &'static str,
    values: BTreeSet<String>,
}

/// Where the volumes of a pod are.
#[derive(Debug)]
struct Places(BTreeSet<Place>);

impl Place {
    /// Where a volume is. A label with an empty value in its list says nothing.
    ///
    /// Source: `LabelZonesToSet` of `k8s.io/cloud-provider/volume/helpers/zones.go` (1.36).
    fn of(volume: &PersistentVolume) -> impl Iterator<Item = Self> {
        let labels = volume.metadata.labels.as_ref();
        LABELS.into_iter().filter_map(move |(label, newer)| {
            let listed = labels?.get(label)?;
            let values: BTreeSet<_> = listed.split("__").map(|value| value.trim().to_owned()).collect();
            (!values.contains("")).then_some(Self { label, newer, values })
        })
    }

    fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(self.label).or_else(|| labels.get(self.newer));
        value.is_some_and(|value| self.values.contains(value))
    }
}

fn claims(pod: &PodInfo) -> impl Iterator<Item = &str> {
    let sources = volumes(pod).iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    sources.map(|source| source.claim_name.as_str())
}

/// Where the volumes of a pod's claims are. Those that are still to be made are anywhere.
///
/// # Errors
///
/// Why the pod must wait, where a claim has no volume that could be looked at.
fn places(pod: &PodInfo, snapshot: &Snapshot) -> Result<BTreeSet<Place>, String> {
    let catalog = snapshot.catalog();
    let mut places = BTreeSet::new();
    for name in claims(pod) {
        if name.is_empty() {
            return Err("PersistentVolumeClaim had no name".to_owned());
        }
        let claim = catalog.get::<PersistentVolumeClaim>(&pod.key.namespace, name);
        let claim = claim.ok_or_else(|| not_found(name))?;
        let name = volume_name(claim);
        if !name.is_empty() {
            let volume = catalog.get::<PersistentVolume>("", name);
            places.extend(Place::of(volume.ok_or_else(|| format!("persistentvolume {name:?} not found"))?));
            continue;
        }
        let name = class_of_claim(claim);
        if name.is_empty() {
            return Err("PersistentVolumeClaim had no pv name and storageClass name".to_owned());
        }
        let class = catalog.get::<StorageClass>("", name);
        if !waits_for_consumer(
            class.ok_or_else(|| format!("storageclass.storage.k8s.io {name:?} not found"))?,
        )? {
            return Err("PersistentVolume had no name".to_owned());
        }
    }
    Ok(places)
}

impl VolumeZone {
    fn object_helps(event: &ObjectEvent<'_>, pod: &PodInfo) -> bool {
        if let Some((None, Some(new))) = event.as_kind::<StorageClass>() {
            return new.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
        }
        if let Some((_, Some(new))) = event.as_kind::<PersistentVolumeClaim>() {
            return new.metadata.namespace.as_ref() == Some(&pod.key.namespace)
                && claims(pod).any(|claim| new.metadata.name.as_deref() == Some(claim));
        }
        if let Some((old, Some(new))) = event.as_kind::<PersistentVolume>() {
            return old.is_none_or(|old| !Place::of(old).eq(Place::of(new)));
        }
        false
    }
}

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn wakes_on(&self) -> EventKinds {
        let objects = self.looks_up().iter().map(|kind| EventKinds::object(*kind));
        objects.fold(EventKinds::NODE_ADDED | EventKinds::NODE_LABELS, EventKinds::or)
    }

    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::NodeUpdated { what, .. } => what.labels,
            ClusterEvent::Object(event) => Self::object_helps(event, pod),
            _ => false,
        }
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[ObjectKind::PersistentVolume, ObjectKind::PersistentVolumeClaim, ObjectKind::StorageClass]
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_filter(&self) -> Option<&dyn PreFilter> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl PreFilter for VolumeZone {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        cycle.forget::<Places>();
        match places(cycle.pod, cycle.snapshot) {
            Err(reason) => PreFiltered::Reject(Verdict::unresolvable(reason)),
            Ok(places) if places.is_empty() => PreFiltered::Skip,
            Ok(places) => {
                cycle.note(Places(places));
                PreFiltered::Run
            }
        }
    }
}

impl Filter for VolumeZone {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let Some(Places(places)) = cycle.noted() else { return Verdict::Fits };
        let labels = cycle.snapshot.labels(node);
        // A node without any of the labels is in a cluster of one zone.
        let anywhere = LABELS.iter().all(|(label, _)| !labels.contains_key(*label));
        Verdict::fits_or(anywhere || places.iter().all(|place| place.has(labels)), || {
            Verdict::unresolvable("node(s) had no available volume zone")
        })
    }
}

// It counts no pods, and does not say so: asked before NodeVolumeLimits, it would hide a node that cannot be told there,
// and that is an error of the whole attempt.
impl Classed for VolumeZone {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        match places(pod, snapshot) {
            Ok(places) => {
                key.number(places.len() as i64);
                places.iter().for_each(|place| key.shown(place));
            }
            Err(reason) => {
                key.number(-1);
                key.text(&reason);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::sched::testing::pod;
    use crate::sched::{Catalogued, ObjectEvent};

    fn helps<K: Catalogued>(old: Option<Value>, new: Option<Value>) -> bool {
        let read = |tree: Value| -> Arc<K> { Arc::new(serde_json::from_value(tree).unwrap()) };
        let (old, new) = (old.map(read), new.map(read));
        let volumes = json!([{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "e", "ephemeral": {}}]);
        let pod = Snapshot::new().read(pod("p").set("volumes", volumes).make());
        let event = ClusterEvent::Object(ObjectEvent::of(old.as_deref(), new.as_deref()));
        VolumeZone.helps(&event, &pod, &Snapshot::new())
    }

    #[test]
    fn what_helps_is_a_volume_elsewhere_and_a_claim_that_gets_one() {
        let volume = |zones: &str| {
            Some(json!({"metadata": {"name": "v", "labels": {"topology.kubernetes.io/zone": zones}}}))
        };
        for (old, new, expected) in [
            (None, volume("a"), true),
            (volume("a"), volume("b"), true),
            (volume("a__b"), volume("b__a"), false),
            (volume("a"), None, false),
        ] {
            assert_eq!(helps::<PersistentVolume>(old, new), expected);
        }
        let claim = |name: &str| Some(json!({"metadata": {"name": name, "namespace": "ns"}}));
        assert!(helps::<PersistentVolumeClaim>(None, claim("c")));
        assert!(helps::<PersistentVolumeClaim>(claim("c"), claim("c")));
        assert!(!helps::<PersistentVolumeClaim>(claim("c"), None));
        assert!(!helps::<PersistentVolumeClaim>(None, claim("p-e")));
        let class = |mode: &str| {
            Some(json!({"metadata": {"name": "s"}, "provisioner": "x", "volumeBindingMode": mode}))
        };
        assert!(helps::<StorageClass>(None, class("WaitForFirstConsumer")));
        assert!(!helps::<StorageClass>(None, class("Immediate")));
        assert!(!helps::<StorageClass>(class("WaitForFirstConsumer"), class("WaitForFirstConsumer")));
    }
}
