//! PodTopologySpread: pods that belong together spread evenly over domains, such as zones.
//!
//! Source: `common.go`, `filtering.go` and `scoring.go` of
//! `pkg/scheduler/framework/plugins/podtopologyspread` (1.36).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use k8s_openapi::api::core::v1::{Node, TopologySpreadConstraint};

use super::taint_toleration::tolerations_key;
use crate::api::predicates::{Effect, untolerated};
use crate::api::selector::LabelSelector;
use crate::env::{HashMap, HashSet};
use crate::sched::snapshot::KindId;
use crate::sched::tally::Tally;
use crate::sched::wishes::Labels;
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, Domains, EventKinds, Feasible, Filter, NodeIndex, Normalize,
    Plugin, PodInfo, PreFilter, PreFiltered, PreScore, PreScored, Score, Snapshot, Verdict,
};

/// The label that has a domain a node.
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Filters by the constraints that must hold, scores by those that should.
#[derive(Clone, Debug, Default)]
pub struct PodTopologySpread {
    /// The constraints of pods that have none; the system's own where this is not set.
    defaults: Option<Vec<TopologySpreadConstraint>>,
}

impl PodTopologySpread {
    /// With these constraints for pods that have none, in the place of the system's.
    #[must_use]
    pub fn with_defaults(constraints: Vec<TopologySpreadConstraint>) -> Self {
        Self { defaults: Some(constraints) }
    }
}

/// A constraint, read for one class of pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Constraint {
    max_skew: i64,
    key: String,
    selector: LabelSelector,
    /// Whether the pod counts itself.
    selects_itself: bool,
    min_domains: i64,
    honors_affinity: bool,
    honors_taints: bool,
}

/// What a class has, and what there is by domain.
#[derive(Debug)]
struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Whether a node must be in a domain of every soft constraint to be scored.
    strict: bool,
    /// A slot a constraint, the hard ones first.
    tally: Tally,
    /// By kind of pods: which constraints count them.
    counted: HashMap<KindId, Box<[bool]>>,
    /// What [`fewest`](Spread::fewest) found, until a node changes.
    fewest: OnceLock<Vec<i64>>,
}

/// How many kinds of pods are remembered.
const MOST_KINDS: usize = 4096;

/// What the counts of each soft constraint weigh.
struct Weights(Vec<f64>);

/// The score of a node that takes no part.
const IGNORED: i64 = i64::MIN;

const REASON: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// Soft, over hosts with a skew of 3 and zones with a skew of 5.
///
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

fn own_constraints(pod: &PodInfo) -> &[TopologySpreadConstraint] {
    pod.spec().and_then(|spec| spec.topology_spread_constraints.as_deref()).unwrap_or_default()
}

fn in_all_domains(constraints: &[Constraint], labels: &Labels) -> bool {
    constraints.iter().all(|constraint| labels.contains_key(&constraint.key))
}

impl Constraint {
    fn read(constraint: &TopologySpreadConstraint, pod: &PodInfo) -> Result<Self, String> {
        let mut selector =
            LabelSelector::from_k8s(constraint.label_selector.as_ref()).map_err(|error| error.to_string())?;
        let keys = constraint.match_label_keys.iter().flatten();
        let shared: BTreeMap<_, _> =
            keys.filter_map(|key| Some((key.clone(), pod.kind.labels.get(key)?.clone()))).collect();
        // What matches nothing matches nothing, whatever is asked for besides.
        selector.requirements.extend(LabelSelector::of_labels(&shared).requirements);
        let honors =
            |policy: &Option<String>, otherwise| policy.as_deref().map_or(otherwise, |it| it == "Honor");
        Ok(Self {
            max_skew: constraint.max_skew.into(),
            key: constraint.topology_key.clone(),
            selects_itself: selector.matches(&pod.kind.labels),
            selector,
            min_domains: constraint.min_domains.unwrap_or(1).into(),
            honors_affinity: honors(&constraint.node_affinity_policy, true),
            honors_taints: honors(&constraint.node_taints_policy, false),
        })
    }

    /// Whether a node's pods count.
    fn counts(&self, pod: &PodInfo, snapshot: &Snapshot, node: NodeIndex) -> bool {
        let hard = [Effect::NoSchedule, Effect::NoExecute];
        let taints = || &snapshot.taint_sets()[snapshot.taint_set(node)];
        (!self.honors_affinity || pod.requirements.matches(snapshot.name(node), snapshot.labels(node)))
            && (!self.honors_taints || untolerated(taints(), pod.tolerations(), &hard).is_none())
    }

