//! Nodes begin as not ready.
//!
//! Source: `TaintNodesByCondition` of `k8s.io/kubernetes/plugin/pkg/admission/nodetaint` (1.36).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::Status;
use crate::server::tree::{map_mut, text};

/// Taints every new node as not ready, until a node lifecycle controller finds it to be ready. Without such
/// a controller no pod would ever be scheduled, so [`AdmissionChain::default`](super::AdmissionChain::default)
/// leaves its place empty; Kubernetes has it on.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaintNodesByCondition;

impl TaintNodesByCondition {
    /// Its place in the chain.
    pub const NAME: &str = "TaintNodesByCondition";
}

#[async_trait]
impl AdmissionPlugin for TaintNodesByCondition {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.operation == Operation::Create && request.concerns("", "nodes", "")
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        if let Some(node) = request.object_mut() {
            taint(node);
        }
        Ok(())
    }
}

fn taint(node: &mut Value) {
    let taints = map_mut(node, "spec").entry("taints").or_insert_with(|| json!([]));
    if taints.is_null() {
        *taints = json!([]);
    }
    let Some(taints) = taints.as_array_mut() else { return };
    let own = ("node.kubernetes.io/not-ready", "NoSchedule");
    if !taints.iter().any(|taint| (text(taint, &["key"]), text(taint, &["effect"])) == own) {
        taints.push(json!({"key": own.0, "effect": own.1}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_tainted_once() {
        let mut node = json!({});
        taint(&mut node);
        let tainted = node.clone();
        assert_eq!(
            node["spec"]["taints"],
            json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
        );
        taint(&mut node);
        assert_eq!(node, tainted);
    }
}
