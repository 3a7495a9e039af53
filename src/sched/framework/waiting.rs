//! Pods that have a node and wait for a plugin's leave to be bound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The pods that a [`Permit`](super::Permit) holds back. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct WaitingPods(Arc<Mutex<BTreeMap<String, Waiting>>>);

#[derive(Debug)]
struct Waiting {
    plugins: BTreeSet<&'static str>,
    leave: oneshot::Sender<Result<(), String>>,
}

impl WaitingPods {
    /// The uids of the pods that wait.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Says that, for all that this plugin cares, the pod of this uid may be bound.
    pub fn allow(&self, uid: &str, plugin: &str) {
        let mut waiting = self.lock();
        let Some(pod) = waiting.get_mut(uid) else { return };
        pod.plugins.retain(|held| *held != plugin);
        if pod.plugins.is_empty()
            && let Some(pod) = waiting.remove(uid)
        {
            // A receiver that is gone has given up waiting.
            let _ = pod.leave.send(Ok(()));
        }
    }

    /// Says that the pod of this uid must not be bound.
    pub fn reject(&self, uid: &str, reason: impl Into<String>) {
        if let Some(pod) = self.lock().remove(uid) {
            let _ = pod.leave.send(Err(reason.into()));
        }
    }

    pub(crate) fn hold(
        &self,
        uid: &str,
        plugins: BTreeSet<&'static str>,
    ) -> oneshot::Receiver<Result<(), String>> {
        let (leave, receiver) = oneshot::channel();
        self.lock().insert(uid.to_owned(), Waiting { plugins, leave });
        receiver
    }

    /// Nobody waits for the pod of this uid any more.
    pub(crate) fn give_up(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
