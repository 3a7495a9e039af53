//! The controller manager: the built-in controllers in one process, on shared informers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::informers::Informers;
use super::{Controller, Events, deployment, endpoint_slice, replica_set};
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
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ReplicaSet, Self::Deployment, Self::EndpointSlice];
}

/// The built-in controllers, running. Dropping it leaves them running; see
/// [`ControllerManager::shutdown`].
pub struct ControllerManager {
    controllers: Vec<Controller>,
    env: Env,
}

/// Puts a [`ControllerManager`] together.
pub struct ControllerManagerBuilder {
    client: Arc<dyn Client>,
    env: Env,
    controllers: BTreeSet<BuiltIn>,
}

impl ControllerManager {
    /// All built-in controllers, through this client and on this time, chance and task group.
    ///
    /// Each is what Kubernetes' controller of that name is and can be left out, where another one
    /// does its work. They are level triggered: two managers at once do no lasting harm, but work
    /// twice; whoever runs several elects a leader.
    pub fn builder(client: Arc<dyn Client>, env: &Env) -> ControllerManagerBuilder {
        ControllerManagerBuilder { client, env: env.child(), controllers: BuiltIn::ALL.into() }
    }

    /// The controllers that run.
    #[must_use]
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// Stops: what has begun is finished, then every task ends.
    pub async fn shutdown(self) {
        for controller in self.controllers {
            controller.shutdown().await;
        }
        self.env.tasks.shutdown().await;
    }
}

impl ControllerManagerBuilder {
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

    /// Starts them. They begin to work when their informers have listed; this does not wait for
    /// that.
    pub fn start(self) -> ControllerManager {
        let Self { client, env, controllers } = self;
        let informers = Informers::new(client.clone(), &env);
        let events = Events::new("controller-manager", client.clone(), &env);
        let start = |controller| match controller {
            BuiltIn::ReplicaSet => replica_set::start(client.clone(), &env, &informers, &events),
            BuiltIn::Deployment => deployment::start(client.clone(), &env, &informers, &events),
            BuiltIn::EndpointSlice => endpoint_slice::start(client.clone(), &env, &informers),
        };
        let controllers = controllers.into_iter().map(start).collect();
        ControllerManager { controllers, env }
    }
}

impl fmt::Debug for ControllerManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerManager").field("controllers", &self.controllers).finish_non_exhaustive()
    }
}
