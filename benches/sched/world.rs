//! A cluster to measure in: an API server, nodes, and a scheduler with its client.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::CSINode;
use serde_json::{Value, json};
use windlass::api::{Object, Resource};
use windlass::client::{Client, ClientExt, Identity, Patch, PatchType, Payload, Target, WriteOptions};
use windlass::env::Env;
use windlass::sched::Scheduler;
use windlass::server::ApiServer;
use windlass::server::admission::AdmissionChain;
use windlass::store::MemoryStore;

use crate::counted::Counted;
use crate::progress::Progress;
use crate::templates;
use crate::workload::{Form, Pods, Workload};

/// An API server with its store in memory, as the benchmark sets it up: without the step that gives pods the
/// service accounts of their namespaces, which nobody makes here.
pub(crate) async fn server(env: &Env) -> ApiServer {
    let chain = AdmissionChain::default().without("ServiceAccount").expect("a step of this name");
    let builder = ApiServer::builder().store(Arc::new(MemoryStore::new())).env(env.clone());
    builder.admission(chain).build().await.expect("a server")
}

/// All that a run works with.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) client: Arc<dyn Client>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) progress: Progress,
    server: ApiServer,
    scheduler: Scheduler,
}

impl World {
    /// A scheduler beside nodes, once all pods that are to be there before are bound.
    pub(crate) async fn of(workload: &Workload) -> Self {
        let env = Env::system();
        let server = server(&env).await;
        let client = server.client(Identity::admin());
        create_nodes(&client, workload).await;
        let high = json!({"metadata": {"name": templates::HIGH}, "value": templates::HIGH_VALUE});
        create(&*client, &target::<PriorityClass>(""), high).await;
        let mut namespaces: Vec<&str> = workload.before.iter().map(|pods| pods.namespace).collect();
        // A term may name namespaces in which there is nothing yet.
        namespaces.extend([workload.measured.namespace, crate::churn::NAMESPACE, "sched-0", "sched-1"]);
        namespaces.sort_unstable();
        namespaces.dedup();
        for name in namespaces {
            create(&*client, &target::<Namespace>(""), json!({"metadata": {"name": name}})).await;
        }
        let counted = Arc::new(Counted::new(server.client(Identity::user("system:kube-scheduler"))));
        let scheduler = Scheduler::builder().client(counted.clone()).env(env.child()).start().await;
        let progress = Progress::watch(client.clone(), &env).await;
        let world = Self { env, client, counted, progress, server, scheduler };
        for pods in workload.before {
            let wanted = world.progress.bound(pods.namespace) + pods.count;
            let bound = world.progress.reached(pods.namespace, wanted);
            create_pods(&world.client, pods, pods.count).await;
            bound.await.expect("a watch");
        }
        world
    }

    /// Ends everything.
    pub(crate) async fn end(self) {
        self.scheduler.shutdown().await;
        self.server.shutdown().await;
        self.env.tasks.shutdown().await;
    }
}

/// Where objects of a kind are.
pub(crate) fn target<K>(namespace: &str) -> Target
where
    K: kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    Target::all(&Resource::of::<K>()).namespace(namespace)
}

/// Makes an object.
pub(crate) async fn create(client: &dyn Client, target: &Target, tree: Value) -> Object {
    let made = client.create(target.clone(), Payload::Tree(tree), WriteOptions::default()).await;
    made.expect("it is let in").expect("an object")
}

async fn create_nodes(client: &Arc<dyn Client>, workload: &Workload) {
    let zones = workload.zones;
    let volumes = matches!(workload.measured.form, Form::WithVolume);
    let (nodes, csi_nodes) = (target::<Node>(""), target::<CSINode>(""));
    for number in 0..workload.nodes {
        let zone = (!zones.is_empty()).then(|| zones[number % zones.len()]);
        let node = if volumes { templates::node_with_volumes() } else { templates::node(zone) };
        let made = create(&**client, &nodes, node).await;
        if volumes {
            create(&**client, &csi_nodes, templates::csi_node(made.name())).await;
        }
    }
}

/// Makes pods of a form, and what they need, one after the other.
///
/// Others have their turn after each: a server in the same process answers at once, and makes nobody wait.
pub(crate) async fn create_pods(client: &Arc<dyn Client>, pods: &Pods, count: usize) {
    let (namespace, target, maker) = (pods.namespace, target::<Pod>(pods.namespace), pods.form.maker());
    for number in 0..count {
        let mut pod = maker(number);
        if let Form::WithVolume = pods.form {
            let claim = create_volume(&**client, namespace, number).await;
            pod["spec"]["volumes"] = json!([{"name": "vol", "persistentVolumeClaim": {"claimName": claim}}]);
        }
        create(&**client, &target, pod).await;
        tokio::task::yield_now().await;
    }
}

/// Makes a volume and a claim that have each other already. Returns the claim's name.
async fn create_volume(client: &dyn Client, namespace: &str, number: usize) -> String {
    let (volume, claim) = (format!("pv-{namespace}-{number}"), format!("pvc-{number}"));
    let (volumes, claims) = (target::<PersistentVolume>(""), target::<PersistentVolumeClaim>(namespace));
    create(client, &volumes, templates::volume(&volume, namespace, &claim)).await;
    set_bound(client, volumes.name(&*volume)).await;
    create(client, &claims, templates::claim(&claim, &volume)).await;
    set_bound(client, claims.name(&*claim)).await;
    claim
}

async fn set_bound(client: &dyn Client, target: Target) {
    let body = r#"{"status":{"phase":"Bound"}}"#.into();
    let patch = Patch { kind: PatchType::Merge, body, force: false };
    let patched = client.patch(target.subresource("status"), patch, WriteOptions::default()).await;
    patched.expect("a status");
}
