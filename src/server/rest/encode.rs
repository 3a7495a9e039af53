//! Answers as bytes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::ResponseBody;
use super::list::JsonList;
use super::negotiate::{self, Encoding, Format, Shape};
use super::table::{self, IncludeObject};
use crate::api::schema::{self, ProtobufError};
use crate::api::{Object, Resource, Status, manifest, status};
use crate::client::{self, ObjectList};
use crate::env::Clock;
use crate::server::metrics::WatchSeries;
use crate::server::{Answer, Refusal};

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
    /// Where the events of a watch are counted.
    pub(crate) series: Option<Arc<WatchSeries>>,
}

impl Encoder {
    /// The response to a request that was answered.
    pub(crate) fn answer(&self, answer: Answer) -> Response<ResponseBody> {
        let code = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = match answer.response {
            client::Response::Object(object) => {
                self.send(code, self.object(&object).map(ResponseBody::whole))
            }
            client::Response::List(list) => self.send(code, self.list(list)),
            client::Response::Watch(stream) => {
                self.watch(stream).unwrap_or_else(|status| self.failure(&status))
            }
            client::Response::Status(status) => {
                let code = StatusCode::from_u16(status.code).unwrap_or(code);
                self.send(code, self.value(&status_value(&status)).map(ResponseBody::whole))
            }
            client::Response::Raw(raw) => raw.map(ResponseBody::from),
            client::Response::Connection { .. } => {
                self.failure(&status::internal("a connection was opened that nobody asked for"))
            }
        };
        warn(&mut response, &answer.warnings);
        response
    }

    /// A response of one document.
    pub(crate) fn document(&self, document: Value) -> Response<ResponseBody> {
        self.send(StatusCode::OK, self.value(&document).map(ResponseBody::whole))
    }

    fn send(&self, code: StatusCode, body: Result<ResponseBody, Status>) -> Response<ResponseBody> {
        match body {
            Ok(body) => respond(code, self.format.content_type(), body),
            Err(status) => self.failure(&status),
        }
    }

    /// A failure, in the encoding of the answer that there would have been.
    fn failure(&self, status: &Status) -> Response<ResponseBody> {
        failure_as(&Format { shape: Shape::Own, pretty: false, ..self.format.clone() }, status)
    }

    fn value(&self, value: &Value) -> Result<Bytes, Status> {
        encode(&self.format, value).map_err(|error| unwritable(&error))
    }

    fn object(&self, object: &Object) -> Result<Bytes, Status> {
        if let Shape::MetadataList(_) = self.format.shape {
            let kind = go_type(object.resource());
            return Err(negotiate::not_acceptable(&format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})"
            )));
        }
        match self.shaped(object, true) {
            Some(value) => self.value(&value),
            None => self.own(object).map_err(|error| unwritable(&error)),
        }
    }

    /// An object in its own shape.
    pub(super) fn own(&self, object: &Object) -> Result<Bytes, ProtobufError> {
        match self.format.encoding {
            Encoding::Protobuf => object.protobuf(),
            Encoding::Json if !self.format.pretty => Ok(object.encode()),
            Encoding::Json | Encoding::Yaml => encode(&self.format, &object.tree()),
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
            Shape::Own | Shape::MetadataList(_) | Shape::Discovery => None,
        }
    }

    fn list(&self, list: ObjectList) -> Result<ResponseBody, Status> {
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
                let columns = table::columns(&list.resource);
                self.value(&table::table(version, metadata, columns, rows.collect())).map(ResponseBody::whole)
            }
            Shape::Metadata(_) => {
                let kind = go_type(&list.resource);
                Err(negotiate::not_acceptable(&format!(
                    "you requested PartialObjectMetadata, but the requested object is a list (*{kind}List)"
                )))
            }
            Shape::MetadataList(version) => {
                let items = list.items.iter().map(|object| table::metadata(&object.tree(), version));
                let api_version = format!("meta.k8s.io/{version}");
                if self.format.encoding == Encoding::Protobuf {
                    let kind = "PartialObjectMetadata";
                    return schema::encode_protobuf_list(&api_version, kind, &metadata, items)
                        .map(ResponseBody::whole)
                        .map_err(|error| unwritable(&error));
                }
                self.value(&json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": api_version,
                    "metadata": metadata,
                    "items": items.collect::<Vec<_>>(),
                }))
                .map(ResponseBody::whole)
            }
            Shape::Own | Shape::Discovery => {
                let resource = &list.resource;
                if self.format.encoding == Encoding::Protobuf {
                    let items = list.items.iter().map(Object::tree);
                    let (version, kind) = (resource.api_version(), &resource.kind);
                    return schema::encode_protobuf_list(&version, kind, &metadata, items)
                        .map(ResponseBody::whole)
                        .map_err(|error| unwritable(&error));
                }
                let head = format!(
                    r#"{{"kind":"{}","apiVersion":"{}","metadata":{metadata},"items":["#,
                    resource.list_kind(),
                    resource.api_version()
                );
                let list = JsonList::new(head, list.items);
                if self.format.encoding == Encoding::Json && !self.format.pretty {
                    return Ok(ResponseBody::pieces(list));
                }
                let tree = serde_json::from_slice(&list.whole());
                self.value(&tree.map_err(|error| status::internal(error.to_string()))?)
                    .map(ResponseBody::whole)
            }
        }
    }
}

/// What Go calls the objects of a row, which is said of those that have another shape than was asked for.
fn go_type(row: &Resource) -> String {
    if row.schema.is_none() {
        return "unstructured.Unstructured".into();
    }
    let package = match row.group.split('.').next().unwrap_or_default() {
        "" | "events" => "core",
        package => package,
    };
    format!("{package}.{}", row.kind)
}

/// The response that says why somebody is refused, and what was noticed before.
pub(super) fn refused(refusal: &Refusal, accept: Option<&HeaderValue>) -> Response<ResponseBody> {
    let mut response = failure(&refusal.status, accept);
    warn(&mut response, &refusal.warnings);
    response
}

/// Sends warnings along with a response.
fn warn(response: &mut Response<ResponseBody>, warnings: &[String]) {
    for text in warnings {
        if let Ok(value) = HeaderValue::from_bytes(warning(text).as_bytes()) {
            response.headers_mut().append(WARNING, value);
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

/// A response of plain text that says what is wrong, as Go's own servers write it.
pub(super) fn text(code: StatusCode, text: &str) -> Response<ResponseBody> {
    let mut response = plain(format!("{text}\n"));
    *response.status_mut() = code;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
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
        let refusal = Refusal::after(vec!["a".into(), "b".into()], status::too_many_requests("slow down", 3));
        let response = refused(&refusal, None);
        assert_eq!(response.status(), 429);
        let warnings: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(warnings, [r#"299 - "a""#, r#"299 - "b""#]);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let value = status_value(&status::not_found("", "pods", "a"));
        assert_eq!((&value["kind"], &value["apiVersion"]), (&json!("Status"), &json!("v1")));
        assert_eq!(value["status"], "Failure");
        assert_eq!(value["details"]["kind"], "pods");
    }
}
