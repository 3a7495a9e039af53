//! How a listener ends: it says that it is not ready, takes no more, lets requests finish, and ends watches
//! a few at a time, so that their clients do not all come to the next server at once.
//!
//! Source: `genericapiserver.go` and `filters/watch_termination.go` of `k8s.io/apiserver/pkg/server` (1.36).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "tls")]
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

#[cfg(feature = "tls")]
use crate::env::Clock;

/// How many watches end in a second at least.
#[cfg(feature = "tls")]
const SLOWEST: f64 = 200.0;
/// How often some of them end.
#[cfg(feature = "tls")]
const STEP: Duration = Duration::from_millis(10);

/// What is under way on a listener, and how it is told to end. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    closing: AtomicBool,
    requests: TaskTracker,
    watches: TaskTracker,
    /// One permit ends one watch; they wait in line.
    ends: Arc<Semaphore>,
}

impl Default for Inner {
    fn default() -> Self {
        let tracker = TaskTracker::new;
        let ends = Arc::new(Semaphore::new(0));
        Self { closing: AtomicBool::new(false), requests: tracker(), watches: tracker(), ends }
    }
}

impl Drain {
    /// Lets readiness fail from now on.
    #[cfg(feature = "tls")]
    pub(crate) fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
    }

    /// Whether the listener is about to close, or has.
    pub(crate) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// Counts a request for as long as the token lives.
    pub(crate) fn request(&self) -> TaskTrackerToken {
        self.0.requests.token()
    }

    /// Counts a long-running request for as long as the token lives.
    pub(crate) fn watch(&self) -> TaskTrackerToken {
        self.0.watches.token()
    }

    /// Waits until it is this watch's turn to end. Cancel safe.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let ends = self.0.ends.clone();
        async move {
            if let Ok(permit) = ends.acquire_owned().await {
                permit.forget();
            }
        }
    }

    /// Waits until no request is left that is not long-running. Cancel safe.
    #[cfg(feature = "tls")]
    pub(crate) async fn requests_done(&self) {
        self.0.requests.close();
        self.0.requests.wait().await;
    }

    /// Ends all watches within about `grace`, two hundred a second where that is sooner.
    #[cfg(feature = "tls")]
    pub(crate) async fn end_watches(&self, clock: &Clock, grace: Duration) {
        let count = self.0.watches.len();
        let rate = (count as f64 / grace.as_secs_f64()).max(SLOWEST);
        let (mut told, start) = (0, clock.instant());
        while told < count && !self.0.watches.is_empty() {
            let due = ((clock.instant() - start + STEP).as_secs_f64() * rate) as usize;
            let due = due.clamp(told, count);
            self.0.ends.add_permits(due - told);
            told = due;
            if told < count {
                clock.sleep(STEP).await;
            }
        }
        // Those that have come meanwhile need not wait, nor any that come later.
        self.0.ends.close();
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use crate::env::Env;

    #[tokio::test(start_paused = true)]
    async fn watches_end_a_few_at_a_time() {
        let (drain, env) = (Drain::default(), Env::simulated(1));
        let start = env.clock.instant();
        let ends: Vec<_> = (0..1000)
            .map(|_| {
                let (token, ended, clock) = (drain.watch(), drain.ended(), env.clock.clone());
                env.tasks.spawn("watch", async move {
                    ended.await;
                    drop(token);
                    clock.instant() - start
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drain.end_watches(&env.clock, Duration::from_secs(2)).await;
        let mut took = Vec::new();
        for end in ends {
            took.push(end.join().await.unwrap());
        }
        let within = |limit| took.iter().filter(|took| **took <= Duration::from_millis(limit)).count();
        assert!((1..=10).contains(&within(1)), "{}", within(1));
        assert!((490..=520).contains(&within(1000)), "{}", within(1000));
        assert_eq!(within(2100), 1000);
        drain.ended().await;
    }

    #[tokio::test(start_paused = true)]
    async fn few_watches_end_soon_and_requests_are_waited_for() {
        let (drain, env) = (Drain::default(), Env::simulated(1));
        assert!(!drain.is_closing());
        drain.close();
        assert!(drain.is_closing());
        let token = drain.request();
        assert!(env.clock.timeout(Duration::from_secs(9), drain.requests_done()).await.is_err());
        drop(token);
        drain.requests_done().await;
        let start = env.clock.instant();
        drain.end_watches(&env.clock, Duration::from_secs(60)).await;
        assert_eq!(env.clock.instant(), start, "there is none");
    }
}
