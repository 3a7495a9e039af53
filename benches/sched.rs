//! Scheduling 10,000 pods on 5,000 nodes, through the API server: pods bound per second, from the
//! first create to the last binding that a watch sees.
//!
//! The nodes and pods are those of kube-scheduler's SchedulingBasic workload. A run takes seconds,
//! so this prints its own median of a few runs instead of handing a closure to criterion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;
use windlass::client::{Api, Change, Client, Identity, Informer};
use windlass::env::Env;
use windlass::sched::Scheduler;
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

const NODES: usize = 5_000;
const PODS: usize = 10_000;
const RUNS: usize = 3;
const IN_FLIGHT: usize = 32;

fn node(index: usize) -> Node {
    let capacity = json!({"pods": "110", "cpu": "4", "memory": "32Gi"});
    serde_json::from_value(json!({
        "metadata": {"name": format!("scheduler-perf-{index}")},
        "status": {"capacity": capacity, "allocatable": capacity, "conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .expect("a node")
}

fn pod(index: usize) -> Pod {
    let resources = json!({"cpu": "100m", "memory": "500Mi"});
    serde_json::from_value(json!({
        "metadata": {"name": format!("pod-{index}")},
        "spec": {"containers": [{
            "name": "pause", "image": "registry.k8s.io/pause:3.10.1", "ports": [{"containerPort": 80}],
            "resources": {"limits": resources, "requests": resources},
        }]},
    }))
    .expect("a pod")
}

async fn create_nodes(client: &Arc<dyn Client>) {
    let nodes = Api::<Node>::all(client.clone());
    let made = stream::iter(0..NODES).map(|index| {
        let nodes = nodes.clone();
        async move {
            let mut wanted = node(index);
            wanted.metadata = nodes.create(&wanted).await.expect("a node").metadata;
            nodes.update_status(&wanted).await.expect("its status");
        }
    });
    made.buffer_unordered(IN_FLIGHT).count().await;
}

/// One run; pods bound per second.
async fn run() -> f64 {
    let env = Env::system();
    let store = Arc::new(MemoryStore::new());
    let server = ApiServer::builder().store(store).env(env.clone()).build().await.expect("a server");
    let client = server.client(Identity::admin());
    create_nodes(&client).await;
    let scheduler = server.client(Identity::user("system:kube-scheduler"));
    let scheduler = Scheduler::builder().client(scheduler).env(env.child()).start().await;

    let all_bound = Arc::new(tokio::sync::Notify::new());
    let (count, last) = (AtomicUsize::new(0), all_bound.clone());
    let is_bound = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let watcher = Informer::<Pod>::builder(client.clone())
        .on_change(move |change| {
            if let Change::Applied { old, new, .. } = change
                && is_bound(new)
                && !old.as_deref().is_some_and(is_bound)
                && count.fetch_add(1, Ordering::Relaxed) + 1 == PODS
            {
                last.notify_one();
            }
        })
        .start(&env);
    watcher.synced().await;

    let start = env.clock.instant();
    let pods = Api::<Pod>::namespaced(client, "default");
    let made = stream::iter(0..PODS).map(|index| {
        let pods = pods.clone();
        async move { pods.create(&pod(index)).await.expect("a pod") }
    });
    made.buffer_unordered(IN_FLIGHT).count().await;
    all_bound.notified().await;
    let seconds = (env.clock.instant() - start).as_secs_f64();
    scheduler.shutdown().await;
    server.shutdown().await;
    env.tasks.shutdown().await;
    PODS as f64 / seconds
}

fn main() {
    // Under `cargo test` a bench is only to be shown to compile and start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut rates: Vec<f64> = (0..RUNS).map(|_| runtime.block_on(run())).collect();
    rates.sort_by(f64::total_cmp);
    let (least, median, most) = (rates[0], rates[RUNS / 2], rates[RUNS - 1]);
    println!(
        "scheduling {PODS} pods on {NODES} nodes through the API: {median:.0} pods/s, median of {RUNS} runs ({least:.0} to {most:.0})"
    );
}
