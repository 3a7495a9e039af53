//! When an endpoint is out of rotation: no rule names it, and nobody is on the way to it.
//!
//! A connection is chosen an endpoint first and made after. Whoever wants to end an endpoint
//! without failing anybody must wait for those in between, so they are counted.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    /// Rules or listeners have changed.
    pub(super) fn moved(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until no rule names an address, as `named` tells, and nobody is on the way to it.
    pub(super) async fn left(&self, address: IpAddr, named: impl Fn() -> bool) {
        self.until(|| !named() && !self.attempts().contains_key(&address)).await;
    }

    /// Waits until something holds that rules, listeners or attempts decide. Cancel safe.
    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds() {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_address_has_left_when_no_rule_names_it_and_nobody_is_on_the_way() {
        let endpoint = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let (rotation, named) = (Rotation::default(), Cell::new(true));
        let attempt = rotation.attempt(endpoint, || true);
        assert!(attempt.is_some());
        let mut left = Box::pin(rotation.left(endpoint.ip(), || named.get()));
        assert!(left.as_mut().now_or_never().is_none());
        named.set(false);
        rotation.moved();
        assert!(left.as_mut().now_or_never().is_none(), "somebody is still on the way");
        assert!(rotation.attempt(endpoint, || false).is_none(), "who finds it gone does not set out");
        drop(attempt);
        assert!(left.now_or_never().is_some());
    }
}
