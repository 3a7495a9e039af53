//! How a cluster is put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::dialer::PipeDialer;
use super::{Agents, Cluster, Machines};
use crate::api::{Scheme, quantity};
use crate::client::Identity;
use crate::env::Env;
use crate::net::proxy::ServiceProxy;
use crate::node::NodeAgent;
use crate::reconcile::ControllerManager;
use crate::sched::{Scheduler, SchedulerBuilder};
use crate::server::{ApiServer, BuildError};
use crate::store::{MemoryOptions, MemoryStore, ObjectStore};

/// A cluster to be. See [`Cluster::builder`].
#[must_use]
pub struct ClusterBuilder {
    nodes: Vec<NodeSpec>,
    machines: Option<Arc<dyn Machines>>,
    store: Option<Arc<dyn ObjectStore>>,
    scheme: Option<Scheme>,
    env: Option<Env>,
    scheduler: Option<Box<dyn FnOnce(SchedulerBuilder) -> SchedulerBuilder + Send>>,
    with_scheduler: bool,
    with_controllers: bool,
}

/// A node to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Labels beside those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Processor time, in thousandths of a core.
    pub cpu_milli: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// How many pods it takes.
    pub pods: u32,
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It has nodes and nothing for them to run on.
    #[error("a cluster with nodes needs machines for them: see ClusterBuilder::machines")]
    NoMachines,
    /// The API server could not be put together.
    #[error(transparent)]
    Server(#[from] BuildError),
    /// A call to the API server failed.
    #[error(transparent)]
    Client(#[from] crate::client::Error),
    /// A machine could not be started.
    #[error("machine of node {node:?}: {source}")]
    Machine {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part could not be started.
    #[error("{part}: {source}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl NodeSpec {
    /// A node with 4 cores, 8 GiB and room for 110 pods.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: Default::default(),
            cpu_milli: 4000,
            memory_bytes: 8 << 30,
            pods: 110,
        }
    }

    /// One label more.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// So much processor time and memory.
    #[must_use]
    pub fn capacity(mut self, cpu_milli: u64, memory_bytes: u64) -> Self {
        (self.cpu_milli, self.memory_bytes) = (cpu_milli, memory_bytes);
        self
    }

    /// Room for so many pods.
    #[must_use]
    pub fn pods(mut self, pods: u32) -> Self {
        self.pods = pods;
        self
    }
}

impl ClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            machines: None,
            store: None,
            scheme: None,
            env: None,
            scheduler: None,
            with_scheduler: true,
            with_controllers: true,
        }
    }

    /// So many nodes, `node-1` and so on.
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes.extend((1..=count).map(|number| NodeSpec::new(format!("node-{number}"))));
        self
    }

    /// One node more.
    pub fn node(mut self, spec: NodeSpec) -> Self {
        self.nodes.push(spec);
        self
    }

    /// What nodes run on. Required where there are nodes.
    pub fn machines(mut self, machines: impl Machines) -> Self {
        self.machines = Some(Arc::new(machines));
        self
    }

    /// Where objects are kept; a memory store of its own where none is given.
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The resources that are served; the built-in ones where none are given.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// Time, chance and tasks; the machine's where none is given. The cluster's tasks form a group
    /// below this one.
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Changes the scheduler before it starts: plugins, weights.
    pub fn scheduler(
        mut self,
        change: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder + Send + 'static,
    ) -> Self {
        self.scheduler = Some(Box::new(change));
        self
    }

    /// Leaves the scheduler out: pods stay pending until somebody else binds them.
    pub fn without_scheduler(mut self) -> Self {
        self.with_scheduler = false;
        self
    }

    /// Leaves the reconcilers out: a control plane that only keeps what it is given, as envtest's.
    pub fn without_controllers(mut self) -> Self {
        self.with_controllers = false;
        self
    }

    /// Starts the cluster; when this answers, the API server serves and every node is registered.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. What was started before is ended again.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped ends what it started.
    pub async fn start(self) -> Result<Cluster, StartError> {
        let env = self.env.unwrap_or_else(Env::system).child();
        let store = self
            .store
            .unwrap_or_else(|| Arc::new(MemoryStore::with_options(MemoryOptions::default().env(&env))));
        let machines = match self.machines {
            Some(machines) => machines,
            None if self.nodes.is_empty() => Arc::new(super::machines::NoMachines),
            None => return Err(StartError::NoMachines),
        };
        let agents = Arc::new(Agents::default());
        let mut server = ApiServer::builder()
            .store(store.clone())
            .env(env.clone())
            .service_cidr(machines.service_cidr())
            .allow_loopback_endpoints(machines.on_loopback())
            .node_dialer(Arc::new(PipeDialer { agents: agents.clone(), tasks: env.tasks.child() }));
        if let Some(scheme) = self.scheme {
            server = server.scheme(scheme);
        }
        let server = server.build().await?;
        let mut cluster = Cluster {
            admin: server.client(Identity::admin().agent("windlass")),
            env: env.clone(),
            store,
            server: server.clone(),
            controllers: None,
            scheduler: None,
            proxy: None,
            machines: machines.clone(),
            agents: agents.clone(),
        };
        if self.with_controllers {
            let client = server
                .client(Identity::user("system:kube-controller-manager").agent("kube-controller-manager"));
            cluster.controllers = Some(
                ControllerManager::builder()
                    .client(client)
                    .env(env.child())
                    .start()
                    .await
                    .map_err(part("controllers"))?,
            );
        }
        if self.with_scheduler {
            let client = server.client(Identity::user("system:kube-scheduler").agent("kube-scheduler"));
            let scheduler = Scheduler::builder().client(client).env(env.child());
            let scheduler = match self.scheduler {
                Some(change) => change(scheduler),
                None => scheduler,
            };
            cluster.scheduler = Some(scheduler.start().await);
        }
        for spec in self.nodes {
            start_node(&env, &server, &*machines, &agents, spec).await?;
        }
        if let Some(options) = machines.proxy() {
            let client = server.client(Identity::user("system:kube-proxy").agent("kube-proxy"));
            cluster.proxy = Some(ServiceProxy::start(client, &env.child(), options));
        }
        Ok(cluster)
    }
}

pub(super) fn part<E: std::error::Error + Send + Sync + 'static>(
    part: &'static str,
) -> impl FnOnce(E) -> StartError {
    move |error| StartError::Part { part, source: error.into() }
}

/// Starts the agent of a node on its machine.
pub(super) async fn start_node(
    env: &Env,
    server: &ApiServer,
    machines: &dyn Machines,
    agents: &Agents,
    spec: NodeSpec,
) -> Result<(), StartError> {
    // The machine outlives the agent: what runs on it is there for the next one.
    let machine = machines.machine(&spec.name, env).await?;
    let amount = |text: String| Quantity(text);
    let memory = quantity::Quantity::bytes(i64::try_from(spec.memory_bytes).unwrap_or(i64::MAX));
    let mut agent = NodeAgent::builder(&spec.name)
        .client(server.client(Identity::node(&spec.name).agent("kubelet")))
        .runtime(machine.runtime)
        .network(machine.network)
        .env(env.child())
        .capacity("cpu", amount(format!("{}m", spec.cpu_milli)))
        .capacity("memory", amount(memory.to_string()))
        .capacity("pods", amount(spec.pods.to_string()));
    for (key, value) in spec.labels {
        agent = agent.label(key, value);
    }
    let agent = agent.start().await.map_err(part("node agent"))?;
    agents.lock().insert(spec.name, Arc::new(agent));
    Ok(())
}
