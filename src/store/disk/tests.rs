//! The disk store, on a directory.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures_util::{FutureExt, StreamExt};
use tempfile::TempDir;

use super::*;
use crate::store::{Compare, ObjectStoreExt, WatchBatch};

mod broken;
mod damage;

use broken::Broken;

fn small() -> DiskOptions {
    DiskOptions::default().segment_bytes(16 << 10).quota_bytes(None).history_bytes(0)
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(directory: &TempDir) -> DiskStore {
    DiskStore::open(directory.path(), small()).expect("the store opens")
}

/// The names of a directory's files, without the lock.
fn names(path: &Path) -> Vec<String> {
    Directory::new(path).and_then(|directory| directory.names()).expect("a directory")
}

fn leases(store: &DiskStore) -> &dyn Leases {
    ObjectStore::leases(store).expect("leases")
}

async fn value(store: &DiskStore, key: &str) -> Option<String> {
    let kv = store.get(key.as_bytes()).await.expect("a read")?;
    Some(String::from_utf8(kv.value.to_vec()).expect("text"))
}

/// What a key held at a revision.
async fn value_at(store: &DiskStore, key: &str, revision: Revision) -> Result<Option<Bytes>> {
    let page = store.list(KeyRange::single(key.to_owned()), ListOptions::default().at(revision)).await?;
    Ok(page.items.into_iter().next().map(|kv| kv.value))
}

/// Everything the store says of itself: every version from the floor on, and what watches replay.
async fn told(store: &DiskStore) -> (StoreStatus, Vec<Page>, Vec<WatchBatch>) {
    let mut status = store.status().await.expect("a status");
    (status.size_bytes, status.in_use_bytes) = (0, 0);
    let mut pages = Vec::new();
    for at in status.floor.0..=status.revision.0 {
        let options = ListOptions::default().at(Revision(at));
        pages.push(store.list(KeyRange::all(), options).await.expect("a page"));
    }
    let options = WatchOptions::from(status.floor.next()).with_previous();
    let mut watch = store.watch(KeyRange::all(), options).await.expect("a watch");
    let mut batches = Vec::new();
    while batches.last().map_or(status.floor, |batch: &WatchBatch| batch.revision) < status.revision {
        batches.push(watch.next().await.expect("a batch").expect("no error"));
    }
    (status, pages, batches)
}

#[tokio::test]
async fn all_is_there_again_after_it_was_opened_anew() {
    let directory = directory();
    let store = open(&directory);
    store.put("a", "1").await.unwrap();
    let both = Txn::new().then(Op::put("a", "2")).then(Op::put("b", vec![7; 40_000]));
    store.commit(both).await.unwrap();
    store.delete("a").await.unwrap();
    for number in 0..100 {
        store.put(format!("many/{}", number % 7), vec![number; 500]).await.unwrap();
    }
    store.put("a", "3").await.unwrap();
    let before = told(&store).await;
    assert!(names(directory.path()).len() > 3, "several files: {:?}", names(directory.path()));
    store.close().await.unwrap();
    assert_eq!(told(&open(&directory)).await, before);
    // And once more, now that it was dropped.
    assert_eq!(told(&open(&directory)).await, before);
}

#[tokio::test]
async fn it_goes_on_where_it_was() {
    let directory = directory();
    let first = open(&directory).put("a", "1").await.unwrap();
    for number in 1..20 {
        let store = open(&directory);
        assert_eq!(store.put("a", format!("{number}")).await.unwrap(), Revision(first.0 + number));
    }
    assert_eq!(open(&directory).get(b"a").await.unwrap().unwrap().version, 20);
}

#[tokio::test]
async fn a_directory_has_one_store_at_a_time() {
    let directory = directory();
    let store = open(&directory);
    let second = DiskStore::open(directory.path(), small());
    assert!(matches!(second, Err(Error::Unavailable { operation: "locking the store", .. })), "{second:?}");
    store.close().await.unwrap();
    open(&directory);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let directory = directory();
    let store = open(&directory);
    store.put("a", "1").await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.put("a", "2").await, Err(Error::Stopped { .. })));
    assert!(matches!(store.close().await, Err(Error::Stopped { .. })));
    drop(store);
    assert_eq!(value(&open(&directory), "a").await.unwrap(), "1");
}

