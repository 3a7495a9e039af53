//! Nothing is made in a namespace that is not there or is going; some namespaces never go.
//!
//! Source: `NamespaceLifecycle` of `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle` (1.36).

use kube_core::response::StatusCause;
use serde_json::Value;

use super::name_of;
use crate::api::{ObjectKey, Status, status};
use crate::server::registry::{Call, store_error};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) async fn exists(call: &Call<'_>, tree: &Value) -> Result<(), Status> {
    let namespace = call.namespace();
    if namespace.is_empty() {
        return Ok(());
    }
    let Some(row) = call.server.row("", "v1", "namespaces") else { return Ok(()) };
    let key = ObjectKey::new("", namespace);
    let found = call.server.cached().get(&row, &key).await.map_err(|error| store_error(&error))?;
    let Some(found) = found else { return Err(status::not_found("", "namespaces", namespace)) };
    if !found.is_deleting() {
        return Ok(());
    }
    let mut answer = call.forbidden(
        name_of(tree),
        &format!("unable to create new content in namespace {namespace} because it is being terminated"),
    );
    if let Some(details) = &mut answer.details {
        details.causes.push(StatusCause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        });
    }
    Err(answer)
}

pub(super) fn may_go(call: &Call<'_>) -> Result<(), Status> {
    if call.row.group.is_empty() && call.row.kind == "Namespace" && IMMORTAL.contains(&call.name()) {
        return Err(call.forbidden(call.name(), "this namespace may not be deleted"));
    }
    Ok(())
}
