//! What each step of a pod's way takes, done alone by one thread: processor time a pod.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use serde_json::json;
use windlass::api::Object;
use windlass::client::{Client, Events, Identity, Informer};
use windlass::env::Env;
use windlass::sched::plugins::DefaultBinder;
use windlass::sched::{Bind, Binding, Boards, Decision, PodInfo, Profile, Snapshot};
use windlass::server::ApiServer;

use crate::counted::Counted;
use crate::process::cpu;
use crate::templates;
use crate::world::{create, server, target};

/// How many nodes there are.
const NODES: usize = 5_000;
/// How many pods go through each step.
const PODS: usize = 50_000;
/// How many events are recorded before they are waited for: less than the recorder's queue holds.
const EVENTS: usize = 500;

/// What requests and deliveries take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) create: Duration,
    pub(crate) bind: Duration,
}

/// What deciding takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deciding {
    /// To read a pod.
    pub(crate) read: Duration,
    /// To find its node.
    pub(crate) decide: Duration,
    /// To count it there.
    pub(crate) assume: Duration,
}

/// Adds up processor time.
#[derive(Default)]
struct Meter(Duration);

impl Meter {
    fn each(&self, count: usize) -> Duration {
        self.0 / count as u32
    }

    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = cpu();
        let made = work();
        self.0 += cpu() - before;
        made
    }
}

async fn start() -> (Env, ApiServer, Arc<dyn Client>) {
    let env = Env::system();
    let server = server(&env).await;
    let client = server.client(Identity::admin());
    create(&*client, &target::<Namespace>(""), json!({"metadata": {"name": "measured"}})).await;
    (env, server, client)
}

async fn end(env: Env, server: ApiServer) {
    server.shutdown().await;
    env.tasks.shutdown().await;
}

/// Creates pods and binds them, seen by so many informers.
pub(crate) async fn calls(watchers: usize) -> Calls {
    let (env, server, client) = start().await;
    let informers: Vec<_> = (0..watchers)
        .map(|_| Informer::<Pod>::builder(client.clone()).without_managed_fields().start(&env))
        .collect();
    for informer in &informers {
        informer.synced().await;
    }
    let pods = target::<Pod>("measured");
    let (like, before) = (templates::pod(), cpu());
    let mut made = Vec::with_capacity(PODS);
    for _ in 0..PODS {
        made.push(create(&*client, &pods, like.clone()).await);
        // Nothing that is in memory makes a caller wait: the informers need their turns.
        tokio::task::yield_now().await;
    }
    let newest = made.last().map(Object::revision).expect("a pod");
    for informer in &informers {
        informer.reached(newest).await;
    }
    let created = cpu() - before;

    let mut snapshot = Snapshot::new();
    let nodes: Vec<Arc<str>> = (0..NODES).map(|number| format!("scheduler-perf-{number}").into()).collect();
    let bindings: Vec<Binding> = made
        .iter()
        .enumerate()
        .map(|(number, object)| Binding {
            pod: Arc::new(snapshot.read(object.view().expect("a pod"))),
            node: nodes[number % NODES].clone(),
            client: client.clone(),
            env: env.clone(),
        })
        .collect();
    let before = cpu();
    for binding in &bindings {
        DefaultBinder.bind(binding).await.expect("it is bound");
        tokio::task::yield_now().await;
    }
    let last = bindings.last().map(|binding| binding.pod.key.clone()).expect("a pod");
    for informer in &informers {
        let is_bound = |pod: Arc<Pod>| pod.spec.as_ref().is_some_and(|own| own.node_name.is_some());
        while !informer.get(&last).is_some_and(is_bound) {
            tokio::task::yield_now().await;
        }
    }
    let bound = cpu() - before;
    end(env, server).await;
    Calls { create: created / PODS as u32, bind: bound / PODS as u32 }
}

/// Decides for pods without any server.
pub(crate) fn deciding() -> Deciding {
    let (env, profile) = (Env::system(), Profile::default());
    let draw = env.random.stream("steps");
    let (mut snapshot, mut boards) = (Snapshot::new(), Boards::default());
    for number in 0..NODES {
        let mut node: Node = serde_json::from_value(templates::node(None)).expect("a node");
        node.metadata.name = Some(format!("scheduler-perf-{number}"));
        let status = node.status.as_mut().expect("a status");
        status.allocatable.clone_from(&status.capacity);
        snapshot.set_node(Arc::new(node));
    }
    let like: Pod = serde_json::from_value(templates::pod()).expect("a pod");
    let pods: Vec<Arc<Pod>> = (0..PODS).map(|number| Arc::new(named(&like, number))).collect();
    let (mut read, mut decide, mut assume) = (Meter::default(), Meter::default(), Meter::default());
    let infos: Vec<Arc<PodInfo>> =
        read.add(|| pods.iter().map(|pod| Arc::new(snapshot.read(pod.clone()))).collect());
    // To look at the clock takes as long as a decision: the two that alternate are measured together, and one
    // of them again alone.
    let mut nodes = Vec::with_capacity(PODS);
    decide.add(|| {
        for pod in &infos {
            let Decision::Place(node) = boards.decide(&profile, &snapshot, pod, &draw) else {
                panic!("there is room");
            };
            let name = snapshot.name(node).clone();
            snapshot.place(pod.clone(), &name);
            nodes.push(name);
        }
    });
    infos.iter().for_each(|pod| drop(snapshot.unplace(&pod.uid)));
    assume.add(|| infos.iter().zip(&nodes).for_each(|(pod, node)| snapshot.place(pod.clone(), node)));
    let assumed = assume.each(PODS);
    Deciding { read: read.each(PODS), decide: decide.each(PODS).saturating_sub(assumed), assume: assumed }
}

fn named(like: &Pod, number: usize) -> Pod {
    let mut pod = like.clone();
    pod.metadata.name = Some(format!("pod-{number}"));
    pod.metadata.namespace = Some("measured".into());
    pod.metadata.uid = Some(format!("00000000-0000-4000-8000-{number:012}"));
    pod
}

/// Records that pods were scheduled.
pub(crate) async fn events() -> Duration {
    let (env, server, client) = start().await;
    let counted = Arc::new(Counted::new(client));
    let events = Events::new("default-scheduler", counted.clone(), &env);
    let like: Pod = serde_json::from_value(templates::pod()).expect("a pod");
    let pods: Vec<Pod> = (0..PODS).map(|number| named(&like, number)).collect();
    let (before, mut said) = (cpu(), 0);
    for some in pods.chunks(EVENTS) {
        for pod in some {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let message = format!("Successfully assigned measured/{name} to scheduler-perf-0");
            events.normal(pod, "Scheduled", message);
        }
        said += some.len();
        while counted.counts().scheduled < said {
            env.clock.sleep(Duration::from_millis(1)).await;
        }
    }
    let took = (cpu() - before) / PODS as u32;
    end(env, server).await;
    took
}
