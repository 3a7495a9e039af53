//! What the store does in a second: writes, reads and watches, bare and as decoded objects.
#![allow(missing_docs, reason = "a bench is a program")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use serde_json::json;
use tokio::runtime::Runtime;
use windlass::api::selector::{FieldSelector, FieldTerm};
use windlass::api::{Object, Resource, Revision, Scope, SelectableField};
use windlass::env::Env;
use windlass::store::cached::{Change, Outcome, WatchQuery};
use windlass::store::{
    Cached, KeyRange, ListOptions, MemoryStore, ObjectStore, ObjectStoreExt, WatchOptions,
};

const KEYS: u64 = 100_000;
const WATCHERS: usize = 1_000;

fn key(number: u64) -> String {
    format!("/registry/pods/default/pod-{:06}", number % KEYS)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

fn memory(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("memory");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    let value = bytes::Bytes::from(vec![b'x'; 1024]);

    let store = &MemoryStore::new();
    let value = &value;
    runtime.block_on(async {
        for number in 0..KEYS {
            store.put(key(number), value.clone()).await.expect("a put");
        }
    });
    for others in [0, 10_000u64] {
        // Watchers of other keys, which a put must not notice.
        let watches: Vec<_> = runtime.block_on(async {
            let mut watches = Vec::new();
            for number in 0..others {
                let range = KeyRange::single(format!("/registry/other/{number}"));
                watches.push(store.watch(range, WatchOptions::default()).await.expect("a watch"));
            }
            watches
        });
        group.bench_function(BenchmarkId::new("put 1 KB, other watchers", others), |b| {
            b.to_async(&runtime).iter_custom(move |count| {
                timed(async move {
                    for number in 0..count {
                        store.put(key(number * 7919), value.clone()).await.expect("a put");
                    }
                })
            });
        });
        drop(watches);
    }
    group.bench_function("get", |b| {
        b.to_async(&runtime).iter_custom(move |count| {
            timed(async move {
                for number in 0..count {
                    store.get(key(number * 7919)).await.expect("a get").expect("a value");
                }
            })
        });
    });
    group.throughput(Throughput::Elements(500));
    group.bench_function("range of 500", |b| {
        b.to_async(&runtime).iter_custom(move |count| {
            timed(async move {
                for number in 0..count {
                    let start = key(number * 500 % (KEYS - 500));
                    let range = KeyRange {
                        start: start.into(),
                        end: Some(key(number * 500 % (KEYS - 500) + 500).into()),
                    };
                    let page = store.list(range, ListOptions::default()).await.expect("a list");
                    assert_eq!(page.items.len(), 500);
                }
            })
        });
    });
    group.finish();
}

/// Follows a watch in a task of its own until it has seen so many revisions.
fn follow(mut watch: windlass::store::WatchStream, count: u64) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for _ in 0..count {
            watch.next().await.expect("a batch").expect("no error");
        }
    })
}

fn memory_fan_out(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("memory fan-out");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(WATCHERS as u64));
    let value = bytes::Bytes::from(vec![b'x'; 1024]);
    for burst in [1, 64] {
        group.bench_function(
            BenchmarkId::new("events to 1,000 watchers of one prefix, puts at once", burst),
            |b| {
                b.to_async(&runtime).iter_custom(|count| {
                    let value = value.clone();
                    async move {
                        let store = MemoryStore::new();
                        let mut followers = Vec::new();
                        for _ in 0..WATCHERS {
                            let watch =
                                store.watch(KeyRange::prefix("/registry/"), WatchOptions::default()).await;
                            followers.push(follow(watch.expect("a watch"), count));
                        }
                        tokio::task::yield_now().await;
                        timed(async {
                            for number in 0..count {
                                store.put(key(number), value.clone()).await.expect("a put");
                                if number % burst == burst - 1 {
                                    tokio::task::yield_now().await;
                                }
                            }
                            for follower in followers {
                                follower.await.expect("all events");
                            }
                        })
                        .await
                    }
                });
            },
        );
    }
    group.finish();
}

fn pods() -> Arc<Resource> {
    let mut row = Resource::new("", "v1", "Pod", "pods", Scope::Namespaced);
    row.selectable = vec![SelectableField::new("spec.nodeName").indexed()];
    Arc::new(row)
}

fn pod(row: &Arc<Resource>, name: &str, node: &str) -> Object {
    let tree = json!({
        "metadata": {"namespace": "default", "name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node},
        "status": {"message": "x".repeat(800)},
    });
    Object::from_tree(row.clone(), Revision::NONE, tree).expect("a pod")
}

async fn commit(cached: &Cached, change: Change) -> Revision {
    match cached.commit(vec![change]).await.expect("a commit") {
        Outcome::Committed(revision) => revision,
        conflict => panic!("{conflict:?}"),
    }
}

fn on(node: &str) -> WatchQuery {
    let term = FieldTerm { field: "spec.nodeName".into(), value: node.into(), equal: true };
    WatchQuery { fields: FieldSelector { terms: vec![term] }, ..WatchQuery::default() }
}

fn cached(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("cached");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    let row = pods();
    for watchers in [0, 1_000, 10_000] {
        let name =
            BenchmarkId::new("update of 1 KB until the cache has it, watchers of other nodes", watchers);
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter_custom(|count| {
                let row = row.clone();
                async move {
                    let env = Env::system();
                    let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
                    let mut watches = Vec::new();
                    for number in 0..watchers {
                        let mut watch =
                            cached.watch(&row, &on(&format!("n{number}"))).await.expect("a watch");
                        watches.push(tokio::spawn(async move { watch.next().await.is_some() }));
                    }
                    let object = pod(&row, "a", "here");
                    let mut from = commit(&cached, Change::Create(object.clone())).await;
                    tokio::task::yield_now().await;
                    let elapsed = timed(async {
                        for _ in 0..count {
                            from = commit(&cached, Change::Update { object: object.clone(), from }).await;
                            cached.wait(&row, from).await.expect("the cache");
                        }
                    })
                    .await;
                    watches.iter().for_each(tokio::task::JoinHandle::abort);
                    env.tasks.shutdown().await;
                    elapsed
                }
            });
        });
    }
    group.throughput(Throughput::Elements(WATCHERS as u64));
    group.bench_function("events to 1,000 watchers of one node", |b| {
        b.to_async(&runtime).iter_custom(|count| {
            let row = row.clone();
            async move {
                let env = Env::system();
                let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
                let mut followers = Vec::new();
                for _ in 0..WATCHERS {
                    let mut watch = cached.watch(&row, &on("here")).await.expect("a watch");
                    followers.push(tokio::spawn(async move {
                        for _ in 0..=count {
                            watch.next().await.expect("an event").expect("no error");
                        }
                    }));
                }
                let object = pod(&row, "a", "here");
                let mut from = commit(&cached, Change::Create(object.clone())).await;
                let elapsed = timed(async {
                    for _ in 0..count {
                        from = commit(&cached, Change::Update { object: object.clone(), from }).await;
                        tokio::task::yield_now().await;
                    }
                    for follower in followers {
                        follower.await.expect("all events");
                    }
                })
                .await;
                env.tasks.shutdown().await;
                elapsed
            }
        });
    });
    group.finish();
}

criterion_group!(benches, memory, memory_fan_out, cached);
criterion_main!(benches);
