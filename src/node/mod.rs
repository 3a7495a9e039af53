//! The node agent: bound pods become containers, containers become status.
//!
//! A [`NodeAgent`] registers its node and keeps it known (a Lease every 10 s, the status when it
//! changes), follows the pods that are bound to it and no others, and gives each a worker. A worker
//! observes, asks [`lifecycle`] what to do, and does it; [`environment`] is the other pure half,
//! the variables of containers. Everything goes through three traits: [`Client`](crate::client::Client),
//! [`ContainerRuntime`](crate::runtime::ContainerRuntime) and [`NetworkProvider`](crate::net::NetworkProvider).
//!
//! An agent keeps nothing that counts: one that restarts finds its sandboxes and containers in the
//! runtime by their labels, adopts those whose pods are still bound here and removes the others.
//!
//! What kubelet 1.36 does and this does not yet: volumes (a pod that mounts one waits and says so),
//! gRPC probes, HTTPS probes, static pods, eviction under pressure, limits that containers are held to.

mod admission;
mod agent;
mod context;
mod dispatch;
pub mod environment;
mod health;
mod heartbeat;
#[cfg(feature = "server")]
mod kubelet_api;
mod labels;
pub mod lifecycle;
mod node_object;
mod recorder;
mod volumes;
mod worker;

pub use agent::{NodeAgent, NodeAgentBuilder, OnShutdown, StartError};
