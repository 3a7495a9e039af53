//! Arguments of DefaultPreemption.

use super::Arguments;
use crate::api::field::{Error, Path};
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of DefaultPreemption: how many nodes are tried out at least before the best is taken.
///
/// Source: `k8s.io/kube-scheduler/config/v1/types_pluginargs.go` (1.36), as for all arguments here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultPreemptionArgs {
    /// In percent of the nodes.
    pub min_candidate_nodes_percentage: i32,
    /// In nodes.
    pub min_candidate_nodes_absolute: i32,
}

impl Record for DefaultPreemptionArgs {
    const GO: &'static str = "v1.DefaultPreemptionArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        Self {
            min_candidate_nodes_percentage: fields.get("minCandidateNodesPercentage").unwrap_or(10),
            min_candidate_nodes_absolute: fields.get("minCandidateNodesAbsolute").unwrap_or(100),
        }
    }
}

impl Arguments for DefaultPreemptionArgs {
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        let (percentage, absolute) =
            (path.child("minCandidateNodesPercentage"), path.child("minCandidateNodesAbsolute"));
        let (percent, nodes) = (self.min_candidate_nodes_percentage, self.min_candidate_nodes_absolute);
        if !(0..=100).contains(&percent) {
            errors.push(Error::invalid(&percentage, percent, "not in valid range [0, 100]"));
        }
        if nodes < 0 {
            errors.push(Error::invalid(&absolute, nodes, "not in valid range [0, inf)"));
        }
        if percent == 0 && nodes == 0 {
            let beside = |other| format!("cannot be zero at the same time as {other}");
            errors.push(Error::invalid(&percentage, percent, beside("minCandidateNodesAbsolute")));
            errors.push(Error::invalid(&absolute, nodes, beside("minCandidateNodesPercentage")));
        }
    }
}
