//! OpenAPI, version 2: a document without types.
//!
//! kubectl turns to it where version 3 does not tell it enough: for a `List`, whose items it looks
//! up one by one, and for a kind that nobody serves, on its way to say so. A type that the document
//! does not have is left to the server's own validation, so having none is all that it needs;
//! having no document at all ends both in "failed to download openapi".

use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::ResponseBody;
use super::encode::{Encoder, respond};

/// The title that kube-apiserver gives it.
const TITLE: &str = "Kubernetes";
/// What client-go asks for, and all that it reads.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2";

/// `/openapi/v2`.
pub(super) fn openapi_v2(headers: &HeaderMap, encoder: &Encoder) -> Response<ResponseBody> {
    let version = env!("CARGO_PKG_VERSION");
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(PROTOBUF));
    if headers.get_all(ACCEPT).iter().any(accepts) {
        let kind = HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        return respond(StatusCode::OK, kind, ResponseBody::whole(protobuf(version)));
    }
    encoder.document(json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": version},
        "paths": {},
    }))
}

/// The same as a `Document` of `openapi/v2/OpenAPIv2.proto` of gnostic: `swagger` is its field 1,
/// `info` its field 2, with `title` and `version` as fields 1 and 2 of its own.
fn protobuf(version: &str) -> Vec<u8> {
    let info = [field(1, TITLE.as_bytes()), field(2, version.as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}

/// A field of bytes: all here are shorter than 128, so that a length is one byte.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_each_other_with_their_lengths() {
        let document = b"\x0a\x032.0\x12\x11\x0a\x0aKubernetes\x12\x031.2";
        assert_eq!(protobuf("1.2"), document);
    }
}
