//! What the scheduler knows of claims that its informers do not show yet.
//!
//! A claim goes through three states on its way to its devices:
//!
//! ```text
//!              reserve                 pre-bind                  the informer shows it
//!  unallocated ───────► pending (here) ────────► written (here) ─────────────────────► allocated
//!       ▲                     │
//!       └──────── unreserve ──┘
//! ```
//!
//! What is pending or written counts at once for the next decision. Other pods that want a claim that is pending wait
//! until it is written.
//!
//! Source: `dra_manager.go` of `pkg/scheduler/framework/plugins/dynamicresources` (1.36).

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::resource::v1::{AllocationResult, ResourceClaim};

use super::claims::{allocation, uid};
use super::extended::Made;
use super::usage::Usage;
use crate::env::{HashMap, HashSet};
use crate::sched::{PodInfo, Snapshot};

#[derive(Debug, Default)]
pub(super) struct Books {
    /// By claim: what it is to be given.
    pending: HashMap<String, AllocationResult>,
    /// By claim: as it was written, where that is newer than what the informer shows.
    written: HashMap<String, Written>,
    /// By pod.
    plans: HashMap<String, Arc<Plan>>,
    /// By pod: what was written for it.
    done: HashMap<String, Done>,
    /// Claims whose devices were not ready in time.
    late: HashSet<String>,
}

#[derive(Debug)]
struct Written {
    claim: Arc<ResourceClaim>,
    /// The pod for which the claim was made.
    pod: Option<String>,
}

/// What is to be written before a pod is bound.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Its claims, each with what it is given, where it has nothing yet.
    pub(super) claims: Vec<(Arc<ResourceClaim>, Option<AllocationResult>)>,
    /// The claim that is to be made for its extended resources, and what that is given.
    pub(super) made: Option<(Made, AllocationResult)>,
}

/// What was written for a pod.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The claims that were reserved.
    pub(super) reserved: Vec<Arc<ResourceClaim>>,
    /// The claim that was made.
    pub(super) made: Option<Arc<ResourceClaim>>,
}

fn is_newer(one: &ResourceClaim, other: &ResourceClaim) -> bool {
    let version = |claim: &ResourceClaim| claim.metadata.resource_version.as_ref()?.parse::<u64>().ok();
    version(one) > version(other)
}

impl Books {
    /// A claim as it is by now for all that is known.
    pub(super) fn newest<'a>(&'a self, shown: &'a Arc<ResourceClaim>) -> &'a Arc<ResourceClaim> {
        let written = self.written.get(uid(shown)).map(|written| &written.claim);
        written.filter(|written| is_newer(written, shown)).unwrap_or(shown)
    }

