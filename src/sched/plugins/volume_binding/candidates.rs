//! The volumes that are there for a claim.
//!
//! Source: `FindMatchingVolume` of `k8s.io/component-helpers/storage/volume/pv_helpers.go` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::assumed::State;
use super::reach::Reach;
use crate::api::quantity::Quantity;
use crate::api::selector::LabelSelector;
use crate::env::HashMap;
use crate::sched::Snapshot;
use crate::sched::volumes::{class_of_claim, class_of_volume, key_of};

/// Volumes, those first that are taken first.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    all: Vec<Candidate>,
    /// By label and value: those that only nodes with that value have. Each node of many may have some of its own.
    pinned: BTreeMap<String, HashMap<String, Vec<usize>>>,
    /// The others.
    others: Vec<usize>,
}

#[derive(Debug)]
struct Candidate {
    volume: Arc<PersistentVolume>,
    /// Whether it is kept for the claim, which then has it or none.
    kept: bool,
    reach: Reach,
}

/// An amount of storage; one that cannot be read is none.
pub(super) fn storage(amounts: Option<&BTreeMap<String, Text>>) -> Option<Quantity> {
    Quantity::try_from(amounts?.get("storage")?).ok()
}

impl Candidates {
    /// The volumes that would do for a claim on some node: those that are kept for it by name, then the others by size.
    pub(super) fn of(
        claim: &PersistentVolumeClaim,
        size: Quantity,
        snapshot: &Snapshot,
        state: &State,
    ) -> Result<Self, String> {
        let none = PersistentVolumeClaimSpec::default();
        let spec = claim.spec.as_ref().unwrap_or(&none);
        let (key, class) = (key_of(&claim.metadata), class_of_claim(claim));
        let selector = spec.selector.as_ref().map(|selector| LabelSelector::from_k8s(Some(selector)));
        let selector = selector.transpose().map_err(|error| {
            format!(
                "error creating internal label selector for claim: {}/{}: {error}",
                key.namespace, key.name
            )
        })?;
        let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
        let attributes = |class: &Option<String>| class.clone().unwrap_or_default();
        let mut found = Vec::new();
        for stored in snapshot.volumes_for(class, &key) {
            let volume = state.volumes.current(stored);
            let Some(own) = &volume.spec else { continue };
            let kept = own.claim_ref.as_ref().map(|reference| {
                let uid = reference.uid.as_deref().unwrap_or_default();
                reference.name == claim.metadata.name
                    && reference.namespace.as_deref().unwrap_or_default() == key.namespace
                    && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
            });
            let capacity = storage(own.capacity.as_ref()).unwrap_or_default();
            if kept == Some(false)
                || class_of_volume(volume) != class
                || capacity < size
                || mode(&own.volume_mode) != mode(&spec.volume_mode)
                || attributes(&own.volume_attributes_class_name)
                    != attributes(&spec.volume_attributes_class_name)
                || volume.metadata.deletion_timestamp.is_some()
            {
                continue;
            }
            let kept = kept == Some(true);
            let suits = || {
                let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
                let labels = volume.metadata.labels.clone().unwrap_or_default();
                let modes = own.access_modes.as_deref().unwrap_or_default();
                phase == Some("Available")
                    && selector.as_ref().is_none_or(|selector| selector.matches(&labels))
                    && spec.access_modes.iter().flatten().all(|mode| modes.contains(mode))
            };
            if kept || suits() {
                let candidate = Candidate { volume: volume.clone(), kept, reach: Reach::of(volume) };
                found.push(((!kept, if kept { Quantity::default() } else { capacity }), candidate));
            }
        }
        found.sort_by_key(|(turn, _)| *turn);
        Ok(Self::in_order(found.into_iter().map(|(_, candidate)| candidate).collect()))
    }

    /// Puts them where they are found.
    fn in_order(all: Vec<Candidate>) -> Self {
        let mut candidates = Self { all, ..Self::default() };
        for (at, candidate) in candidates.all.iter().enumerate() {
            match candidate.reach.pinned().filter(|_| !candidate.kept) {
                None => candidates.others.push(at),
                Some((label, values)) => {
                    let by_value = candidates.pinned.entry(label.to_owned()).or_default();
                    for value in values {
                        by_value.entry(value.clone()).or_default().push(at);
                    }
                }
            }
        }
        candidates
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first that is free and will do. One that is kept for the claim has its turn first, and then it is that or
    /// none.
    pub(super) fn find(
        &self,
        labels: &BTreeMap<String, String>,
        taken: &[&Arc<PersistentVolume>],
    ) -> Option<&Arc<PersistentVolume>> {
        let turns = |at: &usize| {
            let Candidate { volume, kept, reach } = &self.all[*at];
            (*kept || reach.has(labels)) && !taken.iter().any(|taken| Arc::ptr_eq(taken, volume))
        };
        let pinned = self.pinned.iter().filter_map(|(label, by_value)| by_value.get(labels.get(label)?));
        let first = pinned.chain([&self.others]).filter_map(|list| list.iter().copied().find(turns)).min();
        first.map(|at| &self.all[at]).filter(|one| one.reach.has(labels)).map(|one| &one.volume)
    }
}
