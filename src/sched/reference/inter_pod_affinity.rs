//! InterPodAffinity: pods that want to be near to others, or far from them.
//!
//! The keys of labels that a pod shares with others (`matchLabelKeys`, `mismatchLabelKeys`) are no
//! matter here: the API server has made them part of the selectors.
//!
//! Source: `filtering.go`, `scoring.go` and `plugin.go` of
//! `pkg/scheduler/framework/plugins/interpodaffinity`, and `AffinityTerm` of
//! `k8s.io/kube-scheduler/framework/types.go` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Affinity, Namespace, Node, Pod, PodAffinityTerm, WeightedPodAffinityTerm};

use super::layout::Layout;
use super::settings::Settings;
use super::verdict::{Attempt, Before, Scores, Verdict};
use super::world::{Named, World, find};
use crate::api::selector::LabelSelector;

/// A term, read for the pod whose it is.
struct Term {
    namespaces: BTreeSet<String>,
    namespace_selector: LabelSelector,
    selector: LabelSelector,
    key: String,
}

impl Term {
    fn read(owner: &Pod, term: &PodAffinityTerm) -> Result<Self, String> {
        let selector = |selector| LabelSelector::from_k8s(selector).map_err(|error| error.to_string());
        let listed = term.namespaces.as_deref().unwrap_or_default();
        let own = listed.is_empty() && term.namespace_selector.is_none();
        let namespaces = if own { vec![owner.namespace().to_owned()] } else { listed.to_vec() };
        Ok(Self {
            namespaces: namespaces.into_iter().collect(),
            namespace_selector: selector(term.namespace_selector.as_ref())?,
            selector: selector(term.label_selector.as_ref())?,
            key: term.topology_key.clone(),
        })
    }

    /// Whether a pod matches. Namespaces are known by their labels where they are there; one that is
    /// not there has none.
    fn matches(&self, world: &World, pod: &Pod) -> bool {
        let namespace: Option<&Namespace> = find(&world.namespaces, pod.namespace());
        let labels = namespace.and_then(|namespace| namespace.metadata.labels.clone()).unwrap_or_default();
        (self.namespaces.contains(pod.namespace()) || self.namespace_selector.matches(&labels))
            && self.selector.matches(pod.metadata.labels.as_ref().unwrap_or(&BTreeMap::new()))
    }

    /// Whether a pod matches a term of the pod that is to be placed. Which namespaces a selector of
    /// namespaces means is found out once, of those that are there; after that it is asked of no labels
    /// at all. So the empty selector matches everywhere, and so does one that only wants a label to be
    /// absent.
    ///
    /// Source: `mergeAffinityTermNamespacesIfNotEmpty` of `plugin.go`, which keeps the selector.
    fn matches_existing(&self, world: &World, pod: &Pod) -> bool {
        let namespace: Option<&Namespace> = find(&world.namespaces, pod.namespace());
        let none = BTreeMap::new();
        let selected = namespace.is_some_and(|namespace| {
            self.namespace_selector.matches(namespace.metadata.labels.as_ref().unwrap_or(&none))
        });
        let named = self.namespaces.contains(pod.namespace());
        (named || selected || self.namespace_selector.matches(&none))
            && self.selector.matches(pod.metadata.labels.as_ref().unwrap_or(&none))
    }
}

/// What a pod says of others.
struct Wishes {
    near: Vec<Term>,
    far: Vec<Term>,
    rather_near: Vec<(Term, i64)>,
    rather_far: Vec<(Term, i64)>,
}

