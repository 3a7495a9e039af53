//! A process group: what a container is here.
//!
//! The group's id is its leader's process id, and the system may give that number to anybody once
//! the leader has been waited for. So whoever signals the group holds the same lock as whoever
//! waits for the leader: first everybody else is killed while the leader is still a zombie (and
//! holds the number), then the number is forgotten, and only then is the leader waited for.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// The processes of one container.
#[derive(Debug, Default)]
pub(super) struct Group(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    NotStarted,
    Running(Pid),
    /// The leader is a zombie, or nearly: no process may join any more.
    Ending(Pid),
    Gone,
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the leader of the group. The child kills its group when it is dropped.
    pub(super) fn lead(&self, mut command: Command) -> io::Result<Child> {
        let mut state = self.state();
        command.process_group(0);
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        *state = child.id().map_or(State::Gone, |pid| State::Running(Pid::from_raw(pid.cast_signed())));
        Ok(child)
    }

    /// Starts another process in the group; `None` when the group has ended or not begun.
    pub(super) fn join(&self, mut command: Command) -> io::Result<Option<Child>> {
        let state = self.state();
        let State::Running(leader) = *state else { return Ok(None) };
        command.process_group(leader.as_raw());
        tokio::process::Command::from(command).kill_on_drop(true).spawn().map(Some)
    }

    /// Signals every process of the group, if any is left.
    pub(super) fn signal(&self, signal: Signal) {
        if let State::Running(leader) | State::Ending(leader) = *self.state() {
            match killpg(leader, signal) {
                // Nobody is left, which is what a kill is for; or only zombies, on some systems.
                Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
                Err(error) => tracing::warn!(group = leader.as_raw(), %error, "cannot signal"),
            }
        }
    }

    /// The leader's process id, while it runs.
    pub(super) fn leader(&self) -> Option<u32> {
        match *self.state() {
            State::Running(leader) => Some(leader.as_raw().cast_unsigned()),
            _ => None,
        }
    }

    /// Waits until the leader has ended, without waiting *for* it, and kills the others.
    pub(super) async fn leader_ended(&self) -> io::Result<()> {
        let Some(leader) = self.leader() else { return Ok(()) };
        // Subscribed before the first look, so that an end in between is not missed.
        let mut child_signals = signal(SignalKind::child())?;
        let leader = Pid::from_raw(leader.cast_signed());
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::Pid(leader), look) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                // Waited for by somebody else: gone all the same.
                Ok(_) | Err(Errno::ECHILD) => break,
                Err(error) => return Err(error.into()),
            }
            child_signals.recv().await;
        }
        *self.state() = State::Ending(leader);
        self.signal(Signal::SIGKILL);
        Ok(())
    }

    /// Waits for the leader, which must have ended. Its number is forgotten first.
    pub(super) async fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        *self.state() = State::Gone;
        child.wait().await
    }
}
