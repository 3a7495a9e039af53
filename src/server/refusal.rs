//! An answer that says no.

use crate::api::Status;
use crate::client;

/// Why a request is not carried out, and what its sender should know besides: what was noticed before it was
/// refused is told all the same.
///
/// Source: `AddWarning` of `k8s.io/apiserver/pkg/warning` (1.36), which writes to the answer, whatever that
/// becomes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .status.message)]
#[non_exhaustive]
pub struct Refusal {
    /// What Kubernetes would answer with.
    pub status: Box<Status>,
    /// What the caller should know besides, one `Warning` header each.
    pub warnings: Vec<String>,
}

impl Refusal {
    /// A refusal after these warnings.
    pub(crate) fn after(warnings: Vec<String>, status: Status) -> Self {
        Self { status: Box::new(status), warnings }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::after(Vec::new(), status)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        *refusal.status
    }
}

impl From<Refusal> for client::Error {
    fn from(refusal: Refusal) -> Self {
        Status::from(refusal).into()
    }
}
