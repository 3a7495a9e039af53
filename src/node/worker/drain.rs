//! Leaving rotation: before a deleted pod is asked to end, nobody must send it anything new.
//!
//! A pod that no service selects has nothing to wait for. For any other, the controller takes its
//! address out of the ready endpoints as soon as it sees the deletion timestamp; this waits until
//! no EndpointSlice of those services lists the pod as ready, and then a moment more for proxies
//! to have followed. The whole is bounded and counts as grace: a control plane that is away delays
//! nothing for long. (Kubelet does not wait here; users put a sleep into preStop instead.)

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::selector::LabelSelector;
use crate::client::{Api, Error, Event, ListOptions, WatchOptions};
use crate::node::context::Context;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Waits until the pod has left rotation, for as long as the agent's options allow.
pub(super) async fn drain(context: Arc<Context>, pod: Arc<Pod>) {
    let clock = &context.env.clock;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let services: Vec<_> = context
        .services
        .list_in(namespace)
        .iter()
        .filter(|service| {
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.is_some_and(|selector| {
                !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            })
        })
        .filter_map(|service| service.metadata.name.clone())
        .collect();
    if services.is_empty() {
        return;
    }
    let grace = pod.metadata.deletion_grace_period_seconds.and_then(|grace| u64::try_from(grace).ok());
    let grace = Duration::from_secs(grace.unwrap_or(u64::MAX / 2));
    match clock.timeout(context.drain.limit.min(grace), out_of_rotation(&context, &pod, &services)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "endpoints cannot be followed"),
        Err(_) => tracing::debug!(pod = pod.metadata.name, "still in rotation when its time was up"),
    }
    clock.sleep(context.drain.settle.min(grace)).await;
}

async fn out_of_rotation(context: &Context, pod: &Pod, services: &[String]) -> Result<(), Error> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let api = Api::<EndpointSlice>::namespaced(context.client.clone(), namespace);
    let selector = format!("{SERVICE_NAME} in ({})", services.join(","));
    let labels: LabelSelector = selector.parse().unwrap_or_default();
    let list = ListOptions { labels: labels.clone(), ..ListOptions::default() };
    let listed = api.list(list).await?;
    let uid = pod.metadata.uid.as_deref();
    let mut ready: std::collections::BTreeSet<_> =
        listed.items.iter().filter(|slice| lists_ready(slice, uid)).map(name).collect();
    let resource_version = Some(listed.revision);
    let options = WatchOptions { labels, resource_version, ..WatchOptions::default() };
    let mut watch = api.watch(options).await?;
    while !ready.is_empty() {
        let Some(event) = watch.next().await else { return Ok(()) };
        match event? {
            Event::Added(slice) | Event::Modified(slice) if lists_ready(&slice, uid) => {
                ready.insert(name(&slice));
            }
            Event::Added(slice) | Event::Modified(slice) | Event::Deleted(slice) => {
                ready.remove(&name(&slice));
            }
            Event::Bookmark(_) => {}
        }
    }
    Ok(())
}

fn name(slice: &EndpointSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

/// Whether a slice lists the pod of this uid as ready (as all are that say nothing of it).
fn lists_ready(slice: &EndpointSlice, uid: Option<&str>) -> bool {
    slice.endpoints.iter().flatten().any(|endpoint| {
        let target = endpoint.target_ref.as_ref().and_then(|target| target.uid.as_deref());
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready);
        target == uid && ready != Some(false)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_that_says_nothing_is_ready() {
        let slice = |conditions| {
            let endpoints =
                json!([{"addresses": ["10.0.0.1"], "targetRef": {"uid": "u1"}, "conditions": conditions}]);
            serde_json::from_value::<EndpointSlice>(json!({"addressType": "IPv4", "endpoints": endpoints}))
                .unwrap()
        };
        assert!(lists_ready(&slice(json!({})), Some("u1")));
        assert!(lists_ready(&slice(json!({"ready": true})), Some("u1")));
        assert!(!lists_ready(&slice(json!({"ready": false, "serving": true})), Some("u1")));
        assert!(!lists_ready(&slice(json!({"ready": true})), Some("u2")));
    }
}
