//! Access: one `call` to a control plane, whoever answers it.
//!
//! [`Client`] has one method, so that a wrapper (faults, retries, recording) wraps one thing; every
//! verb is sugar above it ([`ClientExt`], [`Api`]). A client carries who it is, and the same
//! authorizer judges it in process and over HTTP. [`Informer`]s list, watch, index and resume.

mod api;
pub mod apply;
pub mod conformance;
mod error;
mod ext;
pub mod hooks;
mod identity;
mod informer;
mod kubeconfig;
mod node_dialer;
mod recorder;
#[cfg(feature = "remote")]
pub mod remote;
mod request;
mod response;
mod webhook;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;

pub use api::{Api, Event, List, Typed};
pub use error::Error;
pub use ext::ClientExt;
pub use identity::Identity;
pub use informer::{Change, Informer, InformerBuilder};
pub use kubeconfig::{
    Cluster, Context, Kubeconfig, KubeconfigError, NamedCluster, NamedContext, NamedUser, User,
};
pub use node_dialer::NodeDialer;
pub use recorder::{EventKind, Events, reference};
pub use request::{
    DeleteOptions, FieldValidation, GetOptions, ListOptions, Patch, PatchType, Payload, Preconditions,
    PropagationPolicy, Request, ResourceVersionMatch, Target, WatchOptions, WriteOptions,
};
pub use response::{Body, ObjectList, Response, WatchEvent, WatchStream};
pub use webhook::{WebhookClient, WebhookTarget};

/// A client of a control plane.
///
/// # Contract
///
/// - `call` answers a request as Kubernetes would, with the response that the request's variant
///   names, or with an [`Error`] whose [`Status`](crate::api::Status) is the server's.
/// - A write that was answered is seen by every later `Get`, and by every `List` without a
///   resource version, of any client of the same control plane.
///
/// # Ordering
///
/// A watch delivers what happened in the order of revisions, each event once.
///
/// # Idempotence
///
/// As the verbs are: `Create` is not, `Apply` is; an `Update` with a resource version happens at
/// most once.
///
/// # Cancel safety
///
/// A write whose call is dropped may or may not have happened. Dropping anything else loses nothing.
///
/// # Errors
///
/// See [`Error`].
///
/// # Conformance
///
/// An implementation runs the [`conformance`] suite by one macro call,
/// [`client_conformance!`](crate::client_conformance).
#[async_trait]
pub trait Client: Send + Sync + 'static {
    /// Sends one request.
    async fn call(&self, request: Request) -> Result<Response, Error>;

    /// Who is calling.
    fn identity(&self) -> &Identity;
}

#[async_trait]
impl<C: Client + ?Sized> Client for Arc<C> {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        (**self).call(request).await
    }

    fn identity(&self) -> &Identity {
        (**self).identity()
    }
}
