//! From requests to HTTP. Pure.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Uri};

use super::answer::Wanted;
use super::transport;
use crate::api::selector::{FieldSelector, FieldTerm};
use crate::client::{Error, PatchType, Payload, Request, Target, WatchOptions, wire};

/// A request as it goes out, and what to make of the answer.
pub(super) struct Ask {
    pub(super) operation: &'static str,
    pub(super) target: Target,
    pub(super) wanted: Wanted,
    pub(super) request: http::Request<Bytes>,
}

/// What a verb sends beside its path.
struct Parts {
    operation: &'static str,
    method: Method,
    query: String,
    body: Option<(String, Bytes)>,
    wanted: Wanted,
}

/// A request that is answered with one document.
///
/// # Errors
///
/// When it would be another request on the wire.
pub(super) fn ask(request: Request) -> Result<Ask, Error> {
    let object =
        |operation, method, query, body| Parts { operation, method, query, body, wanted: Wanted::Object };
    match request {
        Request::Get { target, options } => {
            named("get", &target)?;
            build(target, object("get", Method::GET, wire::encode_get(&options), None))
        }
        Request::List { mut target, mut options } => {
            select_name("list", &mut target, &mut options.fields)?;
            let query = wire::encode_list(&options);
            let parts =
                Parts { operation: "list", method: Method::GET, query, body: None, wanted: Wanted::List };
            build(target, parts)
        }
        Request::Create { target, object: payload, options } => {
            let query = wire::encode_write(&options, false);
            build(target, object("create", Method::POST, query, Some(document("create", payload)?)))
        }
        Request::Update { target, object: payload, options } => {
            named("update", &target)?;
            let query = wire::encode_write(&options, false);
            build(target, object("update", Method::PUT, query, Some(document("update", payload)?)))
        }
        Request::Patch { target, patch, options } => {
            named("patch", &target)?;
            let query = wire::encode_write(&options, patch.force);
            let body = Some((patch_type(patch.kind).to_owned(), patch.body));
            build(target, object("patch", Method::PATCH, query, body))
        }
        Request::Delete { target, options } => {
            named("delete", &target)?;
            let body = Some(json(&wire::encode_delete(&options)));
            build(target, object("delete", Method::DELETE, String::new(), body))
        }
        Request::DeleteCollection { target, list, options } => {
            let operation = "delete collection";
            if target.name.is_some() {
                return Err(transport(operation, "a collection has no name"));
            }
            let (query, body) = (wire::encode_list(&list), Some(json(&wire::encode_delete(&options))));
            build(target, Parts { operation, method: Method::DELETE, query, body, wanted: Wanted::List })
        }
        _ => Err(transport("call", "this kind of request is not known here")),
    }
}

/// A watch.
///
/// # Errors
///
/// When it would be another request on the wire.
pub(super) fn watch(mut target: Target, mut options: WatchOptions) -> Result<Ask, Error> {
    select_name("watch", &mut target, &mut options.fields)?;
    let query = wire::encode_watch(&options);
    build(target, Parts { operation: "watch", method: Method::GET, query, body: None, wanted: Wanted::List })
}

/// The path and query that name a target.
pub(super) fn uri(operation: &'static str, target: &Target, query: &str) -> Result<Uri, Error> {
    let mut text = wire::target_path(target);
    if !query.is_empty() {
        text.push('?');
        text.push_str(query);
    }
    text.parse().map_err(|error: http::uri::InvalidUri| transport(operation, error))
}