    fn is_by_host(&self) -> bool {
        self.key == HOSTNAME
    }
}

impl PodTopologySpread {
    /// The hard and the soft constraints of a pod.
    fn constraints(&self, pod: &PodInfo, snapshot: &Snapshot) -> Result<[Vec<Constraint>; 2], String> {
        let own = own_constraints(pod);
        let defaults;
        let (list, selector) = if own.is_empty() {
            let selector = snapshot.default_selector(pod);
            if selector.is_empty() {
                return Ok([Vec::new(), Vec::new()]);
            }
            defaults = self.defaults.clone().unwrap_or_else(system_constraints);
            (&defaults[..], Some(selector))
        } else {
            (own, None)
        };
        let whose = |strength: &str| match selector {
            Some(_) => format!("setting default {strength} topology spread constraints"),
            None => format!("obtaining pod's {strength} topology spread constraints"),
        };
        let acting = |action: &str, strength: &str| {
            list.iter()
                .filter(|constraint| constraint.when_unsatisfiable == action)
                .map(|constraint| {
                    let mut constraint = Constraint::read(constraint, pod)?;
                    if let Some(selector) = &selector {
                        constraint.selector = selector.clone();
                        constraint.selects_itself = selector.matches(&pod.kind.labels);
                    }
                    Ok(constraint)
                })
                .collect::<Result<Vec<_>, String>>()
                .map_err(|error| format!("{}: {error}", whose(strength)))
        };
        Ok([acting("DoNotSchedule", "hard")?, acting("ScheduleAnyway", "soft")?])
    }
}

impl Spread {
    fn new(hard: Vec<Constraint>, soft: Vec<Constraint>, strict: bool) -> Self {
        let mut tally = Tally::default();
        for constraint in &hard {
            let key = tally.key(&constraint.key, false);
            tally.slot(key);
        }
        for constraint in &soft {
            // Where zones are not asked for, the nodes without one are in one together.
            let key = tally.key(&constraint.key, !strict && !constraint.is_by_host());
            tally.slot(key);
        }
        Self { hard, soft, strict, tally, counted: HashMap::default(), fewest: OnceLock::new() }
    }

    fn follow(&mut self, pod: &PodInfo, snapshot: &Snapshot, node: NodeIndex) -> bool {
        self.fewest.take();
        if self.counted.len() > MOST_KINDS {
            self.counted.clear();
        }
        let mut parts = vec![None; self.tally.slots()];
        if !snapshot.is_listed(node) {
            return self.tally.follow(node, None, &parts);
        }
        let labels = snapshot.labels(node);
        let (all_hard, all_soft) =
            (in_all_domains(&self.hard, labels), !self.strict || in_all_domains(&self.soft, labels));
        let counts = self.hard.iter().map(|constraint| all_hard && constraint.counts(pod, snapshot, node));
        let counts = counts.chain(self.soft.iter().map(|constraint| {
            constraint.is_by_host() || (all_soft && constraint.counts(pod, snapshot, node))
        }));
        for (part, counts) in parts.iter_mut().zip(counts) {
            *part = counts.then_some(0);
        }
        for (id, kind, pods) in snapshot.kinds(node) {
            let (hard, soft) = (&self.hard, &self.soft);
            let counted = self.counted.entry(id).or_insert_with(|| {
                let ours = !kind.deleting && kind.namespace == pod.kind.namespace;
                let counts = |constraint: &Constraint| {
                    ours && !constraint.selector.is_empty() && constraint.selector.matches(&kind.labels)
                };
                hard.iter().chain(soft).map(counts).collect()
            });
            for (part, _) in parts.iter_mut().zip(counted).filter(|(_, counted)| **counted) {
                *part = part.map(|part| part + i64::from(pods));
            }
        }
        self.tally.follow(node, Some(labels), &parts)
    }

    /// By hard constraint: how many matching pods the domain with the fewest has.
    fn fewest(&self) -> &[i64] {
        self.fewest.get_or_init(|| {
            let fewest = |(slot, constraint): (usize, &Constraint)| {
                let (domains, least) = self.tally.least(slot);
                // Where there are too few domains, those to come count as empty.
                if (domains as i64) < constraint.min_domains { 0 } else { least }
            };
            self.hard.iter().enumerate().map(fewest).collect()
        })
    }