    /// A claim by its name, as it is by now.
    pub(super) fn find(
        &self,
        snapshot: &Snapshot,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<ResourceClaim>> {
        snapshot.catalog().get(namespace, name).map(|shown| self.newest(shown).clone())
    }

    /// Whether a claim is on its way to its devices.
    pub(super) fn is_pending(&self, claim: &ResourceClaim) -> bool {
        self.pending.contains_key(uid(claim))
    }

    /// Whether a claim's devices were not ready in time.
    pub(super) fn is_late(&self, claim: &ResourceClaim) -> bool {
        self.late.contains(uid(claim))
    }

    /// The devices of a claim were not ready in time.
    pub(super) fn set_late(&mut self, claim: &ResourceClaim) {
        self.late.insert(uid(claim).to_owned());
    }

    /// The devices that claims have, or are about to have.
    pub(super) fn usage(&self, snapshot: &Snapshot) -> Usage {
        let mut usage = Usage::default();
        let mut shown = BTreeSet::new();
        for claim in snapshot.catalog().all::<ResourceClaim>() {
            let uid = uid(claim);
            if self.pending.contains_key(uid) || self.written.contains_key(uid) {
                shown.insert(uid);
            }
            if let Some(allocation) = allocation(self.newest(claim)).or_else(|| self.pending.get(uid)) {
                usage.add(allocation);
            }
        }
        let unseen = |uid: &str| !shown.contains(uid);
        let pending = self.pending.iter().filter(|(uid, _)| unseen(uid)).map(|(_, allocation)| allocation);
        pending.for_each(|allocation| usage.add(allocation));
        let written = self.written.iter().filter(|(uid, _)| unseen(uid) && !self.pending.contains_key(*uid));
        written.filter_map(|(_, written)| allocation(&written.claim)).for_each(|own| usage.add(own));
        usage
    }

    /// Forgets what the informers show by now, and what is about pods that are bound or gone.
    pub(super) fn settle(&mut self, snapshot: &Snapshot) {
        self.written.retain(|own, written| {
            let meta = &written.claim.metadata;
            let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
            let shown = snapshot
                .catalog()
                .get::<ResourceClaim>(namespace.unwrap_or_default(), name.unwrap_or_default());
            match shown {
                Some(shown) => uid(shown) == own && is_newer(&written.claim, shown),
                // It is gone; or it was made just now, and is yet to be seen.
                None => written.pod.as_ref().is_some_and(|pod| snapshot.placed(pod).is_some()),
            }
        });
        let is_on_its_way =
            |pod: &String| snapshot.placed(pod).is_some_and(|(_, pod)| pod.node_name().is_none());
        self.plans.retain(|pod, _| is_on_its_way(pod));
        self.done.retain(|pod, _| is_on_its_way(pod));
        if !self.late.is_empty() {
            let shown = snapshot.catalog().all::<ResourceClaim>();
            let allocated: BTreeSet<_> =
                shown.filter(|claim| allocation(claim).is_some()).map(|own| uid(own)).collect();
            self.late.retain(|claim| allocated.contains(claim.as_str()));
        }
    }

    /// A pod is to be bound, and this is to be written before.
    pub(super) fn plan(&mut self, pod: &PodInfo, plan: Plan) {
        for (claim, given) in &plan.claims {
            if let Some(given) = given {
                self.pending.insert(uid(claim).to_owned(), given.clone());
            }
        }
        if let Some((made, given)) = &plan.made {
            self.pending.insert(uid(&made.claim).to_owned(), given.clone());
        }
        self.plans.insert(pod.uid.clone(), Arc::new(plan));
    }

    /// What is to be written before a pod is bound.
    pub(super) fn planned(&self, pod: &PodInfo) -> Option<Arc<Plan>> {
        self.plans.get(&pod.uid).cloned()
    }

    /// A claim was made for a pod.
    pub(super) fn made(&mut self, pod: &PodInfo, claim: &Arc<ResourceClaim>) {
        self.done.entry(pod.uid.clone()).or_default().made = Some(claim.clone());
        let written = Written { claim: claim.clone(), pod: Some(pod.uid.clone()) };
        self.written.insert(uid(claim).to_owned(), written);
    }

    /// A claim was written for a pod; it was `planned` as this.
    pub(super) fn wrote(&mut self, pod: &PodInfo, planned: &ResourceClaim, claim: &Arc<ResourceClaim>) {
        self.pending.remove(uid(planned));
        let done = self.done.entry(pod.uid.clone()).or_default();
        let made = done.made.as_ref().is_some_and(|made| uid(made) == uid(claim));
        if made {
            done.made = Some(claim.clone());
        } else {
            done.reserved.push(claim.clone());
        }
        let written = Written { claim: claim.clone(), pod: made.then(|| pod.uid.clone()) };
        self.written.insert(uid(claim).to_owned(), written);
    }

    /// The claims of a pod that is to be bound, as they were written.
    pub(super) fn written_for(&self, pod: &PodInfo) -> Vec<Arc<ResourceClaim>> {
        let plan = self.plans.get(&pod.uid);
        let planned = plan.iter().flat_map(|plan| &plan.claims).map(|(claim, _)| self.newest(claim));
        let made = self.done.get(&pod.uid).and_then(|done| done.made.as_ref());
        planned.chain(made).cloned().collect()
    }

    /// A pod will not be bound: nothing is pending for it any more. Returns what was written for it.
    pub(super) fn give_back(&mut self, pod: &PodInfo) -> Done {
        if let Some(plan) = self.plans.remove(&pod.uid) {
            let given = plan.claims.iter().filter(|(_, given)| given.is_some()).map(|(claim, _)| claim);
            for claim in given.chain(plan.made.iter().map(|(made, _)| &made.claim)) {
                self.pending.remove(uid(claim));
            }
        }
        let done = self.done.remove(&pod.uid).unwrap_or_default();
        if let Some(made) = &done.made {
            self.written.remove(uid(made));
        }
        done
    }
}
