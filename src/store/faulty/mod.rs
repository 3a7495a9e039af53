//! A store that fails as its seed says: errors before and after the deed, delays, stale reads, cut
//! watches.
//!
//! Everything that a store over a network does to its callers sooner or later, a few thousand times
//! more often. What went wrong is told as [`Error::Unavailable`], whether or not it happened: a caller
//! that must know asks the store, as it must of any.

mod watch;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Committed, Error, Granted, KeyRange, KeyValue, LeaseStatus, Leases, ListOptions, Maintenance,
    ObjectStore, Page, Result, Revision, SnapshotStream, StoreStatus, Txn, WatchOptions, WatchStream,
};
use crate::env::{Clock, Env, Stream};

/// How often what goes wrong: each a probability in `0.0..=1.0`. By default nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// A call fails before anything happened.
    pub refused: f64,
    /// A call fails though it happened: its answer is lost.
    pub lost: f64,
    /// A call, or the delivery of a batch of a watch, takes longer: up to [`Faults::longest`].
    pub delayed: f64,
    /// The longest delay. A call may be delayed before the deed and behind it.
    pub longest: Duration,
    /// A watch ends with an error instead of delivering its next batch.
    pub cut: f64,
    /// A read of the newest state answers an older one, up to [`Faults::behind`] revisions old. This
    /// breaks the contract: it is for finding callers that rely on it unawares.
    pub stale: f64,
    /// How many revisions a stale read may be behind.
    pub behind: u64,
}

impl Faults {
    /// Calls fail so often before anything happened.
    #[must_use]
    pub fn refused(mut self, probability: f64) -> Self {
        self.refused = probability;
        self
    }

    /// Answers are lost so often.
    #[must_use]
    pub fn lost(mut self, probability: f64) -> Self {
        self.lost = probability;
        self
    }

    /// Calls and deliveries are delayed so often, by up to `longest`.
    #[must_use]
    pub fn delayed(mut self, probability: f64, longest: Duration) -> Self {
        (self.delayed, self.longest) = (probability, longest);
        self
    }

    /// Watches are cut so often, at each batch.
    #[must_use]
    pub fn cut(mut self, probability: f64) -> Self {
        self.cut = probability;
        self
    }

    /// Reads are stale so often, by up to `behind` revisions.
    #[must_use]
    pub fn stale(mut self, probability: f64, behind: u64) -> Self {
        (self.stale, self.behind) = (probability, behind);
        self
    }
}

/// A store that fails as its seed says. With no faults it is the store below. Clones are the same
/// store.
///
/// # Contract
///
/// That of the store below, as far as the [`Faults`] leave it: without stale reads everything that is
/// answered, and every batch that is delivered, is as the contract says. Faults are drawn in the order
/// of the calls, from one stream of the environment's: the same calls fail in the same way.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    chance: Chance,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("faults", &self.chance.faults()).finish_non_exhaustive()
    }
}

/// What decides, and how long.
#[derive(Clone)]
struct Chance {
    faults: Arc<Mutex<Faults>>,
    clock: Clock,
    stream: Stream,
}

impl Chance {
    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws only where there is anything to decide, so that what never fails moves no stream.
    fn strikes(&self, probability: f64) -> bool {
        probability > 0.0 && self.stream.unit() < probability
    }

    async fn delay(&self) {
        let faults = self.faults();
        if self.strikes(faults.delayed) {
            self.clock.sleep(faults.longest.mul_f64(self.stream.unit())).await;
        }
    }

    async fn call<T>(&self, operation: &'static str, deed: impl Future<Output = Result<T>>) -> Result<T> {
        self.delay().await;
        if self.strikes(self.faults().refused) {
            return Err(failed(operation, "refused before anything happened"));
        }
        let answer = deed.await;
        self.delay().await;
        if self.strikes(self.faults().lost) {
            return Err(failed(operation, "its answer was lost"));
        }
        answer
    }
}

fn failed(operation: &'static str, why: &'static str) -> Error {
    Error::Unavailable { operation, source: why.into() }
}

