//! The API server: what Kubernetes' verbs mean, for every row of the scheme.
//!
//! [`ApiServer::handle`] is the one door. A [`Client`] in process calls it with the request as it
//! is; REST (`rest`) translates HTTP into the same requests, so that both meet the same
//! authorizer and the same rules. Reading order follows a write: `attributes` and `authorize`
//! decide whether the caller may, `registry` carries the verb out for any row, `admission` and
//! `strategy` add what a kind needs besides, and one commit to the store makes it so.
//!
//! There is no handler per kind: what a row says (names, scope, subresources, selectable fields)
//! drives everything, and a CustomResourceDefinition is served by adding a row.
#![allow(
    clippy::result_large_err,
    reason = "a Status is what every layer here fails with; it is made once and moved"
)]

mod attributes;
mod authorize;
mod builder;
mod connect;
#[cfg(feature = "tls")]
pub mod https;
mod in_process;
pub mod rest;
mod roles;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

pub use attributes::Attributes;
pub use authorize::{Authorizer, Decision};
pub use builder::{ApiServerBuilder, BuildError};
pub use roles::{RoleTable, Rule};

use crate::api::{Scheme, Status, status};
use crate::client::{Client, Identity, NodeDialer, Request, Response};
use crate::env::Env;
use crate::store::ObjectStore;

/// An API server over a store. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    env: Env,
    #[allow(dead_code, reason = "read by the registry")]
    store: Arc<dyn ObjectStore>,
    scheme: RwLock<Arc<Scheme>>,
    authorizer: Arc<dyn Authorizer>,
    node_dialer: Option<Arc<dyn NodeDialer>>,
}

/// What a request is answered with, and what goes with it on a wire.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The response.
    pub response: Response,
    /// What the caller should know besides, one `Warning` header each.
    pub warnings: Vec<String>,
    /// Whether an object came to be: HTTP 201 instead of 200.
    pub created: bool,
}

impl ApiServer {
    /// Begins a server; it needs a store.
    #[must_use]
    pub fn builder() -> ApiServerBuilder {
        ApiServerBuilder::new()
    }

    /// A client in this process that acts as `identity`.
    #[must_use]
    pub fn client(&self, identity: Identity) -> Arc<dyn Client> {
        in_process::InProcess::client(self.clone(), identity)
    }

    /// Authorizes a request, and then does what it says.
    ///
    /// # Errors
    ///
    /// The `Status` that Kubernetes would answer with.
    ///
    /// # Cancel safety
    ///
    /// A write whose future is dropped may or may not have happened, never in part.
    pub async fn handle(&self, identity: &Identity, request: Request) -> Result<Answer, Status> {
        let request = match request {
            // A raw request is judged where its path is understood.
            Request::Raw(raw) => return Ok(Box::pin(rest::raw(self, identity, raw)).await.into()),
            request => request,
        };
        let attributes = Attributes::of(&request);
        if let Decision::Deny { reason } = self.authorize(identity, &attributes) {
            return Err(authorize::refusal(identity, &attributes, &reason));
        }
        if let Request::Connect { target, query, protocols } = &request {
            return Ok(Box::pin(connect::open(self, target, query, protocols)).await?.into());
        }
        let scheme = self.scheme();
        let gvr = match attributes.gvr() {
            Some(gvr) if scheme.resource(&gvr).is_some() => gvr,
            _ => return Err(status::no_such_resource()),
        };
        Err(status::method_not_supported(&gvr.group, &gvr.resource, &attributes.verb))
    }

    /// All resources as they are served now, custom ones included.
    #[must_use]
    pub fn scheme(&self) -> Arc<Scheme> {
        self.0.scheme.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `identity` may do this.
    #[must_use]
    pub fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Decision {
        self.0.authorizer.authorize(identity, attributes)
    }

    /// The server's time, chance and tasks.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.0.env
    }

    /// The way to the nodes' agents, where there is one.
    #[must_use]
    pub fn node_dialer(&self) -> Option<&Arc<dyn NodeDialer>> {
        self.0.node_dialer.as_ref()
    }

    /// Ends the server's tasks and the watches that it serves, and waits until they are gone.
    pub async fn shutdown(&self) {
        self.0.env.tasks.shutdown().await;
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, warnings: Vec::new(), created: false }
    }
}
