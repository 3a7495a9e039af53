//! Nothing is made of a kind whose definition is going.
//!
//! Source: `crdHandler.ServeHTTP` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use async_trait::async_trait;

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::{Status, status};

/// Refuses new objects of a CustomResourceDefinition that is being deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomResourceLifecycle;

impl CustomResourceLifecycle {
    /// Its place in the chain.
    pub const NAME: &str = "CustomResourceLifecycle";
}

#[async_trait]
impl AdmissionPlugin for CustomResourceLifecycle {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.operation == Operation::Create && request.resource.schema.is_none()
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        if request.server.is_terminating(request.resource) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(status::failure(405, "MethodNotAllowed", message));
        }
        Ok(())
    }
}
