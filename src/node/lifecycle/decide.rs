//! What is to be done with a pod.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Probe};

use super::containers::FAILURE_SHOWN;
use super::observed::{lives, spec};
use super::{Observed, Verdict, is_sidecar, should_restart};
use crate::runtime::{ContainerId, ContainerState, ContainerStatus, SandboxId, SandboxState};

/// No container gets less time to end than this (kubelet's `minimumGracePeriodInSeconds`).
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a sandbox and give it its addresses.
    CreateSandbox {
        /// How many were made before.
        attempt: u32,
    },
    /// Stop a sandbox and take its addresses back.
    StopSandbox {
        /// Which.
        id: SandboxId,
    },
    /// Forget a sandbox with its containers.
    RemoveSandbox {
        /// Which.
        id: SandboxId,
    },
    /// Get the image, make a container and start it.
    StartContainer {
        /// Its name.
        name: String,
        /// How many were made before.
        attempt: u32,
        /// When the instance before this one ended.
        after: Option<Timestamp>,
    },
    /// Give up what is being started.
    AbandonStart,
    /// Run the preStop hook, ask to end, and kill at last.
    StopContainer {
        /// Which.
        id: ContainerId,
        /// Its name.
        name: String,
        /// Why.
        reason: Reason,
        /// How long it has.
        grace: Duration,
    },
    /// Forget an instance that has ended.
    RemoveContainer {
        /// Which.
        id: ContainerId,
    },
    /// Wait until nobody sends the pod anything new.
    Drain,
    /// The pod has failed as a whole: remember it.
    Fail {
        /// Such as `DeadlineExceeded`.
        reason: String,
        /// Why.
        message: String,
    },
    /// Delete the object, for nothing of it is left here.
    DeleteObject,
    /// Nothing is left, neither here nor of the object.
    Forget,
}

/// Why a container is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The pod ends.
    PodEnds,
    /// A probe failed.
    Probe {
        /// Which, and what follows; as the event says it.
        message: String,
        /// The container starts anew.
        restart: bool,
    },
}

/// What is to be done now, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// In this order.
    pub actions: Vec<Action>,
    /// The next time at which the decision would be another.
    pub wake: Option<Timestamp>,
    /// Nothing of the pod starts again.
    pub ending: bool,
}

impl Decision {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn wake_at(&mut self, time: Timestamp) {
        self.wake = Some(self.wake.map_or(time, |earlier| earlier.min(time)));
    }
}

/// Decides what to do with a pod.
#[must_use]
pub fn decide(observed: &Observed<'_>) -> Decision {
    let mut decision = Decision::default();
    if observed.deleting() || observed.notes.end.is_some() || terminal(observed) {
        wind_down(observed, &mut decision);
        return decision;
    }
    if let Some(end) = active_deadline(observed) {
        if end <= observed.now {
            decision.act(Action::Fail {
                reason: "DeadlineExceeded".to_owned(),
                message: "Pod was active on the node longer than the specified deadline".to_owned(),
            });
            decision.ending = true;
            return decision;
        }
        decision.wake_at(end);
    }
    forget_old_instances(observed, &mut decision);
    if observed.notes.closing {
        return decision;
    }
    match observed.sandbox {
        Some(sandbox) if sandbox.state == SandboxState::Ready => {}
        _ => {
            replace_sandbox(observed, &mut decision);
            return decision;
        }
    }
    start_ephemeral(observed, &mut decision);
    if initialize(observed, &mut decision) == Initialization::Done {
        run(observed, &mut decision);
    }
    if decision.ending {
        decision.actions.retain(|action| !matches!(action, Action::StartContainer { .. }));
        wind_down(observed, &mut decision);
    }
    decision
}

