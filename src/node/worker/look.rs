//! Looking at the machine: what has ended since, and what it said at last.

use futures_util::StreamExt;
use jiff::Timestamp;

use super::PodWorker;
use crate::runtime::{ContainerState, ContainerStatus, LogOptions, SandboxState};

impl PodWorker {
    /// Looks at the machine: what has ended, and whether the sandbox is still there.
    pub(super) async fn look(&mut self) {
        let runtime = self.context.runtime.clone();
        if let Some(sandbox) = &mut self.sandbox
            && sandbox.state == SandboxState::Ready
            && let Ok(all) = runtime.sandboxes().await
        {
            match all.into_iter().find(|one| one.id == sandbox.id) {
                Some(found) => {
                    let addresses = std::mem::take(&mut sandbox.addresses);
                    *sandbox = found;
                    if sandbox.addresses.is_empty() {
                        sandbox.addresses = addresses;
                    }
                }
                None => sandbox.state = SandboxState::NotReady,
            }
        }
        for position in 0..self.containers.len() {
            let known = &self.containers[position];
            if matches!(known.state, ContainerState::Exited { .. }) {
                continue;
            }
            match runtime.container(&known.id).await {
                Ok(found) => self.containers[position] = found,
                Err(crate::runtime::Error::NotFound { .. }) => {
                    self.containers[position].state = lost(known, self.now());
                }
                Err(error) => tracing::debug!(%error, "container not looked at"),
            }
            if matches!(self.containers[position].state, ContainerState::Exited { .. }) {
                let ended = self.containers[position].clone();
                self.ended(&ended).await;
            }
        }
    }

    /// A container was seen to have ended.
    async fn ended(&mut self, instance: &ContainerStatus) {
        let id = &instance.id;
        self.notes.verdicts.remove(id);
        self.probes.retain(|(of, _), _| of != id);
        let ContainerState::Exited { exit_code, .. } = instance.state else { return };
        let fallback = self
            .container(&instance.name)
            .is_some_and(|one| one.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"));
        if fallback
            && exit_code != 0
            && let Some(logs) = self.context.runtime.logs()
        {
            let options = LogOptions { follow: false, tail_lines: Some(80), since: None };
            let mut text = Vec::new();
            if let Ok(mut lines) = logs.logs(id, options).await {
                while let Some(Ok(line)) = lines.next().await {
                    text.extend_from_slice(&line.line);
                }
            }
            // The end of a log says most; a message holds 2 KiB (kubelet's limit).
            let text = text.split_off(text.len().saturating_sub(2048));
            self.notes.messages.insert(id.clone(), String::from_utf8_lossy(&text).into_owned());
        }
    }
}

/// The end of a container that its runtime has forgotten.
fn lost(instance: &ContainerStatus, now: Timestamp) -> ContainerState {
    let started_at = match instance.state {
        ContainerState::Running { started_at } => started_at,
        _ => instance.created_at,
    };
    ContainerState::Exited {
        started_at,
        finished_at: now,
        exit_code: 137,
        signal: None,
        reason: "ContainerStatusUnknown".into(),
        message: "The container could not be located when the pod was terminated".into(),
    }
}
