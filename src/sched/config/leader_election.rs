//! Whether one scheduler of several leads, and how that is found out.

use jiff::SignedDuration;

use super::reader::{Fields, Record};
use crate::api::duration::show_go;
use crate::api::field::{Error, Path};

/// Whether one scheduler of several leads, and how that is found out.
///
/// Source: `k8s.io/component-base/config/v1alpha1` (1.36).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Whether to schedule only while leading.
    pub leader_elect: bool,
    /// How long others wait for a leader that does not renew.
    pub lease_duration: SignedDuration,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: SignedDuration,
    /// How long to wait between tries.
    pub retry_period: SignedDuration,
    /// The kind of object that is the lock: only `leases` will do.
    pub resource_lock: String,
    /// Its name.
    pub resource_name: String,
    /// Its namespace.
    pub resource_namespace: String,
}

impl Record for LeaderElection {
    const GO: &'static str = "v1alpha1.LeaderElectionConfiguration";

    fn read(fields: &mut Fields<'_>) -> Self {
        let seconds = |set: SignedDuration, default| {
            if set.is_zero() { SignedDuration::from_secs(default) } else { set }
        };
        let text = |set: String, default: &str| if set.is_empty() { default.to_owned() } else { set };
        Self {
            leader_elect: fields.get("leaderElect").unwrap_or(true),
            lease_duration: seconds(fields.duration("leaseDuration"), 15),
            renew_deadline: seconds(fields.duration("renewDeadline"), 10),
            retry_period: seconds(fields.duration("retryPeriod"), 2),
            resource_lock: text(fields.plain("resourceLock"), "leases"),
            resource_name: text(fields.plain("resourceName"), "kube-scheduler"),
            resource_namespace: text(fields.plain("resourceNamespace"), "kube-system"),
        }
    }
}

impl LeaderElection {
    /// Source: `k8s.io/component-base/config/validation/validation.go`, and what
    /// `pkg/scheduler/apis/config/validation/validation.go` says of the lock besides (1.36).
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<Error>) {
        if !self.leader_elect {
            return;
        }
        let durations = [
            ("leaseDuration", self.lease_duration),
            ("renewDeadline", self.renew_deadline),
            ("retryPeriod", self.retry_period),
        ];
        for (name, duration) in durations {
            if duration <= SignedDuration::ZERO {
                errors.push(Error::invalid(
                    &path.child(name),
                    show_go(duration),
                    "must be greater than zero",
                ));
            }
        }
        if self.lease_duration <= self.renew_deadline {
            // It shows the other of the two.
            errors.push(Error::invalid(
                &path.child("leaseDuration"),
                show_go(self.renew_deadline),
                "must be greater than `RenewDeadline`",
            ));
        }
        let texts = [
            ("resourceLock", &self.resource_lock),
            ("resourceNamespace", &self.resource_namespace),
            ("resourceName", &self.resource_name),
        ];
        for (name, text) in texts {
            if text.is_empty() {
                errors.push(Error::required(&path.child(name), ""));
            }
        }
        if self.resource_lock != "leases" {
            errors.push(Error::invalid(
                &path.child("resourceLock"),
                self.resource_lock.clone(),
                "resourceLock value must be \"leases\"",
            ));
        }
    }
}
