//! Tasks: the spawner, in groups that end together.
#![allow(clippy::disallowed_methods, reason = "this module is the door to concurrency")]

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks that ends as one.
///
/// A task runs until its future is ready or the group is cancelled; then its future is dropped at
/// the await where it stands. Groups nest: cancelling one cancels those below it. Clones are the
/// same group.
#[derive(Clone, Debug)]
pub struct Tasks {
    cancel: CancellationToken,
    tracker: TaskTracker,
    ancestors: Vec<TaskTracker>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// A group of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { cancel: CancellationToken::new(), tracker: TaskTracker::new(), ancestors: Vec::new() }
    }

    /// A group below this one.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut ancestors = self.ancestors.clone();
        ancestors.push(self.tracker.clone());
        Self { cancel: self.cancel.child_token(), tracker: TaskTracker::new(), ancestors }
    }

    /// Starts a task. Nothing needs to hold what is returned: dropping it leaves the task running.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let cancel = self.cancel.clone();
        let held: Vec<_> = self.ancestors.iter().map(TaskTracker::token).collect();
        let handle = self.tracker.spawn(async move {
            let _held = held;
            let output = cancel.run_until_cancelled_owned(future).await;
            if output.is_none() {
                tracing::trace!(task = name, "cancelled");
            }
            output
        });
        Task(handle)
    }

    /// Tells every task of this group and of those below it to stop, without waiting.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether the group has been told to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until the group is told to stop. Cancel safe.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits until no task of this group or below it is left, without telling any to stop.
    pub async fn idle(&self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.tracker.reopen();
    }

    /// Cancels, and waits until no task of this group or below it is left.
    pub async fn shutdown(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// A started task.
#[derive(Debug)]
pub struct Task<T>(tokio::task::JoinHandle<Option<T>>);

impl<T> Task<T> {
    /// Ends the task where it stands.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the task's end: `None` when it was cancelled or aborted. A panic in the task goes
    /// on in the caller.
    pub async fn join(self) -> Option<T> {
        match self.0.await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_waits_for_tasks_of_child_groups() {
        let parent = Tasks::new();
        let child = parent.child();
        let task = child.spawn("forever", std::future::pending::<()>());
        parent.shutdown().await;
        assert!(child.is_cancelled());
        assert_eq!(task.join().await, None);
    }

    #[tokio::test]
    async fn a_child_ends_without_its_parent() {
        let parent = Tasks::new();
        parent.child().shutdown().await;
        assert!(!parent.is_cancelled());
        assert_eq!(parent.spawn("seven", async { 7 }).join().await, Some(7));
    }
}
