//! The controller manager: the built-in controllers in one process, on shared informers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::garbage::GarbageCollector;
use super::informers::Informers;
use super::{
    Controller, Error, Events, deployment, endpoint_slice, namespace, namespace_content, node, replica_set,
};
use crate::client::Client;
use crate::env::Env;

/// A built-in controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BuiltIn {
    /// So many pods of one template.
    ReplicaSet,
    /// One ReplicaSet a template, and the way from one to the next.
    Deployment,
    /// Where the pods of a Service can be reached.
    EndpointSlice,
    /// What belongs to nobody any more is deleted.
    GarbageCollector,
    /// A namespace that is deleted is emptied first.
    Namespace,
    /// Nodes that are silent are marked and tainted.
    NodeLifecycle,
    /// Pods leave nodes whose taints they do not tolerate.
    TaintEviction,
    /// Pods of nodes that no longer exist are taken away.
    PodGarbageCollector,
    /// Every namespace has a service account `default`.
    ServiceAccount,
    /// Every namespace has the certificate of the cluster's authority, where one is given.
    RootCa,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ReplicaSet,
        Self::Deployment,
        Self::EndpointSlice,
        Self::GarbageCollector,
        Self::Namespace,
        Self::NodeLifecycle,
        Self::TaintEviction,
        Self::PodGarbageCollector,
        Self::ServiceAccount,
        Self::RootCa,
    ];
}

/// The built-in controllers, running. Dropping it leaves them running; see
/// [`ControllerManager::shutdown`].
///
/// Each is what Kubernetes' controller of that name is and can be left out, where another one does
/// its work. They are level triggered: two managers at once do no lasting harm, but work twice;
/// whoever runs several elects a leader.
pub struct ControllerManager {
    controllers: Vec<Controller>,
    collector: Option<GarbageCollector>,
    env: Env,
}

/// Puts a [`ControllerManager`] together.
pub struct ControllerManagerBuilder {
    client: Option<Arc<dyn Client>>,
    env: Option<Env>,
    controllers: BTreeSet<BuiltIn>,
    root_ca: Option<String>,
}

impl ControllerManager {
    /// All built-in controllers.
    #[must_use]
    pub fn builder() -> ControllerManagerBuilder {
        ControllerManagerBuilder { client: None, env: None, controllers: BuiltIn::ALL.into(), root_ca: None }
    }

    /// The controllers that run, but for the garbage collector, whose keys are no names.
    #[must_use]
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// Stops: what has begun is finished, then every task ends.
    pub async fn shutdown(self) {
        for controller in self.controllers {
            controller.shutdown().await;
        }
        if let Some(collector) = self.collector {
            collector.shutdown().await;
        }
        self.env.tasks.shutdown().await;
    }
}

impl ControllerManagerBuilder {
    /// The client that they read and write through, with the identity that it carries.
    #[must_use]
    pub fn client(mut self, client: Arc<dyn Client>) -> Self {
        self.client = Some(client);
        self
    }

    /// Time, chance and the task group; the machine's own unless given.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Leaves one controller out.
    #[must_use]
    pub fn without(mut self, controller: BuiltIn) -> Self {
        self.controllers.remove(&controller);
        self
    }

    /// Runs only these controllers.
    #[must_use]
    pub fn only(mut self, controllers: impl IntoIterator<Item = BuiltIn>) -> Self {
        self.controllers = controllers.into_iter().collect();
        self
    }

    /// The certificate (PEM) of the cluster's authority, for the ConfigMap `kube-root-ca.crt` of
    /// every namespace. Without one there is no such ConfigMap.
    #[must_use]
    pub fn root_ca(mut self, certificate: impl Into<String>) -> Self {
        self.root_ca = Some(certificate.into());
        self
    }

    /// Starts them. They begin to work when their informers have listed; this does not wait for
    /// that.
    ///
    /// # Errors
    ///
    /// When no client was given.
    pub async fn start(self) -> Result<ControllerManager, Error> {
        let client = self.client.ok_or_else(|| Error::other("a controller manager needs a client"))?;
        let env = self.env.unwrap_or_else(Env::system).child();
        let informers = Informers::new(client.clone(), &env);
        let events = Events::new("controller-manager", client.clone(), &env);
        let mut manager = ControllerManager { controllers: Vec::new(), collector: None, env: env.clone() };
        for controller in self.controllers {
            let client = client.clone();
            manager.controllers.push(match controller {
                BuiltIn::ReplicaSet => replica_set::start(client, &env, &informers, &events),
                BuiltIn::Deployment => deployment::start(client, &env, &informers, &events),
                BuiltIn::EndpointSlice => endpoint_slice::start(client, &env, &informers),
                BuiltIn::Namespace => namespace::start(client, &env, &informers),
                BuiltIn::NodeLifecycle => node::lifecycle::start(client, &env, &informers, &events),
                BuiltIn::TaintEviction => node::eviction::start(client, &env, &informers, &events),
                BuiltIn::PodGarbageCollector => node::pod_gc::start(client, &env, &informers),
                BuiltIn::ServiceAccount => {
                    namespace_content::start_service_accounts(client, &env, &informers)
                }
                BuiltIn::RootCa => match &self.root_ca {
                    Some(certificate) => {
                        namespace_content::start_root_ca(client, &env, &informers, certificate.clone())
                    }
                    None => continue,
                },
                BuiltIn::GarbageCollector => {
                    manager.collector = Some(GarbageCollector::start(client, &env, &events));
                    continue;
                }
            });
        }
        Ok(manager)
    }
}

impl fmt::Debug for ControllerManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerManager").field("controllers", &self.controllers).finish_non_exhaustive()
    }
}
