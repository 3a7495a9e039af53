//! Conditions: what holds of an object, and since when.
//!
//! Every kind has its own struct for one; they differ in what they note besides type, status and the
//! time of the last transition. That time moves only when the status does, so that it says how long
//! a condition has held.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, ReplicaSetCondition};
use k8s_openapi::api::core::v1::{NamespaceCondition, NodeCondition, PodCondition};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What the kinds' conditions have in common.
pub trait ConditionLike {
    /// What it is about, such as `Ready`.
    fn kind(&self) -> &str;
    /// `True`, `False` or `Unknown`.
    fn status(&self) -> &str;
    /// Since when the status holds.
    fn since(&self) -> Option<Timestamp>;
    /// Sets since when the status holds.
    fn set_since(&mut self, time: Timestamp);
    /// Whether both say the same, but for times at which nothing changed.
    fn says_the_same(&self, other: &Self) -> bool;
}

/// The condition of this type.
#[must_use]
pub fn get<'a, C: ConditionLike>(conditions: Option<&'a Vec<C>>, kind: &str) -> Option<&'a C> {
    conditions?.iter().find(|condition| condition.kind() == kind)
}

/// Whether the condition of this type is there and `True`.
#[must_use]
pub fn is_true<C: ConditionLike>(conditions: Option<&Vec<C>>, kind: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| condition.status() == "True")
}

/// Puts a condition in the place of the one of its type. The time of its last transition is the old
/// one's while the status stays, else `now`.
///
/// Returns whether anything changed but times.
pub fn set<C: ConditionLike>(conditions: &mut Option<Vec<C>>, mut condition: C, now: Timestamp) -> bool {
    let conditions = conditions.get_or_insert_default();
    let Some(old) = conditions.iter_mut().find(|old| old.kind() == condition.kind()) else {
        condition.set_since(now);
        conditions.push(condition);
        return true;
    };
    let since = old.since().filter(|_| old.status() == condition.status());
    condition.set_since(since.unwrap_or(now));
    let changed = !old.says_the_same(&condition);
    *old = condition;
    changed
}

/// Takes the condition of this type away. Returns whether there was one.
pub fn remove<C: ConditionLike>(conditions: &mut Option<Vec<C>>, kind: &str) -> bool {
    let Some(list) = conditions else { return false };
    let before = list.len();
    list.retain(|condition| condition.kind() != kind);
    list.len() != before
}

/// `True` or `False`.
#[must_use]
pub fn status(holds: bool) -> String {
    if holds { "True" } else { "False" }.to_owned()
}

macro_rules! condition_like {
    ($($type:ty { $($field:ident),* })*) => {$(
        impl ConditionLike for $type {
            fn kind(&self) -> &str {
                &self.type_
            }
            fn status(&self) -> &str {
                &self.status
            }
            fn since(&self) -> Option<Timestamp> {
                self.last_transition_time.as_ref().map(|time| time.0)
            }
            fn set_since(&mut self, time: Timestamp) {
                self.last_transition_time = Some(Time(time));
            }
            fn says_the_same(&self, other: &Self) -> bool {
                self.status == other.status $(&& self.$field == other.$field)*
            }
        }
    )*};
}

condition_like! {
    PodCondition { reason, message, observed_generation }
    NodeCondition { reason, message }
    NamespaceCondition { reason, message }
    DeploymentCondition { reason, message }
    ReplicaSetCondition { reason, message }
    CustomResourceDefinitionCondition { reason, message }
}

impl ConditionLike for Condition {
    fn kind(&self) -> &str {
        &self.type_
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn since(&self) -> Option<Timestamp> {
        Some(self.last_transition_time.0)
    }

    fn set_since(&mut self, time: Timestamp) {
        self.last_transition_time = Time(time);
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.status == other.status
            && self.reason == other.reason
            && self.message == other.message
            && self.observed_generation == other.observed_generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: &str, reason: &str) -> PodCondition {
        PodCondition {
            type_: "Ready".into(),
            status: status.into(),
            reason: Some(reason.into()),
            ..Default::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let mut conditions = None;
        assert!(set(&mut conditions, ready("False", "a"), at(1)));
        assert!(!set(&mut conditions, ready("False", "a"), at(2)));
        assert!(set(&mut conditions, ready("False", "b"), at(3)));
        assert_eq!(get(conditions.as_ref(), "Ready").unwrap().since(), Some(at(1)));
        assert!(set(&mut conditions, ready("True", "b"), at(4)));
        assert_eq!(get(conditions.as_ref(), "Ready").unwrap().since(), Some(at(4)));
        assert!(is_true(conditions.as_ref(), "Ready") && !is_true(conditions.as_ref(), "Other"));
        assert!(remove(&mut conditions, "Ready") && !remove(&mut conditions, "Ready"));
    }
}
