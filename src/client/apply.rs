//! Applying a manifest: make what is missing, change what differs, leave the rest alone.
//!
//! This is what `kubectl apply` does from the client's side, with the same annotation, so that the
//! two can take turns: fields that the last application set and this one does not are removed,
//! fields that nobody applied (defaults, status, what controllers write) stay. The difference goes
//! out as a JSON merge patch, in which a list is one value.
//!
//! [`server_side`] leaves all that to the server, which knows who owns which field and merges lists by
//! their keys; it is what several who write one object want.

use serde_json::{Map, Value, json};

use super::{Client, ClientExt, Error, Patch, PatchType, Payload, Target, WriteOptions};
use crate::api::{GroupVersionKind, Object, Scheme, status};

/// Where the last applied configuration is kept, as kubectl keeps it.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What an application did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Applied {
    /// The object was made.
    Created(Object),
    /// The object was changed.
    Configured(Object),
    /// The object was as it should be.
    Unchanged(Object),
}

impl Applied {
    /// The object as it is now.
    #[must_use]
    pub fn object(&self) -> &Object {
        match self {
            Self::Created(object) | Self::Configured(object) | Self::Unchanged(object) => object,
        }
    }
}

/// Applies one document, in `namespace` where it names none and its kind lives in one.
///
/// # Errors
///
/// A `NotFound` for a kind that the scheme does not have, in kubectl's words, and whatever the
/// server answers.
///
/// # Cancel safety
///
/// Applying again finishes what an application that was dropped began.
pub async fn apply<C: Client + ?Sized>(
    client: &C,
    scheme: &Scheme,
    namespace: &str,
    document: &Value,
) -> Result<Applied, Error> {
    let target = target(scheme, namespace, document)?;
    let mut desired = document.clone();
    annotate(&mut desired);
    let named = target.name.clone().is_some_and(|name| !name.is_empty());
    let live = match named {
        true => client.get(target.clone()).await,
        false => Err(Error::from(status::bad_request("resource name may not be empty"))),
    };
    match live {
        Ok(live) => {
            let tree = live.tree();
            let last = tree["metadata"]["annotations"][LAST_APPLIED].as_str();
            let last = last.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
            let patch = difference(&last, &tree, &desired);
            if patch == json!({}) {
                return Ok(Applied::Unchanged(live));
            }
            let patch = Patch { kind: PatchType::Merge, body: patch.to_string().into(), force: false };
            client.patch(target, patch, WriteOptions::default()).await.map(Applied::Configured)
        }
        Err(Error::NotFound(_)) => {
            let target = Target { name: None, ..target };
            let created = client.create(target, Payload::Tree(desired), WriteOptions::default()).await?;
            created.map(Applied::Created).ok_or_else(|| Error::unexpected("create"))
        }
        Err(error) => Err(error),
    }
}

/// Applies one document on the server's side as `manager`, in `namespace` where it names none and its kind
/// lives in one. With `force`, fields that others own are taken over.
///
/// # Errors
///
/// A `NotFound` for a kind that the scheme does not have, in kubectl's words; a `Conflict`, with a cause a
/// field, where others own what would change; and whatever else the server answers.
///
/// # Cancel safety
///
/// Applying again finishes what an application that was dropped began.
pub async fn server_side<C: Client + ?Sized>(
    client: &C,
    scheme: &Scheme,
    namespace: &str,
    document: &Value,
    manager: &str,
    force: bool,
) -> Result<Object, Error> {
    let target = target(scheme, namespace, document)?;
    client.patch(target, configuration(document, force), managed_by(manager)).await
}

/// A patch that applies this configuration.
pub(super) fn configuration(document: &Value, force: bool) -> Patch {
    Patch { kind: PatchType::Apply, body: document.to_string().into(), force }
}

pub(super) fn managed_by(manager: &str) -> WriteOptions {
    WriteOptions { field_manager: Some(manager.to_owned()), ..WriteOptions::default() }
}

/// Where a document belongs.
///
/// # Errors
///
/// As [`apply`] for a kind that the scheme does not have.
pub fn target(scheme: &Scheme, namespace: &str, document: &Value) -> Result<Target, Error> {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let row = scheme.kind(&GroupVersionKind::gvk(group, version, text("kind"))).ok_or_else(|| {
        let (kind, version) = (text("kind"), text("apiVersion"));
        Error::from(status::failure(
            404,
            "NotFound",
            format!("no matches for kind {kind:?} in version {version:?}"),
        ))
    })?;
    let own = document["metadata"]["namespace"].as_str().filter(|own| !own.is_empty());
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    let target = Target::all(row).name(name);
    Ok(if row.namespaced() { target.namespace(own.unwrap_or(namespace)) } else { target })
}

fn annotate(desired: &mut Value) {
    let text = format!("{desired}\n");
    let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(LAST_APPLIED.to_owned(), text.into());
    }
}

/// The merge patch that brings `live` to `desired` and takes out what only `last` had.
fn difference(last: &Value, live: &Value, desired: &Value) -> Value {
    let empty = Map::new();
    let fields = |value| Value::as_object(value).unwrap_or(&empty);
    let (last, live, desired) = (fields(last), fields(live), fields(desired));
    let mut patch = Map::new();
    for (field, wanted) in desired {
        let held = live.get(field).unwrap_or(&Value::Null);
        if wanted.is_object() && held.is_object() {
            let inner = difference(last.get(field).unwrap_or(&Value::Null), held, wanted);
            if inner != json!({}) {
                patch.insert(field.clone(), inner);
            }
        } else if !covers(held, wanted) {
            patch.insert(field.clone(), wanted.clone());
        }
    }
    for field in last.keys().filter(|field| !desired.contains_key(*field) && live.contains_key(*field)) {
        patch.insert(field.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// Whether what is held is what is wanted, but for fields that the server filled in.
fn covers(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Object(held), Value::Object(wanted)) => {
            wanted.iter().all(|(field, wanted)| covers(held.get(field).unwrap_or(&Value::Null), wanted))
        }
        (Value::Array(held), Value::Array(wanted)) => {
            held.len() == wanted.len() && held.iter().zip(wanted).all(|(held, wanted)| covers(held, wanted))
        }
        _ => held == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent_and_what_is_no_longer_applied_is_removed() {
        let last = json!({"spec": {"replicas": 3, "paused": true}});
        let live = json!({"spec": {"replicas": 3, "paused": true, "filled": "in"}, "status": {"ready": 3}});
        let desired = json!({"spec": {"replicas": 5}});
        assert_eq!(difference(&last, &live, &desired), json!({"spec": {"replicas": 5, "paused": null}}));
    }

    #[test]
    fn defaults_inside_lists_are_no_difference() {
        let live = json!({"ports": [{"port": 80, "protocol": "TCP"}]});
        assert_eq!(difference(&Value::Null, &live, &json!({"ports": [{"port": 80}]})), json!({}));
        let changed = json!({"ports": [{"port": 81}]});
        assert_eq!(difference(&Value::Null, &live, &changed), changed);
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let document = json!({"apiVersion": "v1", "kind": "Podd", "metadata": {"name": "a"}});
        let error = target(&Scheme::empty(), "default", &document).unwrap_err();
        assert_eq!(error.to_string(), r#"no matches for kind "Podd" in version "v1""#);
    }
}
