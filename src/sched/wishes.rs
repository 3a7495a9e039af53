//! What a pod says of other pods: whom it wants near, and whom far.
//!
//! Keys of labels that a pod shares with others (`matchLabelKeys`, `mismatchLabelKeys`) are no matter here: the
//! API server has made them part of the selectors.
//!
//! Source: `AffinityTerm` of `k8s.io/kube-scheduler/framework/types.go` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};

use crate::api::selector::LabelSelector;

/// A term, read for the pod whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) namespaces: BTreeSet<String>,
    pub(super) namespace_selector: LabelSelector,
    pub(super) selector: LabelSelector,
    /// The label that makes the domains.
    pub(super) key: String,
}

/// All terms of a pod. A list with a term that cannot be read is empty, and `errors` says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wishes {
    pub(super) near: Vec<Term>,
    pub(super) far: Vec<Term>,
    pub(super) rather_near: Vec<(Term, i64)>,
    pub(super) rather_far: Vec<(Term, i64)>,
    pub(super) errors: Vec<String>,
}

impl Term {
    fn read(owner: &str, term: &PodAffinityTerm) -> Result<Self, String> {
        let selector = |selector| LabelSelector::from_k8s(selector).map_err(|error| error.to_string());
        let listed = term.namespaces.as_deref().unwrap_or_default();
        let own = listed.is_empty() && term.namespace_selector.is_none();
        let namespaces = if own { vec![owner.to_owned()] } else { listed.to_vec() };
        Ok(Self {
            namespaces: namespaces.into_iter().collect(),
            namespace_selector: selector(term.namespace_selector.as_ref())?,
            selector: selector(term.label_selector.as_ref())?,
            key: term.topology_key.clone(),
        })
    }

    /// Whether a pod of this namespace, whose labels are given too, matches.
    pub(super) fn matches(&self, namespace: &str, of_namespace: &Labels, labels: &Labels) -> bool {
        (self.namespaces.contains(namespace) || self.namespace_selector.matches(of_namespace))
            && self.selector.matches(labels)
    }

    /// Names the namespaces that the term's selector means among those that there are. After that the selector is
    /// asked of no labels at all: the empty one matches everywhere still, and so does one that only wants a label
    /// to be absent.
    ///
    /// Source: `mergeAffinityTermNamespacesIfNotEmpty` of `interpodaffinity/plugin.go` (1.36), which keeps the
    /// selector.
    pub(super) fn resolve<'a>(&mut self, namespaces: impl Iterator<Item = (&'a String, &'a Labels)>) {
        if !self.namespace_selector.is_empty() {
            let meant = namespaces.filter(|(_, labels)| self.namespace_selector.matches(labels));
            self.namespaces.extend(meant.map(|(name, _)| name.clone()));
        }
    }
}

/// Labels.
pub(super) type Labels = BTreeMap<String, String>;

impl Wishes {
    /// What a pod says; nothing where it says nothing.
    pub(super) fn read(pod: &Pod) -> Option<Self> {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?;
        if affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none() {
            return None;
        }
        let owner = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut wishes = Self::default();
        let mut errors = Vec::new();
        let mut required = |terms: Option<&Vec<PodAffinityTerm>>, name: &str| {
            let read = terms.into_iter().flatten().map(|term| Term::read(owner, term));
            read.collect::<Result<Vec<_>, _>>().unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                Vec::new()
            })
        };
        let (near, far) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
        wishes.near = required(
            near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref()),
            "requiredAffinityTerms",
        );
        wishes.far = required(
            far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref()),
            "requiredAntiAffinityTerms",
        );
        let mut preferred = |terms: Option<&Vec<WeightedPodAffinityTerm>>, name: &str| {
            let read = terms
                .into_iter()
                .flatten()
                .map(|term| Ok((Term::read(owner, &term.pod_affinity_term)?, i64::from(term.weight))));
            read.collect::<Result<Vec<_>, String>>().unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                Vec::new()
            })
        };
        wishes.rather_near = preferred(
            near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref()),
            "preferredAffinityTerms",
        );
        wishes.rather_far = preferred(
            far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref()),
            "preferredAntiAffinityTerms",
        );
        wishes.errors = errors;
        Some(wishes)
    }
}
