//! Preemption: whose eviction would make room.
//!
//! Source: `pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go` and
//! `pkg/scheduler/framework/preemption/preemption.go` (1.36). Every node is tried, as with a
//! `minCandidateNodesPercentage` of 100.
//!
//! Where pods are as important as each other the order is theirs in the world; kube-scheduler leaves it
//! open. A pod that has not started counts as if it started later than any that has.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;

use super::judge::{counted, message};
use super::judgement::{Candidate, Preemption};
use super::layout::Layout;
use super::search::{Failure, Outcome, Search, fits, search};
use super::settings::{Plugin, Settings};
use super::verdict::{Attempt, Rejection};
use super::world::{Named, World, nominated_node, priority};
use crate::api::ObjectKey;
use crate::api::selector::LabelSelector;

/// Finds out whom preemption would evict in favour of a pod that no node will do for.
#[must_use]
pub fn preempt(world: &World, settings: &Settings, pod: &Pod) -> Preemption {
    let start = Layout::of(world);
    let attempt = Attempt { world, settings, pod, start: &start };
    let search = search(&attempt);
    let asked = match &search.outcome {
        _ if settings.weight(Plugin::DefaultPreemption).is_none() => false,
        Outcome::Failed(_) => false,
        Outcome::Refused(..) => true,
        Outcome::Looked { feasible, .. } => feasible.is_empty() && !start.places.is_empty(),
    };
    if !asked {
        return Preemption::NotAsked;
    }
    find(&attempt, &search).unwrap_or_else(|message| Preemption::Nobody { message })
}

/// Whom to evict after a search that found no node.
///
/// # Errors
///
/// When a plugin fails, and no node is found where none does.
pub(super) fn find(attempt: &Attempt<'_, '_>, search: &Search) -> Result<Preemption, String> {
    let nobody = |message: String| Ok(Preemption::Nobody { message: format!("preemption: {message}") });
    if let Some(message) = not_eligible(attempt, search) {
        return nobody(message.into());
    }
    let (mut tried, mut errors) = (Vec::new(), Vec::new());
    let (mut candidates, mut reasons) = (Vec::new(), Vec::new());
    for place in 0..attempt.start.places.len() {
        if is_unresolvable(search, place) {
            reasons.push("Preemption is not helpful for scheduling".to_owned());
            continue;
        }
        match victims(attempt, search, place) {
            Ok(found) => {
                candidates.push(candidate(attempt, place, &found));
                tried.push(found);
            }
            Err(No::Rejected(rejection)) => reasons.extend(rejection.reasons),
            Err(No::Failed(error)) => errors.push(error),
        }
    }
    if candidates.is_empty() {
        errors.dedup();
        return match &errors[..] {
            [] => {
                let why = counted(reasons.iter().map(String::as_str));
                nobody(message(attempt.start.places.len(), &why, ""))
            }
            [error] => Err(format!("preemption: {error}")),
            errors => Err(format!("preemption: [{}]", errors.join(", "))),
        };
    }
    let best = best(&tried).into_iter().map(|index| candidates[index].node.clone()).collect();
    Ok(Preemption::Victims { candidates, best })
}

/// Why a pod evicts nobody at all: it does not want to, or those that it evicted have not gone yet.
fn not_eligible(attempt: &Attempt<'_, '_>, search: &Search) -> Option<&'static str> {
    let pod = attempt.pod;
    let policy = pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref());
    if policy == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let kept = Some(nominated_node(pod)).filter(|node| !node.is_empty())?;
    let place = attempt.start.find(kept)?;
    let going = |other: &&Pod| priority(other) < priority(pod) && is_evicted(other);
    let waits = !is_unresolvable(search, place) && attempt.start.places[place].pods.iter().any(going);
    waits.then_some("not eligible due to a terminating pod on the nominated node.")
}

/// Whether a pod is going because a scheduler evicted it.
fn is_evicted(pod: &&Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let target = conditions.find(|condition| condition.type_ == "DisruptionTarget");
    pod.is_deleting()
        && target.is_some_and(|condition| {
            condition.status == "True" && condition.reason.as_deref() == Some("PreemptionByScheduler")
        })
}

/// Whether no eviction from a node can help.
fn is_unresolvable(search: &Search, place: usize) -> bool {
    match &search.outcome {
        Outcome::Failed(_) => true,
        Outcome::Refused(_, rejection) => rejection.unresolvable,
        Outcome::Looked { rejected, .. } => {
            rejected.get(&place).is_none_or(|(_, rejection)| rejection.unresolvable)
        }
    }
}

/// Those whose eviction from a node makes room, and how many of them may not be disrupted.
struct Victims<'w> {
    pods: Vec<&'w Pod>,
    violations: usize,
}

/// Why there are none.
enum No {
    Rejected(Rejection),
    Failed(String),
}

impl From<Failure> for No {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.message)
    }
}

