//! A watch's events: lines of JSON, or frames of protobuf.
//!
//! Each is encoded when the connection asks for it.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::ResponseBody;
use super::encode::{Encoder, encode, respond, status_value, unwritable};
use super::negotiate::{self, Encoding, Format, Shape};
use super::table;
use crate::api::schema::{self, ProtobufError};
use crate::api::{Status, status};
use crate::client::{WatchEvent, WatchStream};

impl Encoder {
    /// The response that is these events.
    ///
    /// # Errors
    ///
    /// 406 where events cannot be written as was asked.
    pub(super) fn watch(&self, events: WatchStream) -> Result<Response<ResponseBody>, Status> {
        let (content_type, told) = self.events(events)?;
        let content_type = HeaderValue::from_static(content_type);
        let mut response = respond(StatusCode::OK, content_type, ResponseBody::stream(told.map(Ok)));
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        Ok(response)
    }

    /// These events, each encoded when it is asked for, and their media type.
    ///
    /// # Errors
    ///
    /// 406 where events cannot be written as was asked: YAML has no way to say where one ends.
    pub(super) fn events(
        &self,
        events: WatchStream,
    ) -> Result<(&'static str, impl Stream<Item = Bytes> + Send + Unpin + use<>), Status> {
        let content_type = match self.format.encoding {
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            Encoding::Json => "application/json",
            Encoding::Yaml => return Err(negotiate::not_streamed()),
        };
        // Neither has pretty JSON.
        let encoder = Self { format: Format { pretty: false, ..self.format.clone() }, ..self.clone() };
        let mut first = true;
        let told = events.map(move |event| {
            let told = match &event {
                Ok(event) => encoder.event(event, std::mem::take(&mut first)),
                Err(error) => Ok(encoder
                    .error(&error.status().cloned().unwrap_or_else(|| status::internal(error.to_string())))),
            };
            let told = told.unwrap_or_else(|error| encoder.error(&unwritable(&error)));
            if let Some(series) = &encoder.series {
                series.sent(told.len());
            }
            told
        });
        Ok((content_type, told))
    }

    fn event(&self, event: &WatchEvent, first: bool) -> Result<Bytes, ProtobufError> {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
            WatchEvent::Bookmark { revision, initial_events_end } => {
                let mut metadata = json!({"resourceVersion": revision.to_string()});
                if *initial_events_end {
                    metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                }
                return self.told("BOOKMARK", &encode(&self.format, &self.bookmark(metadata))?);
            }
        };
        match (self.shaped(object, first), self.format.encoding) {
            (Some(value), _) => self.told(kind, &encode(&self.format, &value)?),
            // Written once, for all who watch it.
            (None, Encoding::Json) => Ok(object.event_line(kind)),
            (None, _) => self.told(kind, &self.own(object)?),
        }
    }

    fn error(&self, status: &Status) -> Bytes {
        let told = encode(&self.format, &status_value(status)).and_then(|status| self.told("ERROR", &status));
        told.unwrap_or_default()
    }

    /// An event with an object that is encoded already.
    fn told(&self, kind: &str, object: &[u8]) -> Result<Bytes, ProtobufError> {
        match self.format.encoding {
            Encoding::Protobuf => schema::encode_protobuf_event(kind, object).map(Bytes::from),
            Encoding::Json | Encoding::Yaml => Ok(line(kind, object)),
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
            Shape::Own | Shape::MetadataList(_) | Shape::Discovery => object,
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
