//! The statuses of a pod's containers.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus as ApiStatus, EphemeralContainer,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff::go_seconds;
use super::observed::as_container;
use super::status::Machine;
use super::{Failure, Observed, Verdict, is_sidecar, should_restart};
use crate::runtime::{ContainerState, ContainerStatus};

/// How long a failure is shown as such, before it is shown as backing off.
pub(super) const FAILURE_SHOWN: SignedDuration = SignedDuration::from_secs(3);

/// `name_namespace(uid)`, as kubelet's messages name a pod.
pub(crate) fn pod_name(pod: &k8s_openapi::api::core::v1::Pod) -> String {
    let metadata = &pod.metadata;
    format!(
        "{}_{}({})",
        metadata.name.as_deref().unwrap_or_default(),
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.uid.as_deref().unwrap_or_default()
    )
}

/// The status of one container. `previous` is what was last said of it; `ending` says that nothing
/// of the pod starts again.
pub(super) fn container_status(
    observed: &Observed<'_>,
    machine: &Machine,
    container: &Container,
    init: bool,
    previous: Option<&ApiStatus>,
    ending: bool,
) -> ApiStatus {
    let Some(newest) = observed.newest(&container.name) else {
        return unseen(observed, container, previous, ending);
    };
    let given = observed.notes.allocated.get(&container.name).or(container.resources.as_ref());
    let mut status = ApiStatus {
        name: container.name.clone(),
        image: newest.image.clone(),
        image_id: newest.image_id.clone(),
        container_id: Some(format!("{}://{}", machine.runtime, newest.id)),
        restart_count: i32::try_from(newest.attempt).unwrap_or(i32::MAX),
        state: Some(state(observed, machine, newest)),
        resources: given.cloned(),
        allocated_resources: given.and_then(|resources| resources.requests.clone()),
        ..ApiStatus::default()
    };
    let before = observed
        .instances(&container.name)
        .filter(|one| one.attempt < newest.attempt)
        .max_by_key(|one| one.attempt);
    status.last_state = match before {
        Some(before) => Some(state(observed, machine, before)).filter(|state| state.terminated.is_some()),
        None => previous.and_then(|previous| {
            let same = previous.container_id == status.container_id;
            let ended = |state: &Option<ApiState>| state.clone().filter(|state| state.terminated.is_some());
            if same {
                ended(&previous.last_state)
            } else {
                ended(&previous.state).or(ended(&previous.last_state))
            }
        }),
    };
    if let ContainerState::Exited { exit_code, finished_at, .. } = newest.state {
        let again = !ending
            && (observed.notes.renewed.contains(&newest.id)
                || should_restart(observed.spec(), container, exit_code)
                    && (!init || is_sidecar(container) || exit_code != 0));
        let fresh = |failure: &&Failure| observed.now.duration_since(failure.at) < FAILURE_SHOWN;
        // What failed to start goes on as any other crash does.
        let failed = observed.notes.failures.get(&container.name);
        let crashed =
            failed.filter(fresh).is_none() && failed.is_none_or(|failure| failure.counts_as_crash());
        let waiting = if crashed { None } else { failure(observed, &container.name) };
        let waiting = waiting.or_else(|| crash_loop(observed, &container.name, finished_at));
        if again && let Some(waiting) = waiting {
            status.last_state = status.state.replace(waiting);
        }
    }
    judge(observed, container, init, newest, &mut status);
    status
}

/// The status of an ephemeral container: it is never ready, and never starts again.
pub(super) fn ephemeral_status(
    observed: &Observed<'_>,
    machine: &Machine,
    container: &EphemeralContainer,
    previous: Option<&ApiStatus>,
) -> ApiStatus {
    let mut status = container_status(observed, machine, &as_container(container), false, previous, true);
    status.ready = false;
    status.resources = None;
    status.allocated_resources = None;
    status
}

/// How a container waits that is held back because it ended too often.
fn crash_loop(observed: &Observed<'_>, name: &str, ended: jiff::Timestamp) -> Option<ApiState> {
    let backoff = &observed.notes.backoff;
    let delay = go_seconds(backoff.delay(name)?);
    let held = backoff.until(name, ended, observed.now).is_some();
    let starting = observed.notes.starting.as_deref() == Some(name);
    let pod = pod_name(observed.pod);
    let message = format!("back-off {delay} restarting failed container={name} pod={pod}");
    (held || starting).then(|| waiting("CrashLoopBackOff", message))
}

