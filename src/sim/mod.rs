//! Proof: whole clusters on virtual time, replayed from a seed.
//!
//! [`run`] gives a scenario a runtime of one thread whose clock moves only when everybody waits,
//! and an [`Env`] whose streams follow from a seed. [`History`] is what became of it: every commit
//! of the store, with a digest. Two runs of one seed have the same digest, in any process.
//! `disk` is the disk under a store, with everything that a disk may do.

mod delay;
#[cfg(feature = "disk")]
pub mod disk;
mod history;

use crate::env::Env;

pub use delay::Delayed;
pub use history::History;

/// Runs a scenario to its end on virtual time.
///
/// # Panics
///
/// When the runtime cannot be made, or the scenario panics.
pub fn run<F, T>(seed: u64, scenario: F) -> T
where
    F: AsyncFnOnce(Env) -> T,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    runtime.block_on(async move {
        let env = Env::simulated(seed);
        let outcome = scenario(env.clone()).await;
        env.tasks.shutdown().await;
        outcome
    })
}
