//! How long pods wait.

use std::time::Duration;

/// The times of a queue. The defaults are kube-scheduler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// How long a pod backs off after its first attempt (`podInitialBackoffSeconds`). It doubles with each that fails.
    pub initial_backoff: Duration,
    /// How long a pod backs off at most (`podMaxBackoffSeconds`). Where it is nothing, none ever does.
    pub max_backoff: Duration,
    /// How long a pod waits for an event before it is tried again without one.
    pub max_wait: Duration,
    /// Whether, when no pod is active, one that still backs off has its turn (`SchedulerPopFromBackoffQ`).
    pub pop_from_backoff: bool,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(10),
            max_wait: Duration::from_secs(300),
            pop_from_backoff: true,
        }
    }
}

/// Where pods that back off may have their turn early, they sort as active ones do among those whose back-off ends in
/// the same second, and come back together after it.
///
/// Source: `backoffQOrderingWindowDuration` of `pkg/scheduler/backend/queue/backoff_queue.go` (1.36).
const WINDOW: Duration = Duration::from_secs(1);

impl QueueOptions {
    /// When the back-off ends of a pod that failed so often, the last time now; nothing where it does not back off.
    pub(super) fn backoff_end(&self, failures: u32, now: Duration) -> Option<Duration> {
        if self.max_backoff.is_zero() || failures == 0 {
            return None;
        }
        let end = now.saturating_add(self.backoff(failures));
        Some(if self.pop_from_backoff { window(end) } else { end })
    }

    /// How long a pod backs off that failed so often.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        self.initial_backoff.saturating_mul(doubled).min(self.max_backoff)
    }

    /// When a pod whose back-off ends then is active again.
    pub(super) fn back(&self, end: Duration) -> Duration {
        if self.pop_from_backoff { end.saturating_add(WINDOW) } else { end }
    }
}

fn window(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() / WINDOW.as_secs() * WINDOW.as_secs())
}
