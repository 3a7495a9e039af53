//! A node's agent touches its own node, its own lease and the pods that are bound to it.
//!
//! Source: `k8s.io/kubernetes/plugin/pkg/admission/noderestriction` (1.36).

use serde_json::Value;

use super::name_of;
use crate::api::{Object, Status};
use crate::server::registry::Call;
use crate::server::tree::{at, text};

const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn create(call: &Call<'_>, tree: &Value) -> Result<(), Status> {
    let Some(node) = call.node() else { return Ok(()) };
    let name = name_of(tree);
    match (&*call.row.group, &*call.row.kind) {
        ("", "Node") if name != node => {
            Err(call.forbidden(name, &format!("node {node:?} is not allowed to modify node {name:?}")))
        }
        ("", "Pod") if at(tree, &["metadata", "annotations", MIRROR]).is_none() => Err(call.forbidden(
            name,
            &format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"),
        )),
        ("", "Pod") if text(tree, &["spec", "nodeName"]) != node => Err(call.forbidden(
            name,
            &format!("node {node:?} can only create pods with spec.nodeName set to itself"),
        )),
        ("coordination.k8s.io", "Lease") if name != node => {
            Err(call.forbidden(name, "can only access node lease with the same name as the requesting node"))
        }
        _ => Ok(()),
    }
}

pub(super) fn modify(call: &Call<'_>, current: &Object) -> Result<(), Status> {
    let Some(node) = call.node() else { return Ok(()) };
    let name = current.name();
    match (&*call.row.group, &*call.row.kind) {
        ("", "Node") if name != node => {
            Err(call.forbidden(name, &format!("node {node:?} is not allowed to modify node {name:?}")))
        }
        ("", "Pod") if text(&current.tree(), &["spec", "nodeName"]) != node => {
            let what = if call.target.subresource.as_deref() == Some("status") {
                "update pod status for"
            } else {
                "delete"
            };
            Err(call.forbidden(
                name,
                &format!("node {node:?} can only {what} pods with spec.nodeName set to itself"),
            ))
        }
        ("coordination.k8s.io", "Lease") if name != node => {
            Err(call.forbidden(name, "can only access node lease with the same name as the requesting node"))
        }
        _ => Ok(()),
    }
}
