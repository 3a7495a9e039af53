//! VolumeBinding: a pod goes where its volumes are or can be had, and gets them before it is bound.
//!
//! Claims that are bound say where their volumes can be used. A claim that waits for a pod gets a volume that is
//! there, the smallest that will do, or one that is made for the node. What was chosen is [assumed](assumed) from
//! then on, so that the next decision counts it, and written and waited for [before the pod is bound](write).
//!
//! It has no scores: those are behind the feature `StorageCapacityScoring`, which is off.
//!
//! Source: `volume_binding.go` and `binder.go` of `pkg/scheduler/framework/plugins/volumebinding` (1.36).

mod assumed;
mod candidates;
#[cfg(test)]
mod fake_server;
mod hints;
mod needs;
mod reach;
mod settled;
#[cfg(test)]
mod stories;
mod supply;
#[cfg(test)]
mod tests;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::sched::config::VolumeBindingArgs;
use crate::sched::{
    BindError, Binding, ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, ObjectKind,
    Plugin, PodInfo, PostBind, PreBind, PreFilter, PreFiltered, Reserve, Snapshot, Verdict,
};
use assumed::State;
use needs::Needs;

/// Filters by the volumes of claims, and binds claims that wait for a pod.
///
/// A value keeps what it has decided and is not to be seen yet, so it belongs to one scheduler.
#[derive(Clone, Debug)]
pub struct VolumeBinding {
    /// How long volumes may take to be bound.
    limit: Duration,
    state: Arc<Mutex<State>>,
}

impl VolumeBinding {
    /// With the arguments of a profile.
    #[must_use]
    pub fn new(args: &VolumeBindingArgs) -> Self {
        let seconds = u64::try_from(args.bind_timeout_seconds).unwrap_or(0);
        Self { limit: Duration::from_secs(seconds), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VolumeBinding {
    fn default() -> Self {
        Self::new(&VolumeBindingArgs { bind_timeout_seconds: 600, shape: None })
    }
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn wakes_on(&self) -> EventKinds {
        let objects = self.looks_up().iter().map(|kind| EventKinds::object(*kind));
        objects.fold(EventKinds::NODE_ADDED | EventKinds::NODE_LABELS, EventKinds::or)
    }

    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        hints::helps(event, pod)
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[
            ObjectKind::PersistentVolume,
            ObjectKind::PersistentVolumeClaim,
            ObjectKind::StorageClass,
            ObjectKind::CSINode,
            ObjectKind::CSIDriver,
            ObjectKind::CSIStorageCapacity,
        ]
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_filter(&self) -> Option<&dyn PreFilter> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }

    fn as_reserve(&self) -> Option<&dyn Reserve> {
        Some(self)
    }

    fn as_pre_bind(&self) -> Option<&dyn PreBind> {
        Some(self)
    }

    fn as_post_bind(&self) -> Option<&dyn PostBind> {
        Some(self)
    }
}

impl PreFilter for VolumeBinding {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        cycle.forget::<Needs>();
        let needs = Needs::of(cycle.pod, cycle.snapshot, &self.state());
        match needs {
            Err(verdict) => PreFiltered::Reject(verdict),
            Ok(None) => PreFiltered::Skip,
            Ok(Some(needs)) => {
                cycle.note(needs);
                PreFiltered::Run
            }
        }
    }
}

impl Filter for VolumeBinding {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let Some(needs) = cycle.noted::<Needs>() else { return Verdict::Fits };
        match needs.on(cycle.snapshot, node) {
            Err(error) => Verdict::Error(error),
            Ok(found) if found.reasons.is_empty() => Verdict::Fits,
            Ok(found) => Verdict::Unresolvable(found.reasons),
        }
    }
}

// It counts no pods, and does not say so: asked before NodeVolumeLimits, it would hide a node that cannot be told there,
// and that is an error of the whole attempt.
impl Classed for VolumeBinding {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        match Needs::of(pod, snapshot, &self.state()) {
            Ok(None) => key.number(0),
            Ok(Some(needs)) => {
                key.number(1);
                return needs.write(key);
            }
            Err(verdict) => {
                key.number(2);
                key.shown(&verdict);
            }
        }
        true
    }
}

impl Reserve for VolumeBinding {
    fn reserve(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        let mut state = self.state();
        let needs = match Needs::of(pod, snapshot, &state) {
            Ok(Some(needs)) if !needs.is_settled() => needs,
            Ok(_) => return Verdict::Fits,
            Err(verdict) => return verdict,
        };
        match needs.on(snapshot, node) {
            Err(error) => Verdict::Error(error),
            Ok(found) if found.reasons.is_empty() => {
                state.assume(&pod.uid, snapshot.name(node), &found, snapshot.catalog());
                Verdict::Fits
            }
            Ok(found) => Verdict::Unresolvable(found.reasons),
        }
    }

    fn unreserve(&self, pod: &PodInfo, _: &str) {
        self.state().revert(&pod.uid);
    }
}

#[async_trait]
impl PreBind for VolumeBinding {
    async fn pre_bind(&self, binding: &Binding) -> Result<(), BindError> {
        write::write(&self.state, binding).await
    }

    async fn ready(&self, binding: &Binding) -> Result<(), BindError> {
        let plan = self.state().plan(&binding.pod.uid).cloned();
        match plan {
            Some(plan) => settled::wait(&plan, binding, self.limit).await,
            None => Ok(()),
        }
    }
}

impl PostBind for VolumeBinding {
    fn post_bind(&self, binding: &Binding) {
        self.state().finish(&binding.pod.uid);
    }
}
