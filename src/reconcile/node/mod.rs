//! What becomes of nodes and of the pods on them.
//!
//! Three controllers, as in kube-controller-manager: [`lifecycle`] marks and taints nodes that are
//! silent, [`eviction`] drives pods away from taints, [`pod_gc`] takes away the pods of nodes that
//! no longer exist. They share nothing but the objects they read.

mod disrupt;
pub(super) mod eviction;
mod health;
pub(super) mod lifecycle;
pub(super) mod pod_gc;
