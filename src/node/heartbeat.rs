//! Being known: the Node object, its status, and the Lease that says "still here".
//!
//! The Lease is renewed every 10 s (a quarter of its 40 s, with 4 % of jitter); the status is
//! written when it changes and at least every 5 minutes. Both go on through any failure of the
//! server, each with its own back-off.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};

use super::node_object::Facts;
use super::recorder::{Recorder, Severity};
use crate::client::{Api, Client, Error};
use crate::env::Env;
use crate::runtime::ContainerRuntime;

const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
const RENEW_JITTER: f64 = 0.04;
/// How often the machine is looked at, and how often the status is written in any case.
const LOOK: Duration = Duration::from_secs(10);
const REPORT: i64 = 300;
/// The first and the longest pause after a failure (kubelet's for its Lease and registration).
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(7));

/// Tells the control plane of one machine.
pub(super) struct Heartbeat {
    pub(super) client: Arc<dyn Client>,
    pub(super) runtime: Arc<dyn ContainerRuntime>,
    pub(super) env: Env,
    pub(super) recorder: Recorder,
    pub(super) facts: Facts,
}

impl Heartbeat {
    /// Registers the node: makes its object, or brings the one that exists up to date. Tries until
    /// it succeeds.
    pub(super) async fn register(&self) -> Node {
        let mut pause = PAUSES.0;
        loop {
            match self.try_register().await {
                Ok(node) => return node,
                Err(error) => tracing::debug!(%error, node = self.facts.name, "not registered"),
            }
            self.env.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn try_register(&self) -> Result<Node, Error> {
        let api = Api::<Node>::all(self.client.clone());
        let health = self.health().await;
        match api.create(&self.facts.node(&health, self.now())).await {
            Ok(node) => return Ok(node),
            Err(Error::AlreadyExists(_)) => {}
            Err(error) => return Err(error),
        }
        let mut node = api.get(&self.facts.name).await?;
        if self.facts.label(&mut node) {
            node = api.update(&node).await?;
        }
        self.facts.report(&mut node, &health, self.now());
        api.update_status(&node).await
    }

    fn now(&self) -> Timestamp {
        self.env.clock.now_seconds()
    }

    async fn health(&self) -> Result<(), String> {
        self.runtime.sandboxes().await.map(drop).map_err(|error| error.to_string())
    }

    fn tell(&self, reason: &str, message: String) {
        let name = Some(self.facts.name.clone());
        let about = ObjectReference {
            kind: Some("Node".into()),
            uid: name.clone(),
            name,
            ..ObjectReference::default()
        };
        self.recorder.tell(about, Severity::Normal, reason, message);
    }

    /// Keeps the status true.
    pub(super) async fn report(self: Arc<Self>, registered: Node) {
        self.tell("Starting", "Starting kubelet.".into());
        let mut told = None;
        let mut written = registered.status.is_some().then(|| self.now());
        let mut known = Ok(());
        loop {
            let health = self.health().await;
            let state = if health.is_ok() { "NodeReady" } else { "NodeNotReady" };
            if told.replace(state) != Some(state) {
                self.tell(state, format!("Node {} status is now: {state}", self.facts.name));
            }
            let due = written.is_none_or(|at| self.now().duration_since(at).as_secs() >= REPORT);
            if due || health != known {
                match self.write(&health).await {
                    Ok(()) => (written, known) = (Some(self.now()), health),
                    Err(error) => tracing::debug!(%error, node = self.facts.name, "node status not written"),
                }
            }
            self.env.clock.sleep(LOOK).await;
        }
    }

    async fn write(&self, health: &Result<(), String>) -> Result<(), Error> {
        let api = Api::<Node>::all(self.client.clone());
        let mut node = api.get(&self.facts.name).await?;
        self.facts.report(&mut node, health, self.now());
        api.update_status(&node).await.map(drop)
    }

    /// Renews the Lease.
    pub(super) async fn renew(self: Arc<Self>, node: Node) {
        let jitter = self.env.random.stream(&format!("node/{}/lease", self.facts.name));
        let mut lease: Option<Lease> = None;
        let mut pause = PAUSES.0;
        loop {
            match self.renew_once(lease.take(), &node).await {
                Ok(renewed) => {
                    lease = Some(renewed);
                    pause = PAUSES.0;
                    self.env.clock.sleep(jitter.jitter(RENEW, RENEW_JITTER)).await;
                }
                Err(error) => {
                    tracing::debug!(%error, node = self.facts.name, "lease not renewed");
                    self.env.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn renew_once(&self, held: Option<Lease>, node: &Node) -> Result<Lease, Error> {
        let api = Api::<Lease>::namespaced(self.client.clone(), LEASE_NAMESPACE);
        let lease = match held {
            Some(lease) => Some(lease),
            None => api.get_opt(&self.facts.name).await?,
        };
        let spec = LeaseSpec {
            holder_identity: Some(self.facts.name.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(self.env.clock.now())),
            ..LeaseSpec::default()
        };
        if let Some(mut lease) = lease {
            lease.spec = Some(spec);
            return api.update(&lease).await;
        }
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.facts.name.clone(),
            uid: node.metadata.uid.clone().unwrap_or_default(),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(self.facts.name.clone()),
            namespace: Some(LEASE_NAMESPACE.into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        api.create(&Lease { metadata, spec: Some(spec) }).await
    }
}
