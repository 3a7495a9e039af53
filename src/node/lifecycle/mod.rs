//! What becomes of a pod: pure decisions.
//!
//! [`decide`] looks at what is known of one pod (its object, its sandbox and containers as the
//! runtime sees them, what probes found, what the agent remembers) and says what is to be done;
//! [`compose`] says what its status is. Neither waits, calls or reads a clock. A worker observes,
//! asks both, acts, and asks again.
//!
//! # A worked example
//!
//! A pod `web` with one init container `fetch` and one container `app`, restart policy `Always`:
//!
//! | observed | decided | status |
//! |---|---|---|
//! | nothing | create sandbox 0 | Pending, `fetch` and `app` `PodInitializing` |
//! | sandbox ready | start `fetch` | Pending |
//! | `fetch` exited 0 | start `app` | Pending, Initialized |
//! | `app` running | nothing | Running, Ready |
//! | `app` exited 1 | start `app` (attempt 1) at once | Running, `app` terminated |
//! | `app` exited 1 again | wake in 10 s | Running, `app` `CrashLoopBackOff` |
//! | deletion timestamp | drain | Running, not in rotation |
//! | drained | stop `app` | |
//! | `app` exited | stop, then remove the sandbox | Failed or Succeeded |
//! | nothing left | delete the object | |
//!
//! Ephemeral containers are started once, beside whatever the pod is doing, and are waited for by nobody.
//!
//! Behaviour and wording follow kubelet 1.36 (`pkg/kubelet/kuberuntime`, `pkg/kubelet/status`).

mod backoff;
mod conditions;
mod containers;
mod decide;
mod observed;
mod phase;
mod probe;
pub mod resize;
mod restart;
mod status;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub(crate) use conditions::OWNED;
pub(crate) use containers::pod_name;
pub use decide::{Action, Decision, Reason, decide};
pub use observed::{End, Failure, Notes, Observed, Stopping, Verdict, Verdicts};
pub(crate) use observed::{find_container, spec};
pub use phase::Phase;
pub use probe::{ProbeKind, ProbeMachine, ProbeResult};
pub use resize::Pending;
pub use restart::{is_sidecar, should_restart};
pub use status::{Machine, compose};
