//! Random programs, answered alike by every store and by a model that is too simple to be wrong.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use windlass::env::Env;
use windlass::store::conformance::differential::{Player, Step, play};
use windlass::store::{
    Compare, Condition, Encrypted, EncryptionKey, EncryptionKeys, Faults, Faulty, KeyRange, ListOptions,
    MemoryOptions, MemoryStore, ObjectStore, Op, Relation, Revision, Txn,
};

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/a", "/a/1", "/a/2", "/a0", "/b", "\u{7f}"]).prop_map(str::to_owned)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::single),
        key().prop_map(KeyRange::prefix),
        (key(), key()).prop_map(|(start, end)| KeyRange::between(start, end)),
        key().prop_map(|start| KeyRange { start: start.into(), end: None }),
        Just(KeyRange::all()),
    ]
}

fn options() -> impl Strategy<Value = ListOptions> {
    (0..4usize, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(limit, keys_only, count_only)| {
        let mut options = ListOptions::default().limit(limit);
        options.keys_only = keys_only;
        options.count_only = count_only;
        options
    })
}

/// The numbers of leases in programs, of which few are granted at a time.
fn lease() -> impl Strategy<Value = i64> {
    1..4i64
}

fn put() -> impl Strategy<Value = Op> {
    let value = prop_oneof![8 => (0..4u8).prop_map(|value| Some(value.to_string().into())), 1 => Just(None)];
    let lease = prop_oneof![12 => Just(Some(0)), 2 => lease().prop_map(Some), 1 => Just(None)];
    (key(), value, lease, any::<bool>()).prop_map(|(key, value, lease, previous)| Op::Put {
        key: key.into(),
        value,
        lease,
        previous,
    })
}

fn op(depth: u32) -> BoxedStrategy<Op> {
    let delete = |range: KeyRange, previous| Op::Delete { range, previous };
    let flat = prop_oneof![
        4 => put(),
        1 => (range(), options()).prop_map(|(range, options)| Op::Range(range, options)),
        1 => (range(), options(), 1..16u64)
            .prop_map(|(range, options, at)| Op::Range(range, options.at(Revision(at)))),
        1 => (range(), any::<bool>()).prop_map(move |(range, previous)| delete(range, previous)),
        1 => (key(), any::<bool>()).prop_map(move |(key, previous)| delete(KeyRange::single(key), previous)),
    ];
    match depth {
        0 => flat.boxed(),
        _ => prop_oneof![8 => flat, 1 => txn(depth - 1).prop_map(Op::Txn)].boxed(),
    }
}

fn compare() -> impl Strategy<Value = Compare> {
    use Relation::{Equal, Greater, Less, NotEqual};
    let relation = || prop::sample::select(vec![Less, Equal, Greater, NotEqual]);
    let condition = prop_oneof![
        (relation(), 0..20u64).prop_map(|(relation, than)| Condition::ModRevision(relation, Revision(than))),
        (relation(), 0..20u64)
            .prop_map(|(relation, than)| Condition::CreateRevision(relation, Revision(than))),
        (relation(), 0..3u64).prop_map(|(relation, than)| Condition::Version(relation, than)),
        (relation(), 0..4u8)
            .prop_map(|(relation, value)| Condition::Value(relation, value.to_string().into())),
        (relation(), 0..4i64).prop_map(|(relation, than)| Condition::Lease(relation, than)),
    ];
    (range(), condition).prop_map(|(range, condition)| Compare { range, condition })
}

fn txn(depth: u32) -> BoxedStrategy<Txn> {
    let ops = || prop::collection::vec(op(depth), 0..4);
    (prop::collection::vec(compare(), 0..3), ops(), ops())
        .prop_map(|(compare, then, or_else)| Txn { compare, then, or_else })
        .boxed()
}

