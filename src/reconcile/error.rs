//! What a reconciler can fail with.

use crate::{api, client};

/// Why a run of a reconciler failed. The key comes back with backoff, whatever the reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call to the control plane failed.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// An object is not what its kind should be.
    #[error(transparent)]
    Decode(#[from] api::DecodeError),
    /// The reconciler panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Any error, or a text.
    pub fn other(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}
