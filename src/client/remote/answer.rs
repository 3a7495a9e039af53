//! From HTTP to responses. Pure, but for reading a refusal.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::rows::{Rows, Seen};
use crate::api::{DecodeError, Object, Revision, Status, status};
use crate::client::{Error, ObjectList, Response, Target};

/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 256 * 1024;

/// What the document of an answer is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Object,
    List,
}

/// An object, or the `Status` that stands for none.
pub(super) fn object(rows: &Rows, target: &Target, bytes: &[u8]) -> Result<Response, Error> {
    let tree = read("the answer", bytes)?;
    if let Some(status) = as_status(&tree) {
        return Ok(Response::Status(Box::new(status)));
    }
    Ok(Response::Object(of_tree(rows, target, tree)?))
}

/// A list, or the `Status` that stands for none.
pub(super) fn list(rows: &Rows, target: &Target, bytes: &[u8]) -> Result<Response, Error> {
    let mut tree = read("the list", bytes)?;
    if let Some(status) = as_status(&tree) {
        return Ok(Response::Status(Box::new(status)));
    }
    let items = match tree["items"].take() {
        Value::Array(items) => items,
        // Go writes a list without objects so.
        Value::Null => Vec::new(),
        _ => return Err(unreadable("the list", "items are no list")),
    };
    let text = |field: &str| tree[field].as_str().unwrap_or_default();
    let namespaced = items.iter().any(|item| !item["metadata"]["namespace"].is_null());
    let kind = text("kind");
    let seen =
        Seen { api_version: text("apiVersion"), kind: kind.strip_suffix("List").unwrap_or(kind), namespaced };
    let resource = rows.row(target, seen);
    let metadata = &tree["metadata"];
    let items: Result<Vec<Object>, DecodeError> =
        items.into_iter().map(|item| Object::from_tree(resource.clone(), revision(&item), item)).collect();
    Ok(Response::List(ObjectList {
        revision: revision(&tree),
        items: items?,
        continue_token: metadata["continue"].as_str().filter(|token| !token.is_empty()).map(Into::into),
        remaining: metadata["remainingItemCount"].as_u64(),
        resource,
    }))
}

/// The object that this tree is.
pub(super) fn of_tree(rows: &Rows, target: &Target, tree: Value) -> Result<Object, Error> {
    let text = |field: &str| tree[field].as_str().unwrap_or_default();
    let namespaced = !tree["metadata"]["namespace"].is_null();
    let row = rows.row(target, Seen { api_version: text("apiVersion"), kind: text("kind"), namespaced });
    Ok(Object::from_tree(row, revision(&tree), tree)?)
}

/// The revision of an object or a list; none where it has none.
pub(super) fn revision(tree: &Value) -> Revision {
    let text = tree["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    text.parse().unwrap_or(Revision::NONE)
}

/// The first bytes of a refusal, and whether these are all.
pub(super) async fn refusal_text(
    body: Incoming,
) -> Result<(Bytes, bool), Box<dyn std::error::Error + Send + Sync>> {
    match Limited::new(body, REFUSAL_BYTES).collect().await {
        Ok(whole) => Ok((whole.to_bytes(), true)),
        Err(error) if error.is::<LengthLimitError>() => Ok((Bytes::new(), false)),
        Err(error) => Err(error),
    }
}

/// What a refusal says: its own `Status`, or one made from its code and text, as client-go makes it.
pub(super) fn refused(code: StatusCode, body: &[u8]) -> Status {
    let said = serde_json::from_slice::<Value>(body).ok();
    if let Some(mut status) = said.as_ref().and_then(as_status) {
        if status.code == 0 {
            status.code = code.as_u16();
        }
        return status;
    }
    let text = String::from_utf8_lossy(body).trim().to_owned();
    let reason = match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let message = match (code.as_u16(), text.as_str()) {
        (404, "") => "the server could not find the requested resource".to_owned(),
        (code @ (400..500), "") => format!("the server answered {code} without a word"),
        (400..500, text) => text.to_owned(),
        (code, text) => {
            format!("an error on the server ({code}: {text:?}) has prevented the request from succeeding")
        }
    };
    status::failure(code.as_u16(), reason, message)
}

/// The `Status` that a tree is, if it is one.
pub(super) fn as_status(tree: &Value) -> Option<Status> {
    if tree["kind"] != "Status" || tree["apiVersion"] != "v1" {
        return None;
    }
    serde_json::from_value(tree.clone()).ok()
}

fn read(what: &str, bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|source| DecodeError::new(what, source).into())
}

/// Something that came and is not of the form that it should be.
pub(super) fn unreadable(what: &str, why: &str) -> Error {
    DecodeError::new(what, serde::de::Error::custom(why)).into()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::api::{Resource, Scheme};

    #[test]
    fn refusals_that_are_no_status_become_one() {
        let cases = [
            (404, "", "NotFound", "the server could not find the requested resource"),
            (401, "who?", "Unauthorized", "who?"),
            (410, "", "Gone", "the server answered 410 without a word"),
            (
                502,
                "bad gateway",
                "InternalError",
                "an error on the server (502: \"bad gateway\") has prevented the request from succeeding",
            ),
        ];
        for (code, body, reason, message) in cases {
            let status = refused(StatusCode::from_u16(code).unwrap(), body.as_bytes());
            assert_eq!(
                (status.code, status.reason.as_str(), status.message.as_str()),
                (code, reason, message)
            );
        }
        let own = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired"});
        let status = refused(StatusCode::GONE, own.to_string().as_bytes());
        assert!(matches!(Error::from(status), Error::Expired(status) if status.code == 410));
    }

    #[test]
    fn lists_have_a_revision_and_items_of_their_row() {
        let rows = Rows::new(Scheme::builtin());
        let target = Target::all(&Resource::of::<Pod>());
        let bytes = json!({"kind": "PodList", "apiVersion": "v1",
            "metadata": {"resourceVersion": "9", "continue": "t", "remainingItemCount": 4},
            "items": [{"metadata": {"name": "a", "namespace": "b", "resourceVersion": "3"}}]});
        let Response::List(read) = list(&rows, &target, bytes.to_string().as_bytes()).unwrap() else {
            panic!()
        };
        assert_eq!(
            (read.revision, read.continue_token.as_deref(), read.remaining),
            (Revision(9), Some("t"), Some(4))
        );
        assert_eq!(read.items[0].revision(), Revision(3));
        assert_eq!(read.items[0].tree()["kind"], "Pod");
        let bytes = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": null});
        let Response::List(read) = list(&rows, &target, bytes.to_string().as_bytes()).unwrap() else {
            panic!()
        };
        assert!(read.items.is_empty());
        assert!(matches!(list(&rows, &target, b"{"), Err(Error::Decode(_))));
    }
}