impl Wishes {
    /// What can be read, and what is wrong with the rest: a list with an unreadable term is empty.
    fn read(pod: &Pod) -> (Self, Vec<String>) {
        let mut errors = Vec::new();
        let near = affinity(pod).and_then(|affinity| affinity.pod_affinity.as_ref());
        let far = affinity(pod).and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut required = |terms: Option<&Vec<PodAffinityTerm>>, name: &str| {
            let read = terms.into_iter().flatten().map(|term| Term::read(pod, term));
            read.collect::<Result<Vec<_>, _>>().unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                Vec::new()
            })
        };
        let near_terms = required(
            near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref()),
            "requiredAffinityTerms",
        );
        let far_terms = required(
            far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref()),
            "requiredAntiAffinityTerms",
        );
        let mut preferred = |terms: Option<&Vec<WeightedPodAffinityTerm>>, name: &str| {
            let read = terms
                .into_iter()
                .flatten()
                .map(|term| Ok((Term::read(pod, &term.pod_affinity_term)?, i64::from(term.weight))));
            read.collect::<Result<Vec<_>, String>>().unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                Vec::new()
            })
        };
        let rather_near = preferred(
            near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref()),
            "preferredAffinityTerms",
        );
        let rather_far = preferred(
            far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref()),
            "preferredAntiAffinityTerms",
        );
        (Self { near: near_terms, far: far_terms, rather_near, rather_far }, errors)
    }

    fn of(pod: &Pod) -> Self {
        Self::read(pod).0
    }
}

fn affinity(pod: &Pod) -> Option<&Affinity> {
    pod.spec.as_ref()?.affinity.as_ref()
}

/// Domains, as labels of nodes, and how many pods, or of what weight, are in each.
type Domains = BTreeMap<(String, String), i64>;

fn count(domains: &mut Domains, node: &Node, key: &str, weight: i64) {
    if let Some(value) = node.label(key) {
        *domains.entry((key.to_owned(), value.to_owned())).or_insert(0) += weight;
    }
}

fn at(domains: &Domains, node: &Node, key: &str) -> i64 {
    let value = node.label(key).unwrap_or_default();
    domains.get(&(key.to_owned(), value.to_owned())).copied().unwrap_or(0)
}

/// The domains of pods that want to be far from this one.
fn shunning(world: &World, layout: &Layout<'_>, pod: &Pod) -> Domains {
    let mut domains = Domains::new();
    for (node, other) in layout.pods() {
        for term in Wishes::of(other).far {
            if term.matches(world, pod) {
                count(&mut domains, node, &term.key, 1);
            }
        }
    }
    domains
}

/// The domains of the pods that match all of some terms.
fn matching_all(world: &World, layout: &Layout<'_>, terms: &[Term]) -> Domains {
    let mut domains = Domains::new();
    for (node, other) in layout.pods() {
        if !terms.is_empty() && terms.iter().all(|term| term.matches_existing(world, other)) {
            for term in terms {
                count(&mut domains, node, &term.key, 1);
            }
        }
    }
    domains
}

/// The domains of the pods that match a term.
fn matching(world: &World, layout: &Layout<'_>, term: &Term) -> Domains {
    let mut domains = Domains::new();
    for (node, other) in layout.pods() {
        if term.matches_existing(world, other) {
            count(&mut domains, node, &term.key, 1);
        }
    }
    domains
}

/// Skipped where neither the pod wants anything nor anybody that is there wants to be far from it. Who
/// comes later is not asked.
pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    let (wishes, errors) = Wishes::read(attempt.pod);
    match &errors[..] {
        [] => {}
        [error] => return Before::for_good(format!("parsing pod: {error}")),
        errors => return Before::for_good(format!("parsing pod: [{}]", errors.join(", "))),
    }
    let shunned = !shunning(attempt.world, attempt.start, attempt.pod).is_empty();
    if wishes.near.is_empty() && wishes.far.is_empty() && !shunned { Before::Skip } else { Before::Run }
}

