//! In process: the same requests without bytes, and through the tower service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use tower_service::Service;
use windlass::client::{
    Client, ClientExt, Identity, ListOptions, Patch, PatchType, Payload, Target, WatchOptions, WriteOptions,
};
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

use crate::objects;
use crate::table::{Cell, row, section};

const OBJECTS: usize = 10_000;

pub(crate) fn print() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure());
}

/// What one call after another takes.
async fn each(name: &str, count: usize, mut call: impl AsyncFnMut(usize)) {
    let (mut took, start) = (Vec::with_capacity(count), Instant::now());
    for number in 0..count {
        let begun = Instant::now();
        call(number).await;
        took.push(begun.elapsed());
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[(count as f64 * share) as usize];
    row(name, &[Cell::Rate(rate), Cell::Took(at(0.50)), Cell::Took(at(0.99))]);
}

async fn measure() {
    let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).build().await.expect("a server");
    let client = server.client(Identity::admin());
    let scheme = server.scheme();
    let maps = scheme.iter().find(|row| row.group.is_empty() && row.plural == "configmaps").expect("a row");
    let maps = Target::all(maps).namespace("default");

    section("in process, kilobyte objects, one at a time", &["rate", "p50", "p99"]);
    let mut names = Vec::new();
    each("create", OBJECTS, async |_| {
        let payload = Payload::Tree(objects::config_map());
        let made = client.create(maps.clone(), payload, WriteOptions::default()).await.expect("an object");
        names.extend(made.map(|made| made.name().to_owned()));
    })
    .await;
    let target = |number: usize| maps.clone().name(names[number % names.len()].clone());
    each("get", 100_000, async |number| drop(client.get(target(number)).await.expect("an object"))).await;
    each("list of 10,000", 200, async |_| {
        let list = client.list(maps.clone(), ListOptions::default()).await.expect("a list");
        assert_eq!(list.items.len(), OBJECTS);
    })
    .await;
    each("list by a label that none has", 200, async |_| {
        let mut options = ListOptions::default();
        options.labels = "app=none".parse().expect("a selector");
        assert!(client.list(maps.clone(), options).await.expect("a list").items.is_empty());
    })
    .await;
    each("merge patch", OBJECTS, async |number| {
        let patch = Patch { kind: PatchType::Merge, body: r#"{"data":{"other":"v"}}"#.into(), force: false };
        client.patch(target(number), patch, WriteOptions::default()).await.expect("an object");
    })
    .await;
    fan_out(&server, &*client, &maps, &names).await;

    section("in process, as HTTP without a socket", &["rate", "p50", "p99"]);
    let mut service = server.service(Identity::admin());
    let mut ask = async |path: &str| {
        let request = Request::get(path).body(Full::new(bytes::Bytes::new())).expect("a request");
        let answer = service.call(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a body").to_bytes().len()
    };
    let path = "/api/v1/namespaces/default/configmaps";
    let one = format!("{path}/{}", names[0]);
    each("get", 50_000, async |_| assert!(ask(&one).await > 800)).await;
    each("list of 10,000", 100, async |_| assert!(ask(path).await > 1_000_000)).await;
}

/// Events to a hundred watchers, while objects are patched.
async fn fan_out(server: &ApiServer, client: &dyn Client, maps: &Target, names: &[String]) {
    const WATCHERS: usize = 100;
    let writes = 2_000;
    let from = client.list(maps.clone(), ListOptions::default()).await.expect("a list").revision;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut options = WatchOptions::default();
        options.resource_version = Some(from);
        let mut events =
            server.client(Identity::admin()).watch(maps.clone(), options).await.expect("a watch");
        watchers.push(tokio::spawn(async move {
            for _ in 0..writes {
                events.next().await.expect("an event").expect("no error");
            }
        }));
    }
    let start = Instant::now();
    for number in 0..writes {
        let body = format!(r#"{{"data":{{"other":"{number}"}}}}"#).into();
        let patch = Patch { kind: PatchType::Merge, body, force: false };
        let target = maps.clone().name(names[number % names.len()].clone());
        client.patch(target, patch, WriteOptions::default()).await.expect("an object");
    }
    let written = start.elapsed();
    for watcher in watchers {
        watcher.await.expect("a watcher");
    }
    let rate = |count: usize, took: Duration| Cell::Rate(count as f64 / took.as_secs_f64());
    row("merge patch while 100 watch", &[rate(writes, written)]);
    row("  events delivered to them", &[rate(writes * WATCHERS, start.elapsed())]);
}