#[tokio::test]
async fn what_is_old_comes_from_the_disk() {
    let directory = directory();
    let store = open(&directory);
    let mut written = Vec::new();
    for number in 0..200u32 {
        let value = format!("{number}-").repeat(100);
        written.push((store.put("key", value.clone()).await.unwrap(), value));
    }
    for _ in 0..2 {
        let store = &store;
        for (revision, value) in &written {
            assert_eq!(value_at(store, "key", *revision).await.unwrap().unwrap(), value);
        }
        let from = WatchOptions::from(written[10].0).with_previous();
        let watch = store.watch(KeyRange::single("key"), from).await.unwrap();
        let batches: Vec<_> = watch.take(190).map(|batch| batch.expect("a batch")).collect().await;
        for (batch, wanted) in batches.iter().zip(written.windows(2).skip(9)) {
            assert_eq!(
                (batch.revision, &batch.events[0].kv.value[..]),
                (wanted[1].0, wanted[1].1.as_bytes())
            );
            assert_eq!(batch.events[0].previous.as_ref().unwrap().value, wanted[0].1);
        }
    }
}

#[tokio::test]
async fn a_compaction_outlives_the_store() {
    let directory = directory();
    let store = open(&directory);
    for number in 0..10 {
        store.put("a", format!("{number}")).await.unwrap();
    }
    store.compact(Revision(7)).await.unwrap();
    let before = told(&store).await;
    drop(store);
    let store = open(&directory);
    assert_eq!(told(&store).await, before);
    assert!(matches!(
        value_at(&store, "a", Revision(6)).await,
        Err(Error::Compacted { oldest: Revision(7) })
    ));
    assert!(matches!(store.compact(Revision(7)).await, Err(Error::Compacted { .. })));
}

