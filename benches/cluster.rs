//! How fast a control plane is there, and how much it weighs.
//!
//! Prints the resident memory of an idle control plane with three simulated nodes, then measures
//! the time from nothing to the first successful create.

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use windlass::client::{Api, Informer};
use windlass::cluster::{Cluster, Simulated};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn config_map(name: &str) -> ConfigMap {
    let mut config_map = ConfigMap::default();
    config_map.metadata.name = Some(name.to_owned());
    config_map.data = Some([("key".to_owned(), "value".to_owned())].into());
    config_map
}

/// From nothing to the first successful create.
async fn first_create() -> Cluster {
    let cluster = Cluster::builder().start().await.expect("a cluster");
    Api::namespaced(cluster.client(), "default").create(&config_map("first")).await.expect("a first object");
    cluster
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

async fn idle() {
    let before = resident_mb();
    let cluster =
        Cluster::builder().nodes(3).machines(Simulated::default()).start().await.expect("a cluster");
    let (env, nodes) = (cluster.env(), Informer::<Node>::builder(cluster.client()).start(cluster.env()));
    let ready = |node: &Arc<Node>| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    while nodes.list().iter().filter(|node| ready(node)).count() < 3 {
        env.clock.sleep(Duration::from_millis(10)).await;
    }
    // A heartbeat of everybody, so that what is made lazily is made.
    env.clock.sleep(Duration::from_secs(11)).await;
    let after = resident_mb();
    println!(
        "idle control plane with 3 simulated nodes: {after:.1} MB resident ({before:.1} MB before it started)"
    );
    cluster.shutdown().await;
}

fn main() {
    // Under `cargo test` a bench is only to be shown to compile and start.
    if !std::env::args().any(|argument| argument == "--test") {
        runtime().block_on(idle());
    }
    let mut criterion = Criterion::default().sample_size(50).configure_from_args();
    let runtime = runtime();
    criterion.bench_function("from nothing to the first create", |bench| {
        bench.to_async(&runtime).iter_with_large_drop(first_create);
    });
    criterion.final_summary();
}
