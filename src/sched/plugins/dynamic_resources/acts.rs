//! What is written apart from a pod's way to its node: claims that are given up.
//!
//! Decisions wait for nobody, so what they ask for goes through a queue to a task of its own. What fails is left: the
//! pod for which it was is tried again, and then it is asked for again.

use std::sync::Arc;

use k8s_openapi::api::resource::v1::{ResourceClaim, ResourceClaimStatus};
use serde_json::json;
use tokio::sync::mpsc;

use super::claims::{name, shown, uid};
use crate::api::Resource;
use crate::client::{Api, Client, ClientExt, DeleteOptions, Error, Patch, PatchType, Target, WriteOptions};
use crate::env::{Clock, Env};

/// The finalizer of claims that have devices.
pub(super) const FINALIZER: &str = "resource.kubernetes.io/delete-protection";

/// How often what met a conflict is tried.
pub(super) const TRIES: usize = 5;
/// How long to wait before it is tried again.
pub(super) const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Something to be written.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Nobody needs the devices of a claim: it is to have none.
    Deallocate(Arc<ResourceClaim>),
    /// A claim is not kept for a pod any more.
    Unreserve {
        /// Which.
        claim: Arc<ResourceClaim>,
        /// The pod's uid.
        pod: String,
    },
    /// A claim that the scheduler made is not needed.
    Delete(Arc<ResourceClaim>),
}

/// Through what a plugin that runs acts.
#[derive(Clone, Debug)]
pub(super) struct Acts {
    queue: mpsc::UnboundedSender<Act>,
    pub(super) clock: Clock,
}

impl Acts {
    pub(super) fn new(client: Arc<dyn Client>, env: &Env) -> Self {
        let (queue, mut waiting) = mpsc::unbounded_channel::<Act>();
        let clock = env.clock.clone();
        let own = clock.clone();
        env.tasks.spawn("resource-claims", async move {
            while let Some(act) = waiting.recv().await {
                match perform(&client, &own, &act).await {
                    // It is gone, or another by now.
                    Ok(()) | Err(Error::NotFound(_) | Error::Conflict(_)) => {}
                    Err(error) => tracing::warn!(%error, ?act, "could not give up a claim"),
                }
            }
        });
        Self { queue, clock }
    }

    /// Has it written, some time.
    pub(super) fn ask(&self, act: Act) {
        // A scheduler that has ended writes nothing more.
        let _ = self.queue.send(act);
    }
}

/// The claims of a claim's namespace.
pub(super) fn api(client: &Arc<dyn Client>, claim: &ResourceClaim) -> Api<ResourceClaim> {
    Api::namespaced(client.clone(), claim.metadata.namespace.as_deref().unwrap_or_default())
}

async fn perform(client: &Arc<dyn Client>, clock: &Clock, act: &Act) -> Result<(), Error> {
    match act {
        Act::Deallocate(claim) => {
            let mut claim = ResourceClaim::clone(claim);
            claim.status = Some(ResourceClaimStatus::default());
            api(client, &claim).update_status(&claim).await.map(drop)
        }
        Act::Unreserve { claim, pod } => {
            // One entry is taken away, whatever else has become of the claim.
            let target = Target::all(&Resource::of::<ResourceClaim>())
                .namespace(claim.metadata.namespace.clone().unwrap_or_default())
                .name(name(claim))
                .subresource("status");
            let gone = json!([{"$patch": "delete", "uid": pod}]);
            let patch = json!({"metadata": {"uid": uid(claim)}, "status": {"reservedFor": gone}});
            let patch =
                Patch { kind: PatchType::StrategicMerge, body: patch.to_string().into(), force: false };
            client.patch(target, patch, WriteOptions::default()).await.map(drop)
        }
        Act::Delete(claim) => delete(client, clock, claim).await,
    }
}

/// Deletes a claim, which nothing may hold up.
async fn delete(client: &Arc<dyn Client>, clock: &Clock, claim: &ResourceClaim) -> Result<(), Error> {
    let claims = api(client, claim);
    let mut claim = claim.clone();
    for tries in 1.. {
        claim.metadata.finalizers.iter_mut().for_each(|own| own.retain(|own| own != FINALIZER));
        match claims.update(&claim).await {
            Ok(_) => break,
            Err(Error::Conflict(_)) if tries < TRIES => {
                clock.sleep(PAUSE).await;
                claim = claims.get(name(&claim)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    tracing::debug!(claim = shown(&claim), "deleting a claim for extended resources");
    claims.delete(name(&claim), DeleteOptions::default()).await.map(drop)
}
