//! A control plane and one simulated machine with its agent, on virtual time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use windlass::client::{
    self, Api, Client, ClientExt, Identity, ListOptions, Payload, Target, WatchOptions, WriteOptions,
};
use windlass::env::{BoxIo, Env};
use windlass::net::{AttachRequest, Attachment, NetworkProvider};
use windlass::node::{NodeAgent, NodeAgentBuilder};
use windlass::runtime::ContainerRuntime;
use windlass::runtime::sim::{Script, Scripts, SimRuntime};
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

/// One address a sandbox; what listens there is what the machine's containers serve.
struct Wires {
    runtime: Arc<SimRuntime>,
    attached: Mutex<Vec<Attachment>>,
}

#[async_trait]
impl NetworkProvider for Wires {
    async fn attach(&self, request: &AttachRequest) -> windlass::net::Result<Vec<IpAddr>> {
        let mut attached = self.attached.lock().unwrap();
        let address = IpAddr::from([10, 1, 0, 2 + attached.len() as u8]);
        attached.push(Attachment { sandbox: request.sandbox.clone(), addresses: vec![address] });
        Ok(vec![address])
    }

    async fn detach(&self, _sandbox: &str) -> windlass::net::Result<()> {
        Ok(())
    }

    async fn attachments(&self) -> windlass::net::Result<Vec<Attachment>> {
        Ok(self.attached.lock().unwrap().clone())
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<BoxIo> {
        self.runtime.connect(address).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    fn node_address(&self) -> IpAddr {
        IpAddr::from([10, 1, 0, 1])
    }
}

pub(crate) struct Machine {
    pub(crate) env: Env,
    pub(crate) server: ApiServer,
    pub(crate) client: Arc<dyn Client>,
    pub(crate) runtime: Arc<SimRuntime>,
    network: Arc<Wires>,
    epoch: Timestamp,
}

impl Machine {
    /// A server and a machine that knows these images; no agent yet.
    pub(crate) async fn new(images: impl IntoIterator<Item = (&'static str, Script)>) -> Self {
        let env = Env::simulated(11);
        let server =
            ApiServer::builder().store(Arc::new(MemoryStore::new())).env(env.clone()).build().await.unwrap();
        let scripts = Scripts::new();
        for (image, script) in images {
            scripts.script(image, script).unwrap();
        }
        let runtime = Arc::new(SimRuntime::new("n1", &env, scripts));
        let network = Arc::new(Wires { runtime: runtime.clone(), attached: Mutex::default() });
        let client = server.client(Identity::admin());
        let epoch = env.clock.now();
        Self { env, server, client, runtime, network, epoch }
    }

    pub(crate) fn builder(&self) -> NodeAgentBuilder {
        NodeAgent::builder("n1")
            .client(self.server.client(Identity::node("n1")))
            .runtime(self.runtime.clone())
            .network(self.network.clone())
            .env(self.env.clone())
    }

    pub(crate) async fn agent(&self) -> NodeAgent {
        self.builder().start().await.unwrap()
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.env.clock.now()
    }

    /// Seconds since the machine was made.
    pub(crate) fn second(&self) -> i64 {
        self.now().duration_since(self.epoch).as_secs()
    }

    /// Makes any object from its manifest.
    pub(crate) async fn make(&self, plural: &str, tree: Value) {
        let scheme = self.server.scheme();
        let row = scheme.iter().find(|row| row.plural == plural).unwrap();
        let target = Target::all(row).namespace(if row.namespaced() { "default" } else { "" });
        self.client.create(target, Payload::Tree(tree), WriteOptions::default()).await.unwrap();
    }

    /// Makes a pod that is bound to the machine.
    pub(crate) async fn run(&self, name: &str, spec: Value) -> Pod {
        let mut spec = spec;
        spec["nodeName"] = "n1".into();
        self.make("pods", json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})).await;
        self.pods().get(name).await.unwrap()
    }

    /// The first state of a pod that `holds`; its absence is `None`.
    pub(crate) async fn until(&self, name: &str, what: &str, holds: impl Fn(&Pod) -> bool) -> Pod {
        let found = self.watch(name, |pod| pod.is_some_and(&holds)).await;
        found.unwrap_or_else(|| panic!("{name} never came to: {what}")).unwrap()
    }

    /// Waits until there is no pod of this name.
    pub(crate) async fn gone(&self, name: &str) {
        assert!(self.watch(name, |pod| pod.is_none()).await.is_some(), "{name} never went");
    }

    /// Follows a pod for at most an hour.
    async fn watch(&self, name: &str, holds: impl Fn(Option<&Pod>) -> bool) -> Option<Option<Pod>> {
        let follow = async {
            let listed = self.pods().list(ListOptions::default()).await.unwrap();
            let named = |pod: &Pod| pod.metadata.name.as_deref() == Some(name);
            let there = listed.items.into_iter().find(named);
            if holds(there.as_ref()) {
                return there;
            }
            let mut options = WatchOptions::default();
            options.resource_version = Some(listed.revision);
            let mut events = self.pods().watch(options).await.unwrap();
            loop {
                let pod = match events.next().await.unwrap().unwrap() {
                    client::Event::Added(pod) | client::Event::Modified(pod) if named(&pod) => Some(pod),
                    client::Event::Deleted(pod) if named(&pod) => None,
                    _ => continue,
                };
                if holds(pod.as_deref()) {
                    return pod.map(Arc::unwrap_or_clone);
                }
            }
        };
        self.env.clock.timeout(Duration::from_secs(3600), follow).await.ok()
    }

    /// Lets virtual time pass.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.env.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// What was told about a pod: reason and message, once each, in the order of telling.
    pub(crate) async fn told(&self, pod: &str) -> Vec<(String, String)> {
        // Telling has a task of its own: let it catch up.
        self.pass(1).await;
        let events = Api::<Event>::namespaced(self.client.clone(), "default");
        let mut events = events.list(ListOptions::default()).await.unwrap().items;
        let revision =
            |event: &Event| event.metadata.resource_version.as_ref().unwrap().parse::<u64>().unwrap();
        events.retain(|event| event.involved_object.name.as_deref() == Some(pod));
        events.sort_by_key(|event| (event.first_timestamp.clone(), revision(event)));
        events
            .into_iter()
            .map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default()))
            .collect()
    }

    /// How many sandboxes and containers the machine has.
    pub(crate) async fn has(&self) -> (usize, usize) {
        (self.runtime.sandboxes().await.unwrap().len(), self.runtime.containers().await.unwrap().len())
    }
}

/// The status of a container, as its state in a word, and its restarts.
pub(crate) fn state(pod: &Pod, container: &str) -> (String, i32) {
    let status = pod.status.as_ref().unwrap();
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let Some(one) = all.into_iter().find(|status| status.name == container) else {
        return ("none".into(), 0);
    };
    let state = one.state.clone().unwrap_or_default();
    let word = match (state.waiting, state.running, state.terminated) {
        (Some(waiting), ..) => waiting.reason.unwrap_or_default(),
        (_, Some(_), _) if one.ready => "ready".into(),
        (_, Some(_), _) => "running".into(),
        (.., Some(end)) => format!("exit {}", end.exit_code),
        _ => "?".into(),
    };
    (word, one.restart_count)
}

pub(crate) fn is(pod: &Pod, container: &str, word: &str) -> bool {
    pod.status.is_some() && state(pod, container).0 == word
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}
