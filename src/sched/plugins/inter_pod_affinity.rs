//! InterPodAffinity: pods that want to be near to others, or far from them.
//!
//! Source: `filtering.go`, `scoring.go` and `plugin.go` of
//! `pkg/scheduler/framework/plugins/interpodaffinity` (1.36).

use k8s_openapi::api::core::v1::Node;

use crate::env::HashMap;
use crate::sched::snapshot::{KindId, PodKind};
use crate::sched::tally::Tally;
use crate::sched::wishes::{Labels, Term, Wishes};
use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, Domains, EventKinds, Feasible, Filter, NodeIndex, Normalize,
    Plugin, PodInfo, PreFilter, PreFiltered, PreScore, PreScored, Score, Snapshot, Verdict,
};

/// Filters by what must be near or far, scores by what should be.
#[derive(Clone, Debug)]
pub struct InterPodAffinity {
    /// What a required term of a pod that is there already is worth to a pod that it matches.
    pub hard_pod_affinity_weight: i64,
    /// Whether a pod without preferred terms is not scored by those of others.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinity {
    fn default() -> Self {
        Self { hard_pod_affinity_weight: 1, ignore_preferred_terms_of_existing_pods: false }
    }
}

/// How many kinds of pods are remembered.
const MOST_KINDS: usize = 4096;

/// What a class wants, what others want of it, and what there is by domain.
#[derive(Debug)]
struct Nearness {
    wishes: Wishes,
    /// Whether the class is what it wants near.
    suits_itself: bool,
    hard_weight: i64,
    tally: Tally,
    /// By required term of the class: the slot of the pods that match all of them.
    near: Vec<usize>,
    /// By label: the slot of those that must be far.
    far: Vec<(String, usize)>,
    /// By label: the slot of those that want to be far from the class.
    shunning: Vec<(String, usize)>,
    /// By label: the slot of what it is worth.
    worth: Vec<(String, usize)>,
    /// By kind: the part that one pod of it has in each slot.
    parts: HashMap<KindId, Box<[i64]>>,
}

/// Which terms of those that are placed match a pod.
fn matching<'a>(wishes: &'a Wishes, pod: &PodInfo, of_namespace: &Labels) -> Matching<'a> {
    let matches = |term: &&Term| term.matches(&pod.kind.namespace, of_namespace, &pod.kind.labels);
    let rather = |list: &'a [(Term, i64)], sign: i64| {
        list.iter().filter(move |(term, _)| matches(&term)).map(move |(term, weight)| (term, sign * weight))
    };
    Matching {
        near: wishes.near.iter().filter(matches).collect(),
        far: wishes.far.iter().filter(matches).collect(),
        rather: rather(&wishes.rather_near, 1).chain(rather(&wishes.rather_far, -1)).collect(),
    }
}

struct Matching<'a> {
    near: Vec<&'a Term>,
    far: Vec<&'a Term>,
    rather: Vec<(&'a Term, i64)>,
}

impl Matching<'_> {
    fn is_empty(&self) -> bool {
        self.near.is_empty() && self.far.is_empty() && self.rather.is_empty()
    }
}

/// Whether a pod that is placed matches a term of the class, whose namespaces are resolved.
fn matches_placed(term: &Term, kind: &PodKind) -> bool {
    term.matches(&kind.namespace, &Labels::new(), &kind.labels)
}

