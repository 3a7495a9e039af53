//! What a namespace says of its own deletion. Pure.
//!
//! Five conditions, each with the reason and message that Kubernetes 1.36 gives it
//! (`pkg/controller/namespace/deletion/status_condition_utils.go`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::NamespaceCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How far the deletion of a namespace's content has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Why discovery did not tell everything.
    pub(super) discovery: Vec<String>,
    /// Why content could not be deleted.
    pub(super) failures: Vec<String>,
    /// How many objects are left, by resource (`pods.`, `widgets.example.com`).
    pub(super) remaining: BTreeMap<String, usize>,
    /// How many objects a finalizer holds.
    pub(super) finalizers: BTreeMap<String, usize>,
}

/// Type, reason and message where it holds, reason and message where it does not.
type Condition = (&'static str, Option<(&'static str, String)>, &'static str, &'static str);

impl Progress {
    /// Nothing is left, as far as can be told.
    pub(super) fn is_done(&self) -> bool {
        self.discovery.is_empty() && self.failures.is_empty() && self.remaining.is_empty()
    }

    fn conditions(&self) -> [Condition; 5] {
        let some = |is: bool, reason, message: String| is.then_some((reason, message));
        let list = |counts: &BTreeMap<String, usize>, verb: &str| {
            let items: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{name} {verb} {count} resource instances"))
                .collect();
            items.join(", ")
        };
        [
            (
                "NamespaceDeletionDiscoveryFailure",
                some(
                    !self.discovery.is_empty(),
                    "DiscoveryFailed",
                    format!(
                        "Discovery failed for some groups, {} failing: {}",
                        self.discovery.len(),
                        self.discovery.join(", ")
                    ),
                ),
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                None,
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                some(
                    !self.failures.is_empty(),
                    "ContentDeletionFailed",
                    format!(
                        "Failed to delete all resource types, {} remaining: {}",
                        self.failures.len(),
                        self.failures.join(", ")
                    ),
                ),
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            (
                "NamespaceContentRemaining",
                some(
                    !self.remaining.is_empty(),
                    "SomeResourcesRemain",
                    format!("Some resources are remaining: {}", list(&self.remaining, "has")),
                ),
                "ContentRemoved",
                "All content successfully removed",
            ),
            (
                "NamespaceFinalizersRemaining",
                some(
                    !self.finalizers.is_empty(),
                    "SomeFinalizersRemain",
                    format!(
                        "Some content in the namespace has finalizers remaining: {}",
                        list(&self.finalizers, "in")
                    ),
                ),
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
        ]
    }
}

/// The conditions of a namespace whose deletion has come so far.
pub(super) fn conditions(
    old: &[NamespaceCondition],
    progress: &Progress,
    now: Timestamp,
) -> Vec<NamespaceCondition> {
    let mut conditions = old.to_vec();
    for (kind, wrong, fine_reason, fine_message) in progress.conditions() {
        let status = if wrong.is_some() { "True" } else { "False" };
        let (reason, message) = wrong.unwrap_or_else(|| (fine_reason, fine_message.to_owned()));
        let mut condition = NamespaceCondition {
            type_: kind.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        };
        match conditions.iter_mut().find(|old| old.type_ == kind) {
            Some(old) => {
                if old.status == condition.status {
                    condition.last_transition_time.clone_from(&old.last_transition_time);
                }
                *old = condition;
            }
            None => conditions.push(condition),
        }
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_says_what_is_left_of_it() {
        let start = "2020-01-01T00:00:00Z".parse().unwrap();
        let later = "2020-01-01T00:01:00Z".parse().unwrap();
        let progress = Progress {
            remaining: BTreeMap::from([("pods.".to_owned(), 2), ("widgets.example.com".to_owned(), 1)]),
            finalizers: BTreeMap::from([("example.com/hold".to_owned(), 1)]),
            ..Progress::default()
        };
        let said = conditions(&[], &progress, start);
        let message = |kind: &str| {
            let condition = said.iter().find(|condition| condition.type_ == kind).unwrap();
            (condition.status.as_str(), condition.message.clone().unwrap())
        };
        assert_eq!(
            message("NamespaceContentRemaining"),
            (
                "True",
                "Some resources are remaining: pods. has 2 resource instances, \
                 widgets.example.com has 1 resource instances"
                    .to_owned()
            )
        );
        assert_eq!(
            message("NamespaceFinalizersRemaining").1,
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        );
        assert_eq!(message("NamespaceDeletionContentFailure").0, "False");
        let done = conditions(&said, &Progress::default(), later);
        let times: Vec<bool> =
            done.iter().map(|condition| condition.last_transition_time == Some(Time(later))).collect();
        assert_eq!(times, [false, false, false, true, true], "only what changed has a new time");
    }
}
