//! Sandboxes: made, attached to the network, started; stopped and detached; removed.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;

use super::RETRY;
use crate::net::AttachRequest;
use crate::node::context::Context;
use crate::node::labels;
use crate::node::lifecycle::{Failure, spec};
use crate::node::recorder::{Severity, reference};
use crate::runtime::{NetworkOwner, PortMapping, SandboxConfig, SandboxId, SandboxState, SandboxStatus};

/// How long after a sandbox could not be made the next attempt is.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Makes a sandbox. One that does not come to be started is removed again.
pub(super) async fn create(
    context: Arc<Context>,
    pod: Arc<Pod>,
    attempt: u32,
) -> Result<SandboxStatus, Failure> {
    let config = config(&pod, attempt);
    let made = match context.runtime.create_sandbox(&config).await {
        Ok(sandbox) => {
            let id = sandbox.id.clone();
            match attach_and_start(&context, &config, sandbox).await {
                Ok(status) => Ok(status),
                Err(why) => {
                    remove(context.clone(), id).await;
                    Err(why)
                }
            }
        }
        Err(error) => Err(error.to_string()),
    };
    made.map_err(|why| {
        let message = format!("Failed to create pod sandbox: {why}");
        context.recorder.tell(
            reference(&pod, None),
            Severity::Warning,
            "FailedCreatePodSandBox",
            message.clone(),
        );
        let at = context.env.clock.now();
        let retry = at.checked_add(TRY_AGAIN).unwrap_or(at);
        Failure { reason: "CreatePodSandboxError".into(), subject: String::new(), message, at, retry }
    })
}

async fn attach_and_start(
    context: &Context,
    config: &SandboxConfig,
    sandbox: crate::runtime::Sandbox,
) -> Result<SandboxStatus, String> {
    let id = sandbox.id;
    let owner = context.runtime.network_owner();
    let mut addresses = match owner {
        _ if config.host_network => vec![context.machine.address],
        NetworkOwner::Runtime => Vec::new(),
        NetworkOwner::Provider => {
            let request = AttachRequest {
                sandbox: id.0.clone(),
                netns: sandbox.netns,
                pod_namespace: config.namespace.clone(),
                pod_name: config.name.clone(),
                pod_uid: config.uid.clone(),
            };
            context.network.attach(&request).await.map_err(|error| error.to_string())?
        }
    };
    context.runtime.start_sandbox(&id, &addresses).await.map_err(|error| error.to_string())?;
    if addresses.is_empty() {
        let all = context.runtime.sandboxes().await.map_err(|error| error.to_string())?;
        addresses = all.into_iter().find(|one| one.id == id).map(|one| one.addresses).unwrap_or_default();
    }
    let created_at = context.env.clock.now();
    Ok(SandboxStatus { id, config: config.clone(), state: SandboxState::Ready, created_at, addresses })
}

fn config(pod: &Pod, attempt: u32) -> SandboxConfig {
    let metadata = &pod.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let spec = spec(pod);
    let port = |value: i32| u16::try_from(value).ok().filter(|port| *port > 0);
    let ports = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|one| {
            Some(PortMapping {
                protocol: one.protocol.clone().unwrap_or_else(|| "TCP".into()),
                container_port: port(one.container_port)?,
                host_port: one.host_port.and_then(port)?,
                host_ip: one.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
            })
        });
    SandboxConfig {
        name: text(&metadata.name),
        namespace: text(&metadata.namespace),
        uid: text(&metadata.uid),
        attempt,
        hostname: spec
            .hostname
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| text(&metadata.name)),
        host_network: spec.host_network == Some(true),
        ports: ports.collect(),
        labels: labels::sandbox(pod),
        annotations: metadata.annotations.clone().unwrap_or_default(),
    }
}

/// Stops a sandbox and takes its addresses back; answers whether that is done.
pub(super) async fn stop(context: Arc<Context>, id: SandboxId) -> bool {
    let stopped = context.runtime.stop_sandbox(&id).await.map_err(|error| error.to_string());
    finish(&context, &id, stopped).await
}

/// Forgets a sandbox; answers whether that is done.
pub(in crate::node) async fn remove(context: Arc<Context>, id: SandboxId) -> bool {
    let removed = context.runtime.remove_sandbox(&id).await.map_err(|error| error.to_string());
    finish(&context, &id, removed).await
}

async fn finish(context: &Context, id: &SandboxId, done: Result<(), String>) -> bool {
    let detached = context.network.detach(&id.0).await.map_err(|error| error.to_string());
    let Err(why) = done.and(detached) else { return true };
    tracing::debug!(why, sandbox = %id, "sandbox not closed");
    context.env.clock.sleep(RETRY).await;
    false
}
