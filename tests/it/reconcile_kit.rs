//! A control plane with controllers, and no node: the tests play the nodes' part.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use windlass::client::{Api, Client, DeleteOptions, Identity, Informer, ListOptions, Typed, WatchOptions};
use windlass::env::Env;
use windlass::kube_core::Resource;
use windlass::reconcile::ControllerManager;
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) client: Arc<dyn Client>,
    pub(crate) manager: ControllerManager,
}

/// A server and all controllers, on virtual time.
pub(crate) async fn world() -> World {
    let env = Env::simulated(11);
    let store = Arc::new(MemoryStore::new());
    let server = ApiServer::builder().store(store).env(env.clone()).build().await.unwrap();
    let client = server.client(Identity::admin());
    let manager = ControllerManager::builder()
        .client(client.clone())
        .env(env.clone())
        .root_ca("-----BEGIN CERTIFICATE-----")
        .start()
        .await
        .unwrap();
    World { env, client, manager }
}

impl World {
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: Typed + Resource<DynamicType = ()>,
        K::Scope: 'static,
    {
        Api::all(self.client.clone())
    }

    /// Objects of the namespace `default`.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Typed + Resource<DynamicType = ()>,
        K::Scope: 'static,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create<K>(&self, api: &Api<K>, tree: Value) -> K
    where
        K: Typed,
    {
        api.create(&serde_json::from_value(tree).unwrap()).await.unwrap()
    }

    /// Waits until the objects of `api` are as they should be; at most ten virtual minutes.
    pub(crate) async fn until<K: Typed>(
        &self,
        api: &Api<K>,
        what: &str,
        holds: impl Fn(&[K]) -> bool,
    ) -> Vec<K> {
        let mut last = Vec::new();
        let waiting = async {
            loop {
                let list = api.list(ListOptions::default()).await.unwrap();
                last = list.items;
                if holds(&last) {
                    return;
                }
                let mut options = WatchOptions::default();
                options.resource_version = Some(list.revision);
                let mut changes = api.watch(options).await.unwrap();
                changes.next().await.expect("a watch goes on").unwrap();
            }
        };
        let outcome = self.env.clock.timeout(Duration::from_secs(600), waiting).await;
        assert!(outcome.is_ok(), "never: {what}: {last:#?}");
        last
    }

    /// Plays all nodes: pods run and are ready unless their image is `broken`, and stop at once when
    /// they are told to.
    pub(crate) fn run_pods(&self) {
        let pods = Informer::<Pod>::builder(self.client.clone()).start(&self.env);
        let api: Api<Pod> = self.all();
        self.env.tasks.spawn("fake nodes", async move {
            let mut keys = pods.changed_keys();
            let mut addresses = 0u8;
            while let Some(key) = keys.recv().await {
                let Some(pod) = pods.get(&key) else { continue };
                let api = api.within(&key.namespace);
                if pod.metadata.deletion_timestamp.is_some() {
                    let mut now = DeleteOptions::default();
                    now.grace_period_seconds = Some(0);
                    let _ = api.delete(&key.name, now).await;
                    continue;
                }
                let broken = pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("broken");
                let running = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
                if broken || running {
                    continue;
                }
                addresses += 1;
                let status = json!({"status": {
                    "phase": "Running",
                    "podIP": format!("10.9.0.{addresses}"),
                    "podIPs": [{"ip": format!("10.9.0.{addresses}")}],
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}],
                }});
                // It may be gone meanwhile.
                let _ = api.merge_patch_status(&key.name, &status).await;
            }
        });
    }
}

pub(crate) fn deployment(name: &str, replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
        },
    })
}

pub(crate) fn template(app: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [
            {"name": "main", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]},
    })
}
