//! KubeSchedulerConfiguration v1, read as kube-scheduler reads it.
//!
//! [`Configuration::parse`] goes the way of kube-scheduler's `--config`: find out version and kind, decode
//! strictly, decode the arguments of the plugins that are known, fill in defaults, validate. What comes out
//! is data: profiles say which plugins are enabled where.
//!
//! # Where it differs
//!
//! - The arguments of NodeResourcesFit are validated with all the others. kube-scheduler looks for their rules
//!   under a name that no plugin has, so that only the plugin itself refuses them, when it starts.
//! - Errors come in one order. kube-scheduler walks through a map for some.

mod args;
mod client_connection;
mod configuration;
mod document;
mod error;
mod extender;
mod feature_gates;
mod known;
mod leader_election;
mod node;
mod plugins;
mod point;
mod profile;
mod reader;
#[cfg(test)]
mod tests;
mod validation;

pub use args::{
    Args, DefaultPreemptionArgs, Defaulting, DynamicResourcesArgs, InterPodAffinityArgs, NodeAffinityArgs,
    NodeResourcesBalancedAllocationArgs, NodeResourcesFitArgs, PluginArgs, PodTopologySpreadArgs,
    ResourceSpec, ScoringStrategy, ScoringStrategyType, UtilizationShapePoint, VolumeBindingArgs,
};
pub use client_connection::ClientConnection;
pub use configuration::Configuration;
pub use error::ConfigError;
pub use extender::{Extender, ExtenderTls, ManagedResource};
pub use feature_gates::FeatureGates;
pub use leader_election::LeaderElection;
pub use plugins::{EnabledPlugin, PluginSet, Plugins};
pub use point::{Point, Points};
pub use profile::ProfileConfig;
