//! PodTopologySpread: pods that belong together spread evenly over domains, such as zones.
//!
//! Source: `common.go`, `filtering.go` and `scoring.go` of
//! `pkg/scheduler/framework/plugins/podtopologyspread` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, TopologySpreadConstraint};

use super::default_selector::default_selector;
use super::layout::{Layout, Place};
use super::node_terms;
use super::settings::DefaultConstraints;
use super::taint_toleration;
use super::verdict::{Attempt, Before, Scores, Verdict};
use super::world::Named;
use crate::api::selector::LabelSelector;

/// The label that has a domain a node.
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// A constraint, read for one pod.
struct Constraint {
    max_skew: i64,
    key: String,
    selector: LabelSelector,
    min_domains: i64,
    honors_affinity: bool,
    honors_taints: bool,
}

impl Constraint {
    /// Whether a node's pods count.
    fn counts(&self, pod: &Pod, node: &Node) -> bool {
        (!self.honors_affinity || node_terms::admits(pod, node))
            && (!self.honors_taints || taint_toleration::admits(pod, node))
    }

    /// How many pods on a node match. Those that are being deleted do not count.
    fn matching(&self, place: &Place<'_>, pod: &Pod) -> i64 {
        if self.selector.is_empty() {
            return 0;
        }
        let counted = |other: &&&Pod| {
            !other.is_deleting() && other.namespace() == pod.namespace() && self.selects(other)
        };
        place.pods.iter().filter(counted).count() as i64
    }

    fn selects(&self, pod: &Pod) -> bool {
        self.selector.matches(pod.metadata.labels.as_ref().unwrap_or(&BTreeMap::new()))
    }
}

/// The constraints of a pod that act in this way, be they its own or, where it has none at all, those
/// of the profile.
///
/// Source: `filterTopologySpreadConstraints` and `buildDefaultConstraints` of `common.go`.
fn constraints(attempt: &Attempt<'_, '_>, action: &str) -> Result<Vec<Constraint>, String> {
    let own = own_constraints(attempt.pod);
    if !own.is_empty() {
        return read(own, attempt.pod, action);
    }
    let defaults = match &attempt.settings.default_constraints {
        DefaultConstraints::System => system_constraints(),
        DefaultConstraints::List(list) => list.clone(),
    };
    let mut constraints = read(&defaults, attempt.pod, action)?;
    let selector = default_selector(attempt.world, attempt.pod);
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    for constraint in &mut constraints {
        constraint.selector = selector.clone();
    }
    Ok(constraints)
}

fn own_constraints(pod: &Pod) -> &[TopologySpreadConstraint] {
    pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_deref()).unwrap_or_default()
}

/// Source: `systemDefaultConstraints` of `plugin.go`.
fn system_constraints() -> Vec<TopologySpreadConstraint> {
    let soft = |topology_key: &str, max_skew| TopologySpreadConstraint {
        topology_key: topology_key.into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        max_skew,
        ..TopologySpreadConstraint::default()
    };
    vec![soft(HOSTNAME, 3), soft(ZONE, 5)]
}

fn read(list: &[TopologySpreadConstraint], pod: &Pod, action: &str) -> Result<Vec<Constraint>, String> {
    let acting = list.iter().filter(|constraint| constraint.when_unsatisfiable == action);
    acting
        .map(|constraint| {
            let mut selector = LabelSelector::from_k8s(constraint.label_selector.as_ref())
                .map_err(|error| error.to_string())?;
            let keys = constraint.match_label_keys.iter().flatten();
            let shared: BTreeMap<_, _> =
                keys.filter_map(|key| Some((key.clone(), pod.label(key)?.to_owned()))).collect();
            // What matches nothing matches nothing, whatever is asked for besides.
            selector.requirements.extend(LabelSelector::of_labels(&shared).requirements);
            let honors = |policy: &Option<String>, otherwise| {
                policy.as_deref().map_or(otherwise, |policy| policy == "Honor")
            };
            Ok(Constraint {
                max_skew: constraint.max_skew.into(),
                key: constraint.topology_key.clone(),
                selector,
                min_domains: constraint.min_domains.unwrap_or(1).into(),
                honors_affinity: honors(&constraint.node_affinity_policy, true),
                honors_taints: honors(&constraint.node_taints_policy, false),
            })
        })
        .collect()
}

/// Whether a node is in a domain of every constraint.
fn in_all_domains(constraints: &[Constraint], node: &Node) -> bool {
    constraints.iter().all(|constraint| node.label(&constraint.key).is_some())
}

pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    match constraints(attempt, "DoNotSchedule") {
        Err(error) => Before::Fail(format!("get constraints from pod: {}: {error}", whose(attempt, "hard"))),
        Ok(constraints) if constraints.is_empty() => Before::Skip,
        Ok(_) => Before::Run,
    }
}

/// Whose constraints could not be read.
fn whose(attempt: &Attempt<'_, '_>, strength: &str) -> String {
    if own_constraints(attempt.pod).is_empty() {
        format!("setting default {strength} topology spread constraints")
    } else {
        format!("obtaining pod's {strength} topology spread constraints")
    }
}

