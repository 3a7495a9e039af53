//! `Status`: how Kubernetes says that something went wrong.
//!
//! Wording, reasons and codes follow `k8s.io/apimachinery/pkg/api/errors` (1.36).

use kube_core::response::{StatusCause, StatusDetails};

pub use kube_core::Status;

use super::field;

/// A failure with this code, reason and message, and nothing else.
#[must_use]
pub fn failure(code: u16, reason: &str, message: impl AsRef<str>) -> Status {
    Status::failure(message.as_ref(), reason).with_code(code)
}

/// `details` that name a resource (its group and plural name) and an object.
fn details(group: &str, plural: &str, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.into(),
        group: group.into(),
        kind: plural.into(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// 404: there is no such object.
#[must_use]
pub fn not_found(group: &str, plural: &str, name: &str) -> Status {
    failure(404, "NotFound", format!("{} {name:?} not found", qualified(group, plural)))
        .with_details(details(group, plural, name))
}

/// 404: there is no such path or resource.
#[must_use]
pub fn no_such_resource() -> Status {
    failure(404, "NotFound", "the server could not find the requested resource")
        .with_details(details("", "", ""))
}

/// 409: an object of this name exists.
#[must_use]
pub fn already_exists(group: &str, plural: &str, name: &str) -> Status {
    failure(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(group, plural)))
        .with_details(details(group, plural, name))
}

/// 409: the operation cannot be fulfilled, for this reason.
#[must_use]
pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Status {
    let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", qualified(group, plural));
    failure(409, "Conflict", message).with_details(details(group, plural, name))
}

/// What [`conflict`] says when a `resourceVersion` is stale.
pub const OBJECT_MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// 422: fields of the object are invalid. `kind` is the object's kind, not its plural name.
#[must_use]
pub fn invalid(group: &str, kind: &str, name: &str, errors: &[field::Error]) -> Status {
    let list = match errors {
        [one] => one.to_string(),
        many => {
            let texts: Vec<_> = many.iter().map(ToString::to_string).collect();
            format!("[{}]", texts.join(", "))
        }
    };
    let causes = errors
        .iter()
        .map(|error| StatusCause {
            reason: error.kind.reason().into(),
            message: error.detail_text(),
            field: error.field.clone(),
        })
        .collect();
    let message = format!("{} {name:?} is invalid: {list}", qualified(group, kind));
    failure(422, "Invalid", message).with_details(StatusDetails { causes, ..details(group, kind, name) })
}

/// 400: the request cannot be understood.
#[must_use]
pub fn bad_request(why: impl AsRef<str>) -> Status {
    failure(400, "BadRequest", why)
}

/// 401: the request carries no credential that counts.
#[must_use]
pub fn unauthorized() -> Status {
    failure(401, "Unauthorized", "Unauthorized")
}

/// 403: the request is understood and refused.
#[must_use]
pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Status {
    let resource = qualified(group, plural);
    let message = match (plural, name) {
        ("", _) => format!("forbidden: {why}"),
        (_, "") => format!("{resource} is forbidden: {why}"),
        _ => format!("{resource} {name:?} is forbidden: {why}"),
    };
    failure(403, "Forbidden", message).with_details(details(group, plural, name))
}

/// 405: the resource does not do this.
#[must_use]
pub fn method_not_supported(group: &str, plural: &str, verb: &str) -> Status {
    let message = format!("{verb} is not supported on resources of kind {:?}", qualified(group, plural));
    failure(405, "MethodNotAllowed", message).with_details(details(group, plural, ""))
}

/// 410: the revision asked for is older than anything that is kept.
#[must_use]
pub fn expired(why: impl AsRef<str>) -> Status {
    failure(410, "Expired", why)
}

/// 415: a body of a media type that is not read here.
#[must_use]
pub fn unsupported_media_type(why: impl AsRef<str>) -> Status {
    failure(415, "UnsupportedMediaType", why)
}

/// 429: too much at once; try again after so many seconds.
#[must_use]
pub fn too_many_requests(why: impl AsRef<str>, retry_after_seconds: u32) -> Status {
    failure(429, "TooManyRequests", why)
        .with_details(StatusDetails { retry_after_seconds, ..details("", "", "") })
}

/// 500: our fault.
#[must_use]
pub fn internal(why: impl AsRef<str>) -> Status {
    failure(500, "InternalError", format!("Internal error occurred: {}", why.as_ref()))
}

/// 500: what is stored cannot be read.
#[must_use]
pub fn store_read_error(why: impl AsRef<str>) -> Status {
    failure(500, "StorageReadError", why)
}

/// 503: not now.
#[must_use]
pub fn unavailable(why: impl AsRef<str>) -> Status {
    failure(503, "ServiceUnavailable", why)
}

/// 504: it took too long.
#[must_use]
pub fn timeout(why: impl AsRef<str>) -> Status {
    failure(504, "Timeout", format!("Timeout: {}", why.as_ref()))
}
