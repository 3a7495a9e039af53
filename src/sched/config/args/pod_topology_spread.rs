//! Arguments of PodTopologySpread.

use k8s_openapi::api::core::v1::TopologySpreadConstraint;

use super::Arguments;
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of PodTopologySpread.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTopologySpreadArgs {
    /// Constraints for pods that have none, if [`Defaulting::List`]. They have no selector: that follows from
    /// what a pod belongs to.
    pub default_constraints: Vec<TopologySpreadConstraint>,
    /// Where the constraints of such pods come from.
    pub defaulting_type: Defaulting,
}

/// Where the constraints of pods come from that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defaulting {
    /// From Kubernetes: pods spread over nodes and zones.
    System,
    /// From the arguments.
    List,
    /// What no configuration that is valid has.
    Unsupported(String),
}

impl Record for PodTopologySpreadArgs {
    const GO: &'static str = "v1.PodTopologySpreadArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        let defaulting: String = fields.plain("defaultingType");
        Self {
            default_constraints: fields.plain("defaultConstraints"),
            defaulting_type: match &*defaulting {
                "" | "System" => Defaulting::System,
                "List" => Defaulting::List,
                _ => Defaulting::Unsupported(defaulting),
            },
        }
    }
}

impl Arguments for PodTopologySpreadArgs {
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        let defaulting = path.child("defaultingType");
        match &self.defaulting_type {
            Defaulting::Unsupported(kind) => {
                errors.push(Error::not_supported(&defaulting, kind.clone(), &["System", "List"]));
            }
            Defaulting::System if !self.default_constraints.is_empty() => {
                let detail = "when .defaultConstraints are not empty";
                errors.push(Error::invalid(&defaulting, "System", detail));
            }
            Defaulting::System | Defaulting::List => {}
        }
        for (index, constraint) in self.default_constraints.iter().enumerate() {
            let path = path.child("defaultConstraints").index(index);
            validate(constraint, &path, errors);
            let same = |other: &TopologySpreadConstraint| {
                other.topology_key == constraint.topology_key
                    && other.when_unsatisfiable == constraint.when_unsatisfiable
            };
            if self.default_constraints[..index].iter().any(same) {
                let value = format!("{{{}, {}}}", constraint.topology_key, constraint.when_unsatisfiable);
                errors.push(Error::duplicate(&path, value));
            }
        }
    }
}

/// What is wrong with a constraint, apart from the others.
fn validate(constraint: &TopologySpreadConstraint, path: &Path, errors: &mut Vec<Error>) {
    if constraint.max_skew <= 0 {
        let detail = "not in valid range (0, inf)";
        errors.push(Error::invalid(&path.child("maxSkew"), constraint.max_skew, detail));
    }
    let (key, key_path) = (&constraint.topology_key, path.child("topologyKey"));
    if key.is_empty() {
        errors.push(Error::required(&key_path, "can not be empty"));
    } else {
        let wrong = names::qualified_name(key).into_iter();
        errors.extend(wrong.map(|wrong| Error::invalid(&key_path, key.clone(), wrong)));
    }
    let when = path.child("whenUnsatisfiable");
    match &*constraint.when_unsatisfiable {
        "DoNotSchedule" | "ScheduleAnyway" => {}
        "" => errors.push(Error::required(&when, "can not be empty")),
        other => errors.push(Error::not_supported(&when, other, &["DoNotSchedule", "ScheduleAnyway"])),
    }
    if constraint.label_selector.is_some() {
        let detail = "constraint must not define a selector, as they deduced for each pod";
        errors.push(Error::forbidden(&path.child("labelSelector"), detail));
    }
}
