//! Arguments of DynamicResources.

use jiff::SignedDuration;

use super::Arguments;
use crate::api::duration::show_go;
use crate::api::field::{Error, Path};
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of DynamicResources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicResourcesArgs {
    /// How long one node may be searched for devices; zero for as long as it takes. None where
    /// [`FeatureGates::dra_scheduler_filter_timeout`] is off.
    pub filter_timeout: Option<SignedDuration>,
    /// How long to wait for devices to be ready. None where [`FeatureGates::dra_device_binding_conditions`] or
    /// [`FeatureGates::dra_resource_claim_device_status`] is off.
    pub binding_timeout: Option<SignedDuration>,
}

fn binds(gates: &FeatureGates) -> bool {
    gates.dra_device_binding_conditions && gates.dra_resource_claim_device_status
}

impl Record for DynamicResourcesArgs {
    const GO: &'static str = "v1.DynamicResourcesArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        let gates = *fields.gates();
        let filter = gates.dra_scheduler_filter_timeout.then(|| SignedDuration::from_secs(10));
        let binding = binds(&gates).then(|| SignedDuration::from_secs(600));
        Self {
            filter_timeout: fields.get("filterTimeout").or(filter),
            binding_timeout: fields.get("bindingTimeout").or(binding),
        }
    }
}

impl Arguments for DynamicResourcesArgs {
    fn validate(&self, path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>) {
        if let Some(timeout) = self.filter_timeout {
            let path = path.child("filterTimeout");
            if !gates.dra_scheduler_filter_timeout {
                let detail = "DRASchedulingFilterTimeout feature gate is disabled";
                errors.push(Error::forbidden(&path, detail));
            } else if timeout.is_negative() {
                errors.push(Error::invalid(&path, show_go(timeout), "must be zero or positive"));
            }
        }
        if let Some(timeout) = self.binding_timeout {
            let path = path.child("bindingTimeout");
            if !binds(gates) {
                let detail =
                    "DRADeviceBindingConditions or DRAResourceClaimDeviceStatus feature gate is disabled";
                errors.push(Error::forbidden(&path, detail));
            } else if timeout < SignedDuration::from_secs(1) {
                errors.push(Error::invalid(&path, show_go(timeout), "must be at least 1 second"));
            }
        }
    }
}
