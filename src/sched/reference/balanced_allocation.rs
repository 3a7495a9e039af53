//! NodeResourcesBalancedAllocation: a node is good where a pod makes the use of its resources more
//! even.
//!
//! Source: `pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go` (1.36).

use super::layout::Place;
use super::node_resources_fit::in_use;
use super::requests::{Reckoning, count, pod_requests};
use super::verdict::{Attempt, Scores};

/// Nothing of a pod that asks for none of the resources.
pub(super) fn score(attempt: &Attempt<'_, '_>, places: &[&Place<'_>]) -> Option<Scores> {
    let how = Reckoning { by_status: true, pod_level: true, ..Reckoning::default() };
    let own = pod_requests(attempt.pod, &how);
    let asked: Vec<(&str, i64)> = attempt
        .settings
        .balanced_resources
        .iter()
        .map(|resource| resource.name.as_str())
        .map(|name| (name, count(name, own.get(name).copied().unwrap_or_default())))
        .collect();
    if asked.iter().all(|(_, amount)| *amount == 0) {
        return None;
    }
    let of = |place: &&Place<'_>| {
        let known: Vec<_> = asked
            .iter()
            .map(|(name, amount)| (in_use(place, name, *amount, false), amount))
            .filter(|((capacity, _), _)| *capacity != 0)
            .collect();
        let share = |used: i64, capacity: i64| (used as f64 / capacity as f64).min(1.0);
        let with: Vec<_> =
            known.iter().map(|((capacity, used), amount)| share(used + *amount, *capacity)).collect();
        let without: Vec<_> = known.iter().map(|((capacity, used), _)| share(*used, *capacity)).collect();
        50 + (50 + evenness(&with) - evenness(&without)) / 2
    };
    Some(Scores::plain(places.iter().map(of).collect()))
}

/// 100 less the standard deviation in percent.
fn evenness(shares: &[f64]) -> i64 {
    let deviation = match shares {
        [] | [_] => 0.0,
        // Half the distance is the same, but for the last bit.
        [one, other] => ((one - other) / 2.0).abs(),
        _ => {
            let count = shares.len() as f64;
            let total = shares.iter().fold(0.0, |sum, share| sum + share);
            let mean = total / count;
            let squares = shares.iter().fold(0.0, |sum, share| sum + (share - mean) * (share - mean));
            (squares / count).sqrt()
        }
    };
    ((1.0 - deviation) * 100.0) as i64
}
