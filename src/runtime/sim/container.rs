//! One simulated container, and the task that plays its script.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::log::Log;
use super::script::{Life, OnTerm, Script};
use crate::env::{Env, Stream};
use crate::runtime::{
    ContainerConfig, ContainerEvent, ContainerId, ContainerState, ContainerStatus, Error, EventHub, LogLine,
    Result, SandboxId,
};

const SIGKILL: i32 = 9;

pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) sandbox: SandboxId,
    pub(super) pod_uid: String,
    pub(super) config: ContainerConfig,
    pub(super) image_id: String,
    pub(super) script: Arc<Script>,
    pub(super) created_at: Timestamp,
    pub(super) log: Arc<Log>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Notify,
}

pub(super) struct State {
    pub(super) shown: ContainerState,
    /// It has been asked to start.
    pub(super) claimed: bool,
    /// When it was started, on the monotonic clock.
    pub(super) since: Option<Instant>,
    pub(super) signals: Option<mpsc::UnboundedSender<Signal>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Term,
    Kill,
}

/// How a container ended.
struct End {
    code: i32,
    signal: Option<i32>,
}

impl Container {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state().shown, ContainerState::Running { .. })
    }

    /// How long it has been running, while it does.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        match state.shown {
            ContainerState::Running { .. } => state.since.map(|since| now.saturating_duration_since(since)),
            _ => None,
        }
    }

    pub(super) fn status(&self) -> ContainerStatus {
        ContainerStatus {
            id: self.id.clone(),
            sandbox: self.sandbox.clone(),
            name: self.config.name.clone(),
            attempt: self.config.attempt,
            state: self.state().shown.clone(),
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

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(signals) = &self.state().signals {
            // Nobody listens any more once it has ended.
            let _ = signals.send(signal);
        }
    }

    /// Takes the one right to start it.
    pub(super) fn claim(&self) -> Result<()> {
        let mut state = self.state();
        let wrong = match state.shown {
            ContainerState::Created if !state.claimed => {
                state.claimed = true;
                return Ok(());
            }
            ContainerState::Created => "starting",
            ContainerState::Running { .. } => "running",
            ContainerState::Exited { .. } => "exited",
        };
        Err(Error::WrongState { what: "container", id: self.id.0.clone(), state: wrong })
    }

    /// Begins its life.
    pub(super) fn start(self: &Arc<Self>, env: &Env, chance: &Stream, events: &EventHub) -> Result<()> {
        let started_at = env.clock.now();
        let life = self.script.life_of(self.config.attempt);
        if let Life::CannotStart(why) = life {
            let error = Error::CannotRun { why: why.to_owned() };
            self.finish(
                started_at,
                started_at,
                &End { code: 128, signal: None },
                "StartError",
                &error.to_string(),
            );
            events.publish(&self.event());
            return Err(error);
        }
        let (sender, signals) = mpsc::unbounded_channel();
        {
            let mut state = self.state();
            state.shown = ContainerState::Running { started_at };
            state.since = Some(env.clock.instant());
            state.signals = Some(sender);
        }
        self.changed.notify_waiters();
        events.publish(&self.event());
        let (container, env, chance, events) =
            (Arc::clone(self), env.clone(), chance.clone(), events.clone());
        env.clone().tasks.spawn("simulated container", async move {
            let end = container.live(life, signals, &env, &chance).await;
            let reason = if end.code == 0 { "Completed" } else { "Error" };
            container.finish(started_at, env.clock.now(), &end, reason, "");
            events.publish(&container.event());
        });
        Ok(())
    }

    /// It has ended, unless it had before.
    fn finish(&self, started_at: Timestamp, finished_at: Timestamp, end: &End, reason: &str, message: &str) {
        {
            let mut state = self.state();
            if matches!(state.shown, ContainerState::Exited { .. }) {
                return;
            }
            state.signals = None;
            state.shown = ContainerState::Exited {
                started_at,
                finished_at,
                exit_code: end.code,
                signal: end.signal,
                reason: reason.to_owned(),
                message: message.to_owned(),
            };
        }
        self.log.end();
        self.changed.notify_waiters();
    }

    /// It was cut off with its machine: nobody knows how it ended.
    pub(super) fn lose(&self, now: Timestamp) {
        let shown = self.state().shown.clone();
        if let ContainerState::Running { started_at } = shown {
            self.finish(
                started_at,
                now,
                &End { code: 255, signal: None },
                "Unknown",
                "the machine went down",
            );
        }
    }

    /// Plays the script until its end.
    async fn live(
        &self,
        life: Life,
        mut signals: mpsc::UnboundedReceiver<Signal>,
        env: &Env,
        chance: &Stream,
    ) -> End {
        let start = env.clock.instant();
        let mut end = match life {
            Life::Exits { after, code } => Some((start + after.draw(chance), code)),
            Life::Forever | Life::CannotStart(_) => None,
        };
        let mut output: Vec<_> =
            self.script.output.iter().map(|output| (start + output.after, output)).collect();
        loop {
            // What comes first; of several at once, the first in the script, and output before the end.
            let line =
                output.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(index, (at, _))| (index, *at));
            let line = line.filter(|(_, at)| end.is_none_or(|(end, _)| *at <= end));
            crate::select! {
                signal = signals.recv() => match (signal, self.script.on_term) {
                    (Some(Signal::Term), OnTerm::Exits { after, code }) => {
                        let asked = env.clock.instant() + after.draw(chance);
                        if end.is_none_or(|(end, _)| asked < end) {
                            end = Some((asked, code));
                        }
                    }
                    (Some(Signal::Term), OnTerm::Ignores) => {}
                    (Some(Signal::Kill) | None, _) => return End { code: 128 + SIGKILL, signal: Some(SIGKILL) },
                },
                () = until(env, line.map(|(_, at)| at)) => if let Some((index, at)) = line {
                    let printed = output[index].1;
                    match printed.every {
                        Some(every) if !every.is_zero() => output[index].0 = at + every,
                        _ => drop(output.remove(index)),
                    }
                    self.print(env.clock.now(), printed);
                },
                () = until(env, end.map(|(at, _)| at)) => if let Some((_, code)) = end {
                    return End { code, signal: (129..=192).contains(&code).then_some(code - 128) };
                },
            }
        }
    }

    fn print(&self, time: Timestamp, output: &super::script::Output) {
        for line in output.text.split_inclusive('\n') {
            let line = Bytes::copy_from_slice(line.as_bytes());
            self.log.append(LogLine { time, stream: output.stream, line });
        }
    }

    /// Asks it to end, and makes it after `grace`.
    pub(super) async fn stop(&self, env: &Env, grace: Duration) {
        if !grace.is_zero() {
            self.signal(Signal::Term);
            if env.clock.timeout(grace, self.ended()).await.is_ok() {
                return;
            }
        }
        self.signal(Signal::Kill);
        self.ended().await;
    }

    /// Waits until it does not run. Cancel safe.
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

/// Waits until then; for ever, where that is never.
async fn until(env: &Env, at: Option<Instant>) {
    match at {
        Some(at) => env.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
