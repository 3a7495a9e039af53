//! What a ReplicaSet should do, and what it should say of itself. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::super::{claims, pods};
use super::rank;

/// The most pods that one run makes or deletes.
const BURST: usize = 500;

/// A ReplicaSet and its pods, at one moment.
pub(super) struct Observed<'a> {
    pub(super) set: &'a ReplicaSet,
    /// Its own pods that count as replicas.
    pub(super) active: &'a [Arc<Pod>],
    /// How many of its own pods are on their way out.
    pub(super) terminating: usize,
    /// The pods of this set and of the sets that have the same controller.
    pub(super) related: &'a [Arc<Pod>],
    pub(super) now: Timestamp,
}

/// What should be done.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// So many pods are missing.
    Create(usize),
    /// These are too many.
    Delete(Vec<Arc<Pod>>),
}

/// How a run ended that should have made or deleted pods.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) message: String,
}

pub(super) fn desired(set: &ReplicaSet) -> usize {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    usize::try_from(replicas).unwrap_or(0)
}

fn min_ready_seconds(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
}

/// What brings the set nearer to its size.
pub(super) fn step(observed: &Observed<'_>) -> Step {
    if observed.set.metadata.deletion_timestamp.is_some() {
        return Step::Rest;
    }
    let (desired, active) = (desired(observed.set), observed.active.len());
    if active < desired {
        Step::Create((desired - active).min(BURST))
    } else if active > desired {
        let count = (active - desired).min(BURST);
        Step::Delete(rank::to_delete(observed.active, observed.related, count, observed.now))
    } else {
        Step::Rest
    }
}

/// The set's status.
pub(super) fn status(observed: &Observed<'_>, failure: Option<&Failure>) -> ReplicaSetStatus {
    let Observed { set, active, terminating, now, .. } = observed;
    let old = set.status.clone().unwrap_or_default();
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let template_labels =
        template.and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    let fully_labeled = |pod: &&Arc<Pod>| {
        let labels = pod.metadata.labels.as_ref();
        template_labels.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    };
    let available = |pod: &&Arc<Pod>| pods::is_available(pod, min_ready_seconds(set), *now);
    let mut conditions = old.conditions.unwrap_or_default();
    let failed = conditions.iter().any(|condition| condition.type_ == "ReplicaFailure");
    match failure {
        Some(failure) if !failed => conditions.push(ReplicaSetCondition {
            type_: "ReplicaFailure".into(),
            status: "True".into(),
            reason: Some(if active.len() < desired(set) { "FailedCreate" } else { "FailedDelete" }.into()),
            message: Some(failure.message.clone()),
            last_transition_time: Some(Time(*now)),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.type_ != "ReplicaFailure"),
    }
    ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: nonzero(active.iter().filter(fully_labeled).count()),
        ready_replicas: nonzero(active.iter().filter(|pod| pods::is_ready(pod)).count()),
        available_replicas: nonzero(active.iter().filter(available).count()),
        terminating_replicas: Some(count(*terminating)),
        observed_generation: set.metadata.generation,
        conditions: Some(conditions).filter(|conditions| !conditions.is_empty()),
    }
}

/// When a pod that is ready becomes available, at the earliest.
pub(super) fn next_look(observed: &Observed<'_>) -> Option<std::time::Duration> {
    let seconds = min_ready_seconds(observed.set);
    let ready = observed.active.iter().filter(|pod| seconds > 0 && pods::is_ready(pod));
    ready
        .filter_map(|pod| pods::available_in(pod, seconds, observed.now))
        .filter(|left| !left.is_zero())
        .min()
}

/// A pod as the set's template has it.
pub(super) fn pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let PodTemplateSpec { metadata, spec } = template;
    let metadata = metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.metadata.name.as_deref().unwrap_or_default())),
            namespace: set.metadata.namespace.clone(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![claims::controller_ref(set)]),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Go leaves zeros out.
fn nonzero(number: usize) -> Option<i32> {
    Some(count(number)).filter(|count| *count != 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(replicas: i32, min_ready_seconds: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "1", "generation": 3},
            "spec": {"replicas": replicas, "minReadySeconds": min_ready_seconds,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web", "tier": "front"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}},
        }))
        .unwrap()
    }

    fn pod_ready_since(name: &str, ready: Option<&str>) -> Arc<Pod> {
        let status = if ready.is_some() { "True" } else { "False" };
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "uid": name, "labels": {"app": "web"}},
                "spec": {"containers": [], "nodeName": "n"},
                "status": {"phase": "Running", "conditions": [
                    {"type": "Ready", "status": status, "lastTransitionTime": ready}]},
            }))
            .unwrap(),
        )
    }

    fn observe<'a>(set: &'a ReplicaSet, active: &'a [Arc<Pod>]) -> Observed<'a> {
        let now = "2020-01-01T00:01:00Z".parse().unwrap();
        Observed { set, active, terminating: 0, related: active, now }
    }

    #[test]
    fn the_set_grows_and_shrinks_to_its_size() {
        let pods: Vec<_> = ["a", "b", "c"].map(|name| pod_ready_since(name, None)).into();
        assert_eq!(step(&observe(&set(5, 0), &pods)), Step::Create(2));
        assert_eq!(step(&observe(&set(3, 0), &pods)), Step::Rest);
        let Step::Delete(extra) = step(&observe(&set(1, 0), &pods)) else { panic!() };
        assert_eq!(extra.len(), 2);
        assert_eq!(step(&observe(&set(100_000, 0), &pods)), Step::Create(500));
        let mut leaving = set(5, 0);
        leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(step(&observe(&leaving, &pods)), Step::Rest);
    }

    #[test]
    fn a_ready_pod_is_available_after_min_ready_seconds() {
        let pods = [
            pod_ready_since("a", Some("2020-01-01T00:00:10Z")),
            pod_ready_since("b", Some("2020-01-01T00:00:45Z")),
            pod_ready_since("c", None),
        ];
        let set = set(3, 30);
        let observed = observe(&set, &pods);
        let status = status(&observed, None);
        assert_eq!(
            (status.replicas, status.ready_replicas, status.available_replicas),
            (3, Some(2), Some(1))
        );
        assert_eq!(status.fully_labeled_replicas, None, "the template's second label is missing");
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(next_look(&observed), Some(std::time::Duration::from_secs(15)));
    }

    #[test]
    fn a_failure_is_a_condition_until_it_is_over() {
        let mut set = set(2, 0);
        let failure = Failure { message: "quota".into() };
        let failed = status(&observe(&set, &[]), Some(&failure));
        let condition = &failed.conditions.as_ref().unwrap()[0];
        assert_eq!(
            (condition.type_.as_str(), condition.reason.as_deref()),
            ("ReplicaFailure", Some("FailedCreate"))
        );
        set.status = Some(failed);
        assert_eq!(status(&observe(&set, &[]), None).conditions, None);
    }

    #[test]
    fn a_pod_is_made_from_the_template_and_owned() {
        let pod = pod(&set(1, 0));
        assert_eq!(pod.metadata.generate_name.as_deref(), Some("web-"));
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["tier"], "front");
        let owner = &pod.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("ReplicaSet", "1", Some(true))
        );
    }
}
