//! DynamicResources: a pod goes where its claims to devices can be met.
//!
//! Drivers publish devices in ResourceSlices; a ResourceClaim says what a pod needs. A node will do where all of the
//! pod's claims can be given devices that the node reaches, or have devices that it reaches. What they are given is
//! decided with the node, counts from then on, and is written before the pod is bound.
//!
//! ```text
//! claims ─► attempt ─┬─ inventory (pools of slices, usage by other claims)
//!                    └─ a node ─► devices ─► requests ─► search ─► result ─► books ─► bind
//! ```
//!
//! # Which of its features are in
//!
//! Those that are on in 1.36: requests for exact numbers of devices or for all, alternatives (`DRAPrioritizedList`),
//! administrators' access (`DRAAdminAccess`), counters that devices share (`DRAPartitionableDevices`), devices of
//! which claims take parts (`DRAConsumableCapacity`), taints of devices (`DRADeviceTaints`), devices that are waited for
//! (`DRADeviceBindingConditions` with `DRAResourceClaimDeviceStatus`), extended resources that devices stand for
//! (`DRAExtendedResource`), and a limit to the time that a node may take (`DRASchedulerFilterTimeout`).
//!
//! Those that are off are out: taints that rules put on devices (`DRADeviceTaintRules`), attributes with several values
//! (`DRAListTypeAttributes`), devices as a node's CPU or memory (`DRANodeAllocatableResources`) and claims of groups of
//! pods (`DRAWorkloadResourceClaims`).
//!
//! Selectors of devices are in CEL and need the feature `cel`; without it, a claim that has one fails, and says so.
//!
//! Source: `pkg/scheduler/framework/plugins/dynamicresources` (1.36).

mod acts;
mod attempt;
mod bind;
mod books;
mod capacity;
mod claims;
mod constraint;
mod devices;
mod extended;
mod hints;
mod pool;
mod request;
mod result;
mod search;
mod selector;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use acts::{Act, Acts};
use attempt::Attempt;
use bind::Writing;
use books::{Books, Plan};
use claims::{allocation, are_made, wanted};
pub(super) use extended::class_of;
use selector::Selectors;

use crate::client::Client;
use crate::env::{Clock, Env};
use crate::sched::config::DynamicResourcesArgs;
use crate::sched::{
    BindError, Binding, ClassKey, Classed, ClusterEvent, Cycle, Diagnosis, EventKinds, Feasible, Filter,
    NodeIndex, Normalize, ObjectKind, Plugin, PodInfo, PostFilter, PostFiltered, PreBind, PreEnqueue,
    PreFilter, PreFiltered, PreScore, PreScored, Reserve, Score, Snapshot, Verdict, normalize,
};

/// How long a node may take, and devices may take to be ready, unless something else is said.
const FILTER_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
const BINDING_TIMEOUT: SignedDuration = SignedDuration::from_secs(600);
/// How many devices a second is worth: a decision reads no clock.
const LOOKS_A_SECOND: u64 = 1_000_000;

const UNAVAILABLE: &str = "resourceclaim not available on the node";
const FAILED: &str = "device binding failed";

/// Filters by claims to devices, scores by how early in its list the alternative is that a request gets, and writes
/// what claims are given.
#[derive(Debug)]
pub struct DynamicResources {
    /// How many devices may be looked at on a node.
    looks: Option<u64>,
    binding_timeout: Duration,
    selectors: Selectors,
    books: Mutex<Books>,
    /// Through what to act, once a scheduler runs.
    acts: Mutex<Option<Acts>>,
}

impl DynamicResources {
    /// The plugin with these arguments.
    #[must_use]
    pub fn new(args: &DynamicResourcesArgs) -> Self {
        let whole = |time: SignedDuration| Duration::try_from(time).unwrap_or_default();
        let limit = whole(args.filter_timeout.unwrap_or_default());
        let looks =
            u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).saturating_mul(LOOKS_A_SECOND / 1000);
        Self {
            looks: Some(looks).filter(|looks| *looks > 0),
            binding_timeout: whole(args.binding_timeout.unwrap_or(BINDING_TIMEOUT)),
            selectors: Selectors::default(),
            books: Mutex::default(),
            acts: Mutex::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acts(&self) -> Option<Acts> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clock(&self) -> Clock {
        self.acts().map_or_else(Clock::system, |acts| acts.clock)
    }

    fn act(&self, act: Act) {
        if let Some(acts) = self.acts() {
            acts.ask(act);
        }
    }
}

impl Default for DynamicResources {
    fn default() -> Self {
        Self::new(&DynamicResourcesArgs {
            filter_timeout: Some(FILTER_TIMEOUT),
            binding_timeout: Some(BINDING_TIMEOUT),
        })
    }
}

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn wakes_on(&self) -> EventKinds {
        let objects = self.looks_up().iter().map(|kind| EventKinds::object(*kind));
        let others = EventKinds::NODE_ADDED
            | EventKinds::NODE_LABELS
            | EventKinds::NODE_ALLOCATABLE
            | EventKinds::POD_REMOVED
            | EventKinds::POD_CLAIMS;
        objects.fold(others, EventKinds::or)
    }

    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, snapshot: &Snapshot) -> bool {
        hints::helps(self, event, pod, snapshot)
    }

    fn looks_up(&self) -> &[ObjectKind] {
        &[ObjectKind::ResourceClaim, ObjectKind::ResourceSlice, ObjectKind::DeviceClass]
    }

    fn start(&self, client: &Arc<dyn Client>, env: &Env) {
        let acts = Acts::new(client.clone(), env);
        *self.acts.lock().unwrap_or_else(PoisonError::into_inner) = Some(acts);
    }

    fn as_pre_enqueue(&self) -> Option<&dyn PreEnqueue> {
        Some(self)
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

    fn as_post_filter(&self) -> Option<&dyn PostFilter> {
        Some(self)
    }

    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }

    fn as_reserve(&self) -> Option<&dyn Reserve> {
        Some(self)
    }

    fn as_pre_bind(&self) -> Option<&dyn PreBind> {
        Some(self)
    }
}