fn build(mut target: Target, parts: Parts) -> Result<Ask, Error> {
    let Parts { operation, method, query, body, wanted } = parts;
    // An empty namespace is none, as in client-go.
    target.namespace = target.namespace.filter(|namespace| !namespace.is_empty());
    let (content_type, body) = body.unzip();
    let mut request = http::Request::new(body.unwrap_or_default());
    *request.method_mut() = method;
    *request.uri_mut() = uri(operation, &target, &query)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(content_type) = content_type {
        let value = HeaderValue::try_from(content_type).map_err(|error| transport(operation, error))?;
        request.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(Ask { operation, target, wanted, request })
}

/// Without its name, a verb on an object would be the same verb on all.
fn named(operation: &'static str, target: &Target) -> Result<(), Error> {
    match target.name.as_deref() {
        None | Some("") => Err(transport(operation, "resource name may not be empty")),
        Some(_) => Ok(()),
    }
}

/// The name of what is listed or watched is a selector on the wire.
fn select_name(
    operation: &'static str,
    target: &mut Target,
    fields: &mut FieldSelector,
) -> Result<(), Error> {
    if let Some(value) = target.name.take() {
        if value.is_empty() {
            return Err(transport(operation, "resource name may not be empty"));
        }
        fields.terms.push(FieldTerm { field: "metadata.name".into(), value, equal: true });
    }
    Ok(())
}

fn document(operation: &'static str, payload: Payload) -> Result<(String, Bytes), Error> {
    match payload {
        Payload::Object(object) => Ok(("application/json".into(), object.encode())),
        Payload::Tree(tree) => {
            let bytes = serde_json::to_vec(&tree).map_err(|error| transport(operation, error))?;
            Ok(("application/json".into(), bytes.into()))
        }
        Payload::Bytes { media_type, bytes } => Ok((media_type, bytes)),
    }
}

fn json(tree: &serde_json::Value) -> (String, Bytes) {
    ("application/json".into(), tree.to_string().into())
}

fn patch_type(kind: PatchType) -> &'static str {
    match kind {
        PatchType::Json => "application/json-patch+json",
        PatchType::Merge => "application/merge-patch+json",
        PatchType::StrategicMerge => "application/strategic-merge-patch+json",
        PatchType::Apply => "application/apply-patch+yaml",
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::api::Resource;
    use crate::client::{DeleteOptions, GetOptions, ListOptions, Patch, WriteOptions};

    fn pods() -> Target {
        Target::all(&Resource::of::<Pod>()).namespace("a")
    }

    #[test]
    fn every_verb_as_it_goes_out() {
        let payload = || Payload::Tree(serde_json::json!({}));
        let write = WriteOptions::default;
        let patch = |kind| Patch { kind, body: Bytes::from_static(b"{}"), force: kind == PatchType::Apply };
        let cases = [
            (Request::Get { target: pods().name("b"), options: GetOptions::default() }, "GET /b", ""),
            (Request::List { target: pods(), options: ListOptions::default() }, "GET ", ""),
            (
                Request::List { target: pods().name("b"), options: ListOptions::default() },
                "GET ?fieldSelector=metadata.name%3Db",
                "",
            ),
            (
                Request::Create { target: pods(), object: payload(), options: write() },
                "POST ",
                "application/json",
            ),
            (
                Request::Update {
                    target: pods().name("b").subresource("status"),
                    object: payload(),
                    options: write(),
                },
                "PUT /b/status",
                "application/json",
            ),
            (
                Request::Patch { target: pods().name("b"), patch: patch(PatchType::Json), options: write() },
                "PATCH /b",
                "application/json-patch+json",
            ),
            (
                Request::Patch { target: pods().name("b"), patch: patch(PatchType::Apply), options: write() },
                "PATCH /b?force=true",
                "application/apply-patch+yaml",
            ),
            (
                Request::Delete { target: pods().name("b"), options: DeleteOptions::default() },
                "DELETE /b",
                "application/json",
            ),
            (
                Request::DeleteCollection {
                    target: pods(),
                    list: ListOptions { labels: "x=y".parse().unwrap(), ..ListOptions::default() },
                    options: DeleteOptions::default(),
                },
                "DELETE ?labelSelector=x%3Dy",
                "application/json",
            ),
        ];
        for (request, line, media) in cases {
            let shown = format!("{request:?}");
            let sent = ask(request).unwrap().request;
            let rest = sent.uri().to_string().replace("/api/v1/namespaces/a/pods", "");
            assert_eq!(format!("{} {rest}", sent.method()), line, "{shown}");
            let content = sent.headers().get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
            assert_eq!(content, media, "{shown}");
        }
    }

    #[test]
    fn a_verb_that_lost_its_name_is_not_sent_to_all() {
        for name in [None, Some(String::new())] {
            let target = || Target { name: name.clone(), ..pods() };
            let refused = [
                ask(Request::Delete { target: target(), options: DeleteOptions::default() }),
                ask(Request::Get { target: target(), options: GetOptions::default() }),
            ];
            for result in refused {
                assert!(matches!(result, Err(Error::Transport { .. })));
            }
        }
        let whole = ask(Request::DeleteCollection {
            target: pods().name("b"),
            list: ListOptions::default(),
            options: DeleteOptions::default(),
        });
        assert!(whole.is_err());
    }
}
