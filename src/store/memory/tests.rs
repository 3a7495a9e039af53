//! What only this backend promises; the contract itself is tested by the conformance suite.

use futures_util::{FutureExt, StreamExt};

use super::*;
use crate::store::{Compare, ObjectStoreExt, Op, WatchBatch};

fn ready(watch: &mut WatchStream) -> Option<Result<WatchBatch>> {
    watch.next().now_or_never().map(|item| item.expect("a watch does not just end"))
}

#[tokio::test]
async fn history_compacts_itself_within_its_budget() {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(4096));
    for number in 0..100 {
        store.put("/a", vec![0; 1024]).await.unwrap();
        store.put(format!("/b{number}"), "x").await.unwrap();
    }
    let newest = store.revision().await.unwrap();
    let read = |at| store.list(KeyRange::all(), ListOptions { at: Some(at), ..ListOptions::default() });
    assert!(matches!(read(Revision(100)).await, Err(Error::Compacted { oldest }) if oldest > Revision(190)));
    assert_eq!(read(newest).await.unwrap().count, 101);
    assert_eq!(read(Revision(newest.0 - 1)).await.unwrap().count, 100);
}

#[tokio::test]
async fn a_quiet_watcher_survives_the_compaction_of_what_does_not_concern_it() {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(1024));
    let mut quiet = store.watch(KeyRange::single("/quiet"), WatchOptions::default()).await.unwrap();
    let mut late = store.watch(KeyRange::prefix("/busy"), WatchOptions::default()).await.unwrap();
    for _ in 0..100 {
        store.put("/busy", "x").await.unwrap();
    }
    let written = store.put("/quiet", "x").await.unwrap();
    assert_eq!(ready(&mut quiet).unwrap().unwrap().revision, written);
    assert!(matches!(ready(&mut late), Some(Err(Error::Compacted { .. }))));
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn dropped_watchers_leave_nothing_behind() {
    let store = MemoryStore::new();
    let mut one = store.watch(KeyRange::prefix("/a"), WatchOptions::default()).await.unwrap();
    let two = store.watch(KeyRange::prefix("/a"), WatchOptions::default()).await.unwrap();
    assert!(ready(&mut one).is_none());
    assert!(store.mvcc().is_watched(&KeyRange::prefix("/a")));
    drop((one, two));
    assert!(!store.mvcc().is_watched(&KeyRange::prefix("/a")));
}

#[tokio::test]
async fn a_commit_wakes_only_whom_it_concerns() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let store = MemoryStore::new();
    let mut watch = store.watch(KeyRange::prefix("/a/"), WatchOptions::default()).await.unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    assert!(watch.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    store.put("/b/1", "x").await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    store.put("/a/1", "x").await.unwrap();
    store.put("/a/2", "x").await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "woken once until it looks again");
}

/// The suite's cases run on one thread; this is for the locks.
#[test]
fn threads_that_write_and_watch_miss_nothing() {
    const THREADS: u64 = 4;
    const WRITES: u64 = 500;
    let store = MemoryStore::new();
    let watch = |from| store.watch(KeyRange::prefix("/t/"), WatchOptions::from(Revision(from)));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for number in 0..WRITES {
                    let put = store.put(format!("/t/{thread}"), number.to_string());
                    put.now_or_never().expect("a commit does not wait").unwrap();
                }
            });
        }
        for _ in 0..THREADS {
            let watch = &watch;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let mut seen = watch(2).await.unwrap();
                    for revision in 2..2 + THREADS * WRITES {
                        assert_eq!(seen.next().await.unwrap().unwrap().revision, Revision(revision));
                    }
                });
            });
        }
    });
}

fn keys_of(batch: &WatchBatch) -> Vec<String> {
    batch.events.iter().map(|event| String::from_utf8(event.kv.key.to_vec()).unwrap()).collect()
}

fn leased() -> (MemoryStore, Env) {
    let env = Env::simulated(3);
    (MemoryStore::with_options(MemoryOptions::default().env(&env)), env)
}

