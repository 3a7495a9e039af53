//! A work queue: keys that should be looked at, each by one worker at a time.
//!
//! Keys are deduplicated, so that a burst of events about one object is one run; a key that is
//! added while it runs, runs again afterwards. Keys can be added with a delay, and keys that failed
//! come back with exponential backoff. The rules are client-go's (`util/workqueue`), decided by a
//! pure core; this file only waits.

mod backoff;
mod core;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::backoff::Backoff;
use self::core::Core;
use crate::env::Clock;

/// A deduplicating, delaying, rate-limited queue of keys. Clones are the same queue.
pub struct Queue<K>(Arc<Inner<K>>);

struct Inner<K> {
    core: Mutex<Core<K>>,
    wake: Notify,
    closed: Notify,
    clock: Clock,
    start: Instant,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Ord> Queue<K> {
    /// An empty queue with the default [`Backoff`].
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self::with_backoff(clock, Backoff::default())
    }

    /// An empty queue whose failed keys wait so long.
    #[must_use]
    pub fn with_backoff(clock: &Clock, backoff: Backoff) -> Self {
        Self(Arc::new(Inner {
            core: Mutex::new(Core::new(backoff)),
            wake: Notify::new(),
            closed: Notify::new(),
            clock: clock.clone(),
            start: clock.instant(),
        }))
    }

    fn core(&self) -> MutexGuard<'_, Core<K>> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.0.clock.instant() - self.0.start
    }

    /// The key should run as soon as it can. While it is ready, adding it changes nothing.
    pub fn add(&self, key: K) {
        self.core().add(key);
        self.0.wake.notify_one();
    }

    /// The key should run after so long, or earlier if that was asked for before.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let moment = self.now().saturating_add(delay);
        self.core().add_at(key, moment);
        self.0.wake.notify_one();
    }

    /// The key failed and should run again, the later the more often that happens. Returns the
    /// delay.
    pub fn add_failed(&self, key: K) -> Duration {
        let delay = self.core().failed(&key);
        self.add_after(key, delay);
        delay
    }

    /// The key's failures no longer count.
    pub fn forget(&self, key: &K) {
        self.core().forget(key);
    }

    /// How often the key failed since it was last forgotten.
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.core().failures(key)
    }

    /// The next key, when there is one; no other worker gets it until [`Queue::done`] was called.
    /// `None` when the queue is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no key.
    pub async fn next(&self) -> Option<K> {
        loop {
            let moment = {
                let mut core = self.core();
                core.advance(self.now());
                if let Some(key) = core.take() {
                    let more = core.len() > 0;
                    drop(core);
                    if more {
                        // One permit may stand for several keys.
                        self.0.wake.notify_one();
                    }
                    return Some(key);
                }
                if core.is_closed() {
                    drop(core);
                    self.0.wake.notify_one();
                    return None;
                }
                core.next_moment()
            };
            let timer = async {
                match moment.and_then(|moment| self.0.start.checked_add(moment)) {
                    Some(deadline) => self.0.clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            crate::select! {
                () = self.0.wake.notified() => {}
                () = timer => {}
            }
        }
    }

    /// The run of a key that [`Queue::next`] gave has ended.
    pub fn done(&self, key: &K) {
        self.core().done(key);
        self.0.wake.notify_one();
    }

    /// Takes no more keys, and drops those that are delayed. Keys that are ready are still handed out.
    pub fn close(&self) {
        self.core().close();
        self.0.wake.notify_one();
        self.0.closed.notify_waiters();
    }

    /// Waits until the queue is closed. Cancel safe.
    pub async fn closed(&self) {
        let closed = self.0.closed.notified();
        tokio::pin!(closed);
        closed.as_mut().enable();
        if !self.core().is_closed() {
            closed.await;
        }
    }

    /// How many keys are ready.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core().len()
    }

    /// Whether no key is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no key is ready, running or delayed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core().is_idle()
    }
}

impl<K> fmt::Debug for Queue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[tokio::test(start_paused = true)]
    async fn delayed_keys_come_when_they_are_due() {
        let env = Env::simulated(1);
        let queue = Queue::new(&env.clock);
        queue.add_after("late", Duration::from_secs(20));
        queue.add_after("soon", Duration::from_secs(10));
        let start = env.clock.instant();
        assert_eq!(queue.next().await, Some("soon"));
        assert_eq!((env.clock.instant() - start).as_secs(), 10);
        assert_eq!(queue.next().await, Some("late"));
        assert_eq!((env.clock.instant() - start).as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_worker_hears_of_an_earlier_moment() {
        let env = Env::simulated(1);
        let queue = Queue::new(&env.clock);
        queue.add_after("late", Duration::from_secs(1000));
        let start = env.clock.instant();
        let worker = env.tasks.spawn("worker", {
            let queue = queue.clone();
            async move { queue.next().await }
        });
        env.clock.sleep(Duration::from_secs(1)).await;
        queue.add_after("soon", Duration::from_secs(1));
        assert_eq!(worker.join().await, Some(Some("soon")));
        assert_eq!((env.clock.instant() - start).as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_every_worker_after_what_is_ready() {
        let env = Env::simulated(1);
        let queue = Queue::new(&env.clock);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                env.tasks.spawn("worker", async move {
                    let mut runs = 0;
                    while let Some(key) = queue.next().await {
                        queue.done(&key);
                        runs += 1;
                    }
                    runs
                })
            })
            .collect();
        env.clock.sleep(Duration::from_secs(1)).await;
        queue.add(1);
        queue.add(2);
        queue.close();
        let mut runs = 0;
        for worker in workers {
            runs += worker.join().await.unwrap();
        }
        assert_eq!(runs, 2);
    }
}