impl Nearness {
    /// What there is to know of a class; nothing where neither it nor anybody else wants anything.
    fn of(plugin: &InterPodAffinity, pod: &PodInfo, snapshot: &Snapshot) -> Option<Self> {
        let mut wishes = pod.kind.wishes.as_deref().cloned().unwrap_or_default();
        let Wishes { near, far, rather_near, rather_far, .. } = &mut wishes;
        let rather = rather_near.iter_mut().chain(rather_far).map(|(term, _)| term);
        for term in near.iter_mut().chain(far).chain(rather) {
            term.resolve(snapshot.namespaces());
        }
        let of_namespace = snapshot.namespace_labels(&pod.kind.namespace);
        let hard_weight = plugin.hard_pod_affinity_weight;
        let mut tally = Tally::default();
        let slot = |tally: &mut Tally, list: &mut Vec<(String, usize)>, label: &str| {
            if list.iter().all(|(known, _)| known != label) {
                let key = tally.key(label, false);
                list.push((label.to_owned(), tally.slot(key)));
            }
        };
        let near: Vec<_> = wishes
            .near
            .iter()
            .map(|term| {
                let key = tally.key(&term.key, false);
                tally.slot(key)
            })
            .collect();
        let (mut far, mut shunning, mut worth) = (Vec::new(), Vec::new(), Vec::new());
        for term in &wishes.far {
            slot(&mut tally, &mut far, &term.key);
        }
        for (term, _) in wishes.rather_near.iter().chain(&wishes.rather_far) {
            slot(&mut tally, &mut worth, &term.key);
        }
        for (_, theirs) in snapshot.wishes() {
            let theirs = matching(theirs, pod, of_namespace);
            for term in theirs.far {
                slot(&mut tally, &mut shunning, &term.key);
            }
            let near = theirs.near.into_iter().filter(|_| hard_weight > 0);
            for term in near.chain(theirs.rather.into_iter().map(|(term, _)| term)) {
                slot(&mut tally, &mut worth, &term.key);
            }
        }
        if tally.slots() == 0 {
            return None;
        }
        let suits_itself = wishes.near.iter().all(|term| matches_placed(term, &pod.kind));
        let parts = HashMap::default();
        Some(Self { wishes, suits_itself, hard_weight, tally, near, far, shunning, worth, parts })
    }

    /// The part that one pod of a kind has in each slot.
    fn parts_of(&self, pod: &PodInfo, of_namespace: &Labels, kind: &PodKind) -> Box<[i64]> {
        let mut parts = vec![0; self.tally.slots()];
        let wishes = &self.wishes;
        if wishes.near.iter().all(|term| matches_placed(term, kind)) {
            self.near.iter().for_each(|slot| parts[*slot] = 1);
        }
        let mut add = |list: &[(String, usize)], term: &Term, weight: i64| {
            if let Some((_, slot)) = list.iter().find(|(label, _)| *label == term.key) {
                parts[*slot] += weight;
            }
        };
        for term in wishes.far.iter().filter(|term| matches_placed(term, kind)) {
            add(&self.far, term, 1);
        }
        let near = wishes.rather_near.iter().map(|(term, weight)| (term, *weight));
        let far = wishes.rather_far.iter().map(|(term, weight)| (term, -weight));
        for (term, weight) in near.chain(far).filter(|(term, _)| matches_placed(term, kind)) {
            add(&self.worth, term, weight);
        }
        if let Some(theirs) = &kind.wishes {
            let theirs = matching(theirs, pod, of_namespace);
            theirs.far.iter().for_each(|term| add(&self.shunning, term, 1));
            theirs.near.iter().for_each(|term| add(&self.worth, term, self.hard_weight));
            theirs.rather.iter().for_each(|(term, weight)| add(&self.worth, term, *weight));
        }
        parts.into()
    }

    fn follow(&mut self, pod: &PodInfo, snapshot: &Snapshot, node: NodeIndex) -> bool {
        let slots = self.tally.slots();
        if !snapshot.is_listed(node) {
            return self.tally.follow(node, None, &vec![None; slots]);
        }
        if self.parts.len() > MOST_KINDS {
            self.parts.clear();
        }
        let of_namespace = snapshot.namespace_labels(&pod.kind.namespace);
        let mut sums = vec![0; slots];
        for (id, kind, pods) in snapshot.kinds(node) {
            if !self.parts.contains_key(&id) {
                let parts = self.parts_of(pod, of_namespace, kind);
                self.parts.insert(id, parts);
            }
            for (sum, part) in sums.iter_mut().zip(&self.parts[&id]) {
                *sum += part * i64::from(pods);
            }
        }
        let parts: Vec<_> = sums.into_iter().map(Some).collect();
        self.tally.follow(node, Some(snapshot.labels(node)), &parts)
    }

