//! Compaction by itself: history is forgotten once it is old, or once there is enough of it.
//!
//! Any store can be kept small so. The two modes are etcd's; what the API servers of one store do
//! together is `shared`.
//!
//! Source: `server/etcdserver/api/v3compactor/{periodic,revision}.go` of etcd 3.5.

mod shared;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, ObjectStore, Result, Revision};
use crate::env::{Env, Task};

pub use shared::start_shared;

/// How often revisions are counted.
const REVISION_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How long a period is, at most, between two compactions by age.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often, in such a period, the store is asked for its revision.
const SAMPLES: u32 = 10;

/// What is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What happened longer ago than this. It is looked at ten times in that time, or in an hour if
    /// that is shorter, and compacted once.
    Periodic(Duration),
    /// All but so many revisions, every five minutes.
    Revision(u64),
}

/// Compacts a store from now on, as a task of `env`: until its tasks end, or this one is aborted.
/// What cannot be compacted now is tried again later.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(store: Arc<dyn ObjectStore>, mode: Mode, env: &Env) -> Task<()> {
    let clock = env.clock.clone();
    env.tasks.spawn("store/compactor", async move {
        let mut compactor = Compactor::new(mode);
        loop {
            match store.revision().await {
                Ok(newest) => {
                    if let Some(to) = compactor.look(newest) {
                        compactor.done(to, &store.compact(to).await);
                    }
                }
                Err(error) => tracing::debug!(%error, "the revision is not known"),
            }
            clock.sleep(compactor.interval()).await;
        }
    })
}

/// What to do next; it knows no clock, only that it is asked once an interval.
#[derive(Debug)]
struct Compactor {
    mode: Mode,
    /// The newest revisions when it was last asked, oldest first.
    samples: VecDeque<Revision>,
    /// How often it was asked since it compacted.
    asked: u32,
    compacted: Revision,
}

impl Compactor {
    fn new(mode: Mode) -> Self {
        Self { mode, samples: VecDeque::new(), asked: 0, compacted: Revision::NONE }
    }

    /// How often to look.
    fn interval(&self) -> Duration {
        match self.mode {
            Mode::Periodic(age) => (age.min(LONGEST_INTERVAL) / SAMPLES).max(Duration::from_millis(1)),
            Mode::Revision(_) => REVISION_INTERVAL,
        }
    }

    /// Where to compact to, if at all, now that this is the newest revision.
    fn look(&mut self, newest: Revision) -> Option<Revision> {
        let to = match self.mode {
            Mode::Revision(keep) => Revision(newest.0.checked_sub(keep)?),
            Mode::Periodic(age) => {
                // As many intervals as the age has, and one end more.
                let kept = usize::try_from(age.as_nanos() / self.interval().as_nanos()).unwrap_or(usize::MAX);
                self.samples.push_back(newest);
                self.asked += 1;
                if self.samples.len() > kept.saturating_add(1) {
                    self.samples.pop_front();
                }
                if self.samples.len() <= kept || self.asked <= SAMPLES {
                    return None;
                }
                *self.samples.front()?
            }
        };
        (to > Revision::NONE && to != self.compacted).then_some(to)
    }

    fn done(&mut self, to: Revision, result: &Result<()>) {
        match result {
            // Somebody else was faster.
            Ok(()) | Err(Error::Compacted { .. }) => {
                tracing::debug!(%to, "compacted");
                self.compacted = to;
                self.asked = 1;
            }
            Err(error) => tracing::warn!(%to, %error, "not compacted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyRange, ListOptions, MemoryStore, ObjectStoreExt};

    #[test]
    fn so_many_revisions_are_kept() {
        let mut compactor = Compactor::new(Mode::Revision(100));
        assert_eq!(compactor.look(Revision(50)), None);
        assert_eq!(compactor.look(Revision(150)), Some(Revision(50)));
        compactor.done(Revision(50), &Ok(()));
        assert_eq!(compactor.look(Revision(150)), None, "nothing has happened");
        assert_eq!(compactor.look(Revision(151)), Some(Revision(51)));
        let failed = Error::Stopped { why: "a test".into() };
        compactor.done(Revision(51), &Err(failed));
        assert_eq!(compactor.look(Revision(151)), Some(Revision(51)), "tried again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_age_is_forgotten() {
        let env = Env::simulated(1);
        let store = Arc::new(MemoryStore::new());
        let task = start(store.clone(), Mode::Periodic(Duration::from_secs(600)), &env);
        // A write a second: the one at second `n` makes revision `n + 2`.
        for number in 0..2_000u64 {
            store.put("/a", number.to_string()).await.unwrap();
            env.clock.sleep(Duration::from_secs(1)).await;
            let at = ListOptions::default().at(Revision(2));
            let kept = store.list(KeyRange::all(), at).await.is_ok();
            assert!(kept || number >= 600, "forgotten after {number} seconds");
            assert!(!kept || number <= 1_260, "kept for {number} seconds");
        }
        task.abort();
    }
}
