//! The paths that are no resource: discovery, OpenAPI, health, version.

use std::hash::{Hash, Hasher};

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::ResponseBody;
use super::discovery;
use super::encode::{Encoder, plain};
use super::negotiate::{Format, Shape};
use super::openapi::openapi;
use super::openapi_v2::openapi_v2;
use super::table::IncludeObject;
use crate::api::{Scheme, Status, status};
use crate::client::wire::{ApiPath, Query};
use crate::server::{ApiServer, VerificationDocument};

/// The version of Kubernetes that is served.
const MINOR: &str = "36";

/// Discovery.
pub(super) fn discovery(
    server: &ApiServer,
    path: &ApiPath,
    encoder: &Encoder,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, Status> {
    let scheme = server.scheme();
    let document = match (path, &encoder.format.shape) {
        (ApiPath::Legacy, Shape::Discovery(version)) => Some(discovery::aggregated(&scheme, true, version)),
        (ApiPath::Groups, Shape::Discovery(version)) => Some(discovery::aggregated(&scheme, false, version)),
        (ApiPath::Legacy, _) => Some(discovery::legacy_versions()),
        (ApiPath::Groups, _) => Some(discovery::group_list(&scheme)),
        (ApiPath::Group(group), _) => discovery::group(&scheme, group),
        (ApiPath::Version { group, version }, _) => discovery::resource_list(&scheme, group, version),
        _ => None,
    };
    let document = document.ok_or_else(status::no_such_resource)?;
    if !matches!(encoder.format.shape, Shape::Discovery(_)) {
        return Ok(encoder.document(document));
    }
    let tag = format!("\"{}\"", fingerprint(&document.to_string()));
    let mut response = tagged(&tag, headers, || encoder.document(document));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    Ok(response)
}

/// Everything else.
pub(super) fn respond(
    server: &ApiServer,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, Status> {
    let encoder = Encoder {
        format: Format { pretty: query.flag("pretty"), ..Format::PLAIN },
        include: IncludeObject::None,
        clock: server.env().clock.clone(),
        resource: None,
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    if let Some(document) = server.service_accounts().document(path, host) {
        return Ok(verification(&document));
    }
    let mut steps = path.split('/').filter(|step| !step.is_empty());
    match (steps.next(), steps.next()) {
        (None, _) => Ok(encoder.document(index(&server.scheme()))),
        (Some("version"), None) => Ok(encoder.document(version())),
        (Some(check @ ("healthz" | "livez" | "readyz")), None) => Ok(health(check, query.flag("verbose"))),
        (Some("healthz" | "livez" | "readyz"), Some("ping")) => Ok(plain("ok")),
        (Some("openapi"), Some("v2")) if steps.next().is_none() => Ok(openapi_v2(headers, &encoder)),
        (Some("openapi"), Some("v3")) => {
            let rest: Vec<&str> = steps.collect();
            openapi(&server.scheme(), &rest, query, headers, &encoder)
        }
        _ => Err(status::no_such_resource()),
    }
}

/// A document by which others verify service account tokens.
fn verification(document: &VerificationDocument) -> Response<ResponseBody> {
    let mut response = plain(document.body.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(document.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// `/version`.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+windlass.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// What `/` lists.
fn index(scheme: &Scheme) -> Value {
    let mut paths = vec!["/api".to_owned(), "/apis".to_owned()];
    for (group, versions) in discovery::groups(scheme) {
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        if !group.is_empty() {
            paths.push(root.clone());
        }
        paths.extend(versions.iter().map(|(version, _)| format!("{root}/{version}")));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned),
    );
    paths.sort();
    json!({ "paths": paths })
}

/// A server that answers is well: it has nothing that could be up without it.
fn health(check: &str, verbose: bool) -> Response<ResponseBody> {
    if verbose { plain(format!("[+]ping ok\n{check} check passed\n")) } else { plain("ok") }
}

/// A text that stands for a document.
pub(super) fn fingerprint(text: &str) -> String {
    let mut hasher = rustc_hash::FxHasher::default();
    text.hash(&mut hasher);
    let half = hasher.finish();
    // A second pass over the first one's result, so that the tag has 128 bits.
    text.hash(&mut hasher);
    format!("{half:016x}{:016x}", hasher.finish())
}

/// The response, unless the caller has the document of this tag.
pub(super) fn tagged(
    tag: &str,
    headers: &HeaderMap,
    make: impl FnOnce() -> Response<ResponseBody>,
) -> Response<ResponseBody> {
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim() == tag);
    let mut response = if known {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        make()
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
