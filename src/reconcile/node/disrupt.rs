//! The condition that says why a pod was taken away by the control plane.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(super) fn condition(reason: &str, message: &str, now: Timestamp) -> PodCondition {
    PodCondition {
        type_: "DisruptionTarget".into(),
        status: "True".into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    }
}

/// The pod with this condition; none where it has one already that says the same.
pub(super) fn marked(pod: &Pod, condition: PodCondition) -> Option<Pod> {
    let mut pod = pod.clone();
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    match conditions.iter_mut().find(|old| old.type_ == condition.type_) {
        Some(old) if old.status == condition.status && old.reason == condition.reason => return None,
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
    Some(pod)
}
