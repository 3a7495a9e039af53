//! What a [`ContainerRuntime`] must do, as cases that any implementor can run.
//!
//! A case needs containers that do something definite: print, wait, fail, ignore SIGTERM. What
//! that takes differs from runtime to runtime (a shell script, an image, a script of a simulation),
//! so the implementor says how each [`Program`] and each [`Command`] is made, as a [`Subject`].
//! Abilities that a runtime does not have are named by the subject, and the cases that need them
//! are skipped by name.
//!
//! ```no_run
//! # mod mine { pub fn subject() -> std::sync::Arc<dyn windlass::runtime::conformance::Subject> { loop {} } }
//! windlass::runtime_conformance!(mine::subject);
//! ```

mod bench;
mod cases;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;

use self::bench::Bench;
use super::{ContainerConfig, ContainerId, ContainerRuntime};
use crate::env::Env;

pub use cases::CASES;

/// What a container is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// Prints `ready` and a line feed, runs until SIGTERM, and then ends at once with 0.
    Waits,
    /// Prints `ready` and a line feed, and takes no notice of SIGTERM.
    IgnoresTerm,
    /// Ends at once with this code.
    Exits(u8),
    /// Ends by a SIGKILL of its own.
    KillsItself,
    /// Prints `one`, a line feed and `three` without one to standard output, and `two` with a line
    /// feed to standard error; then ends with 0.
    Prints,
    /// Prints each of its arguments (the config's `args`), the variable `GREETING` and its working
    /// directory, a line each; then ends with 0. Only with [`Feature::Reflection`].
    Reflects,
    /// Has an image that can be pulled, and cannot be started.
    CannotStart,
}

/// What a command that is run in a container is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Prints `out` and a line feed to standard output, `err` and a line feed to standard error,
    /// and ends with 3.
    Prints,
    /// Copies standard input to standard output, until it ends; then ends with 0.
    Copies,
    /// Goes on for ever.
    Hangs,
}

/// What a runtime may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// [`ContainerRuntime::images`].
    Images,
    /// [`ContainerRuntime::exec`].
    Exec,
    /// [`ContainerRuntime::logs`].
    Logs,
    /// [`ContainerRuntime::events`].
    Events,
    /// Programs that see their arguments, environment and working directory ([`Program::Reflects`]).
    Reflection,
    /// [`Subject::kill`].
    Kill,
}

/// A runtime to be examined, with the programs that this takes. Each case has its own.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The runtime.
    fn runtime(&self) -> Arc<dyn ContainerRuntime>;

    /// The time that it lives in.
    fn env(&self) -> Env;

    /// Whether it can do this.
    fn has(&self, feature: Feature) -> bool;

    /// A container (image, command and arguments) that does this.
    fn container(&self, program: Program) -> ContainerConfig;

    /// A command that does this in a container that [waits](Program::Waits).
    fn command(&self, command: Command) -> Vec<String>;

    /// Kills a container's program from outside, so that the runtime is not asked. Only with
    /// [`Feature::Kill`].
    async fn kill(&self, _id: &ContainerId) {}

    /// Leaves nothing behind.
    async fn shutdown(&self) {}
}

/// One case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What holds.
    pub sentence: &'static str,
    /// What the runtime must have for it.
    pub needs: &'static [Feature],
    run: cases::Run,
}

/// Runs every case against a subject of its own, on a runtime of its own.
///
/// # Panics
///
/// When a case fails: after all have run, with the names of those that failed.
pub fn check(subject: impl Fn() -> Arc<dyn Subject>) {
    let mut failed = Vec::new();
    for case in CASES {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(case, &subject)));
        let outcome = match outcome {
            Ok(true) => "ok",
            Ok(false) => "skipped: the runtime does not have what it needs",
            Err(_panic) => {
                failed.push(case.name);
                "FAILED"
            }
        };
        println!("{} … {outcome} ({})", case.name, case.sentence);
    }
    assert!(failed.is_empty(), "the runtime does not conform: {}", failed.join(", "));
}

fn run(case: &Case, subject: &dyn Fn() -> Arc<dyn Subject>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime can be made");
    runtime.block_on(async {
        let subject = subject();
        if !case.needs.iter().all(|feature| subject.has(*feature)) {
            return false;
        }
        let bench = Bench::new(Arc::clone(&subject));
        let clock = bench.env.clock.clone();
        let done = clock.timeout(bench::LIMIT, (case.run)(bench)).await;
        subject.shutdown().await;
        assert!(done.is_ok(), "{}: not done after {:?}", case.name, bench::LIMIT);
        true
    })
}

/// Examines a [`ContainerRuntime`]: makes a test of the name `runtime_conformance` that runs every
/// case of [`CASES`] against what the given function makes: an `Arc<dyn Subject>`. The
/// function is called in a tokio runtime, once for each case.
#[macro_export]
macro_rules! runtime_conformance {
    ($subject:expr) => {
        #[test]
        fn runtime_conformance() {
            $crate::runtime::conformance::check($subject);
        }
    };
}
