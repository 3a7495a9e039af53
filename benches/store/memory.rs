//! The memory store, in process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use windlass::store::{
    KeyRange, ListOptions, MemoryStore, ObjectStore, ObjectStoreExt, WatchOptions, WatchStream,
};

use crate::message::key;
use crate::table::{Cell, median, remark, resident, row, section};

const KEYS: u64 = 100_000;
const RUNS: usize = 5;
const TIME: Duration = Duration::from_millis(800);

/// Puts a value of 1 KB, each time in memory of its own, as a value that comes over a wire is.
fn put(store: &MemoryStore, key: &Bytes) {
    let value = vec![b'x'; 1024];
    store.put(key.clone(), value).now_or_never().expect("a commit does not wait").expect("a put");
}

fn keys() -> Arc<[Bytes]> {
    (0..KEYS).map(|number| Bytes::from(key(number))).collect()
}

fn filled(keys: &[Bytes]) -> MemoryStore {
    let store = MemoryStore::new();
    keys.iter().for_each(|key| put(&store, key));
    store
}

/// How often a second `threads` together do `work`, which is given a number that never comes again.
fn rate(threads: u64, work: impl Fn(u64) + Sync) -> f64 {
    rate_of(threads, 256, work)
}

/// The same, where the clock is looked at after so many.
fn rate_of(threads: u64, round: u64, work: impl Fn(u64) + Sync) -> f64 {
    median(RUNS, || {
        let done: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| {
                    let work = &work;
                    scope.spawn(move || {
                        let (start, mut count) = (Instant::now(), 0);
                        while start.elapsed() < TIME {
                            for _ in 0..round {
                                work(count * threads + thread);
                                count += 1;
                            }
                        }
                        count
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread that ends")).sum()
        });
        done as f64 / TIME.as_secs_f64()
    })
}

fn watch(store: &MemoryStore, range: KeyRange) -> WatchStream {
    store.watch(range, WatchOptions::default()).now_or_never().expect("no wait").expect("a watch")
}

pub(crate) fn print() {
    section("memory, in process, 100,000 keys", &["one thread", "two threads"]);
    let keys = keys();
    let store = filled(&keys);
    let at = |number: u64| &keys[(number % KEYS) as usize];
    let puts = |threads| Cell::Rate(rate(threads, |number| put(&store, at(number))));
    row("put 1 KB", &[puts(1), puts(2)]);
    let others: Vec<_> = (0..100_000)
        .map(|number| watch(&store, KeyRange::single(format!("/registry/other/{number}"))))
        .collect();
    row("put 1 KB, 100,000 watchers of other keys", &[puts(1), puts(2)]);
    drop(others);
    let gets = |threads| {
        Cell::Rate(rate(threads, |number| {
            let got = store.get(at(number)).now_or_never().expect("a read does not wait");
            assert!(got.expect("a get").is_some());
        }))
    };
    row("get", &[gets(1), gets(2)]);
    let few = |threads| {
        Cell::Rate(rate(threads, |number| {
            let got = store.get(at(number % 1000)).now_or_never().expect("a read does not wait");
            assert!(got.expect("a get").is_some());
        }))
    };
    row("get of 1,000 keys of them, which the caches hold", &[few(1), few(2)]);
    let ranges = |threads| {
        Cell::Rate(rate(threads, |number| {
            let start = format!("/registry/pods/default/pod-{:06}", number * 500 % (KEYS - 500));
            let range = KeyRange { start: start.into(), end: None };
            let page = store.list(range, ListOptions::default().limit(500)).now_or_never();
            assert_eq!(page.expect("a read does not wait").expect("a list").items.len(), 500);
        }))
    };
    row("range of 500, counting what is behind", &[ranges(1), ranges(2)]);
    let large = MemoryStore::new();
    for number in 0..150_000 {
        let key = Bytes::from(format!("/registry/pods/default/pod-{number:06}"));
        large.put(key, vec![b'x'; 1024]).now_or_never().expect("no wait").expect("a put");
    }
    let lists = |threads| {
        Cell::Rate(rate_of(threads, 1, |_| {
            let page = large.list(KeyRange::prefix("/registry/pods/"), ListOptions::default()).now_or_never();
            assert_eq!(page.expect("a read does not wait").expect("a list").items.len(), 150_000);
        }))
    };
    row("list of 150,000", &[lists(1), lists(2)]);
    drop(large);
    fan_out();
    per_key();
}

/// Events delivered a second, while one thread writes and follows.
fn fan_out() {
    section("memory, in process, watchers", &["events", "puts"]);
    for (name, watchers, events) in [("1,000", 1_000, 400), ("10,000", 10_000, 40)] {
        let mut puts = 0.0;
        let rate = median(RUNS, || {
            let store = MemoryStore::new();
            let mut watches: Vec<_> =
                (0..watchers).map(|_| watch(&store, KeyRange::prefix("/registry/"))).collect();
            let start = Instant::now();
            for number in 0..events {
                put(&store, &Bytes::from(key(number)));
                for watch in &mut watches {
                    let batch = watch.next().now_or_never().expect("an event").expect("a batch");
                    assert_eq!(batch.expect("no error").events.len(), 1);
                }
            }
            let elapsed = start.elapsed().as_secs_f64();
            puts = events as f64 / elapsed;
            events as f64 * f64::from(watchers) / elapsed
        });
        row(&format!("{name} watchers of one prefix"), &[Cell::Rate(rate), Cell::Rate(puts)]);
    }
    let rate = median(RUNS, || {
        let store = MemoryStore::new();
        let mut watches: Vec<_> =
            (0..100_000).map(|number| watch(&store, KeyRange::single(format!("/k/{number}")))).collect();
        let start = Instant::now();
        for (number, watch) in watches.iter_mut().enumerate() {
            put(&store, &Bytes::from(format!("/k/{number}")));
            watch.next().now_or_never().expect("an event").expect("a batch").expect("no error");
        }
        100_000.0 / start.elapsed().as_secs_f64()
    });
    row("100,000 watchers of different keys", &[Cell::Rate(rate), Cell::Rate(rate)]);
}

fn per_key() {
    section("memory, in process, size", &["bytes a key"]);
    let before = resident();
    let store = MemoryStore::new();
    for number in 0..1_000_000 {
        let key = Bytes::from(format!("/registry/pods/default/pod-{number:07}"));
        store.put(key, vec![b'x'; 16]).now_or_never().expect("no wait").expect("a put");
    }
    store.compact_all();
    row("a key of 35 bytes with 16 of value", &[Cell::Bytes((resident() - before) / 1e6)]);
    remark("what the process grew by for a million keys, their history compacted");
}

/// Compaction to the newest revision.
trait CompactAll {
    fn compact_all(&self);
}

impl CompactAll for MemoryStore {
    fn compact_all(&self) {
        let newest = self.revision().now_or_never().expect("no wait").expect("a revision");
        self.compact(newest).now_or_never().expect("no wait").expect("a compaction");
    }
}
