//! Subresources that are acts: binding a pod to a node, evicting it, asking for a token.

use serde_json::{Value, json};

use super::Answer;
use super::registry::{Call, Next, decode_as, delete_object, modify};
use super::tree::{at, map_mut, metadata_mut, text};
use crate::api::{Resource, Scope, Status, schema, status};
use crate::client::{DeleteOptions, Payload, Response, Target, WriteOptions};

/// Assigns a pod to a node: `pods/binding`, and `bindings`.
///
/// Source: `BindingREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).
pub(super) async fn bind(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let row = body_row("", "v1", "Binding", "bindings");
    let binding = decode_as(call, &row, payload, options.field_validation)?;
    let name = text(&binding, &["metadata", "name"]).to_owned();
    if call.target.name.as_deref().is_some_and(|target| target != name && !name.is_empty()) {
        return Err(status::bad_request("name in URL does not match name in Binding object"));
    }
    let name = if name.is_empty() { call.name().to_owned() } else { name };
    let node = text(&binding, &["target", "name"]).to_owned();
    check_target(&binding, &name)?;
    let uid = text(&binding, &["metadata", "uid"]).to_owned();
    let pods = call.server.row("", "v1", "pods").ok_or_else(status::no_such_resource)?;
    let target = Target {
        resource: pods.gvr(),
        namespace: call.target.namespace.clone(),
        name: Some(name.clone()),
        subresource: Some("binding".into()),
    };
    let mut pod = Call::new(call.server, call.identity, pods, &target);
    let annotations = at(&binding, &["metadata", "annotations"]).and_then(Value::as_object).cloned();
    modify(&mut pod, options.dry_run, |call, current| {
        let conflict = |why: String| Err(status::conflict("", "pods/binding", current.name(), &why));
        let mut tree = (*current.tree()).clone();
        if !uid.is_empty() && uid != current.uid() {
            return conflict(format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                current.uid()
            ));
        }
        if current.is_deleting() {
            return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        let bound = text(&tree, &["spec", "nodeName"]);
        if !bound.is_empty() {
            return conflict(format!("pod {name} is already assigned to node {bound:?}"));
        }
        if at(&tree, &["spec", "schedulingGates"])
            .and_then(Value::as_array)
            .is_some_and(|gates| !gates.is_empty())
        {
            return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        map_mut(&mut tree, "spec").insert("nodeName".into(), node.clone().into());
        if let Some(annotations) = &annotations {
            let own = metadata_mut(&mut tree).entry("annotations").or_insert_with(|| json!({}));
            if let Some(own) = own.as_object_mut() {
                own.extend(annotations.clone());
            }
        }
        let now = call.server.env().clock.now_seconds().to_string();
        set_condition(
            &mut tree,
            &json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
            }),
        );
        Ok(Next::Put(Box::new(call.object(tree)?)))
    })
    .await?;
    Ok(Answer { created: true, ..success(201).into() })
}

fn check_target(binding: &Value, name: &str) -> Result<(), Status> {
    use crate::api::field::{Error, Path};
    let path = Path::new("target");
    let kind = text(binding, &["target", "kind"]);
    let mut errors = Vec::new();
    if !matches!(kind, "" | "Node") {
        errors.push(Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    if text(binding, &["target", "name"]).is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    if errors.is_empty() { Ok(()) } else { Err(status::invalid("", "Binding", name, &errors)) }
}

/// Replaces the condition of the same type, or adds it.
fn set_condition(tree: &mut Value, condition: &Value) {
    let list = map_mut(tree, "status").entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    match list.iter_mut().find(|own| own["type"] == condition["type"]) {
        Some(own) => *own = condition.clone(),
        None => list.push(condition.clone()),
    }
}

/// Deletes a pod, unless a disruption budget forbids it.
///
/// Source: `EvictionREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).
pub(super) async fn evict(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let row = body_row("policy", "v1", "Eviction", "evictions");
    let eviction = decode_as(call, &row, payload, options.field_validation)?;
    let name = text(&eviction, &["metadata", "name"]);
    if !name.is_empty() && name != call.name() {
        return Err(status::bad_request("name in URL does not match name in Eviction object"));
    }
    let asked = at(&eviction, &["deleteOptions"]);
    let precondition = |field: &str| {
        asked.and_then(|asked| at(asked, &["preconditions", field])?.as_str().map(str::to_owned))
    };
    let mut delete = DeleteOptions {
        grace_period_seconds: asked.and_then(|asked| at(asked, &["gracePeriodSeconds"])?.as_i64()),
        dry_run: options.dry_run || asked.is_some_and(|asked| at(asked, &["dryRun"]).is_some()),
        ..DeleteOptions::default()
    };
    delete.preconditions.uid = precondition("uid");
    delete.preconditions.resource_version =
        precondition("resourceVersion").and_then(|text| text.parse().ok());
    let pod = call.current().await?.ok_or_else(|| call.not_found())?;
    super::disruption::check(call, &pod, delete.dry_run).await?;
    delete_object(call, &delete).await?;
    Ok(Answer { created: true, ..success(201).into() })
}

/// Gives out a token for a service account.
pub(super) async fn token(call: &mut Call<'_>, payload: Payload) -> Result<Answer, Status> {
    let row = body_row("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests");
    super::service_accounts::token(call, payload, row).await
}

/// A row for what subresources take and answer, and nobody stores.
pub(super) fn body_row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Resource {
    let mut row = Resource::new(group, version, kind, plural, Scope::Namespaced);
    row.schema = schema::name_of(group, version, kind).map(Into::into);
    row
}

fn success(code: u16) -> Response {
    let mut answer = Status::success();
    answer.code = code;
    Response::Status(Box::new(answer))
}
