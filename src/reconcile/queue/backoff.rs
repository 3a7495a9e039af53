//! How long something that failed should wait.

use std::time::Duration;

/// A delay that doubles with every failure: 5 ms up to 1000 s unless told otherwise, as
/// client-go's default rate limiter for controllers has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub base: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(5), max: Duration::from_secs(1000) }
    }
}

impl Backoff {
    /// The delay after one failure that follows `earlier` others.
    #[must_use]
    pub fn delay(&self, earlier: u32) -> Duration {
        1u32.checked_shl(earlier)
            .and_then(|factor| self.base.checked_mul(factor))
            .unwrap_or(self.max)
            .min(self.max)
    }
}
