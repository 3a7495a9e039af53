//! The annotations by which a Deployment's ReplicaSets remember: their revision, those that they
//! had before, and how large the Deployment was when they were last scaled.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::rolling::Fences;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// How long the history may be.
const HISTORY_LENGTH: usize = 2000;

/// Annotations of a Deployment that its ReplicaSets do not take over.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The revision of a set; 0 where it has none.
pub(super) fn of(set: &ReplicaSet) -> i64 {
    annotation(set, REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The revision behind the last one of these sets.
pub(super) fn next<'a>(sets: impl Iterator<Item = &'a ReplicaSet>) -> i64 {
    sets.map(of).max().unwrap_or(0) + 1
}

/// The size of the Deployment when the set was last scaled.
pub(super) fn desired(set: &ReplicaSet) -> Option<i32> {
    number(set, DESIRED)
}

/// The most pods that the Deployment could have when the set was last scaled.
pub(super) fn max(set: &ReplicaSet) -> Option<i32> {
    number(set, MAX)
}

fn number(set: &ReplicaSet, key: &str) -> Option<i32> {
    annotation(set, key)?.parse().ok().filter(|number| *number >= 0)
}

fn annotation<'a>(set: &'a ReplicaSet, key: &str) -> Option<&'a String> {
    set.metadata.annotations.as_ref()?.get(key)
}

/// Brings the new set's annotations to what the Deployment has and to revision `next`, if that is
/// later than its own: then the set is used again, and remembers the revision that it had.
/// Whether anything changed.
pub(super) fn annotate(set: &mut ReplicaSet, deployment: &Deployment, next: i64) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let before = annotations.clone();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let own = annotations.get(REVISION).cloned();
    // A revision that is no number was set by hand: leave it.
    let own_number = own.as_deref().map_or(Ok(0), str::parse::<i64>);
    if own_number.is_ok_and(|own| own < next) {
        annotations.insert(REVISION.into(), next.to_string());
        if let Some(own) = own {
            remember(annotations, &own);
        }
    }
    *annotations != before
}

fn remember(annotations: &mut BTreeMap<String, String>, revision: &str) {
    let history = annotations.get(HISTORY).cloned().unwrap_or_default();
    let mut revisions: Vec<&str> = history.split(',').filter(|revision| !revision.is_empty()).collect();
    revisions.push(revision);
    while revisions.len() > 1
        && revisions.iter().map(|revision| revision.len() + 1).sum::<usize>() > HISTORY_LENGTH
    {
        revisions.remove(0);
    }
    annotations.insert(HISTORY.into(), revisions.join(","));
}

/// Notes the Deployment's size. Whether that changed anything.
pub(super) fn note_size(set: &mut ReplicaSet, fences: Fences) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let mut note = |key: &str, number: i32| {
        annotations.insert(key.into(), number.to_string()) != Some(number.to_string())
    };
    let desired = note(DESIRED, fences.replicas);
    let max = note(MAX, fences.max_total());
    desired || max
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(annotations: serde_json::Value) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"name": "s", "annotations": annotations}})).unwrap()
    }

    #[test]
    fn a_set_that_is_used_again_remembers_its_revisions() {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"annotations": {"kubernetes.io/change-cause": "undo", REVISION: "7"}}}))
        .unwrap();
        let mut set = annotated(json!({REVISION: "2"}));
        assert!(annotate(&mut set, &deployment, 4));
        assert!(annotate(&mut set, &deployment, 6));
        let annotations = set.metadata.annotations.clone().unwrap();
        assert_eq!((annotations[REVISION].as_str(), annotations[HISTORY].as_str()), ("6", "2,4"));
        assert_eq!(annotations["kubernetes.io/change-cause"], "undo");
        assert!(!annotate(&mut set, &deployment, 5), "a revision never falls");
    }

    #[test]
    fn a_long_history_forgets_its_beginning() {
        let long: Vec<String> = (1000..1500).map(|number| number.to_string()).collect();
        let mut set = annotated(json!({REVISION: "1500", HISTORY: long.join(",")}));
        annotate(&mut set, &Deployment::default(), 1501);
        let history = annotation(&set, HISTORY).unwrap();
        assert!(history.len() <= HISTORY_LENGTH && history.ends_with(",1500"), "{history}");
    }
}
