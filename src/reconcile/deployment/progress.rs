//! How a Deployment tells of its rollout: under way, done, or stuck. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions;
use super::decide::{Rollout, is_complete, progress_deadline};

impl Rollout {
    pub(super) fn set_progress(&mut self, new: Option<usize>) {
        let Some(deadline) = progress_deadline(&self.deployment) else {
            conditions::remove(self.status(), conditions::PROGRESSING);
            return self.set_failure(new);
        };
        let (fences, now) = (self.fences, self.now);
        let subject = match new {
            Some(at) => {
                format!("ReplicaSet {:?}", self.sets[at].metadata.name.as_deref().unwrap_or_default())
            }
            None => format!("Deployment {:?}", self.name()),
        };
        let before = self.before.status.clone().unwrap_or_default();
        let status = self.status().clone();
        let make = |value, reason, what: &str| {
            conditions::new(conditions::PROGRESSING, value, reason, format!("{subject} {what}"), now)
        };
        // A rollout that is over and whose pods come and go is no rollout.
        let over = status.replicas == status.updated_replicas
            && conditions::reason(&before, conditions::PROGRESSING) == conditions::NEW_SET_AVAILABLE;
        if over {
        } else if is_complete(&self.deployment, &status, fences) {
            let done = make("True", conditions::NEW_SET_AVAILABLE, "has successfully progressed.");
            conditions::set(self.status(), done);
        } else if has_progressed(&before, &status) {
            let moved = make("True", conditions::SET_UPDATED, "is progressing.");
            conditions::refresh(self.status(), moved);
        } else if has_timed_out(&status, deadline, now) {
            let stuck = make("False", conditions::DEADLINE_EXCEEDED, "has timed out progressing.");
            conditions::set(self.status(), stuck);
        }
        self.set_failure(new);
    }

    /// What a set failed with is told of the Deployment: of the new set first.
    fn set_failure(&mut self, new: Option<usize>) {
        let order = new.into_iter().chain(self.old(new));
        let failure = order
            .flat_map(|at| self.sets[at].status.iter())
            .flat_map(|status| status.conditions.iter().flatten())
            .find(|condition| condition.type_ == conditions::REPLICA_FAILURE)
            .cloned();
        let now = self.now;
        let status = self.status();
        match failure {
            None => conditions::remove(status, conditions::REPLICA_FAILURE),
            Some(failure) => {
                let mut told = conditions::new(
                    conditions::REPLICA_FAILURE,
                    &failure.status,
                    failure.reason.as_deref().unwrap_or_default(),
                    failure.message.unwrap_or_default(),
                    now,
                );
                told.last_transition_time.clone_from(&failure.last_transition_time);
                told.last_update_time = failure.last_transition_time;
                conditions::set(status, told);
            }
        }
    }

    /// When a rollout that stands still will have stood still for too long. A second later, so that
    /// the deadline has surely passed.
    pub(super) fn look_again(&self) -> Option<Duration> {
        let deadline = progress_deadline(&self.deployment)?;
        let status = self.deployment.status.as_ref()?;
        let condition = conditions::get(status, conditions::PROGRESSING)?;
        let reason = condition.reason.as_deref()?;
        if is_complete(&self.deployment, status, self.fences)
            || self.deployment.spec.as_ref().is_some_and(|spec| spec.paused == Some(true))
            || matches!(reason, conditions::DEADLINE_EXCEEDED | conditions::NEW_SET_AVAILABLE)
        {
            return None;
        }
        let since = condition.last_update_time.as_ref()?.0;
        let left = jiff::SignedDuration::from_secs(i64::from(deadline)) - self.now.duration_since(since);
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO) + Duration::from_secs(1))
    }
}

/// More new pods, fewer old ones, more that are ready or available.
fn has_progressed(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let updated = |status: &DeploymentStatus| status.updated_replicas.unwrap_or(0);
    let old = |status: &DeploymentStatus| status.replicas.unwrap_or(0) - updated(status);
    updated(now) > updated(before)
        || old(now) < old(before)
        || now.ready_replicas.unwrap_or(0) > before.ready_replicas.unwrap_or(0)
        || now.available_replicas.unwrap_or(0) > before.available_replicas.unwrap_or(0)
}

fn has_timed_out(status: &DeploymentStatus, deadline: i32, now: Timestamp) -> bool {
    let Some(condition) = conditions::get(status, conditions::PROGRESSING) else { return false };
    match condition.reason.as_deref() {
        Some(conditions::NEW_SET_AVAILABLE) => false,
        Some(conditions::DEADLINE_EXCEEDED) => true,
        _ => condition.last_update_time.as_ref().is_some_and(|Time(since)| {
            now.duration_since(*since) > jiff::SignedDuration::from_secs(i64::from(deadline))
        }),
    }
}
