//! The points at which a pod is bound: the only ones that act.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::PodInfo;
use crate::client::{Client, Error};
use crate::env::Env;

/// A pod on its way to a node.
pub struct Binding {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// The node.
    pub node: Arc<str>,
    /// Through what to act.
    pub client: Arc<dyn Client>,
    /// Time, and tasks, for whoever has to wait.
    pub env: Env,
}

/// Why a pod was not bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The API said no.
    #[error(transparent)]
    Client(#[from] Error),
    /// The plugin said no.
    #[error("{0}")]
    Rejected(String),
}

/// Prepares what the pod needs before it is bound.
#[async_trait]
pub trait PreBind: Send + Sync {
    /// Prepares it. May be called again for the same pod.
    ///
    /// # Errors
    ///
    /// When it cannot; the pod is then not bound, and tried again later.
    async fn pre_bind(&self, binding: &Binding) -> Result<(), BindError>;

    /// Waits until what was prepared is there. Only so many pods are prepared and bound at a time; who waits here
    /// holds up none of them.
    ///
    /// # Errors
    ///
    /// When it will not be there; the pod is then not bound, and tried again later.
    ///
    /// # Cancel safety
    ///
    /// Dropping the wait must end it.
    async fn ready(&self, _binding: &Binding) -> Result<(), BindError> {
        Ok(())
    }
}

/// Binds the pod. The first plugin that does not skip does it.
#[async_trait]
pub trait Bind: Send + Sync {
    /// Binds it.
    ///
    /// # Errors
    ///
    /// When it cannot; the pod is then tried again later.
    async fn bind(&self, binding: &Binding) -> Result<Bound, BindError>;
}

/// What a [`Bind`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The pod is bound.
    Done,
    /// This pod is another plugin's to bind.
    Skip,
}

/// Hears that a pod is bound.
pub trait PostBind: Send + Sync {
    /// Hears it.
    fn post_bind(&self, binding: &Binding);
}
