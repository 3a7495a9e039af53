//! What the scheduler says about pods: the condition that tells why one is not scheduled.
//!
//! Saying must never hold up scheduling, so it goes through a bounded queue to a task of its own. What
//! does not fit is dropped: a pod that still waits is tried again, and then it is said again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tokio::sync::mpsc;

use crate::api::{Resource, conditions};
use crate::client::{Client, ClientExt, Error, Patch, PatchType, Target, WriteOptions};
use crate::env::{Clock, Env};

/// How many conditions may wait to be written.
const QUEUE: usize = 4096;

/// Writes conditions of pods.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    queue: mpsc::Sender<(Arc<Pod>, PodCondition)>,
    clock: Clock,
}

impl Notices {
    pub(super) fn new(client: Arc<dyn Client>, env: &Env) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(Arc<Pod>, PodCondition)>(QUEUE);
        env.tasks.spawn("pod-conditions", async move {
            while let Some((pod, condition)) = waiting.recv().await {
                match write(&client, &pod, &condition).await {
                    // The pod has gone or is another by now: nobody misses the condition.
                    Ok(()) | Err(Error::NotFound(_) | Error::Conflict(_)) => {}
                    Err(error) => tracing::warn!(%error, "could not write the condition of a pod"),
                }
            }
        });
        Self { queue, clock: env.clock.clone() }
    }

    /// Says that a pod is not scheduled, unless it says so already.
    pub(super) fn not_scheduled(&self, pod: &Arc<Pod>, reason: &str, message: &str) {
        let known = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let said = conditions::get(known, "PodScheduled").is_some_and(|own| {
            own.status == "False"
                && own.reason.as_deref() == Some(reason)
                && own.message.as_deref() == Some(message)
        });
        if said {
            return;
        }
        let mut own = known.cloned();
        let condition = PodCondition {
            type_: "PodScheduled".into(),
            status: "False".into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_probe_time: None,
            ..PodCondition::default()
        };
        conditions::set(&mut own, condition, self.clock.now_seconds());
        let condition = conditions::get(own.as_ref(), "PodScheduled").cloned();
        if let Some(condition) = condition
            && self.queue.try_send((pod.clone(), condition)).is_err()
        {
            tracing::debug!("dropped the condition of a pod");
        }
    }
}

async fn write(client: &Arc<dyn Client>, pod: &Pod, condition: &PodCondition) -> Result<(), Error> {
    let meta = &pod.metadata;
    let target = Target::all(&Resource::of::<Pod>())
        .namespace(meta.namespace.clone().unwrap_or_default())
        .name(meta.name.clone().unwrap_or_default())
        .subresource("status");
    let mut condition = json!(condition);
    condition["lastProbeTime"] = json!(None::<Time>);
    // The uid makes sure that a pod of the same name that came later is left alone.
    let patch = json!({"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}});
    let patch = Patch { kind: PatchType::StrategicMerge, body: patch.to_string().into(), force: false };
    client.patch(target, patch, WriteOptions::default()).await.map(drop)
}
