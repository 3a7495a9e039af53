//! Nothing is made in a namespace that is not there or is going; some namespaces never go.
//!
//! Source: `NamespaceLifecycle` of `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle` (1.36). What
//! it does there against caches that lag behind is not needed here: the newest state is at hand.

use async_trait::async_trait;
use kube_core::response::StatusCause;

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::{Status, status};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Keeps objects out of namespaces that do not exist or are terminating, and `default`, `kube-system` and
/// `kube-public` from being deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct NamespaceLifecycle;

impl NamespaceLifecycle {
    /// Its place in the chain.
    pub const NAME: &str = "NamespaceLifecycle";
}

#[async_trait]
impl AdmissionPlugin for NamespaceLifecycle {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        match request.operation {
            Operation::Create | Operation::Update => {
                !request.namespace.is_empty()
                    // To say that there is no such namespace would tell more than was asked.
                    && !request.concerns("authorization.k8s.io", "localsubjectaccessreviews", "")
            }
            Operation::Delete => is_namespace(request),
            Operation::Connect => false,
        }
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        if request.operation == Operation::Delete {
            if IMMORTAL.contains(&request.name) {
                return Err(request.forbidden("this namespace may not be deleted"));
            }
            return Ok(());
        }
        let namespace = request.namespace;
        if request.server.row("", "v1", "namespaces").is_none() {
            return Ok(());
        }
        let found = request.stored("", "namespaces", "", namespace).await?;
        let Some(found) = found else { return Err(status::not_found("", "namespaces", namespace)) };
        let going = found.is_deleting() || found.field("status.phase") == Some("Terminating");
        if request.operation != Operation::Create || !going {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut answer = request.forbidden(&why);
        if let Some(details) = &mut answer.details {
            details.causes.push(StatusCause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".into(),
            });
        }
        Err(answer)
    }
}

fn is_namespace(request: &AdmissionRequest<'_>) -> bool {
    request.resource.group.is_empty() && request.resource.kind == "Namespace"
}
