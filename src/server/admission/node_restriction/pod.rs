//! Pods: mirrors of what a node runs by itself, and the status of those that are bound to it.

use serde_json::Value;

use super::super::pod_references as references;
use super::super::{AdmissionRequest, Operation};
use super::{is_bound, same, unexpected};
use crate::api::{Status, status};
use crate::server::tree::{at, text};

const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) async fn admit(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    match (request.subresource, request.operation) {
        ("", Operation::Create) => mirror(node, request).await,
        ("", Operation::Delete) if request.old().is_some_and(|pod| is_bound(pod, node)) => Ok(()),
        ("", Operation::Delete) => Err(request
            .forbidden(&format!("node {node:?} can only delete pods with spec.nodeName set to itself"))),
        ("", operation) => Err(request.forbidden(&format!(
            "unexpected operation \"{operation}\", node {node:?} can only create and delete mirror pods"
        ))),
        ("status", Operation::Update) => own_status(node, request),
        ("eviction", Operation::Create) => eviction(node, request).await,
        ("status" | "eviction", _) => Err(unexpected(request)),
        (other, _) => Err(request.forbidden(&format!(
            "unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"
        ))),
    }
}

async fn mirror(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    let Some(pod) = request.object() else { return Ok(()) };
    if at(pod, &["metadata", "annotations", MIRROR]).is_none() {
        return Err(request.forbidden(&format!(
            "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
        )));
    }
    if text(pod, &["spec", "nodeName"]) != node {
        return Err(request
            .forbidden(&format!("node {node:?} can only create pods with spec.nodeName set to itself")));
    }
    let owners: Vec<&Value> = references::items(pod, &["metadata", "ownerReferences"]).collect();
    let owner = match owners[..] {
        [owner] => owner,
        [] => return Err(request.forbidden(&foreign_owner(node))),
        _ => {
            return Err(request.forbidden(&format!(
                "node {node:?} can only create pods with a single owner reference set to itself"
            )));
        }
    };
    let is = |field: &str| text(owner, &[field]);
    if (is("apiVersion"), is("kind"), is("name")) != ("v1", "Node", node) {
        return Err(request.forbidden(&foreign_owner(node)));
    }
    if owner["controller"] != true {
        return Err(request.forbidden(&format!(
            "node {node:?} can only create pods with a controller owner reference set to itself"
        )));
    }
    if owner["blockOwnerDeletion"] == true {
        return Err(request
            .forbidden(&format!("node {node:?} must not set blockOwnerDeletion on an owner reference")));
    }
    let Some(own) = request.stored("", "nodes", "", node).await? else {
        return Err(status::not_found("", "nodes", node));
    };
    if is("uid") != own.uid() {
        let why = format!("node {node} UID mismatch: expected {} got {}", is("uid"), own.uid());
        return Err(request.forbidden(&why));
    }
    match references::to_api_objects(pod) {
        Some(what) => {
            Err(request.forbidden(&format!("node {node:?} can not create pods that reference {what}")))
        }
        None => Ok(()),
    }
}

fn foreign_owner(node: &str) -> String {
    format!("node {node:?} can only create pods with an owner reference set to itself")
}

fn own_status(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    let (Some(old), Some(new)) = (request.old(), request.object()) else { return Ok(()) };
    if !is_bound(old, node) {
        return Err(request.forbidden(&format!(
            "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
        )));
    }
    let old = old.tree();
    let kept: [(&[&str], &str); 3] = [
        (&["metadata", "labels"], "labels through pod status"),
        (&["status", "resourceClaimStatuses"], "resource claim statues"),
        (&["status", "extendedResourceClaimStatus"], "extended resource claim status"),
    ];
    match kept.iter().find(|(path, _)| !same(&old, new, path)) {
        Some((_, what)) => Err(request.forbidden(&format!("node {node:?} cannot update {what}"))),
        None => Ok(()),
    }
}

async fn eviction(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    let name = request.name();
    if name.is_empty() {
        return Err(request.forbidden("could not determine pod from request data"));
    }
    match request.stored("", "pods", request.namespace, name).await? {
        None => Err(status::not_found("", "pods", name)),
        Some(pod) if is_bound(&pod, node) => Ok(()),
        Some(_) => {
            Err(request
                .forbidden(&format!("node {node} can only evict pods with spec.nodeName set to itself")))
        }
    }
}
