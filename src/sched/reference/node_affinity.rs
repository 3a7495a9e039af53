//! NodeAffinity: the nodes that a pod's selector and affinity allow, and those that it prefers.
//!
//! Source: `pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go` (1.36).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, NodeSelectorTerm, Pod, PreferredSchedulingTerm};

use super::node_terms::{admits, error_in_preferred, preference, required, selects};
use super::settings::Settings;
use super::verdict::{Before, Scores, Verdict};

/// Where every term of the required affinity names nodes, no others come into question.
pub(super) fn before(pod: &Pod, settings: &Settings) -> Before {
    let affinity = required(pod);
    let added = added_required(settings).is_some();
    let selector = pod.spec.as_ref().is_some_and(|spec| spec.node_selector.is_some());
    let Some(affinity) = affinity else {
        return if added || selector { Before::Run } else { Before::Skip };
    };
    if affinity.node_selector_terms.is_empty() {
        return Before::Run;
    }
    let mut names = BTreeSet::new();
    for term in &affinity.node_selector_terms {
        match named(term) {
            None => return Before::Run,
            Some(own) => names.extend(own),
        }
    }
    if names.is_empty() {
        return Before::for_good("pod affinity terms conflict");
    }
    Before::Only(names)
}

/// The nodes that a term names, if it names any: what all its lists of names have in common.
fn named(term: &NodeSelectorTerm) -> Option<BTreeSet<String>> {
    let lists = term
        .match_fields
        .iter()
        .flatten()
        .filter(|field| field.key == "metadata.name" && field.operator == "In")
        .map(|field| field.values.iter().flatten().cloned().collect::<BTreeSet<_>>());
    lists.reduce(|common, list| common.intersection(&list).cloned().collect())
}

pub(super) fn filter(pod: &Pod, node: &Node, settings: &Settings) -> Verdict {
    if added_required(settings).is_some_and(|selector| !selects(selector, node)) {
        return Verdict::for_good("node(s) didn't match scheduler-enforced node affinity");
    }
    if !admits(pod, node) {
        return Verdict::for_good("node(s) didn't match Pod's node affinity/selector");
    }
    Verdict::Fit
}

/// The weights of the preferred terms that match, added up; the highest sum is the best.
///
/// # Errors
///
/// When a preferred term of the pod cannot be read.
pub(super) fn score(pod: &Pod, nodes: &[&Node], settings: &Settings) -> Result<Option<Scores>, String> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    let own = affinity.and_then(|own| own.preferred_during_scheduling_ignored_during_execution.as_deref());
    let added: &[PreferredSchedulingTerm] = settings
        .added_affinity
        .as_ref()
        .and_then(|added| added.preferred_during_scheduling_ignored_during_execution.as_deref())
        .unwrap_or_default();
    if let Some(error) = own.and_then(error_in_preferred) {
        return Err(error);
    }
    if own.is_none() && added.is_empty() {
        return Ok(None);
    }
    let sum = |node: &&Node| preference(own.unwrap_or_default(), node) + preference(added, node);
    Ok(Some(Scores::proportional(nodes.iter().map(sum).collect(), false)))
}

fn added_required(settings: &Settings) -> Option<&k8s_openapi::api::core::v1::NodeSelector> {
    settings.added_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
}
