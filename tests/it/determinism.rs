//! The same seed gives the same history, in any process; other seeds give others.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use windlass::client::{Api, Event, WatchOptions};
use windlass::cluster::{Cluster, NodeSpec, Simulated};
use windlass::env::Env;
use windlass::kube_core;
use windlass::sim::{self, History};
use windlass::store::{MemoryOptions, MemoryStore};

/// How many seeds are run, each in two processes: `WINDLASS_SEEDS`, or a few. CI runs 100.
fn seeds() -> u64 {
    std::env::var("WINDLASS_SEEDS").ok().map_or(4, |text| text.parse().expect("WINDLASS_SEEDS is a number"))
}

/// How many pods run at a time; some 230 live in all.
const REPLICAS: i32 = 100;

/// Names the seeds that a child process is to run: `from..to`.
const CHILD: &str = "WINDLASS_DETERMINISM_SEEDS";

fn node(name: &str) -> NodeSpec {
    NodeSpec::new(name).capacity(64_000, 64 << 30).pods(250)
}

async fn until<K>(env: &Env, api: &Api<K>, name: &str, holds: impl Fn(&K) -> bool)
where
    K: windlass::client::Typed + kube_core::Resource<DynamicType = ()>,
{
    let watching = async {
        let mut events = api.watch(WatchOptions::default()).await.unwrap();
        while let Some(event) = events.next().await {
            if let Event::Added(object) | Event::Modified(object) = event.unwrap()
                && object.meta().name.as_deref() == Some(name)
                && holds(&object)
            {
                return;
            }
        }
        panic!("the watch for {name} ended");
    };
    env.clock
        .timeout(Duration::from_secs(3600), watching)
        .await
        .unwrap_or_else(|_| panic!("{name}: not within an hour"));
}

async fn rolled_out(env: &Env, api: &Api<Deployment>, replicas: i32) {
    until(env, api, "web", |deployment| {
        let Some(status) = &deployment.status else { return false };
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        status.observed_generation == deployment.metadata.generation && counts == [Some(replicas); 3]
    })
    .await;
}

/// Three nodes and 100 pods; a rollout; a node lost, its pods moved; the node back.
async fn life(env: Env) -> History {
    let store = Arc::new(MemoryStore::with_options(MemoryOptions::default().history_bytes(None)));
    let cluster = ["node-1", "node-2", "node-3"]
        .into_iter()
        .fold(Cluster::builder(), |builder, name| builder.node(node(name)))
        .machines(Simulated::default())
        .store(store.clone())
        .env(env.clone())
        .start()
        .await
        .unwrap();
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}]},
            },
        },
    });
    cluster.apply("web.json", &manifest.to_string()).await.unwrap();
    let deployments = Api::<Deployment>::namespaced(cluster.client(), "default");
    rolled_out(&env, &deployments, REPLICAS).await;

    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    deployments.strategic_merge_patch("web", &image).await.unwrap();
    rolled_out(&env, &deployments, REPLICAS).await;

    let ready = |status: &'static str| {
        move |node: &Node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == status)
        }
    };
    let nodes = Api::<Node>::all(cluster.client());
    assert!(cluster.stop_node("node-2").await);
    until(&env, &nodes, "node-2", ready("Unknown")).await;
    until(&env, &deployments, "web", |deployment| {
        deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) < REPLICAS
    })
    .await;
    rolled_out(&env, &deployments, REPLICAS).await;
    cluster.add_node(node("node-2")).await.unwrap();
    until(&env, &nodes, "node-2", ready("True")).await;
    rolled_out(&env, &deployments, REPLICAS).await;

    cluster.shutdown().await;
    History::of(&store).await.unwrap()
}

/// What a child process does: prints a line a seed.
#[test]
fn child() {
    let Ok(seeds) = std::env::var(CHILD) else { return };
    let (from, to) = seeds.split_once("..").unwrap();
    for seed in from.parse().unwrap()..to.parse::<u64>().unwrap() {
        let history = sim::run(seed, life);
        println!("history {seed} {} {}", history.lines.len(), history.digest());
    }
}

fn spawn() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["determinism::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("0..{}", seeds()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn histories(child: Child) -> Vec<String> {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    text.lines().filter_map(|line| line.find("history ").map(|at| line[at..].to_owned())).collect()
}

#[test]
fn a_seed_is_a_history() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let (one, other) = (spawn(), spawn());
    let (one, other) = (histories(one), histories(other));
    let seeds = seeds();
    assert_eq!(one.len() as u64, seeds);
    assert_eq!(other.len() as u64, seeds);
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other, "a seed gave two histories");
    }
    let digests: BTreeSet<_> = one.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(digests.len() as u64 * 10 >= seeds * 9, "only {} of {seeds} histories differ", digests.len());
    println!("{seeds} seeds in two processes each: {} different histories", digests.len());
}
