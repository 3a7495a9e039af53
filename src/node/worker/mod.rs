//! The worker of one pod: observes, asks [`lifecycle`](super::lifecycle), acts.
//!
//! The worker itself never waits for the machine or the server: whatever takes time (pulling,
//! hooks, stopping, writing the status) is an operation in a task of its own that reports when it
//! is [`Done`], and the decisions know what is under way. So a deletion is heard during a pull, and
//! a second delete with less grace during the first.

mod drain;
mod look;
mod mailbox;
mod probes;
mod report;
mod resize;
mod sandbox;
mod start;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use mailbox::Mailbox;
pub(super) use sandbox::remove as remove_sandbox;

use super::admission::Rejection;
use super::context::{Context, View};
use super::health::Answer;
use super::lifecycle::{
    Action, Decision, End, Failure, Notes, Observed, ProbeKind, ProbeMachine, Reason, Stopping, compose,
    decide, find_container, spec,
};
use super::recorder::{Severity, reference};
use super::volumes;
use crate::env::{Task, Tasks};
use crate::runtime::{ContainerId, ContainerState, ContainerStatus, SandboxState, SandboxStatus};

/// How long a worker sleeps at most before it looks at the runtime again, where that tells what
/// happens, and where it does not (kubelet lists every second).
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const LOOK_OFTEN: Duration = Duration::from_secs(1);
/// How long after a failure an operation on the machine or the server is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// An operation has come to its end.
enum Done {
    Sandbox(Result<SandboxStatus, Failure>),
    /// A container exists: it runs (its postStart hook may still be under way), or could not be
    /// started.
    Made(ContainerStatus),
    /// A start has ended; without a failure to tell where it was given up.
    Started {
        name: String,
        result: Result<(), Option<Failure>>,
    },
    Stopped {
        id: ContainerId,
        result: Result<(), String>,
    },
    SandboxStopped,
    SandboxRemoved,
    CloseFailed,
    Drained,
    Probed {
        id: ContainerId,
        kind: ProbeKind,
        at: Timestamp,
        answer: Answer,
    },
    Written(Result<Box<PodStatus>, Duration>),
    Deleted(bool),
}

/// The worker of one pod.
pub(super) struct PodWorker {
    context: Arc<Context>,
    mailbox: Arc<Mailbox>,
    tasks: Tasks,
    report: mpsc::UnboundedSender<Done>,
    done: mpsc::UnboundedReceiver<Done>,

    pod: Arc<Pod>,
    sandbox: Option<SandboxStatus>,
    containers: Vec<ContainerStatus>,
    notes: Notes,
    probes: BTreeMap<(ContainerId, ProbeKind), ProbeMachine>,
    probing: BTreeSet<(ContainerId, ProbeKind)>,
    abandon: CancellationToken,
    stops: BTreeMap<ContainerId, Task<()>>,
    draining: bool,

    /// The status as it should be, and as it was last stored.
    status: PodStatus,
    stored: Option<PodStatus>,
    writing: bool,
    write_after: Option<Timestamp>,
    deleting: bool,
    told_back_off: BTreeMap<String, Timestamp>,
}

/// Whether a worker goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    End,
}

impl PodWorker {
    /// A worker for the pod in `mailbox`, which adopts what the runtime already has of it. A pod that
    /// was rejected only fails.
    pub(super) fn new(
        context: Arc<Context>,
        mailbox: Arc<Mailbox>,
        sandbox: Option<SandboxStatus>,
        containers: Vec<ContainerStatus>,
        rejection: Option<Rejection>,
    ) -> Self {
        let (report, done) = mpsc::unbounded_channel();
        let pod = mailbox.pod();
        let mut notes = Notes { allocated: super::lifecycle::resize::known(&pod), ..Notes::default() };
        if let Some(Rejection { reason, message }) = rejection {
            context.recorder.tell(reference(&pod, None), Severity::Warning, &reason, message.clone());
            notes.end = Some(End::Failed { reason, message: format!("Pod was rejected: {message}") });
        }
        Self {
            tasks: context.env.tasks.child(),
            status: pod.status.clone().unwrap_or_default(),
            context,
            mailbox,
            report,
            done,
            pod,
            sandbox,
            containers,
            notes,
            probes: BTreeMap::new(),
            probing: BTreeSet::new(),
            abandon: CancellationToken::new(),
            stops: BTreeMap::new(),
            draining: false,
            stored: None,
            writing: false,
            write_after: None,
            deleting: false,
            told_back_off: BTreeMap::new(),
        }
    }

