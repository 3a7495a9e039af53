//! Writes what was decided: volumes that are kept for claims, and claims with the node that was selected.
//!
//! Source: `bindAPIUpdate` of `pkg/scheduler/framework/plugins/volumebinding/binder.go` (1.36).

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::assumed::{State, Step};
use crate::client::{Api, Error};
use crate::sched::{BindError, Binding};

/// Writes the plan of a pod, if it has one. What is written is not taken back: whoever binds volumes goes on from it.
///
/// # Cancel safety
///
/// What was written before the wait was dropped stays written, and is not written again.
pub(super) async fn write(state: &Arc<Mutex<State>>, binding: &Binding) -> Result<(), BindError> {
    let uid = &binding.pod.uid;
    let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(plan) = locked().plan(uid).cloned() else { return Ok(()) };
    let volumes = Api::<PersistentVolume>::all(binding.client.clone());
    for (at, (step, _)) in plan.bindings.iter().enumerate().filter(|(_, (step, _))| !step.written) {
        let written = Step::written(volumes.update(&step.object).await.map_err(refused)?);
        if let Some(plan) = locked().plan_mut(uid) {
            plan.bindings[at].0 = written;
        }
    }
    let claims = Api::<PersistentVolumeClaim>::namespaced(binding.client.clone(), &binding.pod.key.namespace);
    for (at, step) in plan.provisions.iter().enumerate().filter(|(_, step)| !step.written) {
        let written = Step::written(claims.update(&step.object).await.map_err(refused)?);
        if let Some(plan) = locked().plan_mut(uid) {
            plan.provisions[at] = written;
        }
    }
    Ok(())
}

/// A conflict over a volume says nothing of the pod: that must be tried again.
#[allow(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
fn refused(error: Error) -> BindError {
    BindError::Rejected(error.to_string())
}

impl<K> Step<K> {
    fn written(object: K) -> Self {
        Self { object: Arc::new(object), written: true }
    }
}
