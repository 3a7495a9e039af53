//! The store on disk, in process, beside an etcd that syncs to the same disk.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use windlass::store::disk::{DiskOptions, DiskStore};
use windlass::store::{ObjectStore, ObjectStoreExt};

use crate::load::Load;
use crate::message::{self, key};
use crate::peer::Etcd;
use crate::table::{Cell, median, remark, resident, row, section};

const RUNS: usize = 3;
const TIME: Duration = Duration::from_secs(3);
const KEYS: u64 = 100_000;

fn open(folder: &Path) -> DiskStore {
    DiskStore::open(folder, DiskOptions::default().quota_bytes(None)).expect("a store")
}

/// Puts of 1 KB a second that so many writers make, each waiting until its own is durable.
fn puts(writers: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let start = Instant::now();
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut count = 0;
                    while start.elapsed() < TIME {
                        let number = writer.wrapping_mul(104_729) + count;
                        store.put(key(number), vec![b'x'; 1024]).await.expect("a put");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut done = 0;
        for writer in writers {
            done += writer.await.expect("a writer that ends");
        }
        done as f64 / start.elapsed().as_secs_f64()
    })
}

pub(crate) fn print() {
    section("disk, synced, in process", &["disk", "etcd", "times"]);
    let etcd = Etcd::start();
    for writers in [1, 64, 1000] {
        let ours = median(RUNS, || puts(writers));
        let theirs = etcd.as_ref().map(|etcd| {
            median(RUNS, || {
                let in_flight = writers as usize;
                let load = Load {
                    address: etcd.address,
                    path: "/etcdserverpb.KV/Put",
                    connections: in_flight.min(8),
                    in_flight,
                    time: TIME,
                    count: u64::MAX,
                };
                let outcome = load.run(|number, to| message::put(key(number).as_bytes(), &[b'x'; 1024], to));
                assert_eq!(outcome.failed, 0, "etcd refuses");
                outcome.rate
            })
        });
        let (rate, times) = theirs
            .map_or((Cell::None, Cell::None), |theirs| (Cell::Rate(theirs), Cell::Times(ours / theirs)));
        row(&format!("put 1 KB, {writers} writers"), &[Cell::Rate(ours), rate, times]);
    }
    drop(etcd);
    reads();
    opening();
}

/// Reads of what memory has, and of values that only the disk has.
fn reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let fill = async |store: &DiskStore| {
        let puts = (0..KEYS).map(|number| store.put(key(number), vec![b'x'; 1024]));
        for put in futures_util::future::join_all(puts).await {
            put.expect("a put");
        }
    };
    let old = runtime.block_on(async {
        fill(&store).await;
        let old = store.revision().await.expect("a revision");
        fill(&store).await;
        old
    });
    let timed = |work: &dyn Fn(u64)| {
        median(RUNS, || {
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < TIME / 4 {
                (0..64).for_each(|number| work(count + number));
                count += 64;
            }
            count as f64 / start.elapsed().as_secs_f64()
        })
    };
    section("disk, reads, one thread", &["a second"]);
    let newest = timed(&|number| {
        runtime.block_on(async { store.get(key(number).as_bytes()).await.expect("a get").expect("a value") });
    });
    row("get", &[Cell::Rate(newest)]);
    let past = timed(&|number| {
        let range = windlass::store::KeyRange::single(Bytes::from(key(number)));
        let options = windlass::store::ListOptions::default().at(old);
        let page = runtime.block_on(store.list(range, options)).expect("a list");
        assert_eq!(page.items.len(), 1);
    });
    row("get of a past revision, from the disk", &[Cell::Rate(past)]);
}

/// Opening a store of a million keys.
fn opening() {
    const MANY: u64 = 1_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = open(folder.path());
    for part in 0..MANY / 10_000 {
        let key = |number| format!("/registry/pods/default/pod-{number:07}");
        let puts = (0..10_000).map(|number| store.put(key(part * 10_000 + number), vec![b'x'; 1024]));
        for put in runtime.block_on(futures_util::future::join_all(puts)) {
            put.expect("a put");
        }
    }
    drop(store);
    let before = resident();
    let start = Instant::now();
    let store = open(folder.path());
    let took = start.elapsed();
    section("disk, a store of 1,000,000 keys of 1 KB", &["to open", "memory"]);
    row("opened", &[Cell::Took(took), Cell::Bytes((resident() - before).max(0.0))]);
    remark("the system holds the files in memory; the process grew by so much, on top of what it had freed");
    drop(store);
}
