//! Tokens: a node asks for those of its own pods' accounts.

use serde_json::Value;

use super::super::pod_references::items;
use super::super::{AdmissionRequest, Operation};
use super::is_bound;
use crate::api::{Object, Status, status};
use crate::server::Attributes;
use crate::server::tree::{at, text};

pub(super) async fn admit(node: &str, request: &AdmissionRequest<'_>) -> Result<(), Status> {
    if request.operation != Operation::Create || request.subresource != "token" {
        return Ok(());
    }
    let Some(asked) = request.object() else { return Ok(()) };
    let reference = |field: &str| text(asked, &["spec", "boundObjectRef", field]);
    let name = reference("name");
    if (reference("apiVersion"), reference("kind")) != ("v1", "Pod") || name.is_empty() {
        return Err(request.forbidden("node requested token not bound to a pod"));
    }
    let uid = reference("uid");
    if uid.is_empty() {
        return Err(request.forbidden("node requested token with a pod binding without a uid"));
    }
    let Some(pod) = request.stored("", "pods", request.namespace, name).await? else {
        return Err(status::not_found("", "pods", name));
    };
    if pod.uid() != uid {
        return Err(request.forbidden(&format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
             have been deleted and then recreated"
        )));
    }
    if !is_bound(&pod, node) {
        return Err(request.forbidden("node requested token bound to a pod scheduled on a different node"));
    }
    audience(request, asked, &pod).await
}

/// A node asks for the audiences that its pod's volumes name, or for those that it is allowed.
async fn audience(request: &AdmissionRequest<'_>, asked: &Value, pod: &Object) -> Result<(), Status> {
    let audiences: Vec<&str> = items(asked, &["spec", "audiences"]).filter_map(Value::as_str).collect();
    let audience = match audiences[..] {
        [] => "",
        [one] => one,
        _ => return Err(request.forbidden("node may only request 0 or 1 audiences")),
    };
    if names_audience(request, pod, audience).await? {
        return Ok(());
    }
    let attributes = Attributes {
        verb: "request-serviceaccounts-token-audience".into(),
        version: "v1".into(),
        resource: audience.into(),
        namespace: request.namespace.into(),
        name: request.name().into(),
        ..Attributes::default()
    };
    if request.server.authorize(request.identity, &attributes).is_allowed() {
        return Ok(());
    }
    let user = &request.identity.user;
    Err(request.forbidden(&format!(
        "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for \
         this audience"
    )))
}

/// Whether a volume of the pod, or the driver behind one, wants a token for this audience.
async fn names_audience(
    request: &AdmissionRequest<'_>,
    pod: &Object,
    audience: &str,
) -> Result<bool, Status> {
    let tree = pod.tree();
    for volume in items(&tree, &["spec", "volumes"]) {
        let projected = items(volume, &["projected", "sources"])
            .filter_map(|source| at(source, &["serviceAccountToken"]))
            .any(|token| text(token, &["audience"]) == audience);
        if projected {
            return Ok(true);
        }
        let claim = if at(volume, &["ephemeral", "volumeClaimTemplate"]).is_some() {
            format!("{}-{}", pod.name(), text(volume, &["name"]))
        } else {
            text(volume, &["persistentVolumeClaim", "claimName"]).to_owned()
        };
        let driver = match claim.as_str() {
            "" => text(volume, &["csi", "driver"]).to_owned(),
            claim => driver_of(request, claim).await?,
        };
        if driver.is_empty() {
            continue;
        }
        let driver = request.stored("storage.k8s.io", "csidrivers", "", &driver).await?;
        let wanted = driver.is_some_and(|driver| {
            let tree = driver.tree();
            items(&tree, &["spec", "tokenRequests"]).any(|token| text(token, &["audience"]) == audience)
        });
        if wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The driver of the volume that a claim is bound to; empty where there is none.
async fn driver_of(request: &AdmissionRequest<'_>, claim: &str) -> Result<String, Status> {
    let claim = request.stored("", "persistentvolumeclaims", request.namespace, claim).await?;
    let Some(claim) = claim else { return Ok(String::new()) };
    let volume = text(&claim.tree(), &["spec", "volumeName"]).to_owned();
    let volume = request.stored("", "persistentvolumes", "", &volume).await?;
    Ok(volume.map(|volume| text(&volume.tree(), &["spec", "csi", "driver"]).to_owned()).unwrap_or_default())
}
