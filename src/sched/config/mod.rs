//! KubeSchedulerConfiguration v1, read as kube-scheduler reads it.
//!
//! [`Configuration::parse`] goes the way of kube-scheduler's `--config`: find out version and kind, decode
//! strictly, decode the arguments of the plugins that are known, fill in defaults, validate. What comes out
//! is data: profiles say which plugins are enabled where, and [`ProfileConfig::expand`] makes of that one
//! ordered list of plugins a [`Point`], given a [`Registry`] that knows what plugins there are.
//!
//! ```
//! use windlass::sched::config::{Configuration, InTree, Point};
//!
//! let configuration = Configuration::parse(
//!     "
//! apiVersion: kubescheduler.config.k8s.io/v1
//! kind: KubeSchedulerConfiguration
//! profiles:
//! - schedulerName: packer
//!   plugins:
//!     score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit, weight: 5}]}
//! ",
//! )?;
//! let profile = configuration.profiles[0].expand(&InTree)?;
//! assert_eq!(profile.at(Point::Score), ["NodeResourcesFit"]);
//! assert_eq!(profile.score_weight("NodeResourcesFit"), Some(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod expand;
mod extender;
mod feature_gates;
mod known;
mod leader_election;
mod node;
mod plugins;
mod point;
mod profile;
mod reader;
mod registry;
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
pub use expand::{ExpandError, Expanded};
pub use extender::{Extender, ExtenderTls, ManagedResource};
pub use feature_gates::FeatureGates;
pub use leader_election::LeaderElection;
pub use plugins::{EnabledPlugin, PluginSet, Plugins};
pub use point::{Point, Points};
pub use profile::ProfileConfig;
pub use registry::{InTree, Registry};
