//! Patch.

use serde_json::Value;

use super::create::check_namespace;
use super::update::{Scope, check_name, modify, owned, replace};
use super::{Call, decode};
use crate::api::{Object, Resource, Status, field, patch as patches, status};
use crate::client::{Patch, PatchType, WriteOptions};
use crate::server::convert;
use crate::server::managed::Owners;
use crate::server::tree::text;

/// Changes an object by a patch.
///
/// A patch that says no `resourceVersion` is applied to whatever the object is by then; one that
/// says it fails once the object is another.
pub(super) async fn patch(
    call: &mut Call<'_>,
    patch: &Patch,
    options: &WriteOptions,
    scope: Scope,
) -> Result<Object, Status> {
    let change = Parsed::of(&call.row, patch)?;
    let owners = Owners::of(call, options);
    modify(call, options.dry_run, |call, current| {
        let mut tree = convert::tree(&call.row, &call.asked, (*current.tree()).clone());
        change.apply(&call.asked, &mut tree)?;
        let mut tree = decode::prune(call, tree, options.field_validation)?;
        owned(call, &owners, &mut tree, current, scope)?;
        check_patched(call, &mut tree, current)?;
        replace(call, tree, current, scope)
    })
    .await
}

/// What a patch has made must still be the object that it was.
pub(super) fn check_patched(call: &Call<'_>, tree: &mut Value, current: &Object) -> Result<(), Status> {
    check_namespace(call, tree)?;
    check_name(call, tree)?;
    let said = text(tree, &["metadata", "uid"]);
    if said.is_empty() || said == current.uid() {
        return Ok(());
    }
    let path = field::Path::new("metadata").child("uid");
    Err(call.invalid(current.name(), &[field::Error::invalid(&path, said, "field is immutable")]))
}

/// A patch that has been read.
pub(super) enum Parsed {
    Json(bytes::Bytes),
    Merge(Value),
    Strategic(Value),
}

impl Parsed {
    pub(super) fn of(row: &Resource, patch: &Patch) -> Result<Self, Status> {
        let tree = || {
            serde_json::from_slice::<Value>(&patch.body)
                .map_err(|error| status::bad_request(format!("error decoding patch: {error}")))
                .and_then(|tree| {
                    tree.is_object()
                        .then_some(tree)
                        .ok_or_else(|| status::bad_request("error decoding patch: it is no JSON object"))
                })
        };
        match patch.kind {
            PatchType::Json => Ok(Self::Json(patch.body.clone())),
            PatchType::Merge => Ok(Self::Merge(tree()?)),
            PatchType::StrategicMerge if row.schema.is_none() => Err(unsupported()),
            PatchType::StrategicMerge => Ok(Self::Strategic(tree()?)),
            // It is no change of a tree, but merged into it by owner.
            PatchType::Apply => Err(unsupported()),
        }
    }

    pub(super) fn apply(&self, row: &Resource, tree: &mut Value) -> Result<(), Status> {
        let result = match self {
            Self::Json(patch) => patches::json(tree, patch),
            Self::Merge(patch) => {
                patches::merge(tree, patch);
                Ok(())
            }
            Self::Strategic(patch) => patches::strategic(row, tree, patch),
        };
        result.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &patches::Error) -> Status {
    let why = error.to_string();
    match error {
        patches::Error::Unprocessable(_) => {
            // Kubernetes leaves it at the first half.
            let message = "the server rejected our request due to an error in our request";
            status::failure(422, "Invalid", format!("{message}: {why}"))
        }
        patches::Error::TooLarge(_) => status::failure(413, "RequestEntityTooLarge", why),
        patches::Error::Unsupported => unsupported(),
        _ => status::bad_request(why),
    }
}

fn unsupported() -> Status {
    status::unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json",
    )
}