/// Takes all pods off a node that matter less, and puts back those that can stay: first those that may
/// not be disrupted, and of these and the others those first that matter most.
///
/// Source: `SelectVictimsOnNode`.
fn victims<'w>(attempt: &Attempt<'_, 'w>, search: &Search, place: usize) -> Result<Victims<'w>, No> {
    let mut layout = attempt.start.clone();
    let lower = |pod: &&&Pod| priority(pod) < priority(attempt.pod);
    let mut potential: Vec<&'w Pod> = layout.places[place].pods.iter().filter(lower).copied().collect();
    if potential.is_empty() {
        return Err(No::Rejected(Rejection::for_good("No preemption victims found for incoming pod")));
    }
    for pod in &potential {
        layout.take(place, pod);
    }
    if let Some((_, rejection)) = fits(attempt, &search.skipped, &layout, place)? {
        return Err(No::Rejected(rejection));
    }
    potential.sort_by_key(importance);
    let violating = violating(attempt.world, &potential);
    let mut found = Victims { pods: Vec::new(), violations: 0 };
    for protected in [true, false] {
        for (pod, _) in potential.iter().zip(&violating).filter(|(_, violates)| **violates == protected) {
            layout.put(place, pod);
            if fits(attempt, &search.skipped, &layout, place)?.is_some() {
                layout.take(place, pod);
                found.pods.push(pod);
                found.violations += usize::from(protected);
            }
        }
    }
    found.pods.sort_by_key(importance);
    if found.pods.is_empty() {
        let node = attempt.start.places[place].node.name();
        return Err(No::Failed(format!("expected at least one victim pod on node {node:?}")));
    }
    Ok(found)
}

/// The most important sorts first: of higher priority, and then what started before.
///
/// Source: `MoreImportantPod` of `pkg/scheduler/util/utils.go` (1.36).
fn importance(pod: &&Pod) -> (Reverse<i32>, Timestamp) {
    (Reverse(priority(pod)), started(pod))
}

fn started(pod: &Pod) -> Timestamp {
    let start = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    start.map_or(Timestamp::MAX, |start| start.0)
}

/// Which of the pods could not be evicted by right, were those before them evicted.
///
/// Source: `filterPodsWithPDBViolation`.
fn violating(world: &World, pods: &[&Pod]) -> Vec<bool> {
    let allowed = |budget: &PodDisruptionBudget| {
        budget.status.as_ref().map_or(0, |status| i64::from(status.disruptions_allowed.unwrap_or(0)))
    };
    let mut left: Vec<i64> = world.pod_disruption_budgets.iter().map(|budget| allowed(budget)).collect();
    let mut violating = Vec::new();
    for pod in pods {
        let mut violates = false;
        for (budget, left) in world.pod_disruption_budgets.iter().zip(&mut left) {
            if protects(budget, pod) {
                *left -= 1;
                violates |= *left < 0;
            }
        }
        violating.push(violates);
    }
    violating
}

/// Whether an eviction counts against a budget. One that the API server knows of already does not.
fn protects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let Some(labels) = pod.metadata.labels.as_ref().filter(|labels| !labels.is_empty()) else {
        return false;
    };
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let Ok(selector) = LabelSelector::from_k8s(selector) else { return false };
    let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    budget.namespace() == pod.namespace()
        && !selector.is_empty()
        && selector.matches(labels)
        && !disrupted.is_some_and(|disrupted| disrupted.contains_key(pod.name()))
}

fn candidate(attempt: &Attempt<'_, '_>, place: usize, victims: &Victims<'_>) -> Candidate {
    let key = |pod: &&Pod| ObjectKey::new(pod.namespace(), pod.name());
    Candidate {
        node: attempt.start.places[place].node.name().to_owned(),
        victims: victims.pods.iter().map(key).collect(),
        violations: victims.violations,
    }
}

/// The nodes whose victims matter least: the fewest that may not be disrupted; the lowest of the highest
/// priorities; the lowest sum of priorities, each counted from the lowest that there is; the fewest
/// victims; and where those of the highest priority started last.
///
/// Source: `pickOneNodeForPreemption`.
fn best(victims: &[Victims<'_>]) -> BTreeSet<usize> {
    let rank = |victims: &Victims<'_>| {
        let priorities: Vec<i64> = victims.pods.iter().map(|pod| i64::from(priority(pod))).collect();
        let highest = priorities.iter().copied().max().unwrap_or(i64::MIN);
        let sum: i64 = priorities.iter().map(|priority| priority + (1 << 31)).sum();
        let top = victims.pods.iter().filter(|pod| i64::from(priority(pod)) == highest);
        let earliest = top.map(|pod| started(pod)).min().unwrap_or(Timestamp::MAX);
        (victims.violations, highest, sum, victims.pods.len(), Reverse(earliest))
    };
    let lowest = victims.iter().map(rank).min();
    let equal = victims.iter().enumerate().filter(|(_, victims)| Some(rank(victims)) == lowest);
    equal.map(|(index, _)| index).collect()
}
