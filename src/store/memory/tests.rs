//! What only this backend promises; the contract itself is tested by the conformance suite.

use futures_util::{FutureExt, StreamExt};

use super::*;
use crate::store::{ObjectStoreExt, WatchBatch};

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
