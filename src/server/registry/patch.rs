//! Patch.

use serde_json::Value;

use super::create::check_namespace;
use super::update::{Scope, check_name, modify, replace};
use super::{Call, decode};
use crate::api::{Object, Resource, Status, patch as patches, status};
use crate::client::{Patch, PatchType, WriteOptions};
use crate::server::convert;

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
    modify(call, options.dry_run, |call, current| {
        let mut tree = convert::tree(&call.row, &call.asked, (*current.tree()).clone());
        change.apply(&call.asked, &mut tree)?;
        check_name(call, &tree)?;
        check_namespace(call, &mut tree)?;
        let tree = decode::prune(call, tree, options.field_validation)?;
        replace(call, tree, current, scope)
    })
    .await
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
            PatchType::Apply => Err(status::unsupported_media_type("server-side apply is not served")),
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
