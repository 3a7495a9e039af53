//! Arguments of plugins: typed for those of kube-scheduler that have any, JSON for all others.

use serde_json::Value;

use super::document::{Head, KIND, VERSION};
use super::node::Node;
use super::reader::{self, Record};
use super::{ConfigError, FeatureGates};
use crate::api::field::{Error, Path};

mod default_preemption;
mod dynamic_resources;
mod inter_pod_affinity;
mod node_affinity;
mod node_resources;
mod pod_topology_spread;
mod resource_spec;
mod shape;
mod volume_binding;

pub use default_preemption::DefaultPreemptionArgs;
pub use dynamic_resources::DynamicResourcesArgs;
pub use inter_pod_affinity::InterPodAffinityArgs;
pub use node_affinity::NodeAffinityArgs;
pub use node_resources::{
    NodeResourcesBalancedAllocationArgs, NodeResourcesFitArgs, ScoringStrategy, ScoringStrategyType,
};
pub use pod_topology_spread::{Defaulting, PodTopologySpreadArgs};
pub use resource_spec::ResourceSpec;
pub use shape::UtilizationShapePoint;
pub use volume_binding::VolumeBindingArgs;

/// A plugin and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginArgs {
    /// The plugin's name.
    pub plugin: String,
    /// Its arguments.
    pub args: Args,
}

/// What the arguments of a plugin of kube-scheduler have in common.
trait Arguments: Record {
    /// What is wrong with them. `path` is that of the arguments as a whole.
    fn validate(&self, path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>);
}

macro_rules! args {
    ($($plugin:ident($args:ident),)*) => {
        /// The arguments of a plugin.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Args {
            $(#[doc = concat!("Those of ", stringify!($plugin), ".")] $plugin($args),)*
            /// Those of a plugin that is not kube-scheduler's, or has none there: for the plugin itself to
            /// read. Null where there are none.
            Other(Value),
        }

        impl Args {
            /// The arguments of a plugin that is given none; none where the plugin takes none that are known.
            #[must_use]
            pub fn default_of(plugin: &str, gates: &FeatureGates) -> Option<Self> {
                match plugin {
                    $(stringify!($plugin) => Some(Self::$plugin(reader::empty(gates))),)*
                    _ => None,
                }
            }

            /// The plugin whose arguments these are; none for [`Other`](Self::Other).
            #[must_use]
            pub fn plugin(&self) -> Option<&'static str> {
                match self {
                    $(Self::$plugin(_) => Some(stringify!($plugin)),)*
                    Self::Other(_) => None,
                }
            }

            fn typed(plugin: &str, node: &Node, gates: &FeatureGates) -> Option<Result<(Self, Vec<String>), String>> {
                match plugin {
                    $(stringify!($plugin) => Some(
                        reader::read(node, gates).map(|(args, problems)| (Self::$plugin(args), problems)),
                    ),)*
                    _ => None,
                }
            }

            /// What is wrong with them, apart from whose they are.
            pub(super) fn validate(&self, path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>) {
                match self {
                    $(Self::$plugin(args) => args.validate(path, gates, errors),)*
                    Self::Other(_) => {}
                }
            }
        }

        $(impl Default for $args {
            fn default() -> Self {
                reader::empty(&FeatureGates::default())
            }
        })*

        /// Whether there are documents of this kind.
        pub(super) fn is_kind(kind: &str) -> bool {
            kind == KIND || [$(stringify!($args)),*].contains(&kind)
        }
    };
}

args! {
    DefaultPreemption(DefaultPreemptionArgs),
    DynamicResources(DynamicResourcesArgs),
    InterPodAffinity(InterPodAffinityArgs),
    NodeAffinity(NodeAffinityArgs),
    NodeResourcesBalancedAllocation(NodeResourcesBalancedAllocationArgs),
    NodeResourcesFit(NodeResourcesFitArgs),
    PodTopologySpread(PodTopologySpreadArgs),
    VolumeBinding(VolumeBindingArgs),
}

/// Arguments as a document of their own, which need not say what it is.
pub(super) enum Read {
    /// They are these, and this is what strict decoding objects to.
    Args(Args, Vec<String>),
    /// They say that they are another plugin's: the kind.
    Foreign(String),
}

/// Reads the arguments of a plugin.
///
/// Source: `decodeNestedObjects` of `k8s.io/kube-scheduler/config/v1/types.go` (1.36).
pub(super) fn read(plugin: &str, node: Option<&Node>, gates: &FeatureGates) -> Result<Read, ConfigError> {
    let Some(default) = Args::default_of(plugin, gates) else {
        return Ok(Read::Args(Args::Other(node.map_or(Value::Null, Node::value)), Vec::new()));
    };
    let Some(node) = node else { return Ok(Read::Args(default, Vec::new())) };
    let kind = format!("{plugin}Args");
    let head = Head::of(node)?.or(VERSION, &kind).known(&node.value().to_string(), is_kind)?;
    if head.kind != kind {
        return Ok(Read::Foreign(head.kind));
    }
    match Args::typed(plugin, node, gates) {
        Some(Ok((args, problems))) => Ok(Read::Args(args, problems)),
        Some(Err(wrong)) => Err(ConfigError::Type(wrong)),
        None => Ok(Read::Args(default, Vec::new())),
    }
}
