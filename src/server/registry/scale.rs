//! The scale subresource: an `autoscaling/v1` Scale in front of an object's replicas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Config;
use super::patch::Parsed;
use super::update::{Scope, check_name, modify, replace};
use super::{Call, decode};
use crate::api::managed::{Applied, Replicas};
use crate::api::selector::LabelSelector;
use crate::api::{Object, Resource, Status, field, status};
use crate::client::{FieldValidation, Patch, PatchType, Payload, Response, WriteOptions};
use crate::server::managed::{self, ScaleOwners};
use crate::server::subresources::body_row;
use crate::server::tree::{at, copy_field, map_mut, metadata_mut, text};
use crate::server::{Answer, ApiServer, definitions};

/// Where a kind keeps what a Scale shows; dotted paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

/// Reads the scale of an object.
pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Status> {
    let current = call.current().await?.ok_or_else(|| call.not_found())?;
    let paths = paths(call.server, &call.row).await?.ok_or_else(status::no_such_resource)?;
    shown(&paths, &current)
}

/// Sets the replicas of an object.
pub(super) async fn update(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let scale = decode::decode_as(call, &row(), payload, options.field_validation)?;
    write(call, options, |call, owners, object, old| {
        check_name(call, &scale)?;
        Ok(Applied { tree: scale.clone(), managed: owners.update(object, old, &scale) })
    })
    .await
}

/// Changes the replicas of an object by a patch of its Scale.
pub(super) async fn patch(
    call: &mut Call<'_>,
    patch: &Patch,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let row = row();
    if patch.kind == PatchType::Apply {
        let config = Config::of(patch, options)?;
        return write(call, options, |call, owners, object, old| {
            let Applied { tree, managed } = owners.apply(object, old, &config.tree, config.force)?;
            config.report(call)?;
            let ignore = Some(FieldValidation::Ignore);
            let tree = decode::decode_as(call, &row, Payload::Tree(tree), ignore)?;
            check_name(call, &tree)?;
            Ok(Applied { tree, managed })
        })
        .await;
    }
    let change = Parsed::of(&row, patch)?;
    write(call, options, |call, owners, object, old| {
        let mut tree = old.clone();
        change.apply(&row, &mut tree)?;
        check_name(call, &tree)?;
        let managed = owners.update(object, old, &tree);
        Ok(Applied { tree, managed })
    })
    .await
}

/// Gives an object the replicas that `change` makes of its Scale, and the owners that it has then.
async fn write(
    call: &mut Call<'_>,
    options: &WriteOptions,
    mut change: impl FnMut(&mut Call<'_>, &ScaleOwners, &Value, &Value) -> Result<Applied, Status>,
) -> Result<Answer, Status> {
    let paths = paths(call.server, &call.row).await?.ok_or_else(status::no_such_resource)?;
    let owners = ScaleOwners::of(call, options, replicas(call).await?);
    let object = modify(call, options.dry_run, |call, current| {
        let mut tree = (*current.tree()).clone();
        let Applied { tree: scale, managed } = change(call, &owners, &tree, &scale(&paths, current)?)?;
        let replicas = at(&scale, &["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
        if replicas < 0 {
            let path = field::Path::new("spec").child("replicas");
            let error = field::Error::invalid(&path, replicas, "must be greater than or equal to 0");
            return Err(status::invalid("autoscaling", "Scale", current.name(), &[error]));
        }
        let uid = text(&scale, &["metadata", "uid"]);
        if !uid.is_empty() && uid != current.uid() {
            let resource = format!("{}/scale", call.row.plural);
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                current.uid()
            );
            return Err(status::conflict(&call.row.group, &resource, current.name(), &why));
        }
        set(&mut tree, &paths.spec, replicas.into());
        // The revision that the Scale names is the object's.
        copy_field(metadata_mut(&mut tree), scale["metadata"].as_object(), "resourceVersion");
        managed.put(&mut tree);
        replace(call, tree, current, Scope::Main)
    })
    .await?;
    shown(&paths, &object)
}

/// Where each version of an object's kind keeps its replicas.
async fn replicas(call: &Call<'_>) -> Result<Replicas, Status> {
    let mut replicas = Replicas::new();
    for row in managed::versions(call) {
        let paths = match row.subresource("scale") {
            Some(_) => paths(call.server, &row).await?,
            None => None,
        };
        replicas = replicas.version(row.api_version(), paths.as_ref().map(|paths| paths.spec.as_str()));
    }
    Ok(replicas)
}

fn row() -> Resource {
    body_row("autoscaling", "v1", "Scale", "scales")
}

fn shown(paths: &Paths, object: &Object) -> Result<Answer, Status> {
    let shown = Object::from_tree(Arc::new(row()), object.revision(), scale(paths, object)?)
        .map_err(|error| status::internal(error.to_string()))?;
    Ok(Response::Object(shown).into())
}

/// The Scale of an object.
fn scale(paths: &Paths, object: &Object) -> Result<Value, Status> {
    let tree = object.tree();
    let number = |path: &str| find(&tree, path).and_then(Value::as_i64).unwrap_or(0);
    let mut metadata = json!({"name": object.name(), "uid": object.uid()});
    if object.revision() != crate::api::Revision::NONE {
        metadata["resourceVersion"] = object.revision().to_string().into();
    }
    if let Some(namespace) = object.namespace() {
        metadata["namespace"] = namespace.into();
    }
    metadata["creationTimestamp"] = text(&tree, &["metadata", "creationTimestamp"]).into();
    let mut status = json!({"replicas": number(&paths.status)});
    let selector = paths.selector.as_deref().and_then(|path| find(&tree, path));
    match selector {
        Some(Value::String(selector)) => status["selector"] = selector.clone().into(),
        Some(map) => {
            let struct_form = serde_json::from_value(map.clone()).ok();
            if let Ok(selector) = LabelSelector::from_k8s(struct_form.as_ref()) {
                status["selector"] = selector.to_string().into();
            }
        }
        None => {}
    }
    Ok(json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata,
        "spec": {"replicas": number(&paths.spec)},
        "status": status,
    }))
}

/// Where a row keeps its replicas: as the built-in workloads do, or where its definition says.
async fn paths(server: &ApiServer, row: &Resource) -> Result<Option<Paths>, Status> {
    if row.schema.is_some() {
        return Ok(Some(Paths {
            spec: "spec.replicas".into(),
            status: "status.replicas".into(),
            selector: Some("spec.selector".into()),
        }));
    }
    definitions::scale_paths(server, row).await
}

fn find<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |value, field| value.get(field))
}

fn set(tree: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            if let Some(map) = tree.as_object_mut() {
                map.insert(path.to_owned(), value);
            }
        }
        Some((first, rest)) => {
            map_mut(tree, first);
            set(&mut tree[first], rest, value);
        }
    }
}
