//! What was decided of volumes and claims and is not to be seen in the cluster yet.
//!
//! An assumed object counts in the place of the one that it was made of, and of no other: as soon as the cluster
//! shows a newer one, that counts. So nothing has to be told when a write has been seen.
//!
//! Source: `passive_assume_cache.go` and `AssumePodVolumes` of `pkg/scheduler/framework/plugins/volumebinding` (1.36).

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::needs::Found;
use super::supply::SELECTED;
use crate::api::ObjectKey;
use crate::env::HashMap;
use crate::sched::volumes::key_of;
use crate::sched::{Catalog, Catalogued};

/// That the scheduler, and not the volume's owner, bound a volume to its claim.
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Assumed objects of a kind.
#[derive(Debug)]
pub(super) struct Assumed<K>(HashMap<ObjectKey, Arc<K>>);

impl<K> Default for Assumed<K> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

/// The books of the plugin.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) volumes: Assumed<PersistentVolume>,
    pub(super) claims: Assumed<PersistentVolumeClaim>,
    /// By uid of the pod: what is to be written for it.
    plans: HashMap<String, Plan>,
    /// So many assumed objects may there be before those that do not count any more are looked for.
    room: usize,
}

/// What is to be written before a pod is bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Volumes, each with the claim that it is kept for now.
    pub(super) bindings: Vec<(Step<PersistentVolume>, ObjectKey)>,
    /// Claims that a node is selected for now.
    pub(super) provisions: Vec<Step<PersistentVolumeClaim>>,
}

/// An object that is to be written, or was.
#[derive(Clone, Debug)]
pub(super) struct Step<K> {
    /// As it is to be, or as it was answered.
    pub(super) object: Arc<K>,
    pub(super) written: bool,
}

impl<K: Metadata<Ty = ObjectMeta>> Assumed<K> {
    /// What counts in the place of an object of the catalog.
    pub(super) fn current<'a>(&'a self, stored: &'a Arc<K>) -> &'a Arc<K> {
        if self.0.is_empty() {
            return stored;
        }
        let version = &stored.metadata().resource_version;
        let assumed = self.0.get(&key_of(stored.metadata()));
        assumed.filter(|assumed| assumed.metadata().resource_version == *version).unwrap_or(stored)
    }

    fn assume(&mut self, object: Arc<K>) {
        self.0.insert(key_of(object.metadata()), object);
    }

    /// Takes back what was assumed, unless somebody assumed something newer.
    fn restore(&mut self, object: &K) {
        let key = key_of(object.metadata());
        let version = &object.metadata().resource_version;
        if self.0.get(&key).is_some_and(|assumed| assumed.metadata().resource_version == *version) {
            self.0.remove(&key);
        }
    }
}

impl<K: Catalogued> Assumed<K> {
    /// Forgets what does not count any more.
    fn tidy(&mut self, catalog: &Catalog) {
        self.0.retain(|key, assumed| {
            let stored = catalog.get::<K>(&key.namespace, &key.name);
            let version = &assumed.metadata().resource_version;
            stored.is_some_and(|stored| stored.metadata().resource_version == *version)
        });
    }
}

impl<K> Step<K> {
    fn of(object: Arc<K>) -> Self {
        Self { object, written: false }
    }
}

impl State {
    /// Assumes what was found for a pod on a node.
    pub(super) fn assume(&mut self, uid: &str, node: &str, found: &Found<'_>, catalog: &Catalog) {
        let assumed = self.volumes.0.len() + self.claims.0.len();
        if assumed >= self.room {
            self.volumes.tidy(catalog);
            self.claims.tidy(catalog);
            self.room = 64 + 2 * (self.volumes.0.len() + self.claims.0.len());
        }
        let mut plan = Plan::default();
        for (volume, claim) in &found.bindings {
            let volume = bound_to(volume, claim);
            self.volumes.assume(volume.clone());
            plan.bindings.push((Step::of(volume), key_of(&claim.metadata)));
        }
        for claim in &found.provisions {
            let mut claim = (**claim).as_ref().clone();
            let notes = claim.metadata.annotations.get_or_insert_default();
            notes.insert(SELECTED.to_owned(), node.to_owned());
            let claim = Arc::new(claim);
            self.claims.assume(claim.clone());
            plan.provisions.push(Step::of(claim));
        }
        self.plans.insert(uid.to_owned(), plan);
    }

    /// A pod was not bound: what was assumed for it and is not written yet counts no more.
    pub(super) fn revert(&mut self, uid: &str) {
        let Some(plan) = self.plans.remove(uid) else { return };
        for (step, _) in plan.bindings.iter().filter(|(step, _)| !step.written) {
            self.volumes.restore(&step.object);
        }
        for step in plan.provisions.iter().filter(|step| !step.written) {
            self.claims.restore(&step.object);
        }
    }

    /// What is to be written for a pod, if anything.
    pub(super) fn plan(&self, uid: &str) -> Option<&Plan> {
        self.plans.get(uid)
    }

    /// The same, to note what was written.
    pub(super) fn plan_mut(&mut self, uid: &str) -> Option<&mut Plan> {
        self.plans.get_mut(uid)
    }

    /// A pod was bound: there is nothing left to do for it.
    pub(super) fn finish(&mut self, uid: &str) {
        self.plans.remove(uid);
    }
}

/// A volume that is kept for a claim.
///
/// Source: `GetBindVolumeToClaim` of `k8s.io/component-helpers/storage/volume/pv_helpers.go` (1.36).
fn bound_to(volume: &Arc<PersistentVolume>, claim: &PersistentVolumeClaim) -> Arc<PersistentVolume> {
    let meta = &claim.metadata;
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let own = |reference: &&ObjectReference| {
        reference.name == meta.name && reference.namespace == meta.namespace && reference.uid == meta.uid
    };
    if reference.filter(own).is_some() {
        return volume.clone();
    }
    let mut new = (**volume).clone();
    if reference.is_none() {
        let notes = new.metadata.annotations.get_or_insert_default();
        notes.entry(BOUND_BY_CONTROLLER.to_owned()).or_insert_with(|| "yes".to_owned());
    }
    new.spec.get_or_insert_default().claim_ref = Some(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    });
    Arc::new(new)
}
