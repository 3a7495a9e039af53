//! How a server is put together.

use std::sync::{Arc, RwLock};

use super::{ApiServer, Authorizer, Inner, RoleTable};
use crate::api::Scheme;
use crate::client::NodeDialer;
use crate::env::Env;
use crate::store::ObjectStore;

/// A server to be. See [`ApiServer::builder`].
pub struct ApiServerBuilder {
    store: Option<Arc<dyn ObjectStore>>,
    scheme: Option<Scheme>,
    env: Option<Env>,
    authorizer: Option<Arc<dyn Authorizer>>,
    node_dialer: Option<Arc<dyn NodeDialer>>,
}

/// Why a server could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No store was given.
    #[error("an API server needs a store")]
    NoStore,
}

impl ApiServerBuilder {
    pub(super) fn new() -> Self {
        Self { store: None, scheme: None, env: None, authorizer: None, node_dialer: None }
    }

    /// Where everything is kept. Required.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The resources that are served; the built-in ones where none are given.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// Time, chance and tasks; the machine's where none is given. The server's tasks form a group
    /// below this one.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Who may do what; [`RoleTable::default`] where none is given.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// The way to the nodes' agents, for logs, exec and port-forward.
    #[must_use]
    pub fn node_dialer(mut self, dialer: Arc<dyn NodeDialer>) -> Self {
        self.node_dialer = Some(dialer);
        self
    }

    /// Puts the server together and makes what must exist before it can serve.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    #[allow(clippy::unused_async, reason = "it reads the store")]
    pub async fn build(self) -> Result<ApiServer, BuildError> {
        let env = self.env.unwrap_or_else(Env::system).child();
        Ok(ApiServer(Arc::new(Inner {
            env,
            store: self.store.ok_or(BuildError::NoStore)?,
            scheme: RwLock::new(Arc::new(self.scheme.unwrap_or_default())),
            authorizer: self.authorizer.unwrap_or_else(|| Arc::new(RoleTable::default())),
            node_dialer: self.node_dialer,
        })))
    }
}
