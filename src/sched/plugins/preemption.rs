//! Preemption: says whether evicting others would help.
//!
//! It evicts nobody as yet. Where no pod of lower priority is in the way it says so, in the words of
//! kube-scheduler's DefaultPreemption; where one is, it says nothing rather than the untrue.

use std::collections::BTreeMap;

use crate::sched::diagnosis::counted;
use crate::sched::framework::Reason;
use crate::sched::{Cycle, Diagnosis, Plugin, PostFilter, PostFiltered};

/// Explains why nobody can be evicted in favour of a pod.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preemption;

impl Plugin for Preemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }

    fn as_post_filter(&self) -> Option<&dyn PostFilter> {
        Some(self)
    }
}

impl PostFilter for Preemption {
    fn post_filter(&self, cycle: &Cycle<'_>, diagnosis: &Diagnosis) -> PostFiltered {
        let never = cycle.pod.spec().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never");
        if never {
            return PostFiltered::Message("preemption: not eligible due to preemptionPolicy=Never.".into());
        }
        let lower = |node| cycle.snapshot.pods(node).any(|pod| pod.priority < cycle.pod.priority);
        if diagnosis.resolvable.iter().any(|node| lower(*node)) {
            return PostFiltered::Helps;
        }
        let (all, resolvable) = (diagnosis.nodes, diagnosis.resolvable.len());
        let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
        reasons.insert("Preemption is not helpful for scheduling".into(), all - resolvable);
        reasons.insert("No preemption victims found for incoming pod".into(), resolvable);
        reasons.retain(|_, count| *count > 0);
        PostFiltered::Message(format!("preemption: 0/{all} nodes are available:{}", counted(&reasons)))
    }
}
