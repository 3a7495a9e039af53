//! Waits until the volumes of a pod are bound, or it is plain that they will not be.
//!
//! Whoever binds volumes and makes them is somewhere else. So the pod, its claims and their volumes are followed, each
//! by an informer of its own that ends with the wait, and looked at as a whole whenever one of them changes.
//!
//! Source: `BindPodVolumes` and `checkBindings` of `pkg/scheduler/framework/plugins/volumebinding/binder.go` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSINode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::Notify;

use super::assumed::Plan;
use super::needs::{is_bound, reach_on};
use super::supply::SELECTED;
use crate::api::ObjectKey;
use crate::api::selector::FieldSelector;
use crate::client::{Api, Client, Error, Informer, Typed};
use crate::env::Env;
use crate::sched::volumes::{key_of, volume_name};
use crate::sched::{BindError, Binding};

/// Waits for at most `limit` until all that was planned for a pod has happened.
///
/// # Errors
///
/// When it has not, or cannot happen any more: the pod must be decided anew.
///
/// # Cancel safety
///
/// Dropping the wait ends it; nothing is written here.
pub(super) async fn wait(plan: &Plan, binding: &Binding, limit: Duration) -> Result<(), BindError> {
    let settled = binding.env.clock.timeout(limit, settle(plan, binding)).await;
    let settled = settled.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()));
    settled.map_err(|error| BindError::Rejected(format!("binding volumes: {error}")))
}

async fn settle(plan: &Plan, binding: &Binding) -> Result<(), String> {
    let name = &*binding.node;
    let node = Api::<Node>::all(binding.client.clone()).get(name).await;
    let csi_node = Api::<CSINode>::all(binding.client.clone()).get_opt(name).await;
    let place = Place {
        node: node.map_err(|error| format!("failed to get node {name:?}: {error}"))?,
        csi_node: csi_node.map_err(|error: Error| format!("failed to get the CSINode {name:?}: {error}"))?,
    };
    let mut view = View::of(binding);
    view.pods.follow(&view.around, binding.pod.key.clone()).await;
    for (volume, claim) in &plan.bindings {
        view.volumes.follow(&view.around, key_of(&volume.object.metadata)).await;
        view.claims.follow(&view.around, claim.clone()).await;
    }
    for claim in &plan.provisions {
        view.claims.follow(&view.around, key_of(&claim.object.metadata)).await;
    }
    loop {
        // A claim that waits names its volume only when that has been made.
        for step in &plan.provisions {
            let claim = view.claims.get(&key_of(&step.object.metadata));
            if let Some(name) = claim.as_deref().map(volume_name).filter(|name| !name.is_empty()) {
                view.volumes.follow(&view.around, ObjectKey::new("", name)).await;
            }
        }
        if view.is_settled(plan, binding, &place)? {
            return Ok(());
        }
        view.around.moved.notified().await;
    }
}

/// The node that the pod goes to.
struct Place {
    node: Node,
    csi_node: Option<CSINode>,
}

/// With what things are followed.
struct Around {
    client: Arc<dyn Client>,
    env: Env,
    /// That something has changed since it was last looked at.
    moved: Arc<Notify>,
}

impl Drop for Around {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

/// Single objects of a kind that are followed.
struct Followed<K>(BTreeMap<ObjectKey, Informer<K>>);

/// All that the wait looks at.
struct View {
    around: Around,
    pods: Followed<Pod>,
    volumes: Followed<PersistentVolume>,
    claims: Followed<PersistentVolumeClaim>,
}

impl<K> Followed<K>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    /// Follows an object, and waits until it is known.
    async fn follow(&mut self, around: &Around, key: ObjectKey) {
        if self.0.contains_key(&key) {
            return;
        }
        let moved = around.moved.clone();
        let informer = Informer::<K>::builder(around.client.clone())
            .namespace(key.namespace.clone())
            .fields(FieldSelector::equals("metadata.name", key.name.clone()))
            .on_change(move |_| moved.notify_one())
            .start(&around.env);
        informer.synced().await;
        self.0.insert(key, informer);
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.0.get(key)?.get(key)
    }
}