/// Writes, deletes and compacts, so that most of what was written is no longer needed.
async fn churn(store: &DiskStore, rounds: u64) {
    for round in 0..rounds {
        for number in 0..20 {
            store.put(format!("{number:02}"), vec![round as u8; 300]).await.unwrap();
        }
        store.put("once", "more").await.unwrap();
        store.delete("once").await.unwrap();
        if round > 0 {
            let newest = store.revision().await.unwrap();
            store.compact(Revision(newest.0 - 15)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_compaction_has_freed_is_given_back() {
    let directory = directory();
    let store = open(&directory);
    churn(&store, 40).await;
    store.defragment().await.unwrap();
    let before = told(&store).await;
    assert!(store.status().await.unwrap().size_bytes < 64 << 10);
    assert!(names(directory.path()).len() <= 3, "{:?}", names(directory.path()));
    drop(store);
    let store = open(&directory);
    assert_eq!(told(&store).await, before);
    churn(&store, 10).await;
    let before = told(&store).await;
    drop(store);
    assert_eq!(told(&open(&directory)).await, before);
}

#[tokio::test]
async fn a_deleted_key_stays_deleted_when_the_log_is_rewritten() {
    let directory = directory();
    let store = open(&directory);
    store.put("a", "1").await.unwrap();
    store.delete("a").await.unwrap();
    let newest = store.put("b", "1").await.unwrap();
    store.compact(newest).await.unwrap();
    store.defragment().await.unwrap();
    drop(store);
    let store = open(&directory);
    assert_eq!(value(&store, "a").await, None);
    assert_eq!(store.revision().await.unwrap(), newest);
}

#[tokio::test]
async fn a_snapshot_is_a_store_of_one_revision() {
    let (source, target) = (directory(), directory());
    let store = open(&source);
    churn(&store, 5).await;
    let lease = leases(&store).grant(7, Duration::from_secs(60)).await.unwrap();
    store.commit(Txn::new().then(Op::put_leased("leased", "1", lease.id))).await.unwrap();
    let before = told(&store).await;
    let mut snapshot = store.maintenance().unwrap().snapshot().await.unwrap();
    let mut pieces = vec![snapshot.next().await.unwrap()];
    // The store goes on meanwhile, and compacts what the snapshot is about to read.
    churn(&store, 5).await;
    store.defragment().await.unwrap();
    pieces.extend(snapshot.collect::<Vec<_>>().await);
    let whole: Vec<_> = pieces.into_iter().map(|piece| piece.expect("a piece")).collect();

    let stream = |pieces: Vec<Bytes>| futures_util::stream::iter(pieces.into_iter().map(Ok)).boxed();
    let mut half = whole.clone();
    half.pop();
    let refused = DiskStore::restore(target.path(), stream(half)).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    DiskStore::restore(target.path(), stream(whole.clone())).await.unwrap();
    let again = DiskStore::restore(target.path(), stream(whole)).await;
    assert!(matches!(again, Err(Error::Unavailable { .. })), "{again:?}");

    let copy = open(&target);
    assert_eq!(told(&copy).await, before);
    assert_eq!(leases(&copy).time_to_live(7, true).await.unwrap().keys, ["leased"]);
    copy.put("new", "1").await.unwrap();
    drop(copy);
    assert_eq!(value(&open(&target), "new").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn leases_outlive_the_store_with_their_whole_time() {
    let directory = directory();
    let env = Env::simulated(1);
    let open = || {
        let files = Arc::new(Directory::new(directory.path()).expect("a directory"));
        DiskStore::open_on(files, &env, small().inline()).expect("the store opens")
    };
    let store = open();
    let granter = leases(&store);
    for id in [1, 2] {
        granter.grant(id, Duration::from_secs(10)).await.unwrap();
    }
    store.commit(Txn::new().then(Op::put_leased("a", "1", 1))).await.unwrap();
    granter.revoke(2).await.unwrap();
    env.clock.sleep(Duration::from_secs(9)).await;
    drop(store);
    let store = open();
    assert_eq!(leases(&store).leases().await.unwrap(), [1]);
    assert_eq!(value(&store, "a").await.unwrap(), "1");
    env.clock.sleep(Duration::from_secs(9)).await;
    assert_eq!(value(&store, "a").await.unwrap(), "1");
    env.clock.sleep(Duration::from_secs(2)).await;
    assert_eq!(value(&store, "a").await, None);
    drop(store);
    let store = open();
    assert_eq!(leases(&store).leases().await.unwrap(), [0i64; 0]);
    assert_eq!(value(&store, "a").await, None);
}

#[tokio::test]
async fn a_full_store_refuses_puts_until_room_is_made() {
    let directory = directory();
    let options = small().quota_bytes(40 << 10);
    let store = DiskStore::open(directory.path(), options).unwrap();
    let mut puts = 0;
    let refused = loop {
        match store.put("a", vec![1; 1000]).await {
            Ok(_) => puts += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::NoSpace), "{refused:?}");
    assert!((20..40).contains(&puts), "{puts}");
    assert!(store.status().await.unwrap().no_space);
    drop(store);

    let store = DiskStore::open(directory.path(), options).unwrap();
    assert!(store.status().await.unwrap().no_space, "the alarm outlives the store");
    assert!(matches!(store.put("b", "1").await, Err(Error::NoSpace)));
    assert!(matches!(leases(&store).grant(1, Duration::from_secs(1)).await, Err(Error::NoSpace)));
    assert!(store.delete("a").await.unwrap());
    store.compact(store.revision().await.unwrap()).await.unwrap();
    store.defragment().await.unwrap();
    assert!(matches!(store.put("b", "1").await, Err(Error::NoSpace)), "until somebody says so");
    store.disarm().await.unwrap();
    store.put("b", "1").await.unwrap();
    drop(store);
    let store = DiskStore::open(directory.path(), options).unwrap();
    assert!(!store.status().await.unwrap().no_space);
}

#[tokio::test]
async fn comparisons_see_what_is_assigned_and_reads_what_is_durable() {
    let files = Broken::new();
    let store = files.open(small());
    store.put("a", "0").await.unwrap();
    let hold = files.hold_syncs();
    let watch = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    let mut watch = watch.fuse();
    let first = store.commit(Txn::new().when(Compare::exists("a")).then(Op::put("b", "1")));
    let second = store.commit(Txn::new().when(Compare::missing("b")).then(Op::put("c", "1")));
    let (mut first, mut second) = (first.boxed(), second.boxed());
    assert!((&mut first).now_or_never().is_none());
    // It loses against a revision that is not durable yet, and may not be told before it is.
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(store.revision().await.unwrap(), Revision(2));
    assert_eq!(value(&store, "b").await, None);
    assert!(watch.next().now_or_never().is_none());
    drop(hold);
    assert!(first.await.unwrap().succeeded);
    assert!(!second.await.unwrap().succeeded);
    assert_eq!(watch.next().await.unwrap().unwrap().revision, Revision(3));
    assert_eq!(value(&store, "b").await.unwrap(), "1");
}

#[tokio::test]
async fn what_comes_while_a_batch_is_synced_makes_the_next_one() {
    let files = Broken::new();
    let store = files.open(small());
    store.put("a", "0").await.unwrap();
    let before = files.syncs();
    let hold = files.hold_syncs();
    let puts: Vec<_> = (0..100).map(|number| store.put(format!("{number}"), "1").boxed()).collect();
    let mut puts = futures_util::future::join_all(puts);
    assert!((&mut puts).now_or_never().is_none());
    drop(hold);
    assert!(puts.await.into_iter().all(|put| put.is_ok()));
    let syncs = files.syncs() - before;
    assert!(syncs <= 3, "{syncs} syncs for 100 puts");
}

#[tokio::test]
async fn each_put_of_one_writer_is_synced() {
    let files = Broken::new();
    let store = files.open(small());
    let before = files.syncs();
    for number in 0..50 {
        store.put("a", format!("{number}")).await.unwrap();
    }
    assert!(files.syncs() - before >= 50);
}

#[tokio::test]
async fn a_commit_that_was_dropped_happens_as_a_whole_or_not_at_all() {
    for inline in [false, true] {
        let directory = directory();
        let options = if inline { small().inline() } else { small() };
        let store = DiskStore::open(directory.path(), options).unwrap();
        let both = Txn::new().then(Op::put("a", "1")).then(Op::put("b", "1"));
        let mut commit = store.commit(both).boxed();
        let _ = (&mut commit).now_or_never();
        drop(commit);
        store.put("c", "1").await.unwrap();
        let (a, b) = (value(&store, "a").await, value(&store, "b").await);
        assert_eq!(a, b);
        drop(store);
        let store = DiskStore::open(directory.path(), options).unwrap();
        assert_eq!((value(&store, "a").await, value(&store, "b").await), (a, b));
    }
}

#[tokio::test]
async fn a_failed_sync_stops_the_store_for_good() {
    for inline in [false, true] {
        let files = Broken::new();
        let options = if inline { small().inline() } else { small() };
        let store = files.open(options);
        store.put("a", "1").await.unwrap();
        files.fail_syncs(true);
        let failed = store.put("a", "2").await;
        assert!(matches!(failed, Err(Error::Stopped { .. })), "{failed:?}");
        files.fail_syncs(false);
        let syncs = files.syncs();
        for _ in 0..3 {
            assert!(matches!(store.put("a", "3").await, Err(Error::Stopped { .. })));
            assert!(matches!(store.compact(Revision(2)).await, Err(Error::Stopped { .. })));
            assert!(store.defragment().await.is_err());
        }
        assert_eq!(files.syncs(), syncs, "it is not tried again");
        assert_eq!(value(&store, "a").await.unwrap(), "1");
        drop(store);
        let store = files.open(options);
        assert!(["1", "2"].contains(&value(&store, "a").await.unwrap().as_str()));
        store.put("a", "4").await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_raises_the_alarm_while_there_is_room_to_compact() {
    let files = Broken::new();
    let store = files.open(small());
    store.put("b", "1").await.unwrap();
    files.limit_room(true);
    let mut written = 0;
    let refused = loop {
        match store.put("a", format!("{written}").repeat(100)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::NoSpace), "{refused:?}");
    assert!(store.delete("b").await.unwrap());
    assert_eq!(value(&store, "a").await.unwrap(), format!("{}", written - 1).repeat(100));
    store.compact(store.revision().await.unwrap()).await.unwrap();
    files.limit_room(false);
    store.disarm().await.unwrap();
    store.put("c", "1").await.unwrap();
    drop(store);
    let store = files.open(small());
    assert_eq!(value(&store, "a").await.unwrap(), format!("{}", written - 1).repeat(100));
    assert_eq!((value(&store, "b").await, value(&store, "c").await.unwrap()), (None, "1".to_owned()));
}

#[tokio::test]
async fn a_disk_that_is_full_for_good_stops_the_store_and_loses_nothing() {
    let files = Broken::new();
    let store = files.open(small());
    let kept = store.put("a", "1").await.unwrap();
    files.limit_room(true);
    // More than the file has room for, at once.
    let failed = store.put("b", vec![0; 100_000]).await;
    assert!(matches!(failed, Err(Error::Stopped { .. })), "{failed:?}");
    drop(store);
    files.limit_room(false);
    let store = files.open(small());
    assert_eq!(store.revision().await.unwrap(), kept);
    assert_eq!((value(&store, "a").await.unwrap(), value(&store, "b").await), ("1".to_owned(), None));
}
