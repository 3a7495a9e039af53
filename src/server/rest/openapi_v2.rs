//! OpenAPI, version 2: one document of all that is served, as JSON and as protobuf.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use super::ResponseBody;
use super::encode::respond;
use super::fixed::{fingerprint, tagged, version_text};
use crate::api::{Scheme, schema};
use crate::server::ApiServer;

/// What client-go asks for, and all that it reads.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2";

/// The document of the scheme that was served last: it is large, and made once.
#[derive(Default)]
pub(crate) struct OpenApiV2(Mutex<Option<Arc<Document>>>);

struct Document {
    of: Arc<Scheme>,
    tag: String,
    json: Bytes,
    protobuf: Bytes,
}

impl OpenApiV2 {
    fn document(&self, scheme: Arc<Scheme>) -> Arc<Document> {
        // Who finds it being made waits for it.
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some(document) if Arc::ptr_eq(&document.of, &scheme) => document.clone(),
            _ => made.insert(Arc::new(Document::of(scheme))).clone(),
        }
    }
}

impl Document {
    fn of(scheme: Arc<Scheme>) -> Self {
        let tree = schema::openapi_v2(&scheme, &version_text());
        let text = tree.to_string();
        Self {
            of: scheme,
            tag: format!("\"{}\"", fingerprint(&text).to_uppercase()),
            json: text.into(),
            protobuf: schema::encode_openapi_v2(&tree).into(),
        }
    }
}

/// `/openapi/v2`.
pub(super) fn openapi_v2(server: &ApiServer, headers: &HeaderMap) -> Response<ResponseBody> {
    let document = server.openapi_v2().document(server.scheme());
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(PROTOBUF));
    let (kind, body) = if headers.get_all(ACCEPT).iter().any(accepts) {
        ("application/com.github.proto-openapi.spec.v2.v1.0+protobuf", &document.protobuf)
    } else {
        ("application/json", &document.json)
    };
    tagged(&document.tag, headers, || {
        respond(StatusCode::OK, HeaderValue::from_static(kind), ResponseBody::whole(body.clone()))
    })
}
