//! The agent of one node, and how it is made.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::context::{Context, Drain, Views};
use super::dispatch::{Dispatch, remove_everything};
use super::heartbeat::Heartbeat;
use super::lifecycle::Machine;
use super::node_object::{Facts, architecture};
use super::recorder::Recorder;
use crate::api::selector::FieldSelector;
use crate::client::{Client, Informer};
use crate::env::{BoxIo, Env};
use crate::net::NetworkProvider;
use crate::runtime::ContainerRuntime;

/// The agent of one node.
///
/// Dropping it cancels everything that it does; containers go on running where their runtime lets
/// them, and another agent of the same node adopts them.
pub struct NodeAgent {
    name: String,
    pub(super) context: Arc<Context>,
    on_shutdown: OnShutdown,
}

/// What becomes of a node's pods when its agent shuts down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnShutdown {
    /// They are killed at once; nothing is left on the machine. Their objects stay.
    #[default]
    StopPods,
    /// They run on, for the next agent of this node to adopt.
    LeavePods,
}

/// How an agent is to be.
pub struct NodeAgentBuilder {
    name: String,
    client: Option<Arc<dyn Client>>,
    runtime: Option<Arc<dyn ContainerRuntime>>,
    network: Option<Arc<dyn NetworkProvider>>,
    env: Option<Env>,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    capacity: BTreeMap<String, Quantity>,
    allocatable: BTreeMap<String, Quantity>,
    port: u16,
    drain: Drain,
    on_shutdown: OnShutdown,
}

/// Why an agent cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something that it cannot do without was not given.
    #[error("a node agent needs a {0}")]
    Missing(&'static str),
    /// The runtime does not say what it has.
    #[error("the container runtime does not answer: {0}")]
    Runtime(#[from] crate::runtime::Error),
}

impl NodeAgent {
    /// The agent of the node of this name.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> NodeAgentBuilder {
        let quantities = |list: [(&str, &str); 4]| {
            list.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).into()
        };
        NodeAgentBuilder {
            name: name.into(),
            client: None,
            runtime: None,
            network: None,
            env: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            capacity: quantities([
                ("cpu", "8"),
                ("memory", "16Gi"),
                ("ephemeral-storage", "100Gi"),
                ("pods", "110"),
            ]),
            allocatable: BTreeMap::new(),
            port: 10250,
            drain: Drain { limit: Duration::from_secs(5), settle: Duration::from_millis(500) },
            on_shutdown: OnShutdown::default(),
        }
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a TCP stream as from this node, to a pod or anything else.
    ///
    /// # Errors
    ///
    /// What kept it from being opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping a dial loses nothing.
    pub async fn dial(&self, address: SocketAddr) -> io::Result<BoxIo> {
        self.context.network.dial(address).await
    }

    /// Stops the heartbeats and everything else, and does with the pods what the builder said.
    /// Returns when no task of the agent is left.
    pub async fn shutdown(&self) {
        self.context.env.tasks.shutdown().await;
        if self.on_shutdown == OnShutdown::StopPods {
            remove_everything(&self.context).await;
        }
    }
}

impl Drop for NodeAgent {
    fn drop(&mut self) {
        self.context.env.tasks.cancel();
    }
}

impl NodeAgentBuilder {
    /// How to reach the control plane. Required.
    #[must_use]
    pub fn client(mut self, client: Arc<dyn Client>) -> Self {
        self.client = Some(client);
        self
    }

    /// What runs containers. Required.
    #[must_use]
    pub fn runtime(mut self, runtime: Arc<dyn ContainerRuntime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// What gives sandboxes their addresses. Required.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn NetworkProvider>) -> Self {
        self.network = Some(network);
        self
    }

    /// Time, chance and tasks; the machine's own where none is given.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// A label more on the Node object.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// A taint that the node is registered with.
    #[must_use]
    pub fn taint(mut self, taint: Taint) -> Self {
        self.taints.push(taint);
        self
    }

    /// How much of a resource the machine has. The defaults are 8 CPUs, 16Gi of memory, 100Gi of
    /// ephemeral storage and 110 pods, whatever the machine: nothing here measures it.
    #[must_use]
    pub fn capacity(mut self, resource: impl Into<String>, amount: Quantity) -> Self {
        self.capacity.insert(resource.into(), amount);
        self
    }

    /// How much of a resource pods may have; all of the capacity where nothing is said.
    #[must_use]
    pub fn allocatable(mut self, resource: impl Into<String>, amount: Quantity) -> Self {
        self.allocatable.insert(resource.into(), amount);
        self
    }

    /// The port that the Node object names for the agent's API.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How a deleted pod that a service selects leaves rotation before it is asked to end: the
    /// agent waits until no EndpointSlice lists it as ready, for at most `limit`, and then for
    /// `settle`, so that proxies can follow. Both count as part of the pod's grace.
    #[must_use]
    pub fn drain(mut self, limit: Duration, settle: Duration) -> Self {
        self.drain = Drain { limit, settle };
        self
    }

    /// What becomes of the pods when the agent shuts down.
    #[must_use]
    pub fn on_shutdown(mut self, what: OnShutdown) -> Self {
        self.on_shutdown = what;
        self
    }

    /// Starts the agent. Returns when the node is registered; as long as the server refuses that,
    /// it is tried again.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped leaves no task; the Node object may have been made.
    pub async fn start(self) -> Result<NodeAgent, StartError> {
        let client = self.client.ok_or(StartError::Missing("client"))?;
        let runtime = self.runtime.ok_or(StartError::Missing("container runtime"))?;
        let network = self.network.ok_or(StartError::Missing("network provider"))?;
        let env = self.env.unwrap_or_else(Env::system).child();
        let recorder = Recorder::start(client.clone(), &env, &self.name);
        let version = runtime.version();
        let mut allocatable = self.capacity.clone();
        allocatable.extend(self.allocatable);
        let context = Arc::new(Context {
            services: Informer::<Service>::builder(client.clone()).start(&env),
            machine: Machine { runtime: version.name.clone(), address: network.node_address() },
            allocatable: allocatable.clone(),
            drain: self.drain,
            views: Views::default(),
            client: client.clone(),
            runtime: runtime.clone(),
            network,
            env: env.clone(),
            recorder: recorder.clone(),
        });
        // From here on a dropped start cancels what was started.
        let agent =
            NodeAgent { name: self.name.clone(), context: context.clone(), on_shutdown: self.on_shutdown };
        let identity = env.random.stream(&format!("node/{}/identity", self.name));
        let heartbeat = Arc::new(Heartbeat {
            client: client.clone(),
            runtime,
            env: env.clone(),
            recorder,
            facts: Facts {
                labels: self.labels,
                taints: self.taints,
                capacity: self.capacity,
                allocatable,
                address: context.machine.address.to_string(),
                port: self.port,
                runtime: format!("{}://{}", version.name, version.version),
                architecture: architecture().to_owned(),
                ids: [identity.uuid().replace('-', ""), identity.uuid(), identity.uuid()],
                name: self.name.clone(),
            },
        });
        let dispatch = Dispatch::new(context).await?;
        let node = heartbeat.register().await;
        env.tasks.spawn("lease", heartbeat.clone().renew(node.clone()));
        env.tasks.spawn("node status", heartbeat.report(node));
        env.tasks.spawn("runtime events", dispatch.clone().follow_runtime());
        Informer::<Pod>::builder(client)
            .fields(FieldSelector::equals("spec.nodeName", self.name))
            .on_change(move |change| dispatch.take(change))
            .start(&env);
        Ok(agent)
    }
}
