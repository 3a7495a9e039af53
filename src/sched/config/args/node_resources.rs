//! Arguments of the two plugins that score by resources.

use std::collections::BTreeSet;

use super::{Arguments, ResourceSpec, UtilizationShapePoint, shape};
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of NodeResourcesBalancedAllocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResourcesBalancedAllocationArgs {
    /// The resources that are kept in balance; CPU and memory by default.
    pub resources: Vec<ResourceSpec>,
}

/// Arguments of NodeResourcesFit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResourcesFitArgs {
    /// Resources that the filter does not look at.
    pub ignored_resources: Vec<String>,
    /// Groups of them: `example.com` for all whose names begin with `example.com/`.
    pub ignored_resource_groups: Vec<String>,
    /// How nodes are scored.
    pub scoring_strategy: ScoringStrategy,
}

/// How nodes are scored by their resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoringStrategy {
    /// Which way.
    pub kind: ScoringStrategyType,
    /// The resources that count; CPU and memory by default.
    pub resources: Vec<ResourceSpec>,
    /// The shape of the score, for [`ScoringStrategyType::RequestedToCapacityRatio`] alone.
    pub requested_to_capacity_ratio: Option<Vec<UtilizationShapePoint>>,
}

/// Which nodes score best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoringStrategyType {
    /// The emptiest.
    LeastAllocated,
    /// The fullest.
    MostAllocated,
    /// Those where a function is highest.
    RequestedToCapacityRatio,
    /// What no configuration that is valid has.
    Unsupported(String),
}

/// The ratio's own record; its only field is what is kept.
struct Ratio(Vec<UtilizationShapePoint>);

impl Record for NodeResourcesBalancedAllocationArgs {
    const GO: &'static str = "v1.NodeResourcesBalancedAllocationArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        Self { resources: ResourceSpec::or_defaults(fields.plain("resources")) }
    }
}

impl Record for NodeResourcesFitArgs {
    const GO: &'static str = "v1.NodeResourcesFitArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        Self {
            ignored_resources: fields.plain("ignoredResources"),
            ignored_resource_groups: fields.plain("ignoredResourceGroups"),
            scoring_strategy: fields.get("scoringStrategy").unwrap_or_default(),
        }
    }
}

impl Default for ScoringStrategy {
    fn default() -> Self {
        Self {
            kind: ScoringStrategyType::LeastAllocated,
            resources: ResourceSpec::defaults(),
            requested_to_capacity_ratio: None,
        }
    }
}

impl Record for ScoringStrategy {
    const GO: &'static str = "v1.ScoringStrategy";

    fn read(fields: &mut Fields<'_>) -> Self {
        let kind: String = fields.plain("type");
        let ratio: Option<Ratio> = fields.get("requestedToCapacityRatio");
        Self {
            kind: ScoringStrategyType::of(kind),
            resources: ResourceSpec::or_defaults(fields.plain("resources")),
            requested_to_capacity_ratio: ratio.map(|ratio| ratio.0),
        }
    }
}

impl Record for Ratio {
    const GO: &'static str = "v1.RequestedToCapacityRatioParam";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self(fields.plain("shape"))
    }
}

impl ScoringStrategyType {
    fn of(text: String) -> Self {
        match &*text {
            "LeastAllocated" => Self::LeastAllocated,
            "MostAllocated" => Self::MostAllocated,
            "RequestedToCapacityRatio" => Self::RequestedToCapacityRatio,
            _ => Self::Unsupported(text),
        }
    }
}

impl Arguments for NodeResourcesBalancedAllocationArgs {
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        let mut seen = BTreeSet::new();
        for (index, resource) in self.resources.iter().enumerate() {
            let path = path.child("resources").index(index);
            if !seen.insert(&resource.name) {
                errors.push(Error::duplicate(&path.child("name"), resource.name.clone()));
            }
            if resource.weight != 1 {
                errors.push(Error::invalid(&path.child("weight"), resource.weight, "must be 1"));
            }
        }
    }
}

impl Arguments for NodeResourcesFitArgs {
    fn validate(&self, path: &Path, _: &FeatureGates, errors: &mut Vec<Error>) {
        for (index, resource) in self.ignored_resources.iter().enumerate() {
            named(resource, &path.child("ignoredResources").index(index), errors);
        }
        for (index, group) in self.ignored_resource_groups.iter().enumerate() {
            let path = path.child("ignoredResourceGroups").index(index);
            if group.contains('/') {
                let detail = "resource group name can't contain '/'";
                errors.push(Error::invalid(&path, group.clone(), detail));
            }
            named(group, &path, errors);
        }
        self.scoring_strategy.validate(&path.child("scoringStrategy"), errors);
    }
}

fn named(name: &str, path: &Path, errors: &mut Vec<Error>) {
    let wrong = names::qualified_name(name).into_iter();
    errors.extend(wrong.map(|wrong| Error::invalid(path, name, wrong)));
}

impl ScoringStrategy {
    fn validate(&self, path: &Path, errors: &mut Vec<Error>) {
        if let ScoringStrategyType::Unsupported(kind) = &self.kind {
            let supported = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];
            errors.push(Error::not_supported(&path.child("type"), kind.clone(), &supported));
        }
        for (index, resource) in self.resources.iter().enumerate() {
            if !(1..=100).contains(&resource.weight) {
                let detail = format!("resource weight of {} not in valid range (0, 100]", resource.name);
                let path = path.child("resources").index(index).child("weight");
                errors.push(Error::invalid(&path, resource.weight, detail));
            }
        }
        let by_ratio = self.kind == ScoringStrategyType::RequestedToCapacityRatio;
        let path = path.child("requestedToCapacityRatio");
        match &self.requested_to_capacity_ratio {
            Some(points) if by_ratio => shape::validate(points, &path.child("shape"), errors),
            None if by_ratio => {
                errors.push(Error::required(&path, "must be specified when type is RequestedToCapacityRatio"))
            }
            Some(_) => {
                errors.push(Error::forbidden(&path, "must be nil when type is not RequestedToCapacityRatio"))
            }
            None => {}
        }
    }
}