/// Whether the server knows the pod as ended: it stays so.
fn terminal(observed: &Observed<'_>) -> bool {
    let phase = observed.pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// When the pod has been active for too long.
fn active_deadline(observed: &Observed<'_>) -> Option<Timestamp> {
    let seconds = observed.spec().active_deadline_seconds?;
    let start = observed.pod.status.as_ref()?.start_time.as_ref()?.0;
    start.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Of each container the newest instance is kept, and the one before it for its last state.
fn forget_old_instances(observed: &Observed<'_>, decision: &mut Decision) {
    for container in observed.init_containers().iter().chain(&observed.spec().containers) {
        let Some(newest) = observed.newest(&container.name) else { continue };
        let old = observed.instances(&container.name);
        for instance in old.filter(|one| !lives(one) && one.attempt + 1 < newest.attempt) {
            decision.act(Action::RemoveContainer { id: instance.id.clone() });
        }
    }
}

/// Makes a sandbox where none is usable: the old one goes first.
fn replace_sandbox(observed: &Observed<'_>, decision: &mut Decision) {
    if observed.notes.starting.is_some() {
        return;
    }
    let spec = observed.spec();
    let attempt = observed.sandbox.map_or(0, |sandbox| sandbox.config.attempt + 1);
    let ran = observed.sandbox.is_some() && !observed.containers.is_empty();
    let done = |container: &Container| match observed.newest(&container.name).map(|one| &one.state) {
        Some(ContainerState::Exited { exit_code, .. }) => !should_restart(spec, container, *exit_code),
        _ => false,
    };
    // A pod that never restarts is not run a second time because its sandbox died.
    let never = spec.restart_policy.as_deref() == Some("Never");
    if ran && (never || spec.containers.iter().all(done)) {
        decision.ending = true;
        wind_down(observed, decision);
        return;
    }
    if let Some(old) = observed.sandbox {
        decision.act(Action::RemoveSandbox { id: old.id.clone() });
        return;
    }
    if held_back(observed, decision, "") {
        return;
    }
    let attempt = attempt.max(observed.containers.iter().map(|one| one.attempt).min().map_or(0, |_| 1));
    decision.act(Action::CreateSandbox { attempt });
}

/// Whether a failure holds this container (or, empty, the sandbox) back.
fn held_back(observed: &Observed<'_>, decision: &mut Decision, name: &str) -> bool {
    let notes = observed.notes;
    let mut held = false;
    for failure in notes.blocked.iter().chain(notes.failures.get(name)) {
        // A fresh failure is shown as such for a while, and then as a back-off.
        let fresh = failure.at.checked_add(FAILURE_SHOWN).unwrap_or(Timestamp::MAX);
        if fresh > observed.now {
            decision.wake_at(fresh);
        }
        if failure.retry > observed.now {
            decision.wake_at(failure.retry);
            held = true;
        }
    }
    held
}

#[derive(PartialEq, Eq)]
enum Initialization {
    Done,
    UnderWay,
}

/// Init containers, one after the other; a sidecar must only have started.
fn initialize(observed: &Observed<'_>, decision: &mut Decision) -> Initialization {
    let containers = observed.init_containers();
    let initialized = observed.spec().containers.iter().any(|one| observed.current(&one.name).is_some());
    for container in containers {
        let instance = observed.current(&container.name);
        if is_sidecar(container) {
            match instance {
                Some(instance) if lives(instance) => {
                    if probe_failed(observed, decision, container, instance, "Init container") && !initialized
                    {
                        return Initialization::UnderWay;
                    }
                    if !initialized && !observed.started(container, instance) {
                        return Initialization::UnderWay;
                    }
                }
                _ => {
                    start(observed, decision, container);
                    if !initialized {
                        return Initialization::UnderWay;
                    }
                }
            }
            continue;
        }
        if initialized {
            continue;
        }
        match instance.map(|instance| &instance.state) {
            Some(ContainerState::Exited { exit_code: 0, .. }) => {}
            Some(ContainerState::Exited { exit_code, .. }) => {
                if should_restart(observed.spec(), container, *exit_code) {
                    start(observed, decision, container);
                } else {
                    decision.ending = true;
                }
                return Initialization::UnderWay;
            }
            Some(ContainerState::Running { .. }) => return Initialization::UnderWay,
            Some(ContainerState::Created) | None => {
                start(observed, decision, container);
                return Initialization::UnderWay;
            }
        }
    }
    Initialization::Done
}

/// The containers proper.
fn run(observed: &Observed<'_>, decision: &mut Decision) {
    let mut alive = false;
    for container in &observed.spec().containers {
        let again = match observed.current(&container.name).or(observed.newest(&container.name)) {
            None => true,
            Some(instance) => match &instance.state {
                ContainerState::Running { .. } => {
                    probe_failed(observed, decision, container, instance, "Container");
                    alive = true;
                    false
                }
                ContainerState::Created => true,
                ContainerState::Exited { exit_code, .. } => {
                    observed.notes.renewed.contains(&instance.id)
                        || should_restart(observed.spec(), container, *exit_code)
                }
            },
        };
        if again {
            alive = true;
            start(observed, decision, container);
        }
    }
    decision.ending = !alive;
}

/// Ephemeral containers, each once.
fn start_ephemeral(observed: &Observed<'_>, decision: &mut Decision) {
    let status = observed.pod.status.as_ref();
    let ran = |name: &str| {
        let seen = status.and_then(|status| status.ephemeral_container_statuses.as_ref());
        observed.newest(name).is_some()
            || seen.into_iter().flatten().any(|one| one.name == name && one.container_id.is_some())
    };
    for container in observed.ephemeral_containers().iter().filter(|one| !ran(&one.name)) {
        if held_back(observed, decision, &container.name) {
            continue;
        }
        let starting = |action: &Action| matches!(action, Action::StartContainer { .. });
        if observed.notes.starting.is_none() && !decision.actions.iter().any(starting) {
            decision.act(Action::StartContainer { name: container.name.clone(), attempt: 0, after: None });
        }
    }
}

/// Starts a container, unless something is being started or it is held back.
fn start(observed: &Observed<'_>, decision: &mut Decision, container: &Container) {
    let notes = observed.notes;
    let underway = |action: &Action| matches!(action, Action::StartContainer { .. });
    if held_back(observed, decision, &container.name) {
        return;
    }
    let newest = observed.newest(&container.name);
    let after = newest.and_then(|instance| match &instance.state {
        ContainerState::Exited { finished_at, .. } => Some(*finished_at),
        _ => None,
    });
    if let Some(end) = after.and_then(|ended| notes.backoff.until(&container.name, ended, observed.now)) {
        decision.wake_at(end);
        return;
    }
    if notes.starting.is_some() || decision.actions.iter().any(underway) {
        return;
    }
    if newest.is_some_and(|instance| notes.stopping.contains_key(&instance.id)) {
        return;
    }
    let known = observed
        .pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().chain(&status.init_container_statuses).flatten())
        .find(|status| status.name == container.name && status.container_id.is_some());
    let attempt = match (newest, known) {
        (Some(instance), _) => instance.attempt + 1,
        // The runtime has forgotten it, the object has not.
        (None, Some(status)) => u32::try_from(status.restart_count).unwrap_or(0) + 1,
        (None, None) => 0,
    };
    decision.act(Action::StartContainer { name: container.name.clone(), attempt, after });
}

/// Stops a container whose probe says that it does not work.
fn probe_failed(
    observed: &Observed<'_>,
    decision: &mut Decision,
    container: &Container,
    instance: &ContainerStatus,
    what: &str,
) -> bool {
    let verdicts = observed.verdicts(&instance.id);
    let (kind, probe) = if verdicts.liveness == Some(Verdict::Failure) {
        ("liveness", &container.liveness_probe)
    } else if verdicts.startup == Some(Verdict::Failure) {
        ("startup", &container.startup_probe)
    } else {
        return false;
    };
    if observed.notes.stopping.contains_key(&instance.id) {
        return true;
    }
    let own = container.restart_policy.as_deref();
    let restart = own.or(observed.spec().restart_policy.as_deref()) != Some("Never");
    let mut message = format!("{what} {} failed {kind} probe", container.name);
    if restart && what == "Container" {
        message.push_str(", will be restarted");
    }
    decision.act(Action::StopContainer {
        id: instance.id.clone(),
        name: container.name.clone(),
        reason: Reason::Probe { message, restart },
        grace: unsigned(grace(observed, probe.as_ref()).max(LEAST_GRACE)),
    });
    true
}

/// How long a container has to end, counted from when it is asked to.
fn grace(observed: &Observed<'_>, probe: Option<&Probe>) -> SignedDuration {
    let seconds = observed
        .pod
        .metadata
        .deletion_grace_period_seconds
        .filter(|_| observed.deleting())
        .or(probe.and_then(|probe| probe.termination_grace_period_seconds))
        .or(spec(observed.pod).termination_grace_period_seconds)
        .unwrap_or(LEAST_GRACE.as_secs());
    SignedDuration::from_secs(seconds)
}

/// Ends a pod: it leaves rotation, its containers stop, sidecars last and in reverse, then the
/// sandbox goes, and at last the object if it was deleted.
fn wind_down(observed: &Observed<'_>, decision: &mut Decision) {
    let notes = observed.notes;
    decision.ending = true;
    decision.wake = None;
    if notes.starting.is_some() {
        decision.act(Action::AbandonStart);
    }
    let living = |name: &str| observed.instances(name).filter(|one| lives(one)).collect::<Vec<_>>();
    let spec = observed.spec();
    let mut targets: Vec<_> = spec.containers.iter().flat_map(|one| living(&one.name)).collect();
    targets.extend(
        observed.init_containers().iter().filter(|one| !is_sidecar(one)).flat_map(|one| living(&one.name)),
    );
    targets.extend(observed.ephemeral_containers().iter().flat_map(|one| living(&one.name)));
    if targets.is_empty() && notes.starting.is_none() {
        let sidecars = observed.init_containers().iter().rev().filter(|one| is_sidecar(one));
        targets = sidecars.map(|one| living(&one.name)).find(|some| !some.is_empty()).unwrap_or_default();
    }
    if !targets.is_empty() {
        // Whoever asks a second time with less grace is heard; draining is for what runs in peace.
        if observed.deleting() && !notes.drained && notes.stopping.is_empty() {
            decision.act(Action::Drain);
            return;
        }
        let since = notes.ending_since.unwrap_or(observed.now);
        let end = since.checked_add(grace(observed, None)).unwrap_or(Timestamp::MAX);
        let left = end.duration_since(observed.now).max(LEAST_GRACE);
        for instance in targets {
            let deadline = observed.now.checked_add(left).unwrap_or(Timestamp::MAX);
            let sooner =
                |stopping: &super::Stopping| deadline + SignedDuration::from_secs(1) < stopping.deadline;
            if notes.stopping.get(&instance.id).is_none_or(sooner) {
                decision.act(Action::StopContainer {
                    id: instance.id.clone(),
                    name: instance.name.clone(),
                    reason: Reason::PodEnds,
                    grace: unsigned(left),
                });
            }
        }
        return;
    }
    if notes.starting.is_some() || notes.closing {
        return;
    }
    let going = observed.deleting() || observed.gone();
    match observed.sandbox {
        Some(sandbox) if sandbox.state != SandboxState::NotReady => {
            decision.act(Action::StopSandbox { id: sandbox.id.clone() });
        }
        Some(sandbox) if going => decision.act(Action::RemoveSandbox { id: sandbox.id.clone() }),
        Some(_) => {}
        None if observed.gone() => decision.act(Action::Forget),
        None if going && notes.reported => decision.act(Action::DeleteObject),
        None => {}
    }
}

fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
