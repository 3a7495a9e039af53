//! A gate: what comes to it waits until it is let go.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A gate. It starts closed.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    /// Somebody has come.
    arrived: Notify,
    /// Somebody may go.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// So many may pass though it is closed.
    tickets: usize,
    waiting: usize,
    passed: usize,
}

/// Somebody who waits; counted as long as they do.
struct Waiting<'a>(&'a Gate);

impl Gate {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all go, and all who come from now on.
    pub(super) fn open(&self) {
        self.state().open = true;
        self.changed.notify_waiters();
    }

    /// Lets one go, or the next who comes.
    pub(super) fn open_once(&self) {
        self.state().tickets += 1;
        self.changed.notify_waiters();
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// How many have passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.state().passed
    }

    /// Waits until so many wait at the gate.
    ///
    /// # Cancel safety
    ///
    /// Dropping loses nothing.
    pub async fn reached(&self, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if self.waiting() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until it is let go.
    pub(super) async fn pass(&self) {
        self.state().waiting += 1;
        let _waiting = Waiting(self);
        self.arrived.notify_waiters();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.open || state.tickets > 0 {
                    state.tickets = state.tickets.saturating_sub(usize::from(!state.open));
                    state.passed += 1;
                    return;
                }
            }
            changed.await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_comes_waits_and_goes_one_by_one_or_all_at_once() {
        let gate = Gate::default();
        let (mut first, mut second) = (Box::pin(gate.pass()), Box::pin(gate.pass()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        gate.reached(2).await;
        gate.open_once();
        assert!((&mut first).now_or_never().is_some() && (&mut second).now_or_never().is_none());
        drop(first);
        assert_eq!((gate.waiting(), gate.passed()), (1, 1));
        drop(second);
        assert_eq!(gate.waiting(), 0, "who goes away waits no more");
        gate.open();
        gate.pass().await;
        assert_eq!(gate.passed(), 2);
    }
}