impl View {
    fn of(binding: &Binding) -> Self {
        let moved = Arc::new(Notify::new());
        Self {
            around: Around { client: binding.client.clone(), env: binding.env.child(), moved },
            pods: Followed(BTreeMap::new()),
            volumes: Followed(BTreeMap::new()),
            claims: Followed(BTreeMap::new()),
        }
    }

    /// Whether everything has happened.
    ///
    /// # Errors
    ///
    /// What keeps it from ever happening.
    fn is_settled(&self, plan: &Plan, binding: &Binding, place: &Place) -> Result<bool, String> {
        let pod = &binding.pod;
        if self.pods.get(&pod.key).and_then(|own| own.metadata.uid.clone()).as_ref() != Some(&pod.uid) {
            return Err(format!("pod does not exist any more: pod {:?} not found", pod.key.name));
        }
        for (step, claim) in &plan.bindings {
            let key = key_of(&step.object.metadata);
            let absent = |kind, name| format!("failed to check binding: {kind} {name:?} not found");
            let volume = self.volumes.get(&key).ok_or_else(|| absent("persistentvolumes", &key.name))?;
            let claim_name = format!("{}/{}", claim.namespace, claim.name);
            let claim = self.claims.get(claim);
            let claim = claim.ok_or_else(|| absent("persistentvolumeclaims", &claim_name))?;
            if is_older(&*volume, &*step.object) {
                return Ok(false);
            }
            place.must_reach(&volume)?;
            let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            if reference.and_then(|reference| reference.uid.as_deref()).unwrap_or_default().is_empty() {
                return Err(format!("ClaimRef got reset for pv {:?}", key.name));
            }
            if !is_bound(&claim) {
                return Ok(false);
            }
        }
        for step in &plan.provisions {
            if !self.is_made(&step.object, place)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a volume was made for a claim, and is bound to it.
    fn is_made(&self, written: &PersistentVolumeClaim, place: &Place) -> Result<bool, String> {
        let key = key_of(&written.metadata);
        let Some(claim) = self.claims.get(&key) else {
            let name = format!("{}/{}", key.namespace, key.name);
            return Err(format!(
                "failed to check provisioning pvc: persistentvolumeclaims {name:?} not found"
            ));
        };
        if is_older(&*claim, written) {
            return Ok(false);
        }
        let Some(notes) = claim.metadata.annotations.as_ref().filter(|notes| !notes.is_empty()) else {
            return Err(format!("selectedNode annotation reset for PVC {:?}", key.name));
        };
        // Who cannot make a volume for the node takes the annotation back.
        if notes.get(SELECTED) != place.node.metadata.name.as_ref() {
            return Err(format!("provisioning failed for PVC {:?}", key.name));
        }
        let volume = volume_name(&claim);
        if !volume.is_empty() {
            // It may be known later than its claim.
            let Some(volume) = self.volumes.get(&ObjectKey::new("", volume)) else { return Ok(false) };
            place.must_reach(&volume)?;
        }
        Ok(is_bound(&claim))
    }
}

impl Place {
    fn must_reach(&self, volume: &PersistentVolume) -> Result<(), String> {
        let none = BTreeMap::new();
        let labels = self.node.metadata.labels.as_ref().unwrap_or(&none);
        if reach_on(volume, self.csi_node.as_ref())?.has(labels) {
            return Ok(());
        }
        let name = |meta: &ObjectMeta| meta.name.clone().unwrap_or_default();
        Err(format!(
            "pv {:?} node affinity doesn't match node {:?}: no matching NodeSelectorTerms",
            name(&volume.metadata),
            name(&self.node.metadata)
        ))
    }
}

/// Whether what is seen is from before what was written.
fn is_older<K: Metadata<Ty = ObjectMeta>>(seen: &K, written: &K) -> bool {
    let version = |object: &K| object.metadata().resource_version.as_ref()?.parse::<u64>().ok();
    version(seen) < version(written)
}