/// `started` and `ready`.
fn judge(
    observed: &Observed<'_>,
    container: &Container,
    init: bool,
    instance: &ContainerStatus,
    status: &mut ApiStatus,
) {
    let started = observed.started(container, instance);
    status.started = Some(started);
    if init && !is_sidecar(container) {
        status.ready = matches!(instance.state, ContainerState::Exited { exit_code: 0, .. });
        return;
    }
    status.ready = started
        && (container.readiness_probe.is_none()
            || observed.verdicts(&instance.id).readiness == Some(Verdict::Success));
}

/// A container that the runtime does not know.
fn unseen(
    observed: &Observed<'_>,
    container: &Container,
    previous: Option<&ApiStatus>,
    ending: bool,
) -> ApiStatus {
    let reason = if observed.init_containers().is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let mut status = ApiStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        started: Some(false),
        state: Some(failure(observed, &container.name).unwrap_or_else(|| ApiState {
            waiting: Some(ContainerStateWaiting { reason: Some(reason.into()), message: None }),
            ..ApiState::default()
        })),
        ..ApiStatus::default()
    };
    let Some(previous) = previous else { return status };
    let ended = previous.state.as_ref().is_some_and(|state| state.terminated.is_some());
    let ran = previous.state.as_ref().is_some_and(|state| state.running.is_some());
    if ended {
        return previous.clone();
    }
    status.restart_count = previous.restart_count;
    status.last_state.clone_from(&previous.last_state);
    if ran {
        // It ran when it was last seen, and nobody saw how it ended.
        let lost = ApiState {
            terminated: Some(ContainerStateTerminated {
                reason: Some("ContainerStatusUnknown".into()),
                message: Some(
                    "The container could not be located when the pod was deleted.  The container used to be Running"
                        .into(),
                ),
                exit_code: 137,
                ..ContainerStateTerminated::default()
            }),
            ..ApiState::default()
        };
        if ending {
            status.state = Some(lost);
        } else {
            status.last_state = Some(lost);
        }
        status.image.clone_from(&previous.image);
        status.image_id.clone_from(&previous.image_id);
        status.container_id.clone_from(&previous.container_id);
    }
    status
}

/// Why a container waits, if something keeps it from being started.
fn failure(observed: &Observed<'_>, name: &str) -> Option<ApiState> {
    let notes = observed.notes;
    let failure = notes.blocked.as_ref().or_else(|| notes.failures.get(name))?;
    let (reason, message) = shown(failure, observed.now);
    Some(waiting(&reason, message))
}

/// A failure's reason and message as they are shown now: a failed pull becomes a back-off.
pub(super) fn shown(failure: &Failure, now: jiff::Timestamp) -> (String, String) {
    let backing_off = failure.reason == "ErrImagePull" && now.duration_since(failure.at) >= FAILURE_SHOWN;
    if !backing_off {
        return (failure.reason.clone(), failure.message.clone());
    }
    let image = failure.subject.as_str();
    (
        "ImagePullBackOff".into(),
        format!("Back-off pulling image {image:?}: ErrImagePull: {}", failure.message),
    )
}

/// A time as `metav1.Time` stores it.
pub(super) fn seconds(time: jiff::Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time))
}

fn waiting(reason: &str, message: String) -> ApiState {
    ApiState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: Some(message).filter(|message| !message.is_empty()),
        }),
        ..ApiState::default()
    }
}

fn state(observed: &Observed<'_>, machine: &Machine, instance: &ContainerStatus) -> ApiState {
    let mut api = ApiState::default();
    match &instance.state {
        ContainerState::Created => {
            api.waiting =
                Some(ContainerStateWaiting { reason: Some("ContainerCreating".into()), message: None });
        }
        ContainerState::Running { started_at } => {
            api.running = Some(ContainerStateRunning { started_at: Some(seconds(*started_at)) });
        }
        ContainerState::Exited { started_at, finished_at, exit_code, signal, reason, message } => {
            let said = observed.notes.messages.get(&instance.id).filter(|said| !said.is_empty());
            api.terminated = Some(ContainerStateTerminated {
                container_id: Some(format!("{}://{}", machine.runtime, instance.id)),
                exit_code: *exit_code,
                signal: signal.filter(|signal| *signal != 0),
                reason: Some(reason.clone()).filter(|reason| !reason.is_empty()),
                message: said.or(Some(message)).filter(|message| !message.is_empty()).cloned(),
                started_at: Some(seconds(*started_at)),
                finished_at: Some(seconds(*finished_at)),
            });
        }
    }
    api
}
