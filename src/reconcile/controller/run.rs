//! What a worker does.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::super::Error;
use super::super::queue::Queue;
use super::super::writes::{Writes, recorded};
use super::source::Source;
use super::{Action, Reconciler};
use crate::api::ObjectKey;
use crate::env::Env;

/// How long a key is held back for informers that do not show what its last run wrote. A watch
/// that is broken for longer must not stop the controller: its next run may be in vain (a conflict,
/// a name that exists), never wrong.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Run<R> {
    pub(super) name: &'static str,
    pub(super) queue: Queue<ObjectKey>,
    pub(super) sources: Arc<[Box<dyn Source>]>,
    pub(super) reconciler: Arc<R>,
    pub(super) env: Env,
}

impl<R: Reconciler> Run<R> {
    /// Runs key after key, until the queue is closed and empty.
    pub(super) async fn work(self: Arc<Self>) {
        for source in self.sources.iter() {
            let synced = source.synced();
            // A controller that is stopped before its informers are in has nothing to finish.
            crate::select! {
                () = synced => {}
                () = self.queue.closed() => return,
            }
        }
        while let Some(key) = self.queue.next().await {
            let writes = self.once(&key).await;
            if self.sources.iter().all(|source| source.has_seen(&writes)) {
                self.queue.done(&key);
                continue;
            }
            // The worker goes on; only the key is held back.
            let run = self.clone();
            self.env.tasks.spawn("see writes", async move { run.hold_back(&key, &writes).await });
        }
    }

    async fn once(&self, key: &ObjectKey) -> Writes {
        let run = AssertUnwindSafe(self.reconciler.reconcile(key)).catch_unwind();
        let (outcome, writes) = recorded(run).await;
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::Panicked(text(&*panic))));
        match outcome {
            Ok(action) => {
                self.queue.forget(key);
                if let Action::RequeueAfter(delay) = action {
                    self.queue.add_after(key.clone(), delay);
                }
            }
            Err(error) => {
                let delay = self.queue.add_failed(key.clone());
                match error {
                    Error::Panicked(_) => tracing::error!(controller = self.name, %key, %error),
                    error => tracing::debug!(controller = self.name, %key, %error, ?delay, "will try again"),
                }
            }
        }
        writes
    }

    async fn hold_back(&self, key: &ObjectKey, writes: &Writes) {
        let seen = async {
            for source in self.sources.iter() {
                source.sees(writes).await;
            }
        };
        if self.env.clock.timeout(PATIENCE, seen).await.is_err() {
            tracing::warn!(controller = self.name, %key, "informers do not show what was written");
        }
        self.queue.done(key);
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
