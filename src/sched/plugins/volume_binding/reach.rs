//! The nodes that a volume can be used on.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, TopologySelectorTerm,
};

use crate::api::selector::{LabelSelector, Operator, Requirement};

/// Alternatives of labels; none at all stands for every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach(Option<Vec<LabelSelector>>);

impl Reach {
    /// Where a volume can be used: nodes are known by their labels alone, and not by their name.
    ///
    /// Source: `CheckNodeAffinity` of `k8s.io/component-helpers/storage/volume/helpers.go` (1.36).
    pub(super) fn of(volume: &PersistentVolume) -> Self {
        let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
        Self::required(affinity.and_then(|affinity| affinity.required.as_ref()))
    }

    /// Where an affinity allows. A term that is empty, or that cannot be read, allows nothing.
    pub(super) fn required(selector: Option<&NodeSelector>) -> Self {
        Self(selector.map(|selector| selector.node_selector_terms.iter().filter_map(term).collect()))
    }

    /// Where a class makes volumes: everywhere, unless it has terms.
    ///
    /// Source: `MatchTopologySelectorTerms` of `pkg/apis/core/v1/helper/helpers.go` (1.36).
    pub(super) fn allowed(terms: &[TopologySelectorTerm]) -> Self {
        let read = |term: &TopologySelectorTerm| {
            let list = term.match_label_expressions.as_deref().filter(|list| !list.is_empty())?;
            let one = list.iter().map(|one| Requirement::new(&one.key, "In", &one.values).ok());
            Some(LabelSelector { requirements: one.collect::<Option<_>>()? })
        };
        Self((!terms.is_empty()).then(|| terms.iter().filter_map(read).collect()))
    }

    /// Where one of these selectors matches.
    pub(super) fn any(selectors: Vec<LabelSelector>) -> Self {
        Self(Some(selectors))
    }

    /// Every node.
    pub(super) fn everywhere() -> Self {
        Self(None)
    }

    pub(super) fn is_everywhere(&self) -> bool {
        self.0.is_none()
    }

    /// A label, and the values of which every node that is reached has one, if that is so.
    pub(super) fn pinned(&self) -> Option<(&str, &[String])> {
        let [only] = &self.0.as_ref()?[..] else { return None };
        only.requirements.iter().find_map(|one| match &one.operator {
            Operator::In(values) => Some((one.key.as_str(), &values[..])),
            _ => None,
        })
    }

    /// How many alternatives there are.
    pub(super) fn alternatives(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }

    /// Whether a node with these labels is reached.
    pub(super) fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.as_ref().is_none_or(|alternatives| alternatives.iter().any(|one| one.matches(labels)))
    }
}

/// A term, as far as it is about labels.
fn term(term: &NodeSelectorTerm) -> Option<LabelSelector> {
    let none: &[NodeSelectorRequirement] = &[];
    let labels = term.match_expressions.as_deref().unwrap_or(none);
    let fields = term.match_fields.as_deref().unwrap_or(none);
    let readable = |field: &NodeSelectorRequirement| {
        matches!(field.operator.as_str(), "In" | "NotIn") && field.values.iter().flatten().count() == 1
    };
    if labels.is_empty() && fields.is_empty() || !fields.iter().all(readable) {
        return None;
    }
    let read = |one: &NodeSelectorRequirement| {
        Requirement::new(&one.key, &one.operator, one.values.as_deref().unwrap_or_default()).ok()
    };
    Some(LabelSelector { requirements: labels.iter().map(read).collect::<Option<_>>()? })
}
