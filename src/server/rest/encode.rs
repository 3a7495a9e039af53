//! Answers as bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::ResponseBody;
use super::negotiate::{Encoding, Format, Shape};
use super::table::{self, IncludeObject};
use crate::api::{Object, Resource, Status};
use crate::client::{self, ObjectList, WatchEvent, WatchStream};
use crate::env::Clock;
use crate::server::Answer;

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
                self.send(code, self.value(status_value(&status)))
            }
            client::Response::Raw(raw) => raw.map(ResponseBody::from),
            client::Response::Connection { .. } => {
                failure(&crate::api::status::internal("a connection was opened that nobody asked for"))
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
        self.send(StatusCode::OK, self.value(document))
    }

    fn send(&self, code: StatusCode, bytes: Bytes) -> Response<ResponseBody> {
        respond(code, self.format.content_type(), ResponseBody::whole(bytes))
    }

    fn value(&self, value: Value) -> Bytes {
        let bytes = match (self.format.encoding, self.format.pretty) {
            (Encoding::Json, false) => serde_json::to_vec(&value),
            (Encoding::Json, true) => serde_json::to_vec_pretty(&value),
            (Encoding::Yaml, _) => Ok(crate::api::manifest::write(&value).into_bytes()),
        };
        bytes.unwrap_or_default().into()
    }

    /// JSON that exists, in the form that was asked for.
    fn json(&self, bytes: Bytes) -> Bytes {
        if self.format.encoding == Encoding::Json && !self.format.pretty {
            return bytes;
        }
        serde_json::from_slice(&bytes).map_or(bytes, |value| self.value(value))
    }

    fn object(&self, object: &Object) -> Bytes {
        match self.shaped(object, true) {
            Some(value) => self.value(value),
            None => self.json(object.encode()),
        }
    }

    /// An object in another shape than its own.
    fn shaped(&self, object: &Object, with_columns: bool) -> Option<Value> {
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

    fn list(&self, list: &ObjectList) -> Bytes {
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
                self.value(table::table(version, metadata, table::columns(&list.resource), rows.collect()))
            }
            Shape::Metadata(version) => {
                let items: Vec<Value> =
                    list.items.iter().map(|object| table::metadata(&object.tree(), version)).collect();
                self.value(json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": metadata,
                    "items": items,
                }))
            }
            Shape::Own | Shape::Discovery(_) => {
                let resource = &list.resource;
                let head = format!(
                    r#"{{"kind":"{}List","apiVersion":"{}","metadata":{metadata},"items":["#,
                    resource.kind,
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

    /// Events, one line each, every one encoded when the connection asks for it.
    fn watch(&self, events: WatchStream) -> Response<ResponseBody> {
        // YAML has no way to say where one event ends; neither has pretty JSON.
        let encoder = Self {
            format: Format { encoding: Encoding::Json, pretty: false, ..self.format.clone() },
            ..self.clone()
        };
        let mut first = true;
        let lines = events.map(move |event| {
            let line = match &event {
                Ok(event) => encoder.event(event, std::mem::take(&mut first)),
                Err(error) => {
                    let status = error
                        .status()
                        .cloned()
                        .unwrap_or_else(|| crate::api::status::internal(error.to_string()));
                    line("ERROR", status_value(&status).to_string().as_bytes())
                }
            };
            Ok(line)
        });
        let content_type = HeaderValue::from_static("application/json");
        let mut response = respond(StatusCode::OK, content_type, ResponseBody::stream(lines));
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }

    fn event(&self, event: &WatchEvent, first: bool) -> Bytes {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
            WatchEvent::Bookmark { revision, initial_events_end } => {
                let mut metadata = json!({"resourceVersion": revision.to_string()});
                if *initial_events_end {
                    metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                }
                let bookmark = self.bookmark(metadata);
                return line("BOOKMARK", bookmark.to_string().as_bytes());
            }
        };
        match self.shaped(object, first) {
            Some(value) => line(kind, value.to_string().as_bytes()),
            None => line(kind, &object.encode()),
        }
    }

    /// A bookmark: an object of the watched kind with nothing but these metadata.
    fn bookmark(&self, metadata: Value) -> Value {
        let (api_version, kind) = match &self.resource {
            Some(row) => (row.api_version(), row.kind.to_string()),
            None => ("v1".into(), "Status".into()),
        };
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        match self.format.shape {
            Shape::Own | Shape::Discovery(_) => object,
            Shape::Metadata(version) => table::metadata(&object, version),
            Shape::Table(version) => {
                let list_metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                let row = json!({"cells": [], "object": table::metadata(&object, version)});
                table::table(version, list_metadata, Value::Array(Vec::new()), vec![row])
            }
        }
    }
}

/// One line of a watch.
fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + kind.len() + 24);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.freeze()
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

/// The response that says what went wrong.
pub(crate) fn failure(status: &Status) -> Response<ResponseBody> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = status_value(status).to_string();
    let mut response = respond(code, HeaderValue::from_static("application/json"), ResponseBody::whole(body));
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
fn status_value(status: &Status) -> Value {
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
        let response = failure(&crate::api::status::too_many_requests("slow down", 3));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let value = status_value(&crate::api::status::not_found("", "pods", "a"));
        assert_eq!((&value["kind"], &value["apiVersion"]), (&json!("Status"), &json!("v1")));
        assert_eq!(value["status"], "Failure");
        assert_eq!(value["details"]["kind"], "pods");
    }
}