    /// Whether a node is in a domain of a pod that matches all terms, for each of them; or whether there is no such
    /// pod anywhere and the class matches its own terms: then it is the first of its kind.
    fn is_near(&self, node: NodeIndex) -> bool {
        if self.near.iter().any(|slot| self.tally.domain(*slot, node).is_none()) {
            return false;
        }
        self.near.iter().all(|slot| self.tally.around(*slot, node) > 0)
            || (self.suits_itself && self.near.iter().all(|slot| self.tally.is_zero(*slot)))
    }
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a String> {
    node.metadata.labels.as_ref()?.get(key)
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::POD_ADDED
            | EventKinds::POD_REMOVED
            | EventKinds::POD_LABELS
            | EventKinds::NODE_ADDED
            | EventKinds::NODE_LABELS
    }

    /// Source: `isSchedulableAfterPodChange` and `isSchedulableAfterNodeChange` of `interpodaffinity/plugin.go` (1.36).
    ///
    /// kube-scheduler leaves some pods to its five minutes that are woken here: one of whose anti-affinity terms a pod
    /// that goes matches some but not all; one whose terms select namespaces by label; one that is the first of its
    /// kind once a pod that it was to be near goes; and one that placed pods shun, when there are other nodes.
    fn helps(&self, event: &ClusterEvent<'_>, pod: &PodInfo, snapshot: &Snapshot) -> bool {
        let none = Wishes::default();
        let wishes = pod.kind.wishes.as_deref().unwrap_or(&none);
        let matches = |term: &Term, kind: &PodKind| {
            term.matches(&kind.namespace, snapshot.namespace_labels(&kind.namespace), &kind.labels)
        };
        let near =
            |kind: &PodKind| !wishes.near.is_empty() && wishes.near.iter().all(|term| matches(term, kind));
        let far = |kind: &PodKind| wishes.far.iter().filter(|term| matches(term, kind)).count();
        // The terms of placed pods that keep this one away.
        let shunned = || {
            let far = snapshot.wishes().flat_map(|(_, wishes)| &wishes.far);
            far.filter(|term| matches(term, &pod.kind))
        };
        let shuns = |kind: &PodKind| {
            let theirs = kind.wishes.as_deref().map_or(&[][..], |wishes| &wishes.far);
            theirs.iter().any(|term| matches(term, &pod.kind))
        };
        match event {
            ClusterEvent::Changed { .. } => true,
            ClusterEvent::PodAdded(other) => near(&other.kind),
            ClusterEvent::PodRemoved(other) => {
                far(&other.kind) > 0 || shuns(&other.kind) || (near(&other.kind) && near(&pod.kind))
            }
            ClusterEvent::PodUpdated { old, new } => {
                (!near(&old.kind) && near(&new.kind))
                    || (near(&old.kind) && !near(&new.kind) && near(&pod.kind))
                    || far(&new.kind) < far(&old.kind)
            }
            ClusterEvent::NodeAdded(node) => {
                let labelled = |term: &Term| label(node, &term.key).is_some();
                !wishes.far.is_empty() || wishes.near.iter().any(labelled) || shunned().next().is_some()
            }
            ClusterEvent::NodeUpdated { old, new, .. } => {
                let moved = |term: &Term| label(old, &term.key) != label(new, &term.key);
                wishes
                    .near
                    .iter()
                    .any(|term| moved(term) && (label(new, &term.key).is_some() || near(&pod.kind)))
                    || wishes
                        .far
                        .iter()
                        .chain(shunned())
                        .any(|term| moved(term) && label(old, &term.key).is_some())
            }
            ClusterEvent::NodeRemoved(_) | ClusterEvent::Object(_) => false,
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

impl PreFilter for InterPodAffinity {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        cycle.forget::<Nearness>();
        match pod.kind.wishes.as_deref().map_or(&[][..], |wishes| &wishes.errors) {
            [] => {}
            [error] => return PreFiltered::Reject(Verdict::unresolvable(format!("parsing pod: {error}"))),
            errors => {
                let errors = errors.join(", ");
                return PreFiltered::Reject(Verdict::unresolvable(format!("parsing pod: [{errors}]")));
            }
        }
        let Some(mut nearness) = Nearness::of(self, pod, snapshot) else { return PreFiltered::Skip };
        for node in snapshot.nodes() {
            nearness.follow(pod, snapshot, *node);
        }
        let skip = nearness.near.is_empty() && nearness.far.is_empty() && nearness.shunning.is_empty();
        cycle.note(nearness);
        if skip { PreFiltered::Skip } else { PreFiltered::Run }
    }
}

impl Filter for InterPodAffinity {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let Some(nearness) = cycle.noted::<Nearness>() else { return Verdict::Fits };
        let crowded =
            |list: &[(String, usize)]| list.iter().any(|(_, slot)| nearness.tally.around(*slot, node) > 0);
        if !nearness.is_near(node) {
            Verdict::unresolvable("node(s) didn't match pod affinity rules")
        } else if crowded(&nearness.far) {
            Verdict::unschedulable("node(s) didn't match pod anti-affinity rules")
        } else if crowded(&nearness.shunning) {
            Verdict::unschedulable("node(s) didn't satisfy existing pods anti-affinity rules")
        } else {
            Verdict::Fits
        }
    }
}

impl PreScore for InterPodAffinity {
    fn pre_score(&self, cycle: &mut Cycle<'_>, _: &Feasible<'_>) -> PreScored {
        let ignores = |nearness: &Nearness| {
            self.ignore_preferred_terms_of_existing_pods
                && nearness.wishes.rather_near.is_empty()
                && nearness.wishes.rather_far.is_empty()
        };
        match cycle.noted::<Nearness>() {
            Some(nearness) if !nearness.worth.is_empty() && !ignores(nearness) => PreScored::Run,
            _ => PreScored::Skip,
        }
    }
}

impl Score for InterPodAffinity {
    fn score(&self, cycle: &Cycle<'_>, node: NodeIndex) -> i64 {
        let Some(nearness) = cycle.noted::<Nearness>() else { return 0 };
        nearness.worth.iter().map(|(_, slot)| nearness.tally.around(*slot, node)).sum()
    }

