//! The phase of a pod.

use k8s_openapi::api::core::v1::ContainerStatus;

use super::{Observed, is_sidecar, should_restart};

/// The phase of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something has not started yet.
    Pending,
    /// Everything has started, and something runs or will run again.
    Running,
    /// Everything has ended well.
    Succeeded,
    /// Everything has ended, something of it badly.
    Failed,
}

impl Phase {
    /// As in `status.phase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What a container's status says, as the phase counts it.
enum Seen {
    Unknown,
    Waiting,
    Running,
    Stopped { exit_code: i32 },
}

fn seen(statuses: &[ContainerStatus], name: &str) -> Seen {
    let Some(status) = statuses.iter().find(|status| status.name == name) else { return Seen::Unknown };
    let Some(state) = &status.state else { return Seen::Unknown };
    if state.running.is_some() {
        return Seen::Running;
    }
    if let Some(end) = &state.terminated {
        return Seen::Stopped { exit_code: end.exit_code };
    }
    // What waits after an end is on its way back.
    match status.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
        Some(end) => Seen::Stopped { exit_code: end.exit_code },
        None => Seen::Waiting,
    }
}

/// The phase that follows from the statuses of the containers. `ended` says that nothing of the pod
/// starts again, whatever its policy.
pub(super) fn phase(
    observed: &Observed<'_>,
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
    ended: bool,
) -> Phase {
    let spec = observed.spec();
    let initialized = spec.containers.iter().any(|container| observed.newest(&container.name).is_some());
    let (mut pending_init, mut pending_sidecars, mut hopeless) = (0, 0, 0);
    let (mut unknown, mut running, mut waiting, mut stopped, mut final_, mut succeeded) = (0, 0, 0, 0, 0, 0);
    for container in observed.init_containers() {
        let sidecar = is_sidecar(container);
        match (seen(init, &container.name), sidecar) {
            (Seen::Unknown, true) => unknown += 1,
            (Seen::Waiting, true) => {
                pending_sidecars += 1;
                waiting += 1;
            }
            (Seen::Running, true) => {
                let started = init.iter().any(|one| one.name == container.name && one.started == Some(true));
                pending_sidecars += usize::from(!started);
                running += 1;
            }
            (Seen::Stopped { .. }, true) => {}
            (Seen::Stopped { exit_code }, false) => {
                if exit_code != 0 && !should_restart(spec, container, exit_code) {
                    hopeless += 1;
                } else if exit_code != 0 {
                    pending_init += 1;
                }
            }
            (_, false) => pending_init += 1,
        }
    }
    for container in &spec.containers {
        match seen(regular, &container.name) {
            Seen::Unknown => unknown += 1,
            Seen::Waiting => waiting += 1,
            Seen::Running => running += 1,
            Seen::Stopped { exit_code } => {
                stopped += 1;
                succeeded += usize::from(exit_code == 0);
                final_ += usize::from(!should_restart(spec, container, exit_code));
            }
        }
    }
    if hopeless > 0 {
        return Phase::Failed;
    }
    if ended && running == 0 {
        // A pod that ends before everything of it has started has not done its work.
        let all = stopped > 0 && waiting == 0 && unknown == 0 && pending_init == 0;
        return if all && stopped == succeeded { Phase::Succeeded } else { Phase::Failed };
    }
    if pending_init > 0 || (pending_sidecars > 0 && !initialized) || waiting > 0 {
        return Phase::Pending;
    }
    if running > 0 && unknown == 0 {
        return Phase::Running;
    }
    if running == 0 && stopped > 0 && unknown == 0 {
        return match () {
            () if stopped != final_ => Phase::Running,
            () if stopped == succeeded => Phase::Succeeded,
            () => Phase::Failed,
        };
    }
    Phase::Pending
}
