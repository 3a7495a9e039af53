//! What a write costs in process: creates, updates and patches over the store in memory, one at a time.
//!
//! Managed fields are part of every write, as they are in Kubernetes; this says what they cost.

use std::sync::Arc;

use criterion::Criterion;
use serde_json::{Value, json};
use windlass::client::{Client, ClientExt as _, Identity, Patch, PatchType, Payload, Target, WriteOptions};
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-", "labels": {"app": "web"}},
        "data": {"one": "1", "two": "2", "three": "3"}})
}

fn container(name: &str) -> Value {
    json!({
        "name": name, "image": "registry.example.com/web:1.2.3", "args": ["--listen", "0.0.0.0:8080"],
        "env": [{"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
    })
}

fn pod_spec() -> Value {
    json!({"containers": [container("web"), container("proxy")],
        "volumes": [{"name": "config", "configMap": {"name": "web"}}]})
}

fn pod() -> Value {
    let metadata = json!({"generateName": "web-", "labels": {"app": "web", "tier": "front"}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec()})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"generateName": "web-", "labels": {"app": "web"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec()}}})
}

/// The status that a node's agent sends, as of this second.
fn status(second: usize) -> Value {
    let time = format!("2026-01-01T00:{:02}:{:02}Z", second / 60 % 60, second % 60);
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time});
    let state = |name: &str| {
        json!({"name": name, "image": "registry.example.com/web:1.2.3", "imageID": "sha256:0123", "ready": true,
            "restartCount": 0, "started": true, "containerID": "x://0123", "state": {"running": {"startedAt": time}}})
    };
    json!({"status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "startTime": time,
        "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady")],
        "containerStatuses": [state("web"), state("proxy")]}})
}

struct Plane {
    server: ApiServer,
    client: Arc<dyn Client>,
}

impl Plane {
    async fn start() -> Self {
        let server =
            ApiServer::builder().store(Arc::new(MemoryStore::new())).build().await.expect("a server");
        let client = server.client(Identity::admin().agent("bench/1"));
        Self { server, client }
    }

    fn target(&self, kind: &str) -> Target {
        let scheme = self.server.scheme();
        let row = scheme.iter().find(|row| row.kind == kind).expect("a row");
        Target::all(row).namespace("default")
    }

    async fn create(&self, target: &Target, tree: Value) -> Value {
        let made = self.client.create(target.clone(), Payload::Tree(tree), WriteOptions::default()).await;
        (*made.expect("a create").expect("an object").tree()).clone()
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let plane = runtime.block_on(Plane::start());
    let plane = &plane;
    for (kind, tree) in [("ConfigMap", config_map()), ("Pod", pod()), ("Deployment", deployment())] {
        let target = plane.target(kind);
        criterion.bench_function(&format!("create a {kind}"), |bench| {
            bench.to_async(&runtime).iter(|| plane.create(&target, tree.clone()));
        });
    }
    let made = runtime.block_on(plane.create(&plane.target("Pod"), pod()));
    let target =
        plane.target("Pod").name(made["metadata"]["name"].as_str().expect("a name")).subresource("status");
    let mut second = 0;
    criterion.bench_function("patch a pod's status", |bench| {
        bench.to_async(&runtime).iter(|| {
            second += 1;
            let patch = Patch {
                kind: PatchType::StrategicMerge,
                body: status(second).to_string().into(),
                force: false,
            };
            plane.client.patch(target.clone(), patch, WriteOptions::default())
        });
    });
    let made = runtime.block_on(plane.create(&plane.target("Deployment"), deployment()));
    let target = plane.target("Deployment").name(made["metadata"]["name"].as_str().expect("a name"));
    let mut replicas = 0;
    criterion.bench_function("update a Deployment", |bench| {
        bench.to_async(&runtime).iter(|| {
            replicas += 1;
            let mut tree = made.clone();
            tree["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
            tree["spec"]["replicas"] = (replicas % 100).into();
            plane.client.update(target.clone(), Payload::Tree(tree), WriteOptions::default())
        });
    });
    criterion.final_summary();
}
