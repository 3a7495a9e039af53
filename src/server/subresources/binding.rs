//! `pods/binding`, and `bindings`: a pod is assigned to a node.
//!
//! Source: `BindingREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).

use serde_json::{Value, json};

use super::{body_row, conditions, success};
use crate::api::field::{Error, Path};
use crate::api::{Status, status};
use crate::client::{Payload, Target, WriteOptions};
use crate::server::Answer;
use crate::server::registry::{Call, Next, decode_as, modify, precondition_failed};
use crate::server::tree::{at, map_mut, metadata_mut, text};

/// Assigns a pod to a node.
pub(crate) async fn bind(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let row = body_row("", "v1", "Binding", "bindings");
    let binding = decode_as(call, &row, payload, options.field_validation)?;
    let name = text(&binding, &["metadata", "name"]).to_owned();
    if call.target.name.as_deref().is_some_and(|target| target != name) {
        return Err(status::bad_request("name in URL does not match name in Binding object"));
    }
    check_target(&binding)?;
    let pods = call.server.row("", "v1", "pods").ok_or_else(status::no_such_resource)?;
    let target = Target {
        resource: pods.gvr(),
        namespace: call.target.namespace.clone(),
        name: Some(name),
        subresource: Some("binding".into()),
    };
    let mut pod = Call::new(call.server, call.identity, pods, &target);
    modify(&mut pod, options.dry_run, |call, current| {
        let said = |field: &str| text(&binding, &["metadata", field]).to_owned();
        let (uid, revision) = (said("uid"), said("resourceVersion"));
        if !uid.is_empty() && uid != current.uid() {
            return Err(precondition_failed(call, "UID", &uid, current.uid()));
        }
        let found = current.revision().to_string();
        if !revision.is_empty() && revision != found {
            return Err(precondition_failed(call, "ResourceVersion", &revision, &found));
        }
        let old = current.tree();
        if let Some(why) = refusal(&old, current.is_deleting()) {
            return Err(status::conflict("", "pods/binding", current.name(), &why));
        }
        let now = call.server.env().clock.now_seconds();
        Ok(Next::Put(Box::new(call.object(bound(&old, &binding, now))?)))
    })
    .await?;
    Ok(Answer { created: true, ..success(201).into() })
}

/// Kubernetes answers these as an error that it knows nothing of.
fn check_target(binding: &Value) -> Result<(), Status> {
    let path = Path::new("target");
    let kind = text(binding, &["target", "kind"]);
    let mut errors = Vec::new();
    if !matches!(kind, "" | "Node") {
        errors.push(Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    if text(binding, &["target", "name"]).is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
    match said.as_slice() {
        [] => Ok(()),
        [one] => Err(status::failure(500, "", one)),
        many => Err(status::failure(500, "", format!("[{}]", many.join(", ")))),
    }
}

/// Why a pod can be assigned to no node, if so.
fn refusal(pod: &Value, deleting: bool) -> Option<String> {
    let name = text(pod, &["metadata", "name"]);
    let node = text(pod, &["spec", "nodeName"]);
    let gates = at(pod, &["spec", "schedulingGates"]).and_then(Value::as_array);
    if deleting {
        Some(format!("pod {name} is being deleted, cannot be assigned to a host"))
    } else if !node.is_empty() {
        Some(format!("pod {name} is already assigned to node {node:?}"))
    } else if gates.is_some_and(|gates| !gates.is_empty()) {
        Some(format!("pod {name} has non-empty .spec.schedulingGates"))
    } else {
        None
    }
}

/// The pod on its node, with the binding's labels and annotations over its own.
fn bound(pod: &Value, binding: &Value, now: jiff::Timestamp) -> Value {
    let mut tree = pod.clone();
    map_mut(&mut tree, "spec").insert("nodeName".into(), binding["target"]["name"].clone());
    for field in ["annotations", "labels"] {
        let Some(given) = at(binding, &["metadata", field]).and_then(Value::as_object) else { continue };
        let own = metadata_mut(&mut tree).entry(field).or_insert_with(|| json!({}));
        if let Some(own) = own.as_object_mut() {
            own.extend(given.clone());
        }
    }
    map_mut(&mut tree, "status").remove("nominatedNodeName");
    conditions::set(&mut tree, json!({"type": "PodScheduled", "status": "True"}), now);
    tree
}
