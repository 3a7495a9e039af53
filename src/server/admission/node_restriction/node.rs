//! Nodes: a node says what it is, and not what may run on it.

use super::super::{AdmissionRequest, Operation};
use super::{labels, same};
use crate::api::Status;
use crate::server::tree::at;

pub(super) fn admit(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    let name = request.name();
    if name != node {
        return Err(request.forbidden(&format!("node {node:?} is not allowed to modify node {name:?}")));
    }
    let Some(new) = request.object() else { return Ok(()) };
    match (request.operation, request.old()) {
        (Operation::Create, _) => {
            if at(new, &["spec", "configSource"]).is_some() {
                return Err(request.forbidden(&format!(
                    "node {node:?} is not allowed to create pods with a non-nil configSource"
                )));
            }
            let forbidden = labels::forbidden(new, None);
            if forbidden.is_empty() {
                return Ok(());
            }
            let labels = forbidden.join(", ");
            Err(request
                .forbidden(&format!("node {node:?} is not allowed to set the following labels: {labels}")))
        }
        (Operation::Update, Some(old)) => {
            let old = old.tree();
            let source = &["spec", "configSource"];
            if at(new, source).is_some() && !same(new, &old, source) {
                return Err(request.forbidden(&format!(
                    "node {node:?} is not allowed to update configSource to a new non-nil configSource"
                )));
            }
            let kept: [(&[&str], &str); 2] =
                [(&["spec", "taints"], "taints"), (&["metadata", "ownerReferences"], "ownerReferences")];
            if let Some((_, what)) = kept.iter().find(|(path, _)| !same(new, &old, path)) {
                return Err(request.forbidden(&format!("node {node:?} is not allowed to modify {what}")));
            }
            let forbidden = labels::forbidden(new, Some(&old));
            if forbidden.is_empty() {
                return Ok(());
            }
            Err(request.forbidden(&format!("is not allowed to modify labels: {}", forbidden.join(", "))))
        }
        _ => Ok(()),
    }
}
