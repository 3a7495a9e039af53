//! Terms that select nodes, by their labels and their name.
//!
//! Source: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PreferredSchedulingTerm,
};

use super::world::Named;
use crate::api::selector::Requirement;

/// Whether one of the terms matches a node. A term that is empty, or that cannot be read, matches none.
pub(super) fn selects(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| matches(term, node) == Some(true))
}

/// What cannot be read of a selector. Empty terms are not looked at.
pub(super) fn error_in(selector: &NodeSelector) -> Option<String> {
    selector
        .node_selector_terms
        .iter()
        .filter(|term| !is_empty(term))
        .find_map(|term| requirements(term).err())
}

/// Whether a pod may be on a node, for all that its selector and its required affinity say.
pub(super) fn admits(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let pairs = spec.node_selector.iter().flatten();
    let mut labels = pairs.map(|(key, value)| node.label(key) == Some(value.as_str()));
    labels.all(|equal| equal) && required(pod).is_none_or(|selector| selects(selector, node))
}

/// A pod's required node affinity.
pub(super) fn required(pod: &Pod) -> Option<&NodeSelector> {
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    affinity.required_during_scheduling_ignored_during_execution.as_ref()
}

/// The weights of the terms that match a node, added up.
pub(super) fn preference(terms: &[PreferredSchedulingTerm], node: &Node) -> i64 {
    let matching = terms.iter().filter(|term| matches(&term.preference, node) == Some(true));
    matching.map(|term| i64::from(term.weight)).sum()
}

/// What cannot be read of preferred terms. Terms that weigh nothing are not looked at.
pub(super) fn error_in_preferred(terms: &[PreferredSchedulingTerm]) -> Option<String> {
    terms
        .iter()
        .filter(|term| term.weight != 0 && !is_empty(&term.preference))
        .find_map(|term| requirements(&term.preference).err())
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.as_ref().is_none_or(Vec::is_empty)
        && term.match_fields.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a term matches a node; nothing where it cannot be read.
fn matches(term: &NodeSelectorTerm, node: &Node) -> Option<bool> {
    if is_empty(term) {
        return Some(false);
    }
    let (labels, fields) = requirements(term).ok()?;
    let own = node.meta().labels.clone().unwrap_or_default();
    let by_label = labels.iter().all(|requirement| requirement.matches(&own));
    // A node without a name, such as stands for the labels of one alone, has no fields to match.
    let name = BTreeMap::from([("metadata.name", node.name())]);
    let by_field = node.name().is_empty()
        || fields.iter().all(|field| {
            let value = name.get(field.key.as_str()).copied().unwrap_or_default();
            (value == field.value) == field.equal
        });
    Some(by_label && by_field)
}

struct Field {
    key: String,
    value: String,
    equal: bool,
}

fn requirements(term: &NodeSelectorTerm) -> Result<(Vec<Requirement>, Vec<Field>), String> {
    let label = |one: &NodeSelectorRequirement| {
        Requirement::new(&one.key, &one.operator, one.values.as_deref().unwrap_or_default())
            .map_err(|error| error.to_string())
    };
    let field = |one: &NodeSelectorRequirement| {
        let values = one.values.as_deref().unwrap_or_default();
        match (one.operator.as_str(), values) {
            ("In" | "NotIn", [value]) => {
                Ok(Field { key: one.key.clone(), value: value.clone(), equal: one.operator == "In" })
            }
            ("In" | "NotIn", _) => Err("must have one element".to_owned()),
            (other, _) => Err(format!("Unsupported value: {other:?}: supported values: \"In\", \"NotIn\"")),
        }
    };
    Ok((
        term.match_expressions.iter().flatten().map(label).collect::<Result<_, _>>()?,
        term.match_fields.iter().flatten().map(field).collect::<Result<_, _>>()?,
    ))
}
