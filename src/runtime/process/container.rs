//! One container: what it is to run, and what became of it.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::io::AsyncWrite;
use tokio::process::Child;
use tokio::sync::Notify;

use super::group::Group;
use super::launch::Launch;
use super::log::Log;
use super::stdin::Stdin;
use crate::env::Env;
use crate::runtime::{
    ContainerConfig, ContainerEvent, ContainerId, ContainerState, ContainerStatus, Error, EventHub,
    LogStreamKind, Result, SandboxId,
};

/// How long what a program has printed may take to arrive once its group is dead. Only a process
/// that has left the group can hold it up, and its output is not the container's.
const DRAIN: Duration = Duration::from_secs(1);

/// What a container is made of.
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) sandbox: SandboxId,
    pub(super) pod_uid: String,
    pub(super) config: ContainerConfig,
    pub(super) image_id: String,
    pub(super) launch: Launch,
    pub(super) created_at: Timestamp,
    /// Everything that the runtime keeps of it.
    pub(super) dir: PathBuf,
    pub(super) log: Arc<Log>,
    pub(super) group: Group,
    state: Mutex<ContainerState>,
    /// Where to type into it, while it runs and was made with an input.
    stdin: Mutex<Option<Stdin>>,
    changed: Notify,
}

/// What a container is made from.
pub(super) struct Parts {
    pub(super) id: ContainerId,
    pub(super) sandbox: SandboxId,
    pub(super) pod_uid: String,
    pub(super) config: ContainerConfig,
    pub(super) image_id: String,
    pub(super) launch: Launch,
    pub(super) created_at: Timestamp,
    pub(super) dir: PathBuf,
    pub(super) log: Log,
}

