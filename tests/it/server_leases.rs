//! Events go by themselves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use windlass::client::{ClientExt, ListOptions, Payload, Target, WatchEvent, WriteOptions};
use windlass::cluster::{Cluster, Simulated};
use windlass::env::Env;
use windlass::sim;
use windlass::store::{Leases, MemoryStore};

use super::server_kit::*;

const MINUTE: Duration = Duration::from_secs(60);

fn event(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "reason": "Tested", "type": "Normal",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"}})
}

/// The same in the group of its own.
fn own_event(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "reason": "Tested", "type": "Normal",
        "eventTime": "2020-01-01T00:00:00.000000Z", "action": "Test", "reportingController": "example.com/test",
        "reportingInstance": "test-1", "regarding": {"kind": "Pod", "namespace": "default", "name": "web"}})
}

fn own_events(kit: &Kit) -> Target {
    let scheme = kit.server.scheme();
    let row = scheme.iter().find(|row| (&*row.group, &*row.plural) == ("events.k8s.io", "events")).unwrap();
    Target::all(row).namespace("default")
}

async fn sleep(kit: &Kit, duration: Duration) {
    kit.server.env().clock.sleep(duration).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_either_group_goes_after_an_hour() {
    let kit = kit().await;
    let before = kit.list("default", "events", ListOptions::default()).await.unwrap().revision;
    kit.create("default", "events", event("core")).await.unwrap();
    let own = Payload::Tree(own_event("own"));
    kit.client.create(own_events(&kit), own, WriteOptions::default()).await.unwrap();
    kit.create("default", "configmaps", config_map("stays")).await.unwrap();
    let now = watch_options(|options| options.resource_version = Some(before));
    let mut core = kit.watch("default", "events", now.clone()).await.unwrap();
    let mut own = kit.client.watch(own_events(&kit), now).await.unwrap();
    sleep(&kit, 60 * MINUTE - Duration::from_secs(1)).await;
    assert_eq!(kit.names("default", "events").await, ["core", "own"]);
    sleep(&kit, MINUTE + Duration::from_secs(2)).await;
    assert!(kit.names("default", "events").await.is_empty());
    assert!(kit.client.list(own_events(&kit), ListOptions::default()).await.unwrap().items.is_empty());
    assert_eq!(status_of(kit.get("default", "events/core").await).code, 404);
    assert_eq!(kit.names("default", "configmaps").await, ["stays"]);
    for (watch, version) in [(&mut core, "v1"), (&mut own, "events.k8s.io/v1")] {
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        while deleted.len() < 2 {
            match watch.next().await.unwrap().unwrap() {
                WatchEvent::Added(object) => added.push(object.name().to_owned()),
                WatchEvent::Deleted(object) => {
                    assert_eq!(shown(&object)["apiVersion"], version);
                    deleted.push(object.name().to_owned());
                }
                other => panic!("{other:?}"),
            }
        }
        deleted.sort();
        assert_eq!((added, deleted), (vec!["core".into(), "own".into()], vec!["core".into(), "own".into()]));
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_of_an_event_gives_it_a_new_hour() {
    let kit = kit().await;
    for name in ["patched", "updated", "unchanged", "left"] {
        kit.create("default", "events", event(name)).await.unwrap();
    }
    sleep(&kit, 40 * MINUTE).await;
    kit.merge("default", "events/patched", json!({"count": 2})).await.unwrap();
    let mut updated = event("updated");
    updated["count"] = 2.into();
    kit.update("default", "events/updated", updated).await.unwrap();
    // Which is not written, so nothing begins anew.
    kit.merge("default", "events/unchanged", json!({"reason": "Tested"})).await.unwrap();
    // One that an update makes.
    kit.update("default", "events/made", event("made")).await.unwrap();
    sleep(&kit, 30 * MINUTE).await;
    assert_eq!(kit.names("default", "events").await, ["made", "patched", "updated"]);
    sleep(&kit, 32 * MINUTE).await;
    assert!(kit.names("default", "events").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_being_deleted_waits_for_its_finalizers() {
    let kit = kit().await;
    let mut held = event("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    kit.create("default", "events", held).await.unwrap();
    kit.delete("default", "events/held").await.unwrap().unwrap();
    sleep(&kit, 120 * MINUTE).await;
    assert_eq!(kit.names("default", "events").await, ["held"]);
    kit.merge("default", "events/held", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert!(kit.names("default", "events").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn how_long_events_stay_can_be_said() {
    for (ttl, left_after_a_minute, left_after_a_day) in
        [(30, false, false), (7200, true, false), (0, true, true)]
    {
        let kit = kit_with(|builder| builder.event_ttl(Duration::from_secs(ttl))).await;
        kit.create("default", "events", event("a")).await.unwrap();
        sleep(&kit, MINUTE).await;
        assert_eq!(!kit.names("default", "events").await.is_empty(), left_after_a_minute, "{ttl}");
        sleep(&kit, 24 * 60 * MINUTE).await;
        assert_eq!(!kit.names("default", "events").await.is_empty(), left_after_a_day, "{ttl}");
    }
}

/// The events of a cluster in which a pod comes and goes every ten minutes, for four hours: how many
/// there are, and how many leases, at the end of each ten minutes, and when all has been quiet for long.
async fn life(env: Env) -> Vec<(usize, usize)> {
    let store = Arc::new(MemoryStore::new());
    let cluster = Cluster::builder()
        .nodes(1)
        .machines(Simulated::default())
        .store(store.clone())
        .env(env.clone())
        .start()
        .await
        .unwrap();
    let client = cluster.client();
    let row = cluster.server().scheme().iter().find(|row| row.plural == "events").unwrap().clone();
    let count = async || {
        let events = client.list(Target::all(&row), ListOptions::default()).await.unwrap().items.len();
        (events, Leases::leases(&*store).await.unwrap().len())
    };
    let mut counts = Vec::new();
    for round in 0..24 {
        let mut pod = pod(&format!("web-{round}"));
        pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
        let pod = pod.to_string();
        cluster.apply("pod.json", &pod).await.unwrap();
        env.clock.sleep(MINUTE).await;
        cluster.delete("pod.json", &pod).await.unwrap();
        env.clock.sleep(9 * MINUTE).await;
        counts.push(count().await);
    }
    env.clock.sleep(62 * MINUTE).await;
    counts.push(count().await);
    cluster.shutdown().await;
    counts
}

#[test]
fn a_clusters_events_go_and_leases_do_not_pile_up() {
    let counts = sim::run(5, life);
    let (quiet, busy) = counts.split_last().unwrap();
    assert!(busy.iter().all(|(events, leases)| *events > 0 && *leases > 0), "{counts:?}");
    // Six rounds an hour live at a time, and no round needs more than a few leases.
    let most = busy[6];
    assert!(busy[7..].iter().all(|now| now.0 <= most.0 + 2 && now.1 <= most.1 + 2), "{counts:?}");
    assert_eq!(*quiet, (0, 0), "{counts:?}");
    assert_eq!(counts, sim::run(5, life), "the same seed, the same life");
}
