//! Assembly: all the pieces as one cluster in one process.
//!
//! [`Cluster::builder`] says how many nodes there are, what they run on ([`Machines`]), where
//! objects are kept and what is left out; [`ClusterBuilder::start`] wires store, API server,
//! reconcilers, scheduler, service proxy and node agents together, each with a client of its own
//! identity, and nothing but that client between them. [`Cluster::shutdown`] leaves no process,
//! task or port behind; dropping the cluster cancels and kills at once.

mod builder;
mod dialer;
mod machines;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use builder::{ClusterBuilder, NodeSpec, StartError};
pub use machines::{Machine, Machines};

#[cfg(feature = "tls")]
mod endpoint;
#[cfg(feature = "tls")]
pub use endpoint::Endpoint;

#[cfg(all(feature = "process", target_os = "linux"))]
mod processes;
#[cfg(all(feature = "process", target_os = "linux"))]
pub use processes::Processes;

#[cfg(feature = "sim")]
mod simulated;
#[cfg(feature = "sim")]
pub use simulated::Simulated;

use crate::api::{manifest, status};
use crate::client::apply::{self, Applied};
use crate::client::{Client, ClientExt, DeleteOptions, Error, Identity};
use crate::env::Env;
use crate::net::proxy::ServiceProxy;
use crate::node::NodeAgent;
use crate::reconcile::ControllerManager;
use crate::sched::Scheduler;
use crate::server::ApiServer;
use crate::store::ObjectStore;

/// A running cluster.
pub struct Cluster {
    env: Env,
    store: Arc<dyn ObjectStore>,
    server: ApiServer,
    admin: Arc<dyn Client>,
    controllers: Option<ControllerManager>,
    scheduler: Option<Scheduler>,
    proxy: Option<ServiceProxy>,
    machines: Arc<dyn Machines>,
    agents: Arc<Agents>,
}

/// The agents of a cluster, by the names of their nodes.
#[derive(Default)]
pub(crate) struct Agents(Mutex<BTreeMap<String, Arc<NodeAgent>>>);

impl Agents {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<NodeAgent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, node: &str) -> Option<Arc<NodeAgent>> {
        self.lock().get(node).cloned()
    }
}

impl Cluster {
    /// Begins a cluster.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    /// The administrator's client.
    #[must_use]
    pub fn client(&self) -> Arc<dyn Client> {
        self.admin.clone()
    }

    /// A client that acts as somebody else.
    #[must_use]
    pub fn client_as(&self, identity: Identity) -> Arc<dyn Client> {
        self.server.client(identity)
    }

    /// The API server.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// The store below the API server.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The cluster's time, chance and tasks.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Applies every document of a manifest, in its order; `source` names it in errors. Objects
    /// whose kind lives in a namespace and that name none go to `default`.
    ///
    /// # Errors
    ///
    /// A `BadRequest` for what is no manifest and a `NotFound` for a kind that is not served, before
    /// anything is applied; then the server's answer to the first document that it refuses: what
    /// was applied before stays. The message of each begins with file, document and line.
    pub async fn apply(&self, source: &str, text: &str) -> Result<Vec<Applied>, Error> {
        let documents = read(source, text)?;
        let scheme = self.server.scheme();
        for document in &documents {
            apply::target(&scheme, "default", &document.tree).map_err(|error| placed(document, error))?;
        }
        let mut applied = Vec::new();
        for document in &documents {
            // A document may define the kind of the next one.
            let scheme = self.server.scheme();
            let done = apply::apply(&*self.admin, &scheme, "default", &document.tree).await;
            applied.push(done.map_err(|error| placed(document, error))?);
        }
        Ok(applied)
    }

    /// Deletes every object that a manifest names, in reverse order; what is gone already is no
    /// error.
    ///
    /// # Errors
    ///
    /// As [`Cluster::apply`].
    pub async fn delete(&self, source: &str, text: &str) -> Result<(), Error> {
        let scheme = self.server.scheme();
        for document in read(source, text)?.iter().rev() {
            let target =
                apply::target(&scheme, "default", &document.tree).map_err(|error| placed(document, error))?;
            match self.admin.delete(target, DeleteOptions::default()).await {
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(placed(document, error)),
            }
        }
        Ok(())
    }

    /// Starts one node more.
    ///
    /// # Errors
    ///
    /// When its machine or its agent cannot be started.
    pub async fn add_node(&self, spec: NodeSpec) -> Result<(), StartError> {
        builder::start_node(&self.env, &self.server, &*self.machines, &self.agents, spec).await
    }

    /// Ends a node's agent at once, as if its machine had lost power: its Node stays until
    /// somebody notices. Answers whether there was such a node.
    pub async fn stop_node(&self, name: &str) -> bool {
        let agent = self.agents.lock().remove(name);
        match agent {
            Some(agent) => {
                agent.shutdown().await;
                self.machines.lost(name).await;
                true
            }
            None => false,
        }
    }

    /// The agent of a node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<Arc<NodeAgent>> {
        self.agents.get(name)
    }

    /// Stops everything, from the outside in, and waits until no task, process or port is left.
    pub async fn shutdown(mut self) {
        if let Some(scheduler) = self.scheduler.take() {
            scheduler.shutdown().await;
        }
        if let Some(controllers) = self.controllers.take() {
            controllers.shutdown().await;
        }
        let agents = std::mem::take(&mut *self.agents.lock());
        for agent in agents.into_values() {
            agent.shutdown().await;
        }
        if let Some(proxy) = self.proxy.take() {
            proxy.shutdown().await;
        }
        self.machines.shutdown().await;
        self.server.shutdown().await;
        self.env.tasks.shutdown().await;
    }
}

fn read(source: &str, text: &str) -> Result<Vec<manifest::Document>, Error> {
    manifest::read(source, text).map_err(|error| Error::from(status::bad_request(error.to_string())))
}

/// The same refusal, saying which document it is of: the server knows of no files.
fn placed(document: &manifest::Document, error: Error) -> Error {
    if error.status().is_none() {
        return error;
    }
    let mut status = error.into_status();
    status.message = format!("{}: {}", document.place(), status.message);
    status.into()
}

/// Cancels and kills at once, without waiting.
impl Drop for Cluster {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.agents.lock().keys().cloned().collect();
        f.debug_struct("Cluster").field("nodes", &nodes).finish_non_exhaustive()
    }
}