    /// Runs until nothing of the pod is left, neither here nor on the server.
    pub(super) async fn run(mut self) {
        let uid = self.pod.metadata.uid.clone().unwrap_or_default();
        self.notes.blocked = volumes::refusal(&self.pod, self.now());
        if let Some(failure) = &self.notes.blocked {
            self.tell(None, Severity::Warning, "FailedMount", failure.message.clone());
        }
        loop {
            self.read_mail().await;
            self.resize();
            let decision = self.decide();
            self.show(&uid, &decision);
            self.notes.reported = self.stored.as_ref() == Some(&self.status);
            let decision = if self.notes.reported { self.decide() } else { decision };
            let mut next = Next::Go;
            for action in decision.actions.clone() {
                next = self.act(action);
            }
            if next == Next::End {
                self.context.views.forget(&uid);
                return;
            }
            let wake = self.probe(&decision);
            self.wait(&decision, wake).await;
        }
    }

    fn now(&self) -> Timestamp {
        self.context.env.clock.now()
    }

    fn observed(&self) -> Observed<'_> {
        Observed {
            pod: &self.pod,
            now: self.now(),
            sandbox: self.sandbox.as_ref(),
            containers: &self.containers,
            notes: &self.notes,
        }
    }

    fn decide(&mut self) -> Decision {
        let decision = decide(&self.observed());
        if decision.ending && self.notes.ending_since.is_none() {
            self.notes.ending_since = Some(self.now());
        }
        decision
    }

    async fn wait(&mut self, decision: &Decision, probe: Option<Timestamp>) {
        let clock = self.context.env.clock.clone();
        let poll = if self.context.runtime.events().is_some() { LOOK_AGAIN } else { LOOK_OFTEN };
        let wakes = [decision.wake, probe, self.write_after];
        let now = self.now();
        let until = wakes.into_iter().flatten().map(|wake| {
            // A wake a moment past its time is never early.
            Duration::try_from(wake.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
        });
        let pause = until.min().unwrap_or(poll).min(poll);
        let polled = pause == poll;
        crate::select! {
            Some(done) = self.done.recv() => self.take(done),
            () = self.mailbox.posted() => {}
            () = clock.sleep(pause) => {
                if polled {
                    self.mailbox.look();
                }
            }
        }
        while let Ok(done) = self.done.try_recv() {
            self.take(done);
        }
    }

    async fn read_mail(&mut self) {
        let mail = self.mailbox.read();
        self.pod = mail.pod;
        if mail.gone && self.notes.end != Some(End::Gone) {
            self.notes.end = Some(End::Gone);
        }
        if mail.look {
            self.look().await;
        }
    }

    fn container(&self, name: &str) -> Option<Container> {
        find_container(&self.pod, name)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        if spec(&self.pod).host_network == Some(true) {
            return vec![self.context.machine.address];
        }
        self.sandbox.as_ref().map(|sandbox| sandbox.addresses.clone()).unwrap_or_default()
    }

    fn tell(&self, container: Option<&str>, severity: Severity, reason: &str, message: impl Into<String>) {
        self.context.recorder.tell(reference(&self.pod, container), severity, reason, message);
    }

    /// Starts an operation; what it answers is taken by the loop.
    fn spawn(&self, name: &'static str, operation: impl Future<Output = Done> + Send + 'static) -> Task<()> {
        let report = self.report.clone();
        self.tasks.spawn(name, async move {
            let done = operation.await;
            // A worker that has ended asks for nothing more.
            let _ = report.send(done);
        })
    }

    /// Brings the status up to date, here and, when nothing is under way, on the server.
    fn show(&mut self, uid: &str, decision: &Decision) {
        self.status = compose(&self.observed(), &self.context.machine, &self.status, decision.ending);
        self.tell_back_off();
        let view = View { pod: self.pod.clone(), status: self.status.clone() };
        self.context.views.set(uid, view);
        if self.writing || self.deleting || self.notes.end == Some(End::Gone) {
            return;
        }
        if self.stored.as_ref() == Some(&self.status) {
            return;
        }
        if self.write_after.is_some_and(|after| after > self.now()) {
            return;
        }
        self.write_after = None;
        self.writing = true;
        let write = report::write(self.context.clone(), self.pod.clone(), self.status.clone());
        self.spawn("pod status", async move { Done::Written(write.await) });
    }

    /// A container that has come to wait is told about once for each wait.
    fn tell_back_off(&mut self) {
        let waiting: Vec<_> = self
            .status
            .init_container_statuses
            .iter()
            .chain(&self.status.container_statuses)
            .flatten()
            .filter_map(|status| {
                let reason = status.state.as_ref()?.waiting.as_ref()?.reason.clone()?;
                Some((status.name.clone(), status.image.clone(), reason))
            })
            .collect();
        for (name, image, reason) in waiting {
            let since = match reason.as_str() {
                "CrashLoopBackOff" => self.observed().newest(&name).and_then(|one| match one.state {
                    ContainerState::Exited { finished_at, .. } => Some(finished_at),
                    _ => None,
                }),
                "ImagePullBackOff" => self.notes.failures.get(&name).map(|failure| failure.at),
                _ => None,
            };
            let Some(since) = since else { continue };
            if self.told_back_off.insert(name.clone(), since) == Some(since) {
                continue;
            }
            let pod = super::lifecycle::pod_name(&self.pod);
            if reason == "CrashLoopBackOff" {
                let message = format!("Back-off restarting failed container {name} in pod {pod}");
                self.tell(Some(&name), Severity::Warning, "BackOff", message);
            } else {
                self.tell(
                    Some(&name),
                    Severity::Normal,
                    "BackOff",
                    format!("Back-off pulling image {image:?}"),
                );
            }
        }
    }

    fn act(&mut self, action: Action) -> Next {
        match action {
            Action::CreateSandbox { attempt } => {
                self.notes.starting = Some(String::new());
                let create = sandbox::create(self.context.clone(), self.pod.clone(), attempt);
                self.spawn("sandbox", async move { Done::Sandbox(create.await) });
            }
            Action::StopSandbox { id } => {
                self.notes.closing = true;
                let stop = sandbox::stop(self.context.clone(), id);
                self.spawn("stop sandbox", async move {
                    if stop.await { Done::SandboxStopped } else { Done::CloseFailed }
                });
            }
            Action::RemoveSandbox { id } => {
                self.notes.closing = true;
                let remove = sandbox::remove(self.context.clone(), id);
                self.spawn("remove sandbox", async move {
                    if remove.await { Done::SandboxRemoved } else { Done::CloseFailed }
                });
            }
            Action::StartContainer { name, attempt, after } => self.start(&name, attempt, after),
            Action::AbandonStart => self.abandon.cancel(),
            Action::StopContainer { id, name, reason, grace } => self.stop(id, &name, reason, grace),
            Action::RemoveContainer { id } => {
                self.containers.retain(|one| one.id != id);
                self.notes.messages.remove(&id);
                self.notes.renewed.remove(&id);
                let runtime = self.context.runtime.clone();
                self.tasks.spawn("remove container", async move {
                    if let Err(error) = runtime.remove_container(&id).await {
                        tracing::debug!(%error, "container not removed");
                    }
                });
            }
            Action::Drain if !self.draining => {
                self.draining = true;
                let drain = drain::drain(self.context.clone(), self.pod.clone());
                self.spawn("drain", async move {
                    drain.await;
                    Done::Drained
                });
            }
            Action::Drain => {}
            Action::Fail { reason, message } => {
                self.tell(None, Severity::Normal, &reason, message.clone());
                self.notes.end = Some(End::Failed { reason, message });
                self.mailbox.look();
            }
            Action::DeleteObject if !self.deleting => {
                self.deleting = true;
                let delete = report::delete(self.context.clone(), self.pod.clone());
                self.spawn("delete pod", async move { Done::Deleted(delete.await) });
            }
            Action::DeleteObject => {}
            Action::Forget => return Next::End,
        }
        Next::Go
    }

    fn start(&mut self, name: &str, attempt: u32, after: Option<Timestamp>) {
        let (Some(container), Some(sandbox)) = (self.container(name), self.sandbox.as_ref()) else {
            return;
        };
        if let Some(after) = after {
            let now = self.now();
            self.notes.backoff.raise(name, after, now);
        }
        self.notes.starting = Some(name.to_owned());
        self.abandon = CancellationToken::new();
        let start = start::Start {
            context: self.context.clone(),
            pod: self.pod.clone(),
            container,
            sandbox: sandbox.id.clone(),
            addresses: self.addresses(),
            attempt,
            abandon: self.abandon.clone(),
            report: self.report.clone(),
        };
        let name = name.to_owned();
        self.spawn("start container", async move { Done::Started { name, result: start.run().await } });
    }

    fn stop(&mut self, id: ContainerId, name: &str, reason: Reason, grace: Duration) {
        let Some(container) = self.container(name) else { return };
        let deadline = self.now() + SignedDuration::try_from(grace).unwrap_or_default();
        // Whoever asks again with less grace has no time for the hook either.
        let again = self.notes.stopping.insert(id.clone(), Stopping { deadline }).is_some();
        if let Some(before) = self.stops.remove(&id) {
            before.abort();
        }
        let message = match &reason {
            Reason::PodEnds => format!("Stopping container {name}"),
            Reason::Probe { message, .. } => message.clone(),
        };
        if matches!(reason, Reason::Probe { restart: true, .. }) {
            self.notes.renewed.insert(id.clone());
        }
        if !again {
            self.tell(Some(name), Severity::Normal, "Killing", message);
        }
        let stop = stop::Stop {
            context: self.context.clone(),
            pod: self.pod.clone(),
            container,
            id: id.clone(),
            address: self.addresses().first().copied(),
            grace,
            hook: !again,
        };
        let key = id.clone();
        let task =
            self.spawn("stop container", async move { Done::Stopped { id, result: stop.run().await } });
        self.stops.insert(key, task);
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Sandbox(result) => {
                self.notes.starting = None;
                match result {
                    Ok(sandbox) => {
                        self.notes.failures.remove("");
                        self.sandbox = Some(sandbox);
                    }
                    Err(failure) => {
                        self.notes.failures.insert(String::new(), failure);
                    }
                }
            }
            Done::Made(instance) => {
                self.notes.failures.remove(&instance.name);
                self.containers.push(instance);
                self.mailbox.look();
            }
            Done::Started { name, result } => {
                self.notes.starting = None;
                if let Err(Some(mut failure)) = result {
                    let now = self.now();
                    if failure.reason == "ErrImagePull" {
                        // Pulls back off by image, as restarts do by container.
                        let key = format!("image {}", failure.subject);
                        self.notes.backoff.raise(&key, failure.at, now);
                        failure.retry = failure.at + self.notes.backoff.delay(&key).unwrap_or_default();
                    }
                    self.notes.failures.insert(name, failure);
                }
                self.mailbox.look();
            }
            Done::Stopped { id, result } => {
                self.stops.remove(&id);
                self.notes.stopping.remove(&id);
                if let Err(why) = result {
                    tracing::debug!(why, "container not stopped");
                }
                self.mailbox.look();
            }
            Done::SandboxStopped => {
                self.notes.closing = false;
                if let Some(sandbox) = &mut self.sandbox {
                    sandbox.state = SandboxState::NotReady;
                }
            }
            Done::SandboxRemoved => {
                self.notes.closing = false;
                self.sandbox = None;
            }
            Done::CloseFailed => self.notes.closing = false,
            Done::Drained => self.notes.drained = true,
            Done::Probed { id, kind, at, answer } => self.probed(&id, kind, at, answer),
            Done::Written(Ok(stored)) => {
                self.writing = false;
                self.stored = Some(*stored);
            }
            Done::Written(Err(pause)) => {
                self.writing = false;
                self.write_after = Some(self.now() + SignedDuration::try_from(pause).unwrap_or_default());
            }
            Done::Deleted(true) => {}
            Done::Deleted(false) => self.deleting = false,
        }
    }
}

/// Dropping a worker ends everything that it has under way.
impl Drop for PodWorker {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}