async fn put_leased(store: &MemoryStore, key: &str, lease: i64) -> Result<Revision> {
    let txn = Txn::new().then(Op::put_leased(key.to_owned(), "x", lease));
    Ok(store.commit(txn).await?.revision)
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_at_its_time_and_takes_its_keys_with_it() {
    let (store, env) = leased();
    let granted = store.grant(0, Duration::from_millis(9_500)).await.unwrap();
    assert_eq!(granted.ttl, Duration::from_secs(10), "whole seconds, and not less than was asked for");
    for key in ["/b", "/a", "/kept", "/other"] {
        put_leased(&store, key, granted.id).await.unwrap();
    }
    store.put("/kept", "without a lease").await.unwrap();
    store.delete("/other").await.unwrap();
    let mut watch = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    env.clock.sleep(Duration::from_millis(9_999)).await;
    assert!(ready(&mut watch).is_none(), "never before its time");
    assert_eq!(store.time_to_live(granted.id, true).await.unwrap().keys, ["/a", "/b"]);
    env.clock.sleep(Duration::from_millis(2)).await;
    let batch = ready(&mut watch).expect("it is over").unwrap();
    assert_eq!(keys_of(&batch), ["/a", "/b"], "in one revision");
    assert!(ready(&mut watch).is_none());
    assert!(matches!(store.keep_alive(granted.id).await, Err(Error::LeaseNotFound { .. })));
    assert!(Leases::leases(&store).await.unwrap().is_empty());
    assert!(store.get(b"/kept").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_as_long_as_it_is_kept_alive() {
    let (store, env) = leased();
    let (long, short) = (Duration::from_secs(60), Duration::from_secs(2));
    store.grant(1, long).await.unwrap();
    store.grant(2, short).await.unwrap();
    put_leased(&store, "/short", 2).await.unwrap();
    for _ in 0..5 {
        env.clock.sleep(Duration::from_millis(1_900)).await;
        assert_eq!(store.keep_alive(2).await.unwrap(), short);
    }
    assert!(store.get(b"/short").await.unwrap().is_some());
    env.clock.sleep(Duration::from_millis(2_001)).await;
    assert!(store.get(b"/short").await.unwrap().is_none());
    assert_eq!(Leases::leases(&store).await.unwrap(), [1]);
    assert!(store.time_to_live(1, false).await.unwrap().remaining < long);
}

#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_the_lease_that_was_named_last() {
    let (store, _env) = leased();
    for id in [1, 2] {
        store.grant(id, Duration::from_secs(9)).await.unwrap();
    }
    put_leased(&store, "/a", 1).await.unwrap();
    put_leased(&store, "/a", 2).await.unwrap();
    let kept = Op::Put { key: "/a".into(), value: None, lease: None, previous: false };
    store.commit(Txn::new().then(kept)).await.unwrap();
    let held = store.get(b"/a").await.unwrap().unwrap();
    assert_eq!((held.lease, &held.value[..], held.version), (2, &b"x"[..], 3));
    let before = store.revision().await.unwrap();
    assert_eq!(store.revoke(1).await.unwrap(), before, "it has no key, so there is no revision");
    assert_eq!(store.revoke(2).await.unwrap(), before.next());
    assert!(store.get(b"/a").await.unwrap().is_none());
    let refused = put_leased(&store, "/a", 2).await;
    assert!(matches!(refused, Err(Error::LeaseNotFound { id: 2 })));
    assert!(matches!(store.revoke(2).await, Err(Error::LeaseNotFound { id: 2 })));
    assert!(matches!(store.grant(3, Duration::MAX).await, Err(Error::LeaseTtlTooLarge)));
    store.grant(3, Duration::ZERO).await.unwrap();
    assert!(matches!(store.grant(3, Duration::ZERO).await, Err(Error::LeaseExists { id: 3 })));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_dropped_leaves_no_task_behind() {
    let (store, env) = leased();
    store.grant(1, Duration::from_secs(600)).await.unwrap();
    let watch = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    let start = env.clock.instant();
    drop(store);
    env.tasks.idle().await;
    assert_eq!(env.clock.instant(), start, "not only when the lease is over");
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn leases_outlive_a_restart_with_their_whole_time_before_them() {
    let (store, env) = leased();
    store.grant(5, Duration::from_secs(10)).await.unwrap();
    put_leased(&store, "/a", 5).await.unwrap();
    env.clock.sleep(Duration::from_secs(9)).await;
    let snapshot = store.snapshot().await.unwrap();
    let again = MemoryStore::restore(MemoryOptions::default().env(&env), snapshot).await.unwrap();
    drop(store);
    env.clock.sleep(Duration::from_secs(9)).await;
    assert_eq!(again.time_to_live(5, true).await.unwrap().keys, ["/a"]);
    env.clock.sleep(Duration::from_secs(2)).await;
    assert!(again.get(b"/a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_is_full_refuses_puts_until_the_alarm_is_taken_back() {
    let store = MemoryStore::with_options(MemoryOptions::default().quota_bytes(10_000));
    let mut refused = None;
    for number in 0..100 {
        refused = store.put("/a", vec![number; 1_000]).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(Error::NoSpace)));
    let status = store.status().await.unwrap();
    assert!(status.no_space && status.quota_bytes == Some(10_000) && status.in_use_bytes > 10_000);
    let create = Txn::new().when(Compare::missing("/a")).then(Op::put("/a", "1"));
    assert!(matches!(store.commit(create).await, Err(Error::NoSpace)), "it may put");
    assert!(matches!(store.grant(1, Duration::from_secs(1)).await, Err(Error::NoSpace)));
    store.delete("/a").await.unwrap();
    store.compact(store.revision().await.unwrap()).await.unwrap();
    assert!(matches!(store.put("/b", "1").await, Err(Error::NoSpace)), "the alarm is still raised");
    store.disarm().await.unwrap();
    store.put("/b", "1").await.unwrap();
}

#[tokio::test]
async fn a_history_that_is_full_refuses_puts_until_it_is_compacted() {
    let options = MemoryOptions::default().history_bytes(5_000).history_full(HistoryFull::NoSpace);
    let store = MemoryStore::with_options(options);
    let mut put = 0;
    while store.put("/a", vec![0; 1_000]).await.is_ok() {
        put += 1;
    }
    assert!((3..6).contains(&put), "{put}");
    assert!(matches!(store.put("/a", "").await, Err(Error::NoSpace)));
    let all = store.watch(KeyRange::all(), WatchOptions::from(Revision(2))).await;
    assert_eq!(all.unwrap().take(put).count().await, put, "nothing is forgotten");
    store.compact(store.revision().await.unwrap()).await.unwrap();
    store.put("/a", "").await.unwrap();
}
