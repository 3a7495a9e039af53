//! A node's agent touches its own node, its own lease, and the pods that are bound to it.
//!
//! Source: `NodeRestriction` of `k8s.io/kubernetes/plugin/pkg/admission/noderestriction` (1.36). What is
//! beyond: certificate signing requests, whose names a signer checks, and pod certificate requests, which
//! are alpha there.

mod labels;
mod node;
mod pod;
mod token;

use async_trait::async_trait;
use serde_json::Value;

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::{Object, Status};
use crate::server::tree::{at, text};

/// Keeps what a node's agent may write to what is its own. It is known by its name, `system:node:…`, and
/// its group, `system:nodes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeRestriction;

impl NodeRestriction {
    /// Its place in the chain.
    pub const NAME: &str = "NodeRestriction";
}

#[async_trait]
impl AdmissionPlugin for NodeRestriction {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.operation != Operation::Connect && is_node(request)
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        let user = &request.identity.user;
        let Some(node) = user.strip_prefix(PREFIX).filter(|name| !name.is_empty()) else {
            return Err(request.forbidden(&format!("could not determine node from user {user:?}")));
        };
        match (&*request.resource.group, &*request.resource.plural) {
            ("", "pods") => pod::admit(node, request).await,
            ("", "nodes") => node::admit(node, request),
            ("", "persistentvolumeclaims") => claim_status(node, request),
            ("", "serviceaccounts") => token::admit(node, request).await,
            ("coordination.k8s.io", "leases") => lease(node, request),
            ("storage.k8s.io", "csinodes") if request.name() != node => {
                Err(request.forbidden("can only access CSINode with the same name as the requesting node"))
            }
            ("resource.k8s.io", "resourceslices") => slice(node, request),
            _ => Ok(()),
        }
    }
}

const PREFIX: &str = "system:node:";

/// Source: `NodeIdentity` of `k8s.io/kubernetes/pkg/auth/nodeidentifier` (1.36).
fn is_node(request: &AdmissionRequest<'_>) -> bool {
    request.identity.user.starts_with(PREFIX) && request.identity.in_group("system:nodes")
}

fn lease(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    if request.namespace != "kube-node-lease" {
        let why = "can only access leases in the \"kube-node-lease\" system namespace";
        return Err(request.forbidden(why));
    }
    if request.name() == node {
        return Ok(());
    }
    Err(request.forbidden("can only access node lease with the same name as the requesting node"))
}

/// Slices say themselves whose they are.
fn slice(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    let is_own = |tree: &Value| text(tree, &["spec", "nodeName"]) == node;
    let (own, verb) = match request.operation {
        Operation::Create => (request.object().is_some_and(is_own), "create"),
        Operation::Delete => (request.old().is_some_and(|old| is_own(&old.tree())), "delete"),
        Operation::Update | Operation::Connect => return Ok(()),
    };
    if own {
        return Ok(());
    }
    let why = format!("can only {verb} ResourceSlice with the same NodeName as the requesting node");
    Err(request.forbidden(&why))
}

/// Of a claim, capacity and conditions are a node's to say.
fn claim_status(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    if request.subresource != "status" {
        return Err(request.forbidden("may only update PVC status"));
    }
    let (Operation::Update, Some(old), Some(new)) = (request.operation, request.old(), request.object())
    else {
        return Err(unexpected(request));
    };
    let rest = |mut tree: Value| {
        for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
            if let Some(status) = tree["status"].as_object_mut() {
                status.remove(field);
            }
        }
        if let Some(metadata) = tree["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
            metadata.remove("managedFields");
        }
        tree
    };
    if rest((*old.tree()).clone()) == rest(new.clone()) {
        return Ok(());
    }
    let why = format!(
        "node {node:?} is not allowed to update fields other than status.quantity and status.conditions"
    );
    Err(request.forbidden(&why))
}

fn unexpected(request: &AdmissionRequest<'_>) -> Status {
    request.forbidden(&format!("unexpected operation \"{}\"", request.operation))
}

/// Whether a pod is bound to a node.
fn is_bound(pod: &Object, node: &str) -> bool {
    pod.field("spec.nodeName") == Some(node)
}

/// Whether two trees have the same in a field; what is empty is as good as absent.
fn same(one: &Value, other: &Value, path: &[&str]) -> bool {
    let found = |tree: &Value| -> Option<Value> {
        at(tree, path)
            .filter(|value| match value {
                Value::Array(list) => !list.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            })
            .cloned()
    };
    found(one) == found(other)
}
