//! The only doors to time, chance and concurrency.
//!
//! Everything in this crate that needs the time, a random number or a task asks an [`Env`] for
//! it. On [`Env::system`] these are the machine's own. On [`Env::simulated`] they are tokio's
//! (paused) clock and streams that follow from a seed, so that a whole cluster on one thread
//! replays the same history from the same seed. Clippy's disallowed lists (`clippy.toml`) refuse
//! every other door outside this module.

mod clock;
mod io;
mod random;
mod tasks;
mod worker;

pub use clock::{Clock, Elapsed};
pub use io::{BoxIo, Io};
pub use random::{Random, Stream};
pub use tasks::{Task, Tasks};
pub use worker::Worker;

/// A map whose iteration order follows from what was done to it, never from a random hasher.
#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is a function of history")]
pub type HashMap<K, V> = std::collections::HashMap<K, V, rustc_hash::FxBuildHasher>;

/// A set whose iteration order follows from what was done to it, never from a random hasher.
#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is a function of history")]
pub type HashSet<K> = std::collections::HashSet<K, rustc_hash::FxBuildHasher>;

/// Time, chance and concurrency, handed to every part of a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Env {
    /// What time it is, and how to wait.
    pub clock: Clock,
    /// Named streams of random numbers, all of one seed.
    pub random: Random,
    /// The group that this part's tasks belong to.
    pub tasks: Tasks,
}

impl Env {
    /// The machine's clock, a seed from the operating system, and a task group of its own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Clock::system(), random: Random::from_os(), tasks: Tasks::new() }
    }

    /// A clock that starts at 2020-01-01T00:00:00Z and follows tokio's (usually paused) time,
    /// streams that follow from `seed`, and a task group of its own.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn simulated(seed: u64) -> Self {
        Self { clock: Clock::simulated(), random: Random::seeded(seed), tasks: Tasks::new() }
    }

    /// The same clock and seed, with a task group below this one: it ends when this one does, and
    /// can end before.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { tasks: self.tasks.child(), ..self.clone() }
    }

    /// The same, seen by a machine whose wall clock is off by `skew`.
    #[must_use]
    pub fn skewed(&self, skew: jiff::SignedDuration) -> Self {
        Self { clock: self.clock.skewed(skew), ..self.clone() }
    }
}

/// Waits for the first of several futures, looking at them in the order in which they are
/// written.
///
/// This is `tokio::select!` with `biased`, the only kind this crate uses: the unbiased one draws
/// from a random stream that no seed governs.
///
/// # Cancel safety
///
/// The futures that lose are dropped, as with `tokio::select!`.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        ::tokio::select! { biased; $($arms)* }
    };
}
