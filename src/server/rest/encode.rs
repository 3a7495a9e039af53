//! Answers as bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::ResponseBody;
use super::negotiate::{self, Encoding, Format, Shape};
use super::table::{self, IncludeObject};
use crate::api::schema::{self, ProtobufError};
use crate::api::{Object, Resource, Status, manifest, status};
use crate::client::{self, ObjectList};
use crate::env::Clock;
use crate::server::Answer;

/// What Kubernetes says of a custom resource that is to be written or read as protobuf.
pub(super) const NO_PROTOBUF: &str = "object *unstructured.Unstructured does not implement the protobuf \
     marshalling interface and cannot be encoded to a protobuf message";

/// How the answer to one request is written.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) format: Format,
    pub(crate) include: IncludeObject,
    pub(crate) clock: Clock,
    /// The row that the request is about: what bookmarks are said to be.
    pub(crate) resource: Option<Arc<Resource>>,
}

impl Encoder {
    /// The response to a request that was answered.
    pub(crate) fn answer(&self, answer: Answer) -> Response<ResponseBody> {
        let code = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = match answer.response {
            client::Response::Object(object) => self.send(code, self.object(&object)),
            client::Response::List(list) => self.send(code, self.list(&list)),
            client::Response::Watch(stream) => self.watch(stream),
            client::Response::Status(status) => {
                let code = StatusCode::from_u16(status.code).unwrap_or(code);
                self.send(code, self.value(&status_value(&status)))
            }
            client::Response::Raw(raw) => raw.map(ResponseBody::from),
            client::Response::Connection { .. } => {
                self.failure(&status::internal("a connection was opened that nobody asked for"))
            }
        };
        for text in &answer.warnings {
            if let Ok(value) = HeaderValue::from_bytes(warning(text).as_bytes()) {
                response.headers_mut().append(WARNING, value);
            }
        }
        response
    }

    /// A response of one document.
    pub(crate) fn document(&self, document: Value) -> Response<ResponseBody> {
        self.send(StatusCode::OK, self.value(&document))
    }

    fn send(&self, code: StatusCode, bytes: Result<Bytes, ProtobufError>) -> Response<ResponseBody> {
        match bytes {
            Ok(bytes) => respond(code, self.format.content_type(), ResponseBody::whole(bytes)),
            Err(error) => self.failure(&unwritable(&error)),
        }
    }

    /// A failure, in the encoding of the answer that there would have been.
    fn failure(&self, status: &Status) -> Response<ResponseBody> {
        failure_as(&Format { shape: Shape::Own, pretty: false, ..self.format.clone() }, status)
    }

    fn value(&self, value: &Value) -> Result<Bytes, ProtobufError> {
        encode(&self.format, value)
    }

    /// JSON that exists, in the form that was asked for.
    fn json(&self, bytes: Bytes) -> Result<Bytes, ProtobufError> {
        if self.format.encoding == Encoding::Json && !self.format.pretty {
            return Ok(bytes);
        }
        serde_json::from_slice(&bytes).map_or(Ok(bytes), |value| self.value(&value))
    }

    fn object(&self, object: &Object) -> Result<Bytes, ProtobufError> {
        match self.shaped(object, true) {
            Some(value) => self.value(&value),
            None => self.own(object),
        }
    }

    /// An object in its own shape.
    pub(super) fn own(&self, object: &Object) -> Result<Bytes, ProtobufError> {
        match self.format.encoding {
            Encoding::Protobuf => object.protobuf(),
            Encoding::Json | Encoding::Yaml => self.json(object.encode()),
        }
    }

    /// An object in another shape than its own.
    pub(super) fn shaped(&self, object: &Object, with_columns: bool) -> Option<Value> {
        match self.format.shape {
            Shape::Table(version) => {
                let columns =
                    if with_columns { table::columns(object.resource()) } else { Value::Array(Vec::new()) };
                let row = table::row(object, self.include, version, self.clock.now());
                let metadata = json!({ "resourceVersion": object.revision().to_string() });
                Some(table::table(version, metadata, columns, vec![row]))
            }
            Shape::Metadata(version) => Some(table::metadata(&object.tree(), version)),
            Shape::Own | Shape::Discovery(_) => None,
        }
    }

