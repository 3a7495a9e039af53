//! The scale subresource: an `autoscaling/v1` Scale in front of an object's replicas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Config;
use super::patch::Parsed;
use super::update::{check_name, modify, replace_scaled};
use super::{Call, decode};
use crate::api::managed::{Applied, Replicas};
use crate::api::selector::LabelSelector;
use crate::api::structural::ScalePaths;
use crate::api::{Object, Resource, Status, field, status};
use crate::client::{FieldValidation, Patch, PatchType, Payload, Response, WriteOptions};
use crate::server::managed::{self, ScaleOwners};
use crate::server::subresources::body_row;
use crate::server::tree::{at, copy_field, map_mut, metadata_mut, text};
use crate::server::{Answer, admission};

/// Where a kind keeps what a Scale shows; dotted paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
    /// A custom resource may have no replicas at all, or something else in their place.
    custom: bool,
}

/// What stands for replicas that a custom resource does not have, until somebody gives it some.
const ABSENT: i64 = i32::MIN as i64;

/// Reads the scale of an object.
pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Status> {
    let current = call.current().await?.ok_or_else(|| call.not_found())?;
    let paths = paths(&call.row).ok_or_else(status::no_such_resource)?;
    if replicas(&paths, &current.tree())? == ABSENT {
        let field = format!(".{}", paths.spec);
        return Err(status::internal(format!("the spec replicas field {field:?} does not exist")));
    }
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
    let paths = paths(&call.row).ok_or_else(status::no_such_resource)?;
    let owners = ScaleOwners::of(call, options, places(call));
    let object = modify(call, options.dry_run, |call, current| {
        let mut tree = (*current.tree()).clone();
        let Applied { tree: scale, managed } = change(call, &owners, &tree, &scale(&paths, current)?)?;
        let replicas = at(&scale, &["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
        if paths.custom && replicas == ABSENT {
            let field = format!(".{}", paths.spec);
            return Err(status::bad_request(format!("the spec replicas field {field:?} cannot be empty")));
        }
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
        replace_scaled(call, tree, current, &paths)
    })
    .await?;
    shown(&paths, &object)
}

/// Lets admission look at the Scale that an object is to have, and takes over what it changes.
pub(super) async fn admit(
    call: &mut Call<'_>,
    paths: &Paths,
    tree: &mut Value,
    current: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    let mut wanted = scale(paths, &call.object(tree.clone())?)?;
    admission::scale(call, &mut wanted, &of(paths, current)?, dry_run).await?;
    set(tree, &paths.spec, at(&wanted, &["spec", "replicas"]).cloned().unwrap_or_else(|| 0.into()));
    Ok(())
}

/// Where each version of an object's kind keeps its replicas.
fn places(call: &Call<'_>) -> Replicas {
    managed::versions(call).iter().fold(Replicas::new(), |places, row| {
        let paths = row.subresource("scale").and_then(|_| paths(row));
        places.version(row.api_version(), paths.as_ref().map(|paths| paths.spec.as_str()))
    })
}

fn row() -> Resource {
    body_row("autoscaling", "v1", "Scale", "scales")
}

fn shown(paths: &Paths, object: &Object) -> Result<Answer, Status> {
    Ok(Response::Object(of(paths, object)?).into())
}

/// The Scale of an object, as an object.
fn of(paths: &Paths, object: &Object) -> Result<Object, Status> {
    Object::from_tree(Arc::new(row()), object.revision(), scale(paths, object)?)
        .map_err(|error| status::internal(error.to_string()))
}

/// The Scale of an object.
fn scale(paths: &Paths, object: &Object) -> Result<Value, Status> {
    let tree = object.tree();
    let mut metadata = json!({"name": object.name(), "uid": object.uid()});
    if object.revision() != crate::api::Revision::NONE {
        metadata["resourceVersion"] = object.revision().to_string().into();
    }
    if let Some(namespace) = object.namespace() {
        metadata["namespace"] = namespace.into();
    }
    metadata["creationTimestamp"] = text(&tree, &["metadata", "creationTimestamp"]).into();
    let mut status = json!({"replicas": number(paths, &paths.status, &tree)?.unwrap_or(0)});
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
        "spec": {"replicas": replicas(paths, &tree)?},
        "status": status,
    }))
}

/// The replicas that are wanted.
fn replicas(paths: &Paths, tree: &Value) -> Result<i64, Status> {
    let absent = if paths.custom { ABSENT } else { 0 };
    Ok(number(paths, &paths.spec, tree)?.unwrap_or(absent))
}

fn number(paths: &Paths, path: &str, tree: &Value) -> Result<Option<i64>, Status> {
    if !paths.custom {
        return Ok(find(tree, path).and_then(Value::as_i64));
    }
    // Kubernetes has no reason for this one, and answers 500.
    ScalePaths::number(&format!(".{path}"), tree).map_err(|why| status::failure(500, "", why))
}

/// Where a row keeps its replicas: as the built-in workloads do, or where its definition says.
fn paths(row: &Resource) -> Option<Paths> {
    if row.schema.is_some() {
        return Some(Paths {
            spec: "spec.replicas".into(),
            status: "status.replicas".into(),
            selector: Some("spec.selector".into()),
            custom: false,
        });
    }
    let scale = row.custom.as_ref()?.scale.as_ref()?;
    let path = |text: &str| text.trim_start_matches('.').to_owned();
    Some(Paths {
        spec: path(&scale.spec),
        status: path(&scale.status),
        selector: scale.selector.as_deref().map(path),
        custom: true,
    })
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
