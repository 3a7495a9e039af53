//! Arguments of InterPodAffinity.

use super::Arguments;
use crate::api::field::{Error, Path};
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of InterPodAffinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterPodAffinityArgs {
    /// How much it counts that a pod that is there already requires the new one near it.
    pub hard_pod_affinity_weight: i32,
    /// Whether not to ask what pods that are there prefer, where the new one has no affinity of its own.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Record for InterPodAffinityArgs {
    const GO: &'static str = "v1.InterPodAffinityArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        Self {
            hard_pod_affinity_weight: fields.get("hardPodAffinityWeight").unwrap_or(1),
            ignore_preferred_terms_of_existing_pods: fields.plain("ignorePreferredTermsOfExistingPods"),
        }
    }
}

impl Arguments for InterPodAffinityArgs {
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        let weight = self.hard_pod_affinity_weight;
        if !(0..=100).contains(&weight) {
            let path = path.child("hardPodAffinityWeight");
            errors.push(Error::invalid(&path, weight, "not in valid range [0, 100]"));
        }
    }
}
