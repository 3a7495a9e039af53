//! Compaction that all who serve one store share, kube-apiservers among them.
//!
//! One key of the store holds the revision that was compacted last, and its version counts the rounds.
//! Everybody looks once an interval. Who finds the version that it saw when it looked last has the round:
//! it writes the key, and compacts to what the newest revision was then. All others learn the new version
//! and wait. So history is compacted once an interval, however many look; what happened within the last
//! interval stays; and where the one that used to do it is gone, another does within two.
//!
//! Source: `compact.go` of kube-apiserver's `storage/etcd3` (1.36).

use std::sync::Arc;
use std::time::Duration;

use crate::env::{Env, Task};
use crate::store::{Compare, Condition, Error, ObjectStore, Op, OpResult, Relation, Result, Revision, Txn};

/// What holds the revision that was compacted last.
const KEY: &str = "compact_rev_key";

/// Compacts a store once an interval, unless somebody else has who does it in the same way; the history of
/// the last interval stays. It is a task of `env`, until its tasks end or this one is aborted.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start_shared(store: Arc<dyn ObjectStore>, interval: Duration, env: &Env) -> Task<()> {
    let clock = env.clock.clone();
    env.tasks.spawn("store/compactor", async move {
        let mut rounds = Rounds::default();
        loop {
            clock.sleep(interval).await;
            match rounds.look(&*store).await {
                Ok(Some(to)) => tracing::debug!(%to, "compacted"),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "not compacted"),
            }
        }
    })
}

/// What was seen at the last look.
#[derive(Debug, Default)]
struct Rounds {
    /// The version of the key; 0 where there was none.
    version: u64,
    /// The newest revision; none where nobody has looked yet.
    newest: Revision,
}

impl Rounds {
    /// Looks, and has the round or not; answers what was compacted to.
    async fn look(&mut self, store: &dyn ObjectStore) -> Result<Option<Revision>> {
        let unchanged = Compare::key(KEY, Condition::Version(Relation::Equal, self.version));
        let write = Op::put(KEY, self.newest.to_string());
        let committed = store.commit(Txn::new().when(unchanged).then(write).or_else(Op::get(KEY))).await?;
        let before = std::mem::replace(&mut self.newest, committed.revision);
        if !committed.succeeded {
            let found = committed.results.first().and_then(|result| match result {
                OpResult::Range(page) => page.items.first(),
                _ => None,
            });
            self.version = found.map_or(0, |kv| kv.version);
            return Ok(None);
        }
        self.version += 1;
        if before == Revision::NONE {
            return Ok(None);
        }
        match store.compact(before).await {
            // Somebody has in another way, and further.
            Ok(()) | Err(Error::Compacted { .. }) => Ok(Some(before)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyRange, ListOptions, MemoryStore, ObjectStoreExt};

    const INTERVAL: Duration = Duration::from_secs(300);

    async fn reads(store: &MemoryStore, at: Revision) -> bool {
        store.list(KeyRange::single("/a"), ListOptions::default().at(at)).await.is_ok()
    }

    async fn key(store: &MemoryStore) -> (String, u64) {
        let kv = store.get(KEY.as_bytes()).await.unwrap().unwrap();
        (String::from_utf8(kv.value.to_vec()).unwrap(), kv.version)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_look_only_begins() {
        let store = MemoryStore::new();
        store.put("/a", "1").await.unwrap();
        let mut rounds = Rounds::default();
        assert_eq!(rounds.look(&store).await.unwrap(), None);
        assert_eq!(key(&store).await, ("0".into(), 1));
        let begun = store.revision().await.unwrap();
        store.put("/a", "2").await.unwrap();
        assert_eq!(rounds.look(&store).await.unwrap(), Some(begun));
        assert_eq!(key(&store).await, (begun.to_string(), 2));
        assert!(!reads(&store, Revision(begun.0 - 1)).await && reads(&store, begun).await);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_one_compacts_and_another_takes_over() {
        let store = MemoryStore::new();
        let (mut one, mut other) = (Rounds::default(), Rounds::default());
        assert_eq!(one.look(&store).await.unwrap(), None);
        assert_eq!(other.look(&store).await.unwrap(), None, "it has learned of the first round");
        let mut compacted = Vec::new();
        for _ in 0..5 {
            store.put("/a", "1").await.unwrap();
            let floor = one.newest;
            compacted.push(one.look(&store).await.unwrap());
            assert_eq!(compacted.last(), Some(&Some(floor)));
            assert_eq!(other.look(&store).await.unwrap(), None);
        }
        // The first is gone.
        let seen = other.newest;
        store.put("/a", "1").await.unwrap();
        assert_eq!(other.look(&store).await.unwrap(), Some(seen));
        assert_eq!(key(&store).await.1, 7);
        // And comes back: it does not know that it has missed a round until it has looked.
        assert_eq!(one.look(&store).await.unwrap(), None);
        assert_eq!(one.version, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_compacted_otherwise_is_no_failure() {
        let store = MemoryStore::new();
        let mut rounds = Rounds::default();
        rounds.look(&store).await.unwrap();
        let newest = store.put("/a", "1").await.unwrap();
        store.compact(newest).await.unwrap();
        let before = rounds.newest;
        assert_eq!(rounds.look(&store).await.unwrap(), Some(before));
        assert!(before < newest);
    }

    #[tokio::test(start_paused = true)]
    async fn the_history_of_the_last_interval_stays() {
        let env = Env::simulated(1);
        let store = MemoryStore::new();
        let tasks = [0, 1].map(|_| start_shared(Arc::new(store.clone()), INTERVAL, &env));
        let mut written = Vec::new();
        for minute in 0..30u64 {
            written.push(store.put("/a", minute.to_string()).await.unwrap());
            env.clock.sleep(Duration::from_secs(60)).await;
            for (at, revision) in written.iter().enumerate() {
                let age = minute + 1 - at as u64;
                // The key that is left says what it was at the floor, however old.
                let kept = reads(&store, *revision).await;
                assert!(kept || age >= 5, "forgotten after {age} minutes");
                assert!(!kept || age <= 11, "kept for {age} minutes");
            }
        }
        env.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(key(&store).await.1, 6, "one round an interval");
        tasks.iter().for_each(Task::abort);
    }
}
