//! What a pod's worker is told from outside: the newest object, and that it should look.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

/// Shared between the agent, which posts, and one worker, which reads. Only the newest object
/// counts, so that nothing piles up.
pub(in crate::node) struct Mailbox {
    slot: Mutex<Slot>,
    wake: Notify,
}

struct Slot {
    pod: Arc<Pod>,
    gone: bool,
    look: bool,
}

/// What there is to know.
pub(super) struct Mail {
    pub(super) pod: Arc<Pod>,
    /// The object no longer exists.
    pub(super) gone: bool,
    /// Something has happened in the runtime.
    pub(super) look: bool,
}

impl Mailbox {
    pub(in crate::node) fn new(pod: Arc<Pod>) -> Arc<Self> {
        Arc::new(Self { slot: Mutex::new(Slot { pod, gone: false, look: true }), wake: Notify::new() })
    }

    fn change(&self, change: impl FnOnce(&mut Slot)) {
        change(&mut self.slot.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    pub(in crate::node) fn post(&self, pod: Arc<Pod>) {
        self.change(|slot| slot.pod = pod);
    }

    pub(in crate::node) fn gone(&self) {
        self.change(|slot| slot.gone = true);
    }

    pub(in crate::node) fn look(&self) {
        self.change(|slot| slot.look = true);
    }

    /// The newest object.
    pub(in crate::node) fn pod(&self) -> Arc<Pod> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).pod.clone()
    }

    pub(super) fn read(&self) -> Mail {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        Mail { pod: slot.pod.clone(), gone: slot.gone, look: std::mem::take(&mut slot.look) }
    }

    /// Waits for a post that came after the last wait. Cancel safe.
    pub(super) async fn posted(&self) {
        self.wake.notified().await;
    }
}
