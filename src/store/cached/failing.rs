//! The cache above a store that fails.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::sync::Notify;

use super::tests::{World, next, on, pod, pods};
use super::*;
use crate::store::{Committed, KeyValue, MemoryStore, Page, Txn, WatchOptions, WatchStream};

/// A store whose watches can be cut, which fails when told to, and counts what it is asked.
pub(super) struct Shaky {
    inner: MemoryStore,
    pub(super) cut: Notify,
    pub(super) failures: AtomicUsize,
    /// So many commits happen, and their answers are lost.
    pub(super) lost: AtomicUsize,
    /// Whether progress is never told.
    pub(super) mute: AtomicBool,
    pub(super) lists: AtomicUsize,
    pub(super) watches: AtomicUsize,
    pub(super) revisions: AtomicUsize,
    pub(super) progress: AtomicUsize,
}

impl Shaky {
    pub(super) fn new(inner: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            cut: Notify::new(),
            failures: 0.into(),
            lost: 0.into(),
            mute: false.into(),
            lists: 0.into(),
            watches: 0.into(),
            revisions: 0.into(),
            progress: 0.into(),
        })
    }

    fn fail(&self) -> Result<()> {
        if take_one(&self.failures) {
            return Err(row::unavailable("asking the store", "it is shaky"));
        }
        Ok(())
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl ObjectStore for Arc<Shaky> {
    async fn revision(&self) -> Result<Revision> {
        self.revisions.fetch_add(1, Relaxed);
        self.inner.revision().await
    }
    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.inner.get(key).await
    }
    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.lists.fetch_add(1, Relaxed);
        self.fail()?;
        self.inner.list(range, options).await
    }
    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let committed = self.inner.commit(txn).await?;
        if take_one(&self.lost) {
            return Err(row::unavailable("committing", "the answer was lost"));
        }
        Ok(committed)
    }
    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.watches.fetch_add(1, Relaxed);
        self.fail()?;
        let shaky = self.clone();
        let cut = async move { shaky.cut.notified().await };
        let error = futures_util::stream::once(async { Err(row::unavailable("watching", "it was cut")) });
        Ok(Box::pin(self.inner.watch(range, options).await?.take_until(Box::pin(cut)).chain(error)))
    }
    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.progress.fetch_add(1, Relaxed);
        if self.mute.load(Relaxed) {
            return Ok(());
        }
        self.inner.request_progress(range).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }
}

pub(super) fn shaky_world() -> (Arc<Shaky>, World) {
    let store = MemoryStore::new();
    let shaky = Shaky::new(store.clone());
    let cached = Cached::new(Arc::new(shaky.clone()), &Env::simulated(1));
    (shaky, World { store, cached, row: pods() })
}

#[tokio::test(start_paused = true)]
async fn a_watch_outlives_the_failures_of_the_store_and_misses_nothing() {
    let (shaky, world) = shaky_world();
    let mut watch = world.watch(WatchQuery::default()).await;
    for round in 0..5 {
        let before = world.create(pod("a", &format!("{round}-before"))).await;
        shaky.failures.store(3, Relaxed);
        shaky.cut.notify_one();
        tokio::task::yield_now().await;
        let meanwhile = world.create(pod("a", &format!("{round}-meanwhile"))).await;
        assert_eq!(next(&mut watch).await, format!("A a/{round}-before@{before}"));
        assert_eq!(next(&mut watch).await, format!("A a/{round}-meanwhile@{meanwhile}"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_store_that_fails_is_told() {
    let (shaky, world) = shaky_world();
    shaky.failures.store(2, Relaxed);
    let list = async || world.cached.list(&world.row, &ListQuery::default()).await;
    assert!(matches!(list().await, Err(Error::Unavailable { .. })));
    assert!(matches!(list().await, Err(Error::Unavailable { .. })));
    assert!(list().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_the_store_compacted_while_it_was_away_expires_watches() {
    let (shaky, world) = shaky_world();
    let mut watch = world.watch(WatchQuery::default()).await;
    shaky.failures.store(2, Relaxed);
    shaky.cut.notify_one();
    tokio::task::yield_now().await;
    world.create(pod("a", "x")).await;
    let newest = world.create(pod("a", "y")).await;
    world.store.compact(newest).await.unwrap();
    assert!(matches!(watch.next().await, Some(Err(Error::Compacted { .. }))));
    assert_eq!(world.names(ListQuery::default()).await, ["a/x", "a/y"]);
}

#[tokio::test(start_paused = true)]
async fn a_cache_whose_tasks_end_before_they_begin_does_not_keep_anybody_waiting() {
    let env = Env::simulated(1);
    env.tasks.cancel();
    let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
    assert!(matches!(cached.list(&pods(), &ListQuery::default()).await, Err(Error::Unavailable { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_upstream_watch_serves_everybody() {
    let (shaky, world) = shaky_world();
    let mut watches = Vec::new();
    for node in 0..100 {
        let query = WatchQuery { fields: on(&format!("n{node}")), initial: true, ..WatchQuery::default() };
        watches.push(world.watch(query).await);
    }
    let created = world.create(pod("a", "x")).await;
    world.cached.wait(&world.row, created).await.unwrap();
    let calls = (shaky.lists.load(Relaxed), shaky.watches.load(Relaxed));
    assert_eq!(calls, (1, 1), "one list and one watch");
}
