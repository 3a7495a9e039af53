//! Tables of what kube-scheduler does, a file a plugin. Where its own tests name a score, that score is
//! the one that is expected here.

mod balanced_allocation;
mod dynamic_resources;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_declared_features;
mod node_ports;
mod node_resources_fit;
mod nodes;
mod pod_topology_spread;
mod preemption;
mod properties;
mod requests;
mod story;
mod taint_toleration;
mod volume_binding;
mod volumes;
mod whole;