impl Faulty {
    /// Lets `inner` fail so, by the stream `faulty/name` of an environment.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, env: &Env, name: &str, faults: Faults) -> Self {
        let stream = env.random.stream(&format!("faulty/{name}"));
        let faults = Arc::new(Mutex::new(faults));
        Self { inner, chance: Chance { faults, clock: env.clock.clone(), stream } }
    }

    /// From now on it fails so.
    pub fn set(&self, faults: Faults) {
        *self.chance.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// An older revision to read at, where it comes to that.
    async fn past(&self) -> Result<Option<Revision>> {
        let faults = self.chance.faults();
        if !self.chance.strikes(faults.stale) {
            return Ok(None);
        }
        let newest = self.inner.revision().await?;
        let behind = 1 + self.chance.stream.below(faults.behind);
        Ok(newest.0.checked_sub(behind).filter(|at| *at > 0).map(Revision))
    }

    /// Reads the newest state, or an older one.
    async fn read(&self, range: &KeyRange, options: ListOptions) -> Result<Page> {
        if options.at.is_none_or(|at| at == Revision::NONE)
            && let Some(past) = self.past().await?
        {
            match self.inner.list(range.clone(), options.at(past)).await {
                Err(Error::Compacted { .. }) => {}
                answer => return answer,
            }
        }
        self.inner.list(range.clone(), options).await
    }

    fn below(&self) -> &dyn Leases {
        self.inner.leases().expect("asked for only where there are some")
    }

    fn upkeep(&self) -> &dyn Maintenance {
        self.inner.maintenance().expect("asked for only where there is some")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn revision(&self) -> Result<Revision> {
        let read = async {
            match self.past().await? {
                Some(past) => Ok(past),
                None => self.inner.revision().await,
            }
        };
        self.chance.call("asking for the revision", read).await
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        let range = KeyRange::single(Bytes::copy_from_slice(key));
        let read = async {
            match self.chance.faults().stale > 0.0 {
                true => Ok(self.read(&range, ListOptions::default()).await?.items.pop()),
                false => self.inner.get(key).await,
            }
        };
        self.chance.call("reading", read).await
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.chance.call("listing", self.read(&range, options)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        self.chance.call("committing", self.inner.commit(txn)).await
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        let watch = self.chance.call("watching", self.inner.watch(range, options)).await?;
        Ok(watch::faulty(watch, self.chance.clone()))
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.chance.call("asking for progress", self.inner.request_progress(range)).await
    }

    fn open(&self, key: &[u8], sealed: &Bytes) -> Result<Bytes> {
        self.inner.open(key, sealed)
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.chance.call("compacting", self.inner.compact(revision)).await
    }

    async fn is_stale(&self, key: &[u8]) -> Result<bool> {
        self.chance.call("asking whether a value is stale", self.inner.is_stale(key)).await
    }

    fn wants_compaction(&self) -> bool {
        self.inner.wants_compaction()
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.inner.leases().map(|_| self as &dyn Leases)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.inner.maintenance().map(|_| self as &dyn Maintenance)
    }
}

#[async_trait]
impl Leases for Faulty {
    async fn grant(&self, id: i64, ttl: Duration) -> Result<Granted> {
        self.chance.call("granting a lease", self.below().grant(id, ttl)).await
    }

    async fn keep_alive(&self, id: i64) -> Result<Duration> {
        self.chance.call("keeping a lease alive", self.below().keep_alive(id)).await
    }

    async fn revoke(&self, id: i64) -> Result<Revision> {
        self.chance.call("revoking a lease", self.below().revoke(id)).await
    }

    async fn time_to_live(&self, id: i64, keys: bool) -> Result<LeaseStatus> {
        self.chance.call("asking for a lease", self.below().time_to_live(id, keys)).await
    }

    async fn leases(&self) -> Result<Vec<i64>> {
        self.chance.call("listing leases", self.below().leases()).await
    }
}

#[async_trait]
impl Maintenance for Faulty {
    async fn status(&self) -> Result<StoreStatus> {
        self.chance.call("asking for the status", self.upkeep().status()).await
    }

    async fn snapshot(&self) -> Result<SnapshotStream> {
        self.chance.call("taking a snapshot", self.upkeep().snapshot()).await
    }

    async fn defragment(&self) -> Result<()> {
        self.chance.call("defragmenting", self.upkeep().defragment()).await
    }

    async fn disarm(&self) -> Result<()> {
        self.chance.call("taking back the alarm", self.upkeep().disarm()).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::store::{MemoryStore, ObjectStoreExt, WatchBatch};

    fn faulty(seed: u64, faults: Faults) -> (MemoryStore, Faulty) {
        let below = MemoryStore::new();
        (below.clone(), Faulty::new(Arc::new(below), &Env::simulated(seed), "test", faults))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_has_not_happened_and_what_is_lost_has() {
        let (below, store) = faulty(1, Faults::default().refused(1.0));
        assert!(matches!(store.put("/a", "1").await, Err(Error::Unavailable { .. })));
        assert_eq!(below.revision().await.unwrap(), Revision(1));
        store.set(Faults::default().lost(1.0));
        assert!(matches!(store.put("/a", "1").await, Err(Error::Unavailable { .. })));
        assert_eq!(below.revision().await.unwrap(), Revision(2));
        store.set(Faults::default());
        assert_eq!(store.put("/a", "1").await.unwrap(), Revision(3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_seed_decides() {
        let outcomes = async |seed| {
            let (_, store) = faulty(seed, Faults::default().refused(0.3).lost(0.3));
            let mut outcomes = Vec::new();
            for _ in 0..100 {
                outcomes.push(store.put("/a", "1").await.is_ok());
            }
            outcomes
        };
        let first = outcomes(1).await;
        assert_eq!(first, outcomes(1).await);
        assert_ne!(first, outcomes(2).await);
        let good = first.iter().filter(|good| **good).count();
        assert!((30..70).contains(&good), "about half of 100 succeed, not {good}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_and_deliveries_take_their_time() {
        let (_, store) = faulty(1, Faults::default().delayed(1.0, Duration::from_secs(10)));
        let clock = Clock::simulated();
        let start = clock.instant();
        let mut watch = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
        store.put("/a", "1").await.unwrap();
        let (called, longest) = (clock.instant() - start, Duration::from_secs(40));
        assert!(called > Duration::ZERO && called < longest, "{called:?}");
        watch.next().await.unwrap().unwrap();
        assert!(clock.instant() - start > called);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_cut_says_so_and_lost_nothing_before() {
        let (below, store) = faulty(3, Faults::default().cut(0.1));
        for number in 0..200 {
            below.put("/a", number.to_string()).await.unwrap();
        }
        let (mut from, mut cuts) = (Revision(2), 0);
        while from.0 < 202 {
            let mut watch = store.watch(KeyRange::all(), WatchOptions::from(from)).await.unwrap();
            loop {
                match watch.next().await {
                    Some(Ok(WatchBatch { revision, .. })) => {
                        assert_eq!(revision, from);
                        from = from.next();
                        if from.0 == 202 {
                            break;
                        }
                    }
                    Some(Err(error)) => {
                        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
                        assert!(watch.next().await.is_none());
                        cuts += 1;
                        break;
                    }
                    None => panic!("a watch ends with an error"),
                }
            }
        }
        assert!(cuts > 5, "{cuts}");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_stale_only_where_told_so() {
        let (below, store) = faulty(1, Faults::default().stale(1.0, 3));
        for number in 0..5 {
            below.put("/a", number.to_string()).await.unwrap();
        }
        for number in 0..50 {
            below.put("/a", number.to_string()).await.unwrap();
            let newest = below.revision().await.unwrap();
            let page = store.list(KeyRange::all(), ListOptions::default()).await.unwrap();
            assert!(page.revision < newest && page.revision.0 + 3 >= newest.0);
            let kv = store.get(b"/a").await.unwrap();
            assert!(kv.is_none_or(|kv| kv.mod_revision < newest));
            assert!(store.revision().await.unwrap() < newest);
            let page = store.list(KeyRange::all(), ListOptions::default().at(newest)).await.unwrap();
            assert_eq!(page.revision, newest);
        }
    }
}
