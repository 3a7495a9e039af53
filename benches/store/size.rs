//! How much memory decoded objects and their watchers take: the store, the cache above it and a watcher
//! for each object, all in this process; and how many watchers an update wakes.
//!
//! A million of each, or as many as `WINDLASS_BENCH_OBJECTS` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use windlass::api::selector::FieldSelector;
use windlass::api::{Object, Resource, Revision, Scope, SelectableField};
use windlass::env::Env;
use windlass::store::cached::{Change, ListQuery, ObjectEvent, ObjectWatch, Outcome, WatchQuery};
use windlass::store::{Cached, MemoryStore};

use crate::table::{Cell, remark, resident, row, section};

/// What all of it may take.
const BOUND: f64 = 8e9;

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn pods() -> Arc<Resource> {
    let mut row = Resource::new("", "v1", "Pod", "pods", Scope::Namespaced);
    row.selectable =
        vec![SelectableField::new("spec.nodeName").indexed(), SelectableField::new("status.phase")];
    Arc::new(row)
}

/// A pod whose body is 1 KB, with labels and a uid as pods have them.
fn pod(row: &Arc<Resource>, number: usize, node: usize) -> Object {
    let tree = json!({
        "metadata": {
            "namespace": format!("namespace-{:03}", number % 500),
            "name": format!("web-7d4b9c6f5d-{number:07}"),
            "uid": format!("6f1a2b3c-0000-4000-8000-{number:012x}"),
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d"},
        },
        "spec": {"nodeName": format!("node-{node:07}")},
        "status": {"phase": "Running"},
        "filler": "x".repeat(640),
    });
    Object::from_tree(row.clone(), Revision::NONE, tree).expect("a pod")
}

async fn commit(cached: &Cached, change: Change) -> Revision {
    match cached.commit(vec![change]).await.expect("a commit") {
        Outcome::Committed(revision) => revision,
        conflict => panic!("{conflict:?}"),
    }
}

fn poll(watch: &mut ObjectWatch, waker: &Waker) -> Option<ObjectEvent> {
    match watch.poll_next_unpin(&mut Context::from_waker(waker)) {
        std::task::Poll::Ready(Some(Ok(event))) => Some(event),
        std::task::Poll::Ready(other) => panic!("{other:?}"),
        std::task::Poll::Pending => None,
    }
}

/// What was resident, and when.
struct Step(f64, Instant);

impl Step {
    fn now() -> Self {
        Self(resident(), Instant::now())
    }

    /// A row of what came since, each of `count`.
    fn tell(self, name: &str, count: usize) -> Self {
        let now = Self::now();
        let bytes = (now.0 - self.0) / count as f64;
        row(name, &[Cell::Bytes(bytes), Cell::Bytes(now.0), Cell::Took(now.1 - self.1)]);
        now
    }
}

pub(crate) fn print() {
    let count = std::env::var("WINDLASS_BENCH_OBJECTS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(1_000_000);
    section(&format!("{count} objects of 1 KB, as many watchers by node"), &["each", "resident", "took"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(count));
}

async fn measure(count: usize) {
    let (env, pods) = (Env::system(), pods());
    let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
    let step = Step::now();
    for number in 0..count {
        commit(&cached, Change::Create(pod(&pods, number, number))).await;
    }
    let body = pod(&pods, 0, 0).body().len();
    let step = step.tell(&format!("in the store, bodies of {body} bytes"), count);

    let listed = cached.list(&pods, &ListQuery { limit: Some(1), ..ListQuery::default() }).await;
    assert_eq!(listed.expect("a list").remaining, Some(count - 1));
    let step = step.tell("decoded in the cache, filled from the store", count);

    let counter = Arc::new(Count(0.into()));
    let waker = Waker::from(counter.clone());
    let mut watches = Vec::with_capacity(count);
    for number in 0..count {
        let fields = FieldSelector::equals("spec.nodeName", format!("node-{number:07}"));
        let query = WatchQuery { fields, ..WatchQuery::default() };
        let mut watch = cached.watch(&pods, &query).await.expect("a watch");
        assert!(poll(&mut watch, &waker).is_none());
        watches.push(watch);
    }
    let end = step.tell("watchers that wait", count);
    row("of 8 GB", &[Cell::Times(end.0 / BOUND)]);
    if end.0 > BOUND {
        remark("more than 8 GB");
    }

    const ROUNDS: usize = 1_000;
    let (mut wakes, mut events, mut took) = ([0, 0], 0, Duration::ZERO);
    for round in 0..ROUNDS {
        let number = round * (count / ROUNDS.min(count)).max(1) % count;
        // An update in place, one that moves the pod, and one that moves it back.
        let (here, there) = (number, (number + 1) % count);
        for (moves, node) in [(0, here), (1, there), (1, here)] {
            let object = pod(&pods, number, node);
            let held = cached.get(&pods, object.key()).await.expect("a get").expect("the pod");
            let before = counter.0.load(Ordering::Relaxed);
            let start = Instant::now();
            let revision = commit(&cached, Change::Update { object, from: held.revision() }).await;
            cached.wait(&pods, revision).await.expect("the cache");
            took += start.elapsed();
            wakes[moves] += counter.0.load(Ordering::Relaxed) - before;
            for watcher in [here, there] {
                while poll(&mut watches[watcher], &waker).is_some() {
                    events += 1;
                }
            }
        }
    }
    row("watchers that an update wakes", &[Cell::Times(wakes[0] as f64 / ROUNDS as f64)]);
    row("watchers that an update of the node wakes", &[Cell::Times(wakes[1] as f64 / (2 * ROUNDS) as f64)]);
    row("events that they saw", &[Cell::Count(f64::from(events))]);
    row("an update until the cache has it", &[Cell::Took(took / (3 * ROUNDS) as u32)]);
    assert_eq!(wakes, [ROUNDS, 4 * ROUNDS], "an update wakes one watcher, or two");
    drop(watches);
    env.tasks.shutdown().await;
}
