//! TaintToleration: tainted nodes take only pods that tolerate the taints, and are the worse for
//! soft taints that a pod does not tolerate.
//!
//! Thousands of nodes share a few sets of taints, so each set is judged once a pod.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

use crate::api::predicates::{Effect, tolerates, untolerated};
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Feasible, Filter, MAX_SCORE, NodeIndex, Normalize,
    Plugin, PodInfo, PreFilter, PreFiltered, PreScore, PreScored, Score, Snapshot, Verdict, normalize,
};

/// Filters by hard taints, scores by soft ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaintToleration;

/// Whether a pod may go where these taints are.
fn admits(taints: &[Taint], tolerations: &[Toleration]) -> bool {
    untolerated(taints, tolerations, &[Effect::NoSchedule, Effect::NoExecute]).is_none()
}

/// How many soft taints a pod does not tolerate.
fn disliked(taints: &[Taint], tolerations: &[Toleration]) -> i64 {
    // Only tolerations of this effect (or of any) can match; others are about other taints.
    let soft = taints.iter().filter(|taint| Effect::of(taint) == Some(Effect::PreferNoSchedule));
    let count =
        soft.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint))).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// By set of taints.
struct Admitted(Vec<bool>);
struct Disliked(Vec<i64>);

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED | EventKinds::NODE_TAINTS | EventKinds::POD_TOLERATIONS
    }

    /// Source: `isSchedulableAfterNodeChange` and `isSchedulableAfterPodTolerationChange` of
    /// `tainttoleration/taint_toleration.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, _: &Snapshot) -> bool {
        let admitted = |node: &Node| {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
            admits(taints, pod.tolerations())
        };
        match event {
            ClusterEvent::NodeAdded(node) => admitted(node),
            ClusterEvent::NodeUpdated { old, new, .. } => admitted(new) && !admitted(old),
            ClusterEvent::Changed { .. } => true,
            _ => false,
        }
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

    fn as_pre_score(&self) -> Option<&dyn PreScore> {
        Some(self)
    }

    fn as_score(&self) -> Option<&dyn Score> {
        Some(self)
    }
}

impl PreFilter for TaintToleration {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        let tolerations = cycle.pod.tolerations();
        let sets = cycle.snapshot.taint_sets();
        let admitted: Vec<_> = sets.iter().map(|taints| admits(taints, tolerations)).collect();
        if admitted.iter().all(|admitted| *admitted) {
            return PreFiltered::Skip;
        }
        cycle.note(Admitted(admitted));
        PreFiltered::Run
    }
}

impl Filter for TaintToleration {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let set = cycle.snapshot.taint_set(node);
        let fits = match cycle.noted::<Admitted>() {
            Some(Admitted(admitted)) => admitted[set],
            None => admits(&cycle.snapshot.taint_sets()[set], cycle.pod.tolerations()),
        };
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) had untolerated taint(s)"))
    }
}

impl PreScore for TaintToleration {
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        let tolerations = cycle.pod.tolerations();
        let sets = cycle.snapshot.taint_sets();
        let disliked: Vec<_> = sets.iter().map(|taints| disliked(taints, tolerations)).collect();
        if disliked.iter().all(|count| *count == 0) {
            return PreScored::Same(MAX_SCORE);
        }
        cycle.note(Disliked(disliked));
        PreScored::Run
    }
}

impl Score for TaintToleration {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let set = cycle.snapshot.taint_set(node);
        match cycle.noted::<Disliked>() {
            Some(Disliked(disliked)) => disliked[set],
            None => disliked(&cycle.snapshot.taint_sets()[set], cycle.pod.tolerations()),
        }
    }

    fn as_normalize(&self) -> Option<&dyn Normalize> {
        Some(self)
    }
}

impl Normalize for TaintToleration {
    fn normalize(&self, _: &Cycle<'_>, scores: &mut [i64]) {
        normalize(scores, true);
    }
}

impl Classed for TaintToleration {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        tolerations_key(pod, key);
        true
    }

    fn counts_pods(&self) -> bool {
        false
    }
}

/// Writes the tolerations of a pod.
pub(super) fn tolerations_key(pod: &PodInfo, key: &mut ClassKey) {
    key.number(pod.tolerations().len() as i64);
    for toleration in pod.tolerations() {
        let own = [&toleration.key, &toleration.operator, &toleration.value, &toleration.effect];
        own.into_iter().for_each(|text| key.optional(text.as_deref()));
    }
}
