//! The clock: what time it is, and how to wait.
#![allow(clippy::disallowed_methods, reason = "this module is the door to time")]

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A wall clock and a monotonic one, and the waits that follow the latter.
///
/// Waiting always goes through tokio's timer, so that paused time moves a whole cluster. A clock
/// may be skewed: its wall time is off, its waits are not.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    start: Option<Instant>,
    skew: SignedDuration,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// Wall time is this plus what tokio's clock has moved since `start`.
    Simulated {
        epoch: Timestamp,
    },
}

/// The time given to a future ran out; the future was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline has elapsed")]
pub struct Elapsed;

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System, start: None, skew: SignedDuration::ZERO }
    }

    /// A clock that reads 2020-01-01T00:00:00Z now and moves with tokio's.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn simulated() -> Self {
        let epoch = Timestamp::from_second(1_577_836_800).expect("2020 is a valid time");
        Self { source: Source::Simulated { epoch }, start: Some(Instant::now()), skew: SignedDuration::ZERO }
    }

    /// The same clock, `skew` ahead (or behind, if negative) of what it showed.
    #[must_use]
    pub fn skewed(&self, skew: SignedDuration) -> Self {
        Self { skew: self.skew + skew, ..self.clone() }
    }

    /// The wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let base = match self.source {
            Source::System => Timestamp::now(),
            Source::Simulated { epoch } => {
                let moved = self.start.map_or(Duration::ZERO, |start| start.elapsed());
                epoch + SignedDuration::try_from(moved).unwrap_or(SignedDuration::MAX)
            }
        };
        base.checked_add(self.skew).unwrap_or(base)
    }

    /// The wall time cut to whole seconds, as `metav1.Time` stores it.
    #[must_use]
    pub fn now_seconds(&self) -> Timestamp {
        Timestamp::from_second(self.now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// A point on the monotonic clock, for measuring how long something took.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Waits. Cancel safe.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until a point on the monotonic clock. Cancel safe.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }

    /// Runs `future` for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time ran out; the future is dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(limit, future).await.map_err(|_| Elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_moves_with_the_timer_and_skew_moves_only_the_wall() {
        let clock = Clock::simulated();
        let behind = clock.skewed(SignedDuration::from_secs(-5));
        let (before, start) = (clock.now(), clock.instant());
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(clock.now() - before, jiff::Span::new().seconds(60).fieldwise());
        assert_eq!(clock.now().as_second() - behind.now().as_second(), 5);
        assert_eq!(behind.instant() - start, Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_drops_what_is_late() {
        let clock = Clock::simulated();
        let late = clock.timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
        assert_eq!(late, Err(Elapsed));
        assert_eq!(clock.timeout(Duration::from_secs(1), async { 7 }).await, Ok(7));
    }
}
