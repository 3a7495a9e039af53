//! NodeResourcesFit: a pod goes where there is enough of all that it asks for, and best where a
//! strategy says so.
//!
//! Source: `fit.go`, `resource_allocation.go`, `least_allocated.go`, `most_allocated.go` and
//! `requested_to_capacity_ratio.go` of `pkg/scheduler/framework/plugins/noderesources` (1.36).

use k8s_openapi::api::core::v1::Pod;

use super::device_class::backs;
use super::layout::Place;
use super::requests::{Counts, Reckoning, count, least, pod_requests};
use super::resources::{allocatable, assumed, counts, is_extended, is_scalar, requested};
use super::settings::{ResourceWeight, ScoringStrategy, ShapePoint};
use super::verdict::{Attempt, Rejection, Scores, Verdict};

/// Every resource that there is not enough of is a reason; one that even an empty node has not
/// enough of rules out evictions.
pub(super) fn filter(attempt: &Attempt<'_, '_>, place: &Place<'_>) -> Verdict {
    let (has, used) = (allocatable(place), requested(place));
    let of = |amounts: &Counts, name: &str| amounts.get(name).copied().unwrap_or(0);
    let mut rejection = Rejection { reasons: Vec::new(), unresolvable: false };
    if place.pods.len() as i64 + 1 > of(&has, "pods") {
        rejection.reasons.push("Too many pods".into());
    }
    for (name, amount) in asked(attempt.pod) {
        if amount <= 0 || amount <= of(&has, &name) - of(&used, &name) || passes(attempt, &has, &name) {
            continue;
        }
        rejection.reasons.push(format!("Insufficient {name}"));
        rejection.unresolvable |= amount > of(&has, &name);
    }
    if rejection.reasons.is_empty() { Verdict::Fit } else { Verdict::Reject(rejection) }
}

/// What the pod asks for. It is on no node, so there is no status that could say more.
fn asked(pod: &Pod) -> Counts {
    counts(&pod_requests(pod, &Reckoning { pod_level: true, ..Reckoning::default() }), false)
}

/// Whether another looks after a resource: nobody, as it is to be ignored, or DynamicResources, as
/// devices of a class stand for it where the node has none.
///
/// Source: `fitsRequest` and `shouldDelegateResourceToDRA` of `fit.go`.
fn passes(attempt: &Attempt<'_, '_>, has: &Counts, name: &str) -> bool {
    let settings = attempt.settings;
    let group = name.split('/').next().unwrap_or_default();
    let ignored =
        settings.ignored_resources.contains(name) || settings.ignored_resource_groups.contains(group);
    (is_extended(name) && ignored)
        || (is_scalar(name)
            && has.get(name).copied().unwrap_or(0) <= 0
            && backs(attempt.world, name).is_some())
}

/// The weighted mean of how good each resource is.
pub(super) fn score(attempt: &Attempt<'_, '_>, places: &[&Place<'_>]) -> Scores {
    let settings = attempt.settings;
    // Neither what the pod asks for as a whole nor its status is asked for here, though both count
    // for pods that are on the node: so it is in kube-scheduler, whose filter knows better.
    let own = pod_requests(attempt.pod, &Reckoning { least: least(), ..Reckoning::default() });
    let of = |place: &&Place<'_>| {
        let shares = settings.scored_resources.iter().map(|resource| {
            let name = resource.name.as_str();
            let asked = count(name, own.get(name).copied().unwrap_or_default());
            let (capacity, used) = in_use(place, name, asked, true);
            Share { resource, capacity, used: used + asked }
        });
        mean(&settings.scoring, &shares.collect::<Vec<_>>())
    };
    Scores::plain(places.iter().map(of).collect())
}

/// What a node has of a resource, and what of that is in use; nothing of a scalar resource that the
/// pod does not ask for, so that it is not scored.
///
/// Source: `calculateNodeAllocatableRequest` of `resource_allocation.go`.
pub(super) fn in_use(place: &Place<'_>, name: &str, asked: i64, at_least: bool) -> (i64, i64) {
    if asked == 0 && is_scalar(name) {
        return (0, 0);
    }
    let used = match name {
        "cpu" | "memory" if at_least => assumed(place),
        _ => requested(place),
    };
    let of = |amounts: Counts| amounts.get(name).copied().unwrap_or(0);
    let scored = matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_scalar(name);
    match of(allocatable(place)) {
        0 => (0, 0),
        _ if !scored => (0, 0),
        capacity => (capacity, of(used)),
    }
}

struct Share<'a> {
    resource: &'a ResourceWeight,
    capacity: i64,
    used: i64,
}

fn mean(strategy: &ScoringStrategy, shares: &[Share<'_>]) -> i64 {
    let (mut sum, mut weights) = (0i64, 0i64);
    for share in shares.iter().filter(|share| share.capacity != 0) {
        let score = match strategy {
            ScoringStrategy::LeastAllocated => left(share.used, share.capacity),
            ScoringStrategy::MostAllocated => taken(share.used, share.capacity),
            ScoringStrategy::RequestedToCapacityRatio(shape) => {
                let utilization = match share.used > share.capacity {
                    true => 100,
                    false => share.used.wrapping_mul(100) / share.capacity,
                };
                on(shape, utilization)
            }
        };
        // By a shape, a resource that scores nothing does not count at all.
        if matches!(strategy, ScoringStrategy::RequestedToCapacityRatio(_)) && score <= 0 {
            continue;
        }
        sum += score * share.resource.weight;
        weights += share.resource.weight;
    }
    match strategy {
        _ if weights == 0 => 0,
        ScoringStrategy::RequestedToCapacityRatio(_) => (sum as f64 / weights as f64).round() as i64,
        _ => sum / weights,
    }
}

/// The share of a capacity that is left, of 100.
fn left(used: i64, capacity: i64) -> i64 {
    if used > capacity { 0 } else { (capacity - used).wrapping_mul(100) / capacity }
}

/// The share of a capacity that is in use, of 100.
fn taken(used: i64, capacity: i64) -> i64 {
    used.min(capacity).wrapping_mul(100) / capacity
}

/// The score that a shape has at a point, from 0 to 100: on a straight line between two of its
/// points, and as at the nearest outside of them.
///
/// Source: `BuildBrokenLinearFunction` of `pkg/scheduler/framework/plugins/helper/shape_score.go`
/// (1.36).
fn on(shape: &[ShapePoint], utilization: i64) -> i64 {
    let points: Vec<(i64, i64)> =
        shape.iter().map(|point| (i64::from(point.utilization), i64::from(point.score) * 10)).collect();
    let Some(after) = points.iter().position(|(at, _)| utilization <= *at) else {
        return points.last().map_or(0, |(_, score)| *score);
    };
    let (right, high) = points[after];
    if after == 0 {
        return high;
    }
    let (start, low) = points[after - 1];
    low + (high - low) * (utilization - start) / (right - start)
}
