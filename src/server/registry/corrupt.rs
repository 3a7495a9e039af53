//! Objects that cannot be read: how that is told, and how they are deleted all the same.
//!
//! Kubernetes deletes them where its feature `AllowUnsafeMalformedObjectDeletion` is on (KEP-3926, alpha
//! and off in 1.36). Here nothing is switched, and it is as if it were on.
//!
//! Source: `storage/etcd3/corrupt_obj_deleter.go`, `registry/generic/registry/corrupt_obj_deleter.go` and
//! `endpoints/handlers/delete.go` of `k8s.io/apiserver` (1.36). There the deletion is conditional on a
//! revision that is read after the object was found to be corrupt; here on the one that was.

use std::sync::Arc;

use kube_core::response::{StatusCause, StatusDetails};

use super::{Call, store_error};
use crate::api::{Status, field, status};
use crate::client::{DeleteOptions, Response, wire};
use crate::server::{Answer, Attributes, Decision};
use crate::store;
use crate::store::cached::{Change, Defect, Outcome, Unreadable};

const IGNORE_READ_ERROR: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// The verb that its caller needs besides `delete`.
const VERB: &str = "unsafe-delete-ignore-read-errors";

/// Deletes an object that cannot be read, and no other. Its finalizers, what it has claimed and what
/// depends on it are left as they are: nobody knows of them.
pub(super) async fn delete(call: &Call<'_>, options: &DeleteOptions) -> Result<Answer, Status> {
    wire::check_delete(options).map_err(|status| *status)?;
    let attributes = Attributes::on(VERB, call.target);
    if let Decision::Deny { reason } = call.server.authorize(call.identity, &attributes) {
        let why = format!("not permitted to do {VERB:?}, reason: {reason}");
        return Err(call.forbidden(call.name(), &why));
    }
    loop {
        let unreadable = match call.server.cached().get(&call.server.stored_row(&call.row), &call.key()).await
        {
            Err(store::Error::Unreadable { values, .. }) => values,
            Err(error) => return Err(store_error(&error)),
            Ok(_) => {
                let why =
                    "is exclusively used to delete corrupt object(s), try again by removing this option";
                let error = field::Error::invalid(&field::Path::new(IGNORE_READ_ERROR), true, why);
                return Err(status::invalid(&call.row.group, &call.row.plural, call.name(), &[error]));
            }
        };
        let changes = unreadable.into_iter().map(Change::Discard).collect();
        let outcome = call.server.cached().commit(changes).await.map_err(|error| store_error(&error))?;
        // Otherwise somebody has written or deleted it meanwhile.
        if let Outcome::Committed(_) = outcome {
            break;
        }
    }
    let (resource, user) = (call.row.qualified(), &call.identity.user);
    tracing::warn!(%resource, key = %call.key(), user, "an object was deleted unread");
    let mut answer = Status::success();
    answer.code = 200;
    answer.details = Some(StatusDetails {
        name: call.name().into(),
        group: String::new(),
        kind: call.asked.kind.to_string(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    Ok(Response::Status(Box::new(answer)).into())
}

/// 422: many are not deleted so at once.
pub(super) fn refuse_collection(options: &DeleteOptions) -> Result<(), Status> {
    wire::check_delete(options).map_err(|status| *status)?;
    if !options.ignore_store_read_error_with_cluster_breaking_potential {
        return Ok(());
    }
    let why = "is not allowed with DELETECOLLECTION, try again after removing the option";
    let error = field::Error::invalid(&field::Path::new(IGNORE_READ_ERROR), true, why);
    Err(status::invalid("meta.k8s.io", "DeleteOptions", "", &[error]))
}

/// 500: a list would have to hold these.
pub(super) fn list_error(call: &Call<'_>, values: &[Arc<Unreadable>], more: bool) -> Status {
    let cause =
        |reason: &str, message: String, field: String| StatusCause { reason: reason.into(), message, field };
    let named = values.iter().map(|value| {
        let key = String::from_utf8_lossy(&value.key).into_owned();
        cause("UnexpectedServerResponse", read_error(value), key)
    });
    let truncated = more
        .then(|| cause("FieldValueTooMany", "too many errors, the list is truncated".into(), String::new()));
    let resource = call.row.qualified();
    let message = format!("failed to read one or more {resource} from the storage");
    status::store_read_error(message).with_details(StatusDetails {
        name: "list".into(),
        group: call.row.group.to_string(),
        kind: call.row.plural.to_string(),
        uid: String::new(),
        causes: named.chain(truncated).collect(),
        retry_after_seconds: 0,
    })
}

/// 500: these are needed for what was asked.
pub(super) fn get_error(values: &[Arc<Unreadable>]) -> Status {
    let errors: Vec<_> = values.iter().map(|value| read_error(value)).collect();
    status::internal(errors.join(", "))
}

/// 500: a watch would have to tell this object's last state.
pub(super) fn deleted_error(value: &Unreadable) -> Status {
    status::store_read_error(format!("saw a DELETED event, but object data is corrupt - {}", defect(value)))
}

/// What the storage of Kubernetes says of such an object.
fn read_error(value: &Unreadable) -> String {
    let key = String::from_utf8_lossy(&value.key);
    format!(
        "StorageError: corrupt object, Code: 7, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {}",
        defect(value)
    )
}

fn defect(value: &Unreadable) -> String {
    let what = match value.defect {
        Defect::Untransformable(_) => "data from the storage is not transformable",
        Defect::Undecodable(_) => "object not decodable",
    };
    format!("{what} revision={}: {}", value.revision, value.defect)
}