/// A node will do where its domain has, with the pod, no more than the allowed skew above the domain
/// that has the fewest.
pub(super) fn filter(attempt: &Attempt<'_, '_>, layout: &Layout<'_>, node: &Node) -> Verdict {
    const REASON: &str = "node(s) didn't match pod topology spread constraints";
    let constraints = match constraints(attempt, "DoNotSchedule") {
        Ok(constraints) => constraints,
        Err(error) => return Verdict::Fail(error),
    };
    for (index, constraint) in constraints.iter().enumerate() {
        let Some(domain) = node.label(&constraint.key) else {
            return Verdict::for_good(format!("{REASON} (missing required label)"));
        };
        let domains = count_domains(attempt, layout, &constraints, index);
        let fewest = match domains.values().min() {
            Some(fewest) if domains.len() as i64 >= constraint.min_domains => *fewest,
            // Where there are too few domains, those to come count as empty.
            _ => 0,
        };
        let own = i64::from(constraint.selects(attempt.pod));
        let here = domains.get(domain).copied().unwrap_or(0);
        if here + own - fewest > constraint.max_skew {
            return Verdict::for_now(REASON);
        }
    }
    Verdict::Fit
}

/// The matching pods of each domain of a constraint.
///
/// What is there as the attempt begins is counted; what came and went since is added and taken off.
/// The two are not the same: a pod that is being deleted is not counted, and is taken off all the
/// same, and an empty selector matches what comes and goes alone.
///
/// Source: `calPreFilterState` and `updateWithPod` of `filtering.go`.
fn count_domains(
    attempt: &Attempt<'_, '_>,
    layout: &Layout<'_>,
    constraints: &[Constraint],
    index: usize,
) -> BTreeMap<String, i64> {
    let constraint = &constraints[index];
    let domain_of = |node: &Node| {
        let counts = in_all_domains(constraints, node) && constraint.counts(attempt.pod, node);
        node.label(&constraint.key).filter(|_| counts).map(str::to_owned)
    };
    let mut domains = BTreeMap::new();
    for place in &attempt.start.places {
        if let Some(domain) = domain_of(place.node) {
            *domains.entry(domain).or_insert(0) += constraint.matching(place, attempt.pod);
        }
    }
    for change in &layout.changes {
        let ours = change.pod.namespace() == attempt.pod.namespace() && constraint.selects(change.pod);
        if let Some(domain) = domain_of(layout.places[change.place].node).filter(|_| ours) {
            *domains.entry(domain).or_insert(0) += change.sign;
        }
    }
    domains
}

/// How many matching pods the domains of each node have, the fewer the better.
///
/// # Errors
///
/// When a constraint cannot be read.
pub(super) fn score(attempt: &Attempt<'_, '_>, feasible: &[usize]) -> Result<Option<Scores>, String> {
    let layout = attempt.start;
    let constraints = constraints(attempt, "ScheduleAnyway")
        .map_err(|error| format!("calculating preScoreState: {}: {error}", whose(attempt, "soft")))?;
    if constraints.is_empty() || layout.places.is_empty() {
        return Ok(None);
    }
    // The system's own constraints take a node without a zone as it is.
    let strict = !own_constraints(attempt.pod).is_empty()
        || attempt.settings.default_constraints != DefaultConstraints::System;
    let ignored = |node: &Node| strict && !in_all_domains(&constraints, node);
    let scored: Vec<&Node> =
        feasible.iter().map(|place| layout.places[*place].node).filter(|node| !ignored(node)).collect();

    let raw: Vec<i64> = feasible
        .iter()
        .map(|place| &layout.places[*place])
        .map(
            |place| {
                if ignored(place.node) { 0 } else { weigh(attempt, &constraints, &scored, strict, place) }
            },
        )
        .collect();

    let kept = || feasible.iter().zip(&raw).filter(|(place, _)| !ignored(layout.places[**place].node));
    let highest = kept().map(|(_, score)| *score).max().unwrap_or(0).max(0);
    let lowest = kept().map(|(_, score)| *score).min().unwrap_or(i64::MAX);
    let normalise = |(place, score): (&usize, &i64)| {
        if ignored(layout.places[*place].node) {
            0
        } else if highest == 0 {
            100
        } else {
            100 * (highest + lowest - score) / highest
        }
    };
    let normalised = feasible.iter().zip(&raw).map(normalise).collect();
    Ok(Some(Scores { raw, normalised }))
}

/// The matching pods of a node's domains, weighed by how many domains there are: ten pods in one of
/// three zones are less of a crowd than ten on one of a hundred hosts.
fn weigh(
    attempt: &Attempt<'_, '_>,
    constraints: &[Constraint],
    scored: &[&Node],
    strict: bool,
    place: &Place<'_>,
) -> i64 {
    let mut score = 0.0;
    for constraint in constraints {
        let Some(domain) = place.node.label(&constraint.key) else { continue };
        let by_host = constraint.key == HOSTNAME;
        let domains: std::collections::BTreeSet<_> =
            scored.iter().map(|node| node.label(&constraint.key).unwrap_or_default()).collect();
        let size = if by_host { scored.len() } else { domains.len() };
        let count = if by_host {
            constraint.matching(place, attempt.pod)
        } else {
            let in_domain = attempt.start.places.iter().filter(|other| {
                (!strict || in_all_domains(constraints, other.node))
                    && constraint.counts(attempt.pod, other.node)
                    && other.node.label(&constraint.key).unwrap_or_default() == domain
            });
            in_domain.map(|other| constraint.matching(other, attempt.pod)).sum()
        };
        score += count as f64 * ((size + 2) as f64).ln() + (constraint.max_skew - 1) as f64;
    }
    f64::round(score) as i64
}