    fn as_normalize(&self) -> Option<&dyn Normalize> {
        Some(self)
    }
}

impl Normalize for InterPodAffinity {
    fn normalize(&self, _: &Cycle<'_>, scores: &mut [i64]) {
        let (most, least) = (scores.iter().max().copied(), scores.iter().min().copied());
        let (most, least) = (most.unwrap_or(0), least.unwrap_or(0));
        for score in scores {
            *score = match most - least {
                0 => 0,
                range => (100.0 * ((*score - least) as f64 / range as f64)) as i64,
            };
        }
    }
}

impl Classed for InterPodAffinity {
    fn key(&self, pod: &PodInfo, snapshot: &Snapshot, key: &mut ClassKey) -> bool {
        key.flag(pod.kind.wishes.is_some());
        if let Some(wishes) = &pod.kind.wishes {
            // Of its own terms it may match some, wherever their namespaces are.
            let own: Vec<_> =
                wishes.near.iter().map(|term| term.selector.matches(&pod.kind.labels)).collect();
            key.shown(&(wishes, own, &pod.kind.namespace));
        }
        let of_namespace = snapshot.namespace_labels(&pod.kind.namespace);
        for (id, wishes) in snapshot.wishes() {
            let theirs = matching(wishes, pod, of_namespace);
            if !theirs.is_empty() {
                // Which of the terms match tells pods apart that match others of them.
                key.number(id.number());
                key.shown(&(theirs.near, theirs.far, theirs.rather));
            }
        }
        true
    }

    fn as_domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }
}

impl Domains for InterPodAffinity {
    fn concerns(&self, cycle: &Cycle<'_>) -> bool {
        cycle.noted::<Nearness>().is_some()
    }

    fn follow(&self, cycle: &mut Cycle<'_>, node: NodeIndex) -> bool {
        let (pod, snapshot) = (cycle.pod, cycle.snapshot);
        cycle.noted_mut::<Nearness>().is_some_and(|nearness| nearness.follow(pod, snapshot, node))
    }

    fn read(&self, cycle: &Cycle<'_>, node: NodeIndex, place: &mut Vec<i64>) {
        if let Some(nearness) = cycle.noted::<Nearness>() {
            nearness.tally.read(node, place);
        }
    }
}
