//! What is known of a pod when a decision is made.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

use super::{Backoff, resize};
use crate::runtime::{ContainerId, ContainerState, ContainerStatus, SandboxStatus};

/// Everything a decision follows from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object, as last seen.
    pub pod: &'a Pod,
    /// The time.
    pub now: Timestamp,
    /// The newest sandbox.
    pub sandbox: Option<&'a SandboxStatus>,
    /// Every instance of every container, those of earlier sandboxes and attempts included.
    pub containers: &'a [ContainerStatus],
    /// What the agent remembers.
    pub notes: &'a Notes,
}

/// What the agent remembers of a pod, beside what the runtime knows.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What probes have found, by instance.
    pub verdicts: BTreeMap<ContainerId, Verdicts>,
    /// Why a container could not be started, by name; gone once it was.
    pub failures: BTreeMap<String, Failure>,
    /// Why nothing of the pod can be started.
    pub blocked: Option<Failure>,
    /// Delays of restarts, by container name.
    pub backoff: Backoff,
    /// Something is being started: a container of this name, or (empty) the sandbox.
    pub starting: Option<String>,
    /// Instances that are being stopped.
    pub stopping: BTreeMap<ContainerId, Stopping>,
    /// A sandbox is being stopped or removed.
    pub closing: bool,
    /// Instances that were stopped so that they start anew, whatever their exit code.
    pub renewed: BTreeSet<ContainerId>,
    /// Termination messages, by instance.
    pub messages: BTreeMap<ContainerId, String>,
    /// Why the pod ends, where that is not its deletion.
    pub end: Option<End>,
    /// When the pod began to end.
    pub ending_since: Option<Timestamp>,
    /// Nobody sends the pod anything new.
    pub drained: bool,
    /// What its containers were given.
    pub allocated: resize::Allocated,
    /// Why they have not been given what the spec asks for.
    pub resize: Option<resize::Pending>,
    /// The final status of a pod whose machine part is gone has been stored.
    pub reported: bool,
}

/// An instance that is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    /// When it will be killed.
    pub deadline: Timestamp,
}

/// Why something could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, such as `ErrImagePull`.
    pub reason: String,
    /// What it is about: the image, where a pull failed.
    pub subject: String,
    /// What went wrong.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// When it may be tried again.
    pub retry: Timestamp,
}

impl Failure {
    /// Whether the container was made and came to nothing, so that it is tried again as one that
    /// crashed is.
    pub(super) fn counts_as_crash(&self) -> bool {
        matches!(self.reason.as_str(), "RunContainerError" | "PostStartHookError")
    }
}

/// Why a pod ends, where that is not its deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has failed as a whole.
    Failed {
        /// Such as `DeadlineExceeded`.
        reason: String,
        /// Why.
        message: String,
    },
    /// Its object is gone.
    Gone,
}

/// What a probe has settled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Success,
    /// It fails.
    Failure,
}

/// What the probes of an instance have settled on, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Whether the container has come up.
    pub startup: Option<Verdict>,
    /// Whether it can be sent requests.
    pub readiness: Option<Verdict>,
    /// Whether it still works.
    pub liveness: Option<Verdict>,
}

static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);

impl<'a> Observed<'a> {
    pub(super) fn spec(&self) -> &'a PodSpec {
        spec(self.pod)
    }

    pub(super) fn init_containers(&self) -> &'a [Container] {
        self.spec().init_containers.as_deref().unwrap_or_default()
    }

    pub(super) fn deleting(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn gone(&self) -> bool {
        self.notes.end == Some(End::Gone)
    }

    pub(super) fn ephemeral_containers(&self) -> &'a [EphemeralContainer] {
        self.spec().ephemeral_containers.as_deref().unwrap_or_default()
    }

    /// The newest instance of a container.
    pub(in crate::node) fn newest(&self, name: &str) -> Option<&'a ContainerStatus> {
        self.instances(name).max_by_key(|instance| instance.attempt)
    }

    /// The newest instance of a container in the sandbox that is current.
    pub(super) fn current(&self, name: &str) -> Option<&'a ContainerStatus> {
        let sandbox = &self.sandbox?.id;
        self.instances(name).filter(|one| one.sandbox == *sandbox).max_by_key(|one| one.attempt)
    }

    pub(super) fn instances(&self, name: &str) -> impl Iterator<Item = &'a ContainerStatus> {
        let name = name.to_owned();
        self.containers.iter().filter(move |instance| instance.name == name)
    }

    pub(super) fn verdicts(&self, id: &ContainerId) -> Verdicts {
        self.notes.verdicts.get(id).copied().unwrap_or_default()
    }

    /// Whether an instance has come up: it runs, and its startup probe, if there is one, has passed.
    pub(super) fn started(&self, container: &Container, instance: &ContainerStatus) -> bool {
        matches!(instance.state, ContainerState::Running { .. })
            // A container counts as started only when its postStart hook has come back.
            && self.notes.starting.as_deref() != Some(container.name.as_str())
            && (container.startup_probe.is_none()
                || self.verdicts(&instance.id).startup == Some(Verdict::Success))
    }
}

/// The container of this name, whichever kind it is of.
pub(crate) fn find_container(pod: &Pod, name: &str) -> Option<Container> {
    let spec = spec(pod);
    let regular = spec.init_containers.iter().flatten().chain(&spec.containers);
    let found = regular.into_iter().find(|one| one.name == name).cloned();
    found.or_else(|| {
        let ephemeral = spec.ephemeral_containers.iter().flatten().find(|one| one.name == name)?;
        Some(as_container(ephemeral))
    })
}

/// An ephemeral container as any other: what it cannot have is absent.
pub(super) fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let EphemeralContainer {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        name,
        security_context,
        stdin,
        stdin_once,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
        ..
    } = ephemeral.clone();
    Container {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        name,
        security_context,
        stdin,
        stdin_once,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
        // It runs once.
        restart_policy: Some("Never".into()),
        ..Container::default()
    }
}

/// The pod's spec, or an empty one.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// Whether the instance still has a process.
pub(super) fn lives(instance: &ContainerStatus) -> bool {
    !matches!(instance.state, ContainerState::Exited { .. })
}
