//! When an endpoint is out of rotation: no rule names it, and nobody is on the way to it.
//!
//! A connection is chosen an endpoint first and made after. Whoever wants to end an endpoint
//! without failing anybody must wait for those in between, so they are counted.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Rotation {
    attempts: Mutex<BTreeMap<IpAddr, u32>>,
    changed: Notify,
}

/// Somebody who is on the way to an endpoint.
pub(super) struct Attempt<'a> {
    rotation: &'a Rotation,
    address: IpAddr,
}

impl Rotation {
    fn attempts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets out for an endpoint, if it still `stands`.
    pub(super) fn attempt(&self, endpoint: SocketAddr, stands: impl FnOnce() -> bool) -> Option<Attempt<'_>> {
        let address = endpoint.ip();
        // Counted before looking: who sees no count afterwards has nobody to wait for.
        *self.attempts().entry(address).or_default() += 1;
        let attempt = Attempt { rotation: self, address };
        stands().then_some(attempt)
    }

    /// Rules have changed.
    pub(super) fn moved(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until no rule names an address, as `named` tells, and nobody is on the way to it.
    pub(super) async fn left(self: &Arc<Self>, address: IpAddr, named: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if !named() && !self.attempts().contains_key(&address) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut attempts = self.rotation.attempts();
        if let Some(count) = attempts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                attempts.remove(&self.address);
            }
        }
        drop(attempts);
        self.rotation.changed.notify_waiters();
    }
}