    /// The soft constraints with their slots.
    fn soft(&self) -> impl Iterator<Item = (usize, &Constraint)> {
        self.soft.iter().enumerate().map(|(number, constraint)| (self.hard.len() + number, constraint))
    }

    fn ignores(&self, labels: &Labels) -> bool {
        self.strict && !in_all_domains(&self.soft, labels)
    }
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::POD_ADDED
            | EventKinds::POD_REMOVED
            | EventKinds::POD_LABELS
            | EventKinds::POD_TOLERATIONS
            | EventKinds::NODE_ADDED
            | EventKinds::NODE_REMOVED
            | EventKinds::NODE_LABELS
            | EventKinds::NODE_TAINTS
    }

    /// Source: `isSchedulableAfterPodChange` and `isSchedulableAfterNodeChange` of `podtopologyspread/plugin.go` (1.36).
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, snapshot: &Snapshot) -> bool {
        let foreign = match event {
            ClusterEvent::PodAdded(other)
            | ClusterEvent::PodRemoved(other)
            | ClusterEvent::PodUpdated { new: other, .. } => other.kind.namespace != pod.kind.namespace,
            ClusterEvent::Object(_) => true,
            _ => false,
        };
        if foreign {
            return false;
        }
        // What cannot be read is tried again whenever something happens.
        let Ok([hard, _]) = self.constraints(pod, snapshot) else { return true };
        let counts =
            |constraint: &Constraint, other: &PodInfo| constraint.selector.matches(&other.kind.labels);
        let counted = |other: &PodInfo| hard.iter().any(|constraint| counts(constraint, other));
        let relabelled = |old: &PodInfo, new: &PodInfo| {
            hard.iter().any(|constraint| counts(constraint, old) != counts(constraint, new))
        };
        let label = |node: &Node, key: &str| node.metadata.labels.as_ref()?.get(key).cloned();
        let in_all = |node: &Node| hard.iter().all(|constraint| label(node, &constraint.key).is_some());
        match event {
            ClusterEvent::PodAdded(other) | ClusterEvent::PodRemoved(other) => counted(other),
            ClusterEvent::PodUpdated { old, new } => relabelled(old, new),
            ClusterEvent::Changed { old, new } => {
                let tolerates_more = old.tolerations() != new.tolerations();
                (tolerates_more && hard.iter().any(|constraint| constraint.honors_taints))
                    || relabelled(old, new)
            }
            ClusterEvent::NodeAdded(node) | ClusterEvent::NodeRemoved(node) => in_all(node),
            ClusterEvent::NodeUpdated { old, new, .. } => {
                let moves =
                    |constraint: &Constraint| label(old, &constraint.key) != label(new, &constraint.key);
                let taints =
                    |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
                in_all(old) != in_all(new)
                    || (in_all(new) && (hard.iter().any(moves) || taints(old) != taints(new)))
            }
            ClusterEvent::Object(_) => false,
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

impl PreFilter for PodTopologySpread {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        let [hard, soft] = match self.constraints(pod, snapshot) {
            Ok(constraints) => constraints,
            Err(error) => {
                return PreFiltered::Reject(Verdict::Error(format!("get constraints from pod: {error}")));
            }
        };
        cycle.forget::<Spread>();
        if hard.is_empty() && soft.is_empty() {
            return PreFiltered::Skip;
        }
        let none = hard.is_empty();
        // The system's own constraints take a node without a zone as it is.
        let strict = !own_constraints(pod).is_empty() || self.defaults.is_some();
        let mut spread = Spread::new(hard, soft, strict);
        for node in snapshot.nodes() {
            spread.follow(pod, snapshot, *node);
        }
        cycle.note(spread);
        if none { PreFiltered::Skip } else { PreFiltered::Run }
    }
}

impl Filter for PodTopologySpread {
    /// A node will do where its domain has, with the pod, no more than the allowed skew above the domain that has
    /// the fewest.
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let Some(spread) = cycle.noted::<Spread>() else { return Verdict::Fits };
        let labels = cycle.snapshot.labels(node);
        for ((slot, constraint), fewest) in spread.hard.iter().enumerate().zip(spread.fewest()) {
            if !labels.contains_key(&constraint.key) {
                return Verdict::unresolvable(NO_LABEL);
            }
            let here = spread.tally.around(slot, node);
            if here + i64::from(constraint.selects_itself) - fewest > constraint.max_skew {
                return Verdict::unschedulable(REASON);
            }
        }
        Verdict::Fits
    }
}

