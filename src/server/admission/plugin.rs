//! The trait of a step.

use std::sync::Arc;

use async_trait::async_trait;

use super::AdmissionRequest;
use crate::api::Status;

/// A step of admission.
///
/// # Contract
///
/// - `mutate` may change the object that came in; `validate` sees what came of it and may only refuse.
/// - A step keeps to its answer: what it has filled in, it does not refuse, and a second look at what it has
///   changed changes nothing more. It is asked again where another write was faster, for each try of a
///   generated name, and where another step wants the chain to be [run again](AdmissionRequest::reinvoke).
/// - What a step does besides looking (a count that it keeps, a reservation) it leaves out where
///   [`AdmissionRequest::dry_run`] says so, and it is prepared for a write that it let through to fail later.
///
/// # Ordering
///
/// In the order of the chain, one after another; the first that refuses ends it. All changes come before
/// all refusals.
///
/// # Cancel safety
///
/// The request's future may be dropped at any await; nothing has been stored by then.
///
/// # Errors
///
/// Any [`Status`] is the request's answer. Steps mostly refuse by [`AdmissionRequest::forbidden`], which
/// is worded as Kubernetes words it.
#[async_trait]
pub trait AdmissionPlugin: Send + Sync + 'static {
    /// The step's name: how it is found in a chain, and the start of its annotations' keys.
    fn name(&self) -> &str;

    /// Whether the step wants to look at this at all. A cheap look at the operation and the resource spares
    /// what is of no concern: the objects are not decoded for a step that declines.
    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        let _ = request;
        true
    }

    /// Changes what came in, or refuses it.
    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        let _ = request;
        Ok(())
    }

    /// Refuses what it has come to, or not.
    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        let _ = request;
        Ok(())
    }
}

#[async_trait]
impl<P: AdmissionPlugin + ?Sized> AdmissionPlugin for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        (**self).handles(request)
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        (**self).mutate(request).await
    }

    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        (**self).validate(request).await
    }
}
