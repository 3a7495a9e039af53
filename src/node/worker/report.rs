//! A pod's status and deletion, told to the server.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::RETRY;
use crate::client::{Api, DeleteOptions, Error};
use crate::node::context::Context;
use crate::node::lifecycle::OWNED;

/// How often a write that met another one is tried again at once.
const CONFLICTS: usize = 5;

/// Stores a status; conditions that others own stay as they are on the server. Answers what was
/// stored, or after how long to try again. An object that is gone, or another of the same name,
/// counts as stored: the watch will tell.
pub(super) async fn write(
    context: Arc<Context>,
    pod: Arc<Pod>,
    status: PodStatus,
) -> Result<Box<PodStatus>, Duration> {
    let api = api(&context, &pod);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    for _ in 0..CONFLICTS {
        let mut fresh = match api.get_opt(name).await {
            Ok(Some(fresh)) if fresh.metadata.uid == pod.metadata.uid => fresh,
            Ok(_) => return Ok(Box::new(status)),
            Err(error) => {
                tracing::debug!(%error, name, "pod status not written");
                return Err(RETRY);
            }
        };
        let there = fresh.status.take().unwrap_or_default();
        let mut next = status.clone();
        let mut conditions: Vec<_> = there.conditions.clone().unwrap_or_default();
        let said = |kind: &str| status.conditions.iter().flatten().any(|one| one.type_ == kind);
        conditions.retain(|one| !OWNED.contains(&one.type_.as_str()) || said(&one.type_));
        for own in status.conditions.iter().flatten().filter(|one| OWNED.contains(&one.type_.as_str())) {
            match conditions.iter_mut().find(|one| one.type_ == own.type_) {
                Some(one) => one.clone_from(own),
                None => conditions.push(own.clone()),
            }
        }
        next.conditions = Some(conditions);
        next.qos_class = there.qos_class.clone();
        next.nominated_node_name = there.nominated_node_name.clone();
        // Nothing follows a terminal phase, whoever said it.
        if matches!(there.phase.as_deref(), Some("Succeeded" | "Failed")) {
            next.phase = there.phase.clone();
        }
        if next == there {
            return Ok(Box::new(status));
        }
        fresh.status = Some(next);
        match api.update_status(&fresh).await {
            Ok(_) | Err(Error::NotFound(_)) => return Ok(Box::new(status)),
            Err(Error::Conflict(_)) => {}
            Err(error) => {
                tracing::debug!(%error, name, "pod status not written");
                return Err(RETRY);
            }
        }
    }
    Err(RETRY)
}

/// Deletes the object for good, if it is still the same; answers whether that is done.
pub(super) async fn delete(context: Arc<Context>, pod: Arc<Pod>) -> bool {
    let mut options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    options.preconditions.uid.clone_from(&pod.metadata.uid);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match api(&context, &pod).delete(name, options).await {
        Ok(_) | Err(Error::NotFound(_) | Error::Conflict(_)) => true,
        Err(error) => {
            tracing::debug!(%error, name, "pod not deleted");
            context.env.clock.sleep(RETRY).await;
            false
        }
    }
}

fn api(context: &Context, pod: &Pod) -> Api<Pod> {
    Api::namespaced(context.client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default())
}