impl PreScore for PodTopologySpread {
    fn pre_score(&self, cycle: &mut Cycle<'_>, nodes: &Feasible<'_>) -> PreScored {
        let snapshot = cycle.snapshot;
        let Some(spread) = cycle.noted::<Spread>().filter(|spread| !spread.soft.is_empty()) else {
            return PreScored::Skip;
        };
        let scored = || nodes.iter().filter(|(node, _)| !spread.ignores(snapshot.labels(*node)));
        let weigh = |(slot, constraint): (usize, &Constraint)| {
            let size = if constraint.is_by_host() {
                scored().map(|(_, times)| times).sum()
            } else {
                // Nodes that are alone in their domains may be shown as one.
                let alone = |node: &NodeIndex| spread.tally.is_alone(slot, *node);
                let apart: u64 = scored().filter(|(node, _)| alone(node)).map(|(_, times)| times).sum();
                let shared = scored().filter(|(node, _)| !alone(node));
                let shared: HashSet<_> = shared.map(|(node, _)| spread.tally.domain(slot, node)).collect();
                apart + shared.len() as u64
            };
            ((size + 2) as f64).ln()
        };
        let weights = Weights(spread.soft().map(weigh).collect());
        cycle.note(weights);
        PreScored::Run
    }
}

impl Score for PodTopologySpread {
    /// The matching pods of a node's domains, weighed by how many domains there are.
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let (Some(spread), Some(Weights(weights))) = (cycle.noted::<Spread>(), cycle.noted::<Weights>())
        else {
            return 0;
        };
        let labels = cycle.snapshot.labels(node);
        if spread.ignores(labels) {
            return IGNORED;
        }
        let mut score = 0.0;
        for ((slot, constraint), weight) in spread.soft().zip(weights) {
            if labels.contains_key(&constraint.key) {
                let count = if constraint.is_by_host() {
                    spread.tally.part(slot, node)
                } else {
                    spread.tally.around(slot, node)
                };
                score += count as f64 * weight + (constraint.max_skew - 1) as f64;
            }
        }
        f64::round(score) as i64
    }

    fn as_normalize(&self) -> Option<&dyn Normalize> {
        Some(self)
    }
}

impl Normalize for PodTopologySpread {
    fn normalize(&self, _: &Cycle<'_>, scores: &mut [i64]) {
        let kept = || scores.iter().copied().filter(|score| *score != IGNORED);
        let highest = kept().max().unwrap_or(0).max(0);
        let lowest = kept().min().unwrap_or(i64::MAX);
        for score in scores {
            *score = match *score {
                IGNORED => 0,
                _ if highest == 0 => 100,
                score => 100 * (highest + lowest - score) / highest,
            };
        }
    }
}

impl Classed for PodTopologySpread {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        let Ok([hard, soft]) = self.constraints(pod, snapshot) else { return false };
        let any = !hard.is_empty() || !soft.is_empty();
        key.flag(any);
        if any {
            let own = !own_constraints(pod).is_empty();
            key.shown(&(&pod.kind.namespace, &hard, &soft, own));
            if hard.iter().chain(&soft).any(|constraint| constraint.honors_affinity) {
                key.shown(&pod.requirements);
            }
            if hard.iter().chain(&soft).any(|constraint| constraint.honors_taints) {
                tolerations_key(pod, key);
            }
        }
        true
    }

    fn as_domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }
}

impl Domains for PodTopologySpread {
    fn concerns(&self, cycle: &Cycle<'_>) -> bool {
        cycle.noted::<Spread>().is_some()
    }

    fn follow(&self, cycle: &mut Cycle<'_>, node: NodeIndex) -> bool {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        cycle.noted_mut::<Spread>().is_some_and(|spread| spread.follow(pod, snapshot, node))
    }

    fn read(&self, cycle: &Cycle<'_>, node: NodeIndex, place: &mut Vec<i64>) {
        let Some(spread) = cycle.noted::<Spread>() else { return };
        spread.tally.read(node, place);
        let labels = cycle.snapshot.labels(node);
        for constraint in spread.hard.iter().chain(&spread.soft) {
            place.push(labels.contains_key(&constraint.key).into());
        }
        for (slot, _) in spread.soft().filter(|(_, constraint)| constraint.is_by_host()) {
            place.push(spread.tally.part(slot, node));
        }
    }
}