fn step() -> impl Strategy<Value = Step> {
    let ago = || prop_oneof![3 => (-2..12i64).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => txn(2).prop_map(Step::Commit),
        8 => op(0).prop_map(|op| Step::Commit(Txn::new().then(op))),
        3 => (range(), ago(), options()).prop_map(|(range, ago, options)| Step::List(range, ago, options)),
        1 => key().prop_map(|key| Step::Get(key.into())),
        1 => (-1..8i64).prop_map(Step::Compact),
        2 => (range(), ago(), any::<bool>())
            .prop_map(|(range, ago, previous)| Step::Watch(range, ago, previous)),
        3 => (0..8usize).prop_map(Step::Drain),
        1 => (0..8usize).prop_map(Step::Progress),
        1 => (0..8usize).prop_map(Step::Drop),
        2 => lease().prop_map(Step::Grant),
        1 => lease().prop_map(Step::Revoke),
        1 => lease().prop_map(Step::Lease),
        1 => Just(Step::Leases),
    ]
}

fn memory(env: &Env) -> Arc<dyn ObjectStore> {
    // No program writes so much that history compacts itself.
    Arc::new(MemoryStore::with_options(MemoryOptions::default().env(env)))
}

fn players(env: &Env) -> Vec<Player> {
    let keys = EncryptionKeys::new(EncryptionKey::new("first", [1; 32]));
    let late = Faults::default().delayed(0.2, Duration::from_millis(10));
    vec![
        Player::new("memory", memory(env)),
        Player::new("encrypted", Arc::new(Encrypted::new(memory(env), keys))),
        Player::new("late", Arc::new(Faulty::new(memory(env), env, "differential", late))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stores_answer_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { play(&players(&Env::simulated(1)), &steps).await });
    }
}

/// Programs for stores that take real time: fewer.
fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn in_real_time<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario)
}

#[cfg(feature = "disk")]
proptest! {
    #![proptest_config(few(30))]

    #[test]
    fn the_store_on_disk_answers_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        use windlass::store::disk::{DiskOptions, DiskStore};

        let directory = tempfile::tempdir().unwrap();
        in_real_time(async {
            let store = DiskStore::open(directory.path(), DiskOptions::default()).unwrap();
            play(&[Player::new("disk", Arc::new(store))], &steps).await;
        });
    }
}

#[cfg(feature = "etcd")]
proptest! {
    #![proptest_config(few(8))]

    #[test]
    fn etcd_answers_as_the_model(steps in prop::collection::vec(step(), 1..60)) {
        use windlass::store::{EtcdOptions, EtcdStore};

        use crate::support::etcd::Etcd;

        in_real_time(async {
            let Some(etcd) = Etcd::start("etcd_answers_as_the_model").await else { return };
            let store = EtcdStore::connect(etcd.endpoints(), EtcdOptions::default()).await.unwrap();
            let player = Player::new("etcd", Arc::new(store)).keeps_deletions_at_the_floor(false);
            play(&[player], &steps).await;
        });
    }
}

/// A store that forgets a put now and then, though it says that it did it.
mod planted {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use async_trait::async_trait;
    use windlass::store::{
        Committed, KeyValue, ListOptions, MemoryStore, ObjectStore, Page, Result, Revision, WatchOptions,
        WatchStream,
    };

    use super::*;

    struct Forgetful(MemoryStore, AtomicU64);

    #[async_trait]
    impl ObjectStore for Forgetful {
        async fn revision(&self) -> Result<Revision> {
            self.0.revision().await
        }
        async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
            self.0.get(key).await
        }
        async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
            self.0.list(range, options).await
        }
        async fn commit(&self, txn: Txn) -> Result<Committed> {
            if self.1.fetch_add(1, Relaxed) % 4 == 3 {
                let revision = self.0.revision().await?.next();
                return Ok(Committed { succeeded: true, revision, results: vec![] });
            }
            self.0.commit(txn).await
        }
        async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
            self.0.watch(range, options).await
        }
        async fn compact(&self, revision: Revision) -> Result<()> {
            self.0.compact(revision).await
        }
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "step 3, forgetful")]
    async fn a_store_that_forgets_is_found() {
        let forgetful = Arc::new(Forgetful(MemoryStore::new(), 0.into()));
        let put = |value: u8| Step::Commit(Txn::new().then(Op::put("/a", vec![value])));
        play(&[Player::new("forgetful", forgetful)], &(0..8).map(put).collect::<Vec<_>>()).await;
    }
}
