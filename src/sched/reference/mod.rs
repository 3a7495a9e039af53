//! A scheduler to hold others against: slow, and written straight from the rules.
//!
//! [`judge`] says of a pod and a [`World`] which plugin of kube-scheduler's default profile rejects
//! which node, in which words, and what each gives the nodes that are left; [`preempt`] says whom
//! preemption would evict. Both are functions of plain data. There are no columns, no caches and nothing
//! that is shared between pods: every question is asked of the objects themselves, over and over. So it
//! is easy to hold against the rules, and a scheduler that is fast can be held against it.
//!
//! What kube-scheduler does by chance or by history is given as all that it may do: every node of the
//! highest score, every candidate of preemption that is as good as the best.
//!
//! Where kube-scheduler does what its documentation does not say, this does as kube-scheduler does, and
//! says so beside the code.
//!
//! Source: `pkg/scheduler` (1.36), with the feature gates as that version sets them.

mod balanced_allocation;
mod claims;
mod default_selector;
mod device_allocation;
mod device_class;
mod device_constraint;
mod device_pool;
mod dynamic_resources;
mod host_port;
mod image_locality;
mod in_tree;
mod inter_pod_affinity;
mod judge;
mod judgement;
mod layout;
mod node_affinity;
mod node_declared_features;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_terms;
mod node_unschedulable;
mod node_volume_limits;
mod pod_topology_spread;
mod preempt;
mod requests;
mod resources;
mod scheduling_gates;
mod search;
mod settings;
mod taint_toleration;
#[cfg(test)]
mod tests;
mod verdict;
mod volume_binding;
mod volume_restrictions;
mod volume_zone;
mod world;

pub use judge::judge;
pub use judgement::{Candidate, Judgement, NodeJudgement, Preemption, Score};
pub use preempt::preempt;
pub use settings::{DefaultConstraints, Plugin, ResourceWeight, ScoringStrategy, Settings, ShapePoint};
pub use world::World;
