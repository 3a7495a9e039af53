//! Decoded objects over the memory store: updates, and the events of watchers by field.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tokio::runtime::Runtime;
use windlass::api::selector::{FieldSelector, FieldTerm};
use windlass::api::{Object, Resource, Revision, Scope, SelectableField};
use windlass::env::Env;
use windlass::store::cached::{Change, Outcome, WatchQuery};
use windlass::store::{Cached, MemoryStore};

use crate::table::{Cell, median, row, section};

const RUNS: usize = 5;
const WATCHERS: usize = 1_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
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

/// Updates a second, each waited for until the cache has it, beside watchers of other nodes.
fn updates(watchers: usize) -> f64 {
    const COUNT: u32 = 5_000;
    let row = pods();
    runtime().block_on(async {
        let env = Env::system();
        let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
        let mut watches = Vec::new();
        for number in 0..watchers {
            let mut watch = cached.watch(&row, &on(&format!("n{number}"))).await.expect("a watch");
            watches.push(tokio::spawn(async move { watch.next().await.is_some() }));
        }
        let object = pod(&row, "a", "here");
        let mut from = commit(&cached, Change::Create(object.clone())).await;
        tokio::task::yield_now().await;
        let elapsed = timed(async {
            for _ in 0..COUNT {
                from = commit(&cached, Change::Update { object: object.clone(), from }).await;
                cached.wait(&row, from).await.expect("the cache");
            }
        })
        .await;
        watches.iter().for_each(tokio::task::JoinHandle::abort);
        env.tasks.shutdown().await;
        f64::from(COUNT) / elapsed.as_secs_f64()
    })
}

/// Events a second to watchers of one node.
fn fan_out() -> f64 {
    const COUNT: u32 = 400;
    let row = pods();
    runtime().block_on(async {
        let env = Env::system();
        let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
        let mut followers = Vec::new();
        for _ in 0..WATCHERS {
            let mut watch = cached.watch(&row, &on("here")).await.expect("a watch");
            followers.push(tokio::spawn(async move {
                for _ in 0..=COUNT {
                    watch.next().await.expect("an event").expect("no error");
                }
            }));
        }
        let object = pod(&row, "a", "here");
        let mut from = commit(&cached, Change::Create(object.clone())).await;
        let elapsed = timed(async {
            for _ in 0..COUNT {
                from = commit(&cached, Change::Update { object: object.clone(), from }).await;
                tokio::task::yield_now().await;
            }
            for follower in followers {
                follower.await.expect("all events");
            }
        })
        .await;
        env.tasks.shutdown().await;
        f64::from(COUNT) * WATCHERS as f64 / elapsed.as_secs_f64()
    })
}

pub(crate) fn print() {
    section("cached, over the memory store", &["a second"]);
    for watchers in [0, 1_000, 10_000] {
        let name = format!("update of 1 KB until the cache has it, {watchers} watchers of others");
        row(&name, &[Cell::Rate(median(RUNS, || updates(watchers)))]);
    }
    row("events to 1,000 watchers of one node", &[Cell::Rate(median(RUNS, fan_out))]);
}
