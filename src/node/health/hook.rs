//! Life-cycle hooks: postStart and preStop.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::http::{self, Got};
use crate::env::Clock;
use crate::net::NetworkProvider;
use crate::runtime::{ContainerId, ContainerRuntime};

/// An answer may take as long as the pod's grace allows; this only bounds a hook that nobody waits for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Runs a hook to its end. `pod` is the pod's name as messages have it.
///
/// # Errors
///
/// Why it failed, in kubelet's words.
#[allow(clippy::too_many_arguments, reason = "each is one independent fact about where the hook runs")]
pub(in crate::node) async fn run_hook(
    runtime: &dyn ContainerRuntime,
    network: &dyn NetworkProvider,
    clock: &Clock,
    pod: &str,
    container: &Container,
    id: &ContainerId,
    address: Option<IpAddr>,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    let of = format!("for Container {:?} in Pod {pod:?} failed - error", container.name);
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let shown = command.join(" ");
        let Some(ability) = runtime.exec() else {
            return Err(format!(
                "Exec lifecycle hook ([{shown}]) {of}: the runtime cannot run commands, message: \"\""
            ));
        };
        return match ability.exec_sync(id, &command, None).await {
            Ok(outcome) if outcome.exit_code == 0 => Ok(()),
            Ok(outcome) => {
                let all = [outcome.stdout, outcome.stderr].concat();
                Err(format!(
                    "Exec lifecycle hook ([{shown}]) {of}: command '{shown}' exited with {}: , message: {:?}",
                    outcome.exit_code,
                    String::from_utf8_lossy(&all)
                ))
            }
            Err(error) => Err(format!("Exec lifecycle hook ([{shown}]) {of}: {error}, message: \"\"")),
        };
    }
    if let Some(action) = &hook.http_get {
        let agent = "kube-lifecycle/1.36";
        let why = match http::get(network, clock, container, action, address, agent, LONGEST).await {
            // Whatever it answers: it was told.
            Ok(Got::Status(_)) => return Ok(()),
            Ok(Got::Nothing(why)) | Err(why) => why,
        };
        let path = action.path.as_deref().unwrap_or_default();
        return Err(format!("HTTP lifecycle hook ({path}) {of}: {why}"));
    }
    if let Some(sleep) = &hook.sleep {
        clock.sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err("Cannot run handler: invalid handler".to_owned())
}