pub(super) fn filter(attempt: &Attempt<'_, '_>, layout: &Layout<'_>, node: &Node) -> Verdict {
    let (world, pod) = (attempt.world, attempt.pod);
    let wishes = Wishes::of(pod);
    if !is_near(world, layout, pod, node, &wishes.near) {
        return Verdict::for_good("node(s) didn't match pod affinity rules");
    }
    let crowded = |term: &Term| {
        // Pods that match any of the terms count, in the domains of its key.
        let same_key = wishes.far.iter().filter(|other| other.key == term.key);
        let total: i64 = same_key.map(|other| at(&matching(world, layout, other), node, &term.key)).sum();
        node.label(&term.key).is_some() && total > 0
    };
    if wishes.far.iter().any(crowded) {
        return Verdict::for_now("node(s) didn't match pod anti-affinity rules");
    }
    let shunned = shunning(world, layout, pod);
    let labels = node.metadata.labels.iter().flatten();
    let mut here = labels.map(|(key, value)| shunned.get(&(key.clone(), value.clone())));
    if here.any(|count| count.is_some_and(|count| *count > 0)) {
        return Verdict::for_now("node(s) didn't satisfy existing pods anti-affinity rules");
    }
    Verdict::Fit
}

/// Whether a node is in a domain of a pod that matches all terms, for each of them; or whether there is
/// no such pod anywhere and the pod matches its own terms: then it is the first of its kind.
///
/// Source: `satisfyPodAffinity` of `filtering.go`.
fn is_near(world: &World, layout: &Layout<'_>, pod: &Pod, node: &Node, terms: &[Term]) -> bool {
    if terms.iter().any(|term| node.label(&term.key).is_none()) {
        return false;
    }
    let domains = matching_all(world, layout, terms);
    if terms.iter().all(|term| at(&domains, node, &term.key) > 0) {
        return true;
    }
    domains.is_empty() && terms.iter().all(|term| term.matches_existing(world, pod))
}

/// What the domains of a node are worth, to the pod and to those that are there. The best node has
/// 100, the worst 0.
pub(super) fn score(attempt: &Attempt<'_, '_>, feasible: &[usize]) -> Option<Scores> {
    let Attempt { world, settings, pod, start } = *attempt;
    let wishes = Wishes::of(pod);
    let has_preferences = !wishes.rather_near.is_empty() || !wishes.rather_far.is_empty();
    if settings.ignore_preferred_terms_of_existing_pods && !has_preferences {
        return None;
    }
    let mut worth = Domains::new();
    for (node, other) in start.pods() {
        for (term, weight) in &wishes.rather_near {
            if term.matches_existing(world, other) {
                count(&mut worth, node, &term.key, *weight);
            }
        }
        for (term, weight) in &wishes.rather_far {
            if term.matches_existing(world, other) {
                count(&mut worth, node, &term.key, -*weight);
            }
        }
        worth_to(world, settings, node, other, pod, &mut worth);
    }
    if worth.is_empty() {
        return None;
    }
    let sum = |place: &usize| {
        let node = start.places[*place].node;
        let domains = worth.iter().filter(|((key, value), _)| node.label(key) == Some(value.as_str()));
        domains.map(|(_, weight)| *weight).sum::<i64>()
    };
    let raw: Vec<i64> = feasible.iter().map(sum).collect();
    let (most, least) = (raw.iter().max().copied(), raw.iter().min().copied());
    let (most, least) = (most.unwrap_or(0), least.unwrap_or(0));
    let normalise = |score: &i64| match most - least {
        0 => 0,
        range => (100.0 * ((score - least) as f64 / range as f64)) as i64,
    };
    Some(Scores { normalised: raw.iter().map(normalise).collect(), raw })
}

/// What a pod that is there gives for having another near: its preferences, and for each term that it
/// required when it was placed what the profile says.
fn worth_to(world: &World, settings: &Settings, node: &Node, other: &Pod, pod: &Pod, worth: &mut Domains) {
    let theirs = Wishes::of(other);
    let hard = i64::from(settings.hard_pod_affinity_weight);
    for term in theirs.near.iter().filter(|term| hard > 0 && term.matches(world, pod)) {
        count(worth, node, &term.key, hard);
    }
    for (term, weight) in theirs.rather_near.iter().filter(|(term, _)| term.matches(world, pod)) {
        count(worth, node, &term.key, *weight);
    }
    for (term, weight) in theirs.rather_far.iter().filter(|(term, _)| term.matches(world, pod)) {
        count(worth, node, &term.key, -*weight);
    }
}