impl Container {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { id, sandbox, pod_uid, config, image_id, launch, created_at, dir, log } = parts;
        Self {
            id,
            sandbox,
            pod_uid,
            config,
            image_id,
            launch,
            created_at,
            dir,
            log: Arc::new(log),
            group: Group::default(),
            state: Mutex::new(ContainerState::Created),
            stdin: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ContainerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ContainerState {
        self.lock().clone()
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(*self.lock(), ContainerState::Running { .. })
    }

    pub(super) fn status(&self) -> ContainerStatus {
        ContainerStatus {
            id: self.id.clone(),
            sandbox: self.sandbox.clone(),
            name: self.config.name.clone(),
            attempt: self.config.attempt,
            state: self.state(),
            created_at: self.created_at,
            image: self.config.image.clone(),
            image_id: self.image_id.clone(),
            labels: self.config.labels.clone(),
            annotations: self.config.annotations.clone(),
        }
    }

    pub(super) fn event(&self) -> ContainerEvent {
        ContainerEvent {
            sandbox: self.sandbox.clone(),
            pod_uid: self.pod_uid.clone(),
            container: self.id.clone(),
        }
    }

    fn set(&self, state: ContainerState, events: &EventHub) {
        *self.lock() = state;
        self.changed.notify_waiters();
        events.publish(&self.event());
    }

    /// Starts the program, and a task that sees to it until it has ended.
    pub(super) fn start(self: &Arc<Self>, env: &Env, events: &EventHub) -> Result<()> {
        let mut state = self.lock();
        let wrong = match *state {
            ContainerState::Created => None,
            ContainerState::Running { .. } => Some("running"),
            ContainerState::Exited { .. } => Some("exited"),
        };
        if let Some(state) = wrong {
            return Err(Error::WrongState { what: "container", id: self.id.0.clone(), state });
        }
        let started_at = env.clock.now();
        let started = self.spawn();
        *state = match &started {
            Ok(_) => ContainerState::Running { started_at },
            // As containerd remembers a container whose program could not be started.
            Err(error) => ContainerState::Exited {
                started_at,
                finished_at: started_at,
                exit_code: 128,
                signal: None,
                reason: "StartError".into(),
                message: error.to_string(),
            },
        };
        drop(state);
        if started.is_err() {
            self.log.end();
        }
        let outcome = started.map(|mut child| {
            if let Some(pipe) = child.stdin.take() {
                let (stdin, write) = Stdin::of(pipe);
                *self.stdin.lock().unwrap_or_else(PoisonError::into_inner) = Some(stdin);
                env.tasks.spawn("container's input", write);
            }
            let leader = Leader { container: Arc::clone(self), child };
            env.tasks.spawn("container", leader.attend(env.clone(), events.clone(), started_at));
        });
        self.changed.notify_waiters();
        events.publish(&self.event());
        outcome
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = self.launch.command()?;
        // Without a pipe, reading standard input is at its end at once.
        command.stdin(if self.config.stdin { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = &self.launch.argv[0];
        self.group.lead(command).map_err(|error| Error::CannotRun { why: format!("exec: {name:?}: {error}") })
    }

    /// One who types into the container.
    pub(super) fn typist(&self) -> Result<Pin<Box<dyn AsyncWrite + Send>>> {
        let stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wrong = |state| Error::WrongState { what: "container", id: self.id.0.clone(), state };
        match stdin {
            _ if !self.is_running() => Err(wrong("not running")),
            None => Err(wrong("without standard input")),
            Some(stdin) => Ok(stdin.writer(self.config.stdin_once)),
        }
    }

    /// Asks the program to end, and makes it after `grace`. Answers when it has ended.
    pub(super) async fn stop(&self, env: &Env, grace: Duration) {
        if !self.is_running() {
            return;
        }
        if !grace.is_zero() {
            self.group.signal(Signal::SIGTERM);
            if env.clock.timeout(grace, self.ended()).await.is_ok() {
                return;
            }
        }
        self.group.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Waits until the container does not run. Cancel safe.
    pub(super) async fn ended(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if !self.is_running() {
                return;
            }
            changed.await;
        }
    }
}

/// The first process of a container. Dropping it kills the whole group.
struct Leader {
    container: Arc<Container>,
    child: Child,
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.container.group.signal(Signal::SIGKILL);
    }
}

impl Leader {
    /// Keeps the output, and tells how it ended. Dropping this kills the group.
    async fn attend(mut self, env: Env, events: EventHub, started_at: Timestamp) {
        let container = Arc::clone(&self.container);
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let output = {
            let (log, clock) = (Arc::clone(&container.log), env.clock.clone());
            async move {
                let out = async {
                    if let Some(stdout) = stdout {
                        log.capture(stdout, LogStreamKind::Stdout, clock.clone()).await;
                    }
                };
                let err = async {
                    if let Some(stderr) = stderr {
                        log.capture(stderr, LogStreamKind::Stderr, clock.clone()).await;
                    }
                };
                futures_util::future::join(out, err).await;
            }
        };
        let mut output = std::pin::pin!(output);

        // Printing and ending are watched side by side; a program that has closed its output may
        // run on, and one that has ended may have left something to read.
        let mut printing = true;
        let mut ending = std::pin::pin!(container.group.leader_ended());
        let ended = loop {
            crate::select! {
                ended = &mut ending => break ended,
                () = &mut output, if printing => printing = false,
            }
        };
        let finished_at = env.clock.now();
        if printing {
            let _late = env.clock.timeout(DRAIN, output).await;
        }
        let status = match ended {
            Ok(()) => container.group.reap(&mut self.child).await,
            Err(error) => Err(error),
        };
        container.log.end();
        *container.stdin.lock().unwrap_or_else(PoisonError::into_inner) = None;
        container.set(exited(status, started_at, finished_at), &events);
    }
}

fn exited(
    status: std::io::Result<ExitStatus>,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> ContainerState {
    let (exit_code, signal, message) = match status {
        Ok(status) => (exit_code(status), status.signal(), String::new()),
        Err(error) => (255, None, format!("its exit code is lost: {error}")),
    };
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    ContainerState::Exited { started_at, finished_at, exit_code, signal, reason: reason.into(), message }
}

/// As shells tell it: 128 and the signal's number where a signal ended the process.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(127))
}