impl PreEnqueue for DynamicResources {
    /// A pod waits until the claims are made that are to be made for it. What else may be wrong with its claims, it is
    /// told when it has its turn.
    fn pre_enqueue(&self, pod: &PodInfo) -> Verdict {
        are_made(pod).map_or_else(Verdict::unresolvable, |()| Verdict::Fits)
    }
}

/// That the plugin was asked about the pod.
struct Asked;

impl PreFilter for DynamicResources {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        cycle.note(Asked);
        match Attempt::prepare(self, cycle.pod, cycle.snapshot) {
            Ok(Some(attempt)) => {
                cycle.note(attempt);
                PreFiltered::Run
            }
            Ok(None) => PreFiltered::Skip,
            Err(verdict) => PreFiltered::Reject(verdict),
        }
    }
}

impl Filter for DynamicResources {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let attempt = cycle.noted::<Attempt>();
        attempt.map_or(Verdict::Fits, |attempt| attempt.judge(self, cycle.pod, cycle.snapshot, node))
    }
}

impl PostFilter for DynamicResources {
    /// A claim whose devices were in the way, and that nobody uses, is to give them up; the first of them, where
    /// kube-scheduler takes any.
    fn post_filter(&self, cycle: &Cycle<'_>, _: &Diagnosis) -> PostFiltered {
        let said = |message: &str| PostFiltered::Message(message.to_owned());
        if cycle.noted::<Asked>().is_none() {
            // Another plugin rejected the pod before this one was asked.
            return PostFiltered::Error("not found".into());
        }
        let Some(attempt) = cycle.noted::<Attempt>() else { return said("no new claims to deallocate") };
        for claim in attempt.unavailable() {
            let users = claim.status.as_ref().and_then(|status| status.reserved_for.as_deref());
            let is_free = match users.unwrap_or_default() {
                [] => true,
                [user] => user.uid == cycle.pod.uid,
                _ => false,
            };
            if is_free {
                self.act(Act::Deallocate(claim.clone()));
                return said("deallocation of ResourceClaim completed");
            }
        }
        match attempt.extended.as_ref().filter(|claim| !extended::is_unmade(claim)) {
            Some(claim) => {
                self.act(Act::Delete(claim.clone()));
                said("deletion of ResourceClaim completed")
            }
            None => said("still not schedulable"),
        }
    }
}

impl PreScore for DynamicResources {
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        if cycle.noted::<Attempt>().is_some() { PreScored::Run } else { PreScored::Skip }
    }
}

impl Score for DynamicResources {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        cycle.noted::<Attempt>().map_or(0, |attempt| attempt.score(node))
    }

    fn as_normalize(&self) -> Option<&dyn Normalize> {
        Some(self)
    }
}

impl Normalize for DynamicResources {
    fn normalize(&self, _: &Cycle<'_>, scores: &mut [i64]) {
        normalize(scores, false);
    }
}

impl Reserve for DynamicResources {
    fn reserve(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        // The cycle may be another than the one in which the node was chosen, and then it has no notes.
        let attempt = match Attempt::prepare(self, pod, snapshot) {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return Verdict::Fits,
            Err(verdict) => return verdict,
        };
        let found = match attempt.on_node(self, pod, snapshot, node) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        let mut given = found.given.into_iter();
        let own = attempt.claims().map(|claim| {
            let own = if allocation(claim).is_none() { given.next() } else { None };
            (claim.clone(), own)
        });
        let plan = Plan { claims: own.collect(), made: found.made };
        self.books().plan(pod, plan);
        Verdict::Fits
    }

    fn unreserve(&self, pod: &PodInfo, _: &str) {
        let done = self.books().give_back(pod);
        for claim in done.reserved {
            self.act(Act::Unreserve { claim, pod: pod.uid.clone() });
        }
        if let Some(claim) = done.made {
            self.act(Act::Delete(claim));
        }
    }
}

#[async_trait]
impl PreBind for DynamicResources {
    async fn pre_bind(&self, binding: &Binding) -> Result<(), BindError> {
        Writing::new(self, binding).run().await
    }

    async fn ready(&self, binding: &Binding) -> Result<(), BindError> {
        Writing::new(self, binding).ready().await
    }
}

impl Classed for DynamicResources {
    /// Pods with claims share with nobody: each gets other devices.
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, _: &mut ClassKey) -> bool {
        wanted(pod).is_empty() && !extended::concern(pod, snapshot)
    }
}