    fn list(&self, list: &ObjectList) -> Result<Bytes, ProtobufError> {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), list.revision.to_string().into());
        if let Some(token) = &list.continue_token {
            metadata.insert("continue".into(), token.as_str().into());
        }
        if let Some(remaining) = list.remaining {
            metadata.insert("remainingItemCount".into(), remaining.into());
        }
        let metadata = Value::Object(metadata);
        match self.format.shape {
            Shape::Table(version) => {
                let now = self.clock.now();
                let rows = list.items.iter().map(|object| table::row(object, self.include, version, now));
                self.value(&table::table(version, metadata, table::columns(&list.resource), rows.collect()))
            }
            Shape::Metadata(version) => {
                let items = list.items.iter().map(|object| table::metadata(&object.tree(), version));
                let api_version = format!("meta.k8s.io/{version}");
                if self.format.encoding == Encoding::Protobuf {
                    let kind = "PartialObjectMetadata";
                    return schema::encode_protobuf_list(&api_version, kind, &metadata, items)
                        .map(Bytes::from);
                }
                self.value(&json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": api_version,
                    "metadata": metadata,
                    "items": items.collect::<Vec<_>>(),
                }))
            }
            Shape::Own | Shape::Discovery(_) => {
                let resource = &list.resource;
                if self.format.encoding == Encoding::Protobuf {
                    let items = list.items.iter().map(Object::tree);
                    let (version, kind) = (resource.api_version(), &resource.kind);
                    return schema::encode_protobuf_list(&version, kind, &metadata, items).map(Bytes::from);
                }
                let head = format!(
                    r#"{{"kind":"{}","apiVersion":"{}","metadata":{metadata},"items":["#,
                    resource.list_kind(),
                    resource.api_version()
                );
                let size: usize = list.items.iter().map(|object| object.body().len() + 32).sum();
                let mut out = BytesMut::with_capacity(head.len() + size + 2);
                out.extend_from_slice(head.as_bytes());
                for (index, object) in list.items.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b",");
                    }
                    out.extend_from_slice(&object.encode());
                }
                out.extend_from_slice(b"]}");
                self.json(out.freeze())
            }
        }
    }
}

/// The value of a `Warning` header: code 299, no agent, the text in quotes.
fn warning(text: &str) -> String {
    let quoted: String = text
        .chars()
        .filter(|letter| !letter.is_control())
        .flat_map(|letter| matches!(letter, '"' | '\\').then_some('\\').into_iter().chain([letter]))
        .collect();
    format!("299 - \"{quoted}\"")
}

/// A document in this form, whatever its shape.
pub(super) fn encode(format: &Format, value: &Value) -> Result<Bytes, ProtobufError> {
    let bytes = match (format.encoding, format.pretty) {
        (Encoding::Json, false) => serde_json::to_vec(value),
        (Encoding::Json, true) => serde_json::to_vec_pretty(value),
        (Encoding::Yaml, _) => Ok(manifest::write(value).into_bytes()),
        (Encoding::Protobuf, _) => return schema::encode_protobuf(value).map(Bytes::from),
    };
    Ok(bytes.unwrap_or_default().into())
}

/// Why something cannot be written as protobuf.
pub(super) fn unwritable(error: &ProtobufError) -> Status {
    match error {
        ProtobufError::UnknownKind { .. } => status::failure(406, "NotAcceptable", NO_PROTOBUF),
        error => status::internal(error.to_string()),
    }
}

/// The response that says what went wrong, to a request that accepts these media types.
pub(crate) fn failure(status: &Status, accept: Option<&HeaderValue>) -> Response<ResponseBody> {
    failure_as(&negotiate::of_failure(accept), status)
}

fn failure_as(format: &Format, status: &Status) -> Response<ResponseBody> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = encode(format, &status_value(status)).unwrap_or_default();
    let mut response = respond(code, format.content_type(), ResponseBody::whole(body));
    let retry = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response.headers_mut().insert(RETRY_AFTER, retry.into());
    }
    response
}

/// A response of plain text.
pub(crate) fn plain(text: impl Into<Bytes>) -> Response<ResponseBody> {
    respond(StatusCode::OK, HeaderValue::from_static("text/plain; charset=utf-8"), ResponseBody::whole(text))
}

/// A response of plain text, as it comes.
pub(crate) fn plain_stream(body: ResponseBody) -> Response<ResponseBody> {
    respond(StatusCode::OK, HeaderValue::from_static("text/plain"), body)
}

pub(crate) fn respond(
    code: StatusCode,
    content_type: HeaderValue,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A `Status` as Kubernetes writes it: with its kind and version, which the type leaves out.
pub(super) fn status_value(status: &Status) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    value["kind"] = "Status".into();
    value["apiVersion"] = "v1".into();
    if value.get("metadata").is_none_or(Value::is_null) {
        value["metadata"] = json!({});
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        assert_eq!(warning(r#"unknown field "spec.x\y""#), r#"299 - "unknown field \"spec.x\\y\"""#);
    }

    #[test]
    fn a_failure_is_a_status() {
        let response = failure(&status::too_many_requests("slow down", 3), None);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let value = status_value(&status::not_found("", "pods", "a"));
        assert_eq!((&value["kind"], &value["apiVersion"]), (&json!("Status"), &json!("v1")));
        assert_eq!(value["status"], "Failure");
        assert_eq!(value["details"]["kind"], "pods");
    }
}
