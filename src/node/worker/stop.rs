//! Stopping one container: preStop, then the runtime's way (ask, wait, kill).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::RETRY;
use crate::node::context::Context;
use crate::node::health::run_hook;
use crate::node::lifecycle::pod_name;
use crate::node::recorder::{Severity, reference};
use crate::runtime::ContainerId;

/// No container gets less than this between being asked and being killed.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Everything that the stop of one container needs.
pub(super) struct Stop {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) id: ContainerId,
    pub(super) address: Option<IpAddr>,
    /// From now until it is killed, the hook included.
    pub(super) grace: Duration,
    /// Whether the preStop hook is still to be run.
    pub(super) hook: bool,
}

impl Stop {
    pub(super) async fn run(self) -> Result<(), String> {
        let context = &self.context;
        let clock = &context.env.clock;
        let start = clock.instant();
        let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        if let Some(hook) = hook.filter(|_| self.hook) {
            let pod = pod_name(&self.pod);
            let (runtime, network) = (&*context.runtime, &*context.network);
            let run = run_hook(runtime, network, clock, &pod, &self.container, &self.id, self.address, hook);
            if let Ok(Err(why)) = clock.timeout(self.grace, run).await {
                tracing::debug!(why, "preStop hook failed");
                let about = reference(&self.pod, Some(&self.container.name));
                context.recorder.tell(about, Severity::Warning, "FailedPreStopHook", "PreStopHook failed");
            }
        }
        let left = self.grace.saturating_sub(clock.instant() - start).max(LEAST_GRACE);
        let result = context.runtime.stop_container(&self.id, left).await;
        if result.is_err() {
            // Whoever asks again does so after a moment.
            clock.sleep(RETRY).await;
        }
        result.map_err(|error| error.to_string())
    }
}
