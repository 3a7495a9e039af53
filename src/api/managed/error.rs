//! Why a write's managed fields could not be worked out.

use super::conflict::Conflicts;
use crate::api::status::{self, Status};

/// A write that is refused, or whose ownership cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be applied to this kind (400).
    #[error("{0}")]
    BadRequest(String),
    /// Somebody else owns what would change (409).
    #[error("{0}")]
    Conflict(Conflicts),
    /// A tree does not fit its type, or cannot be converted (500, as in Kubernetes).
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// The same, with what failed in front of why.
    pub(super) fn in_front(self, what: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{what}: {why}")),
            other => other,
        }
    }

    /// The answer to the client.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::BadRequest(why) => status::bad_request(why),
            Self::Conflict(conflicts) => conflicts.status(),
            // Kubernetes has no reason for this one.
            Self::Failed(why) => status::failure(500, "", why),
        }
    }
}
