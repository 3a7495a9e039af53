//! The paths that are no resource: discovery, OpenAPI, health, version.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::ResponseBody;
use super::discovery;
use super::encode::{self, Encoder, plain, text};
use super::negotiate::{Format, Shape};
use super::openapi::openapi;
use super::openapi_v2::openapi_v2;
use super::table::IncludeObject;
use crate::api::{Status, status};
use crate::client::wire::{ApiPath, Query};
use crate::server::health::{self, Endpoint, HealthCheck, Report};
use crate::server::{ApiServer, VerificationDocument, metrics};

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
        (ApiPath::Legacy, Shape::Discovery) => Some(discovery::aggregated(&scheme, true)),
        (ApiPath::Groups, Shape::Discovery) => Some(discovery::aggregated(&scheme, false)),
        (ApiPath::Legacy, _) => Some(discovery::legacy_versions()),
        (ApiPath::Groups, _) => Some(discovery::group_list(&scheme)),
        (ApiPath::Group(group), _) => discovery::group(&scheme, group),
        (ApiPath::Version { group, version }, _) => discovery::resource_list(&scheme, group, version),
        _ => None,
    };
    let document = document.ok_or_else(status::no_such_resource)?;
    if encoder.format.shape != Shape::Discovery {
        return Ok(encoder.document(document));
    }
    let tag = format!("\"{}\"", fingerprint(&document.to_string()));
    let mut response = tagged(&tag, headers, || encoder.document(document));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    Ok(response)
}

/// Everything else.
pub(super) async fn respond(
    server: &ApiServer,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
    closing: bool,
) -> Result<Response<ResponseBody>, Status> {
    let encoder = Encoder {
        format: Format { pretty: query.flag("pretty"), ..Format::PLAIN },
        include: IncludeObject::None,
        clock: server.env().clock.clone(),
        resource: None,
        series: None,
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    if let Some(document) = server.service_accounts().document(path, host) {
        return Ok(verification(&document));
    }
    let Some(steps) = path.strip_prefix('/') else {
        // Nothing is left of a single slash.
        return Ok(encoder.document(index(server)));
    };
    let steps: Vec<&str> = steps.split('/').collect();
    match *steps {
        ["version"] => Ok(encoder.document(version())),
        ["metrics"] => Ok(metrics(server, headers).await),
        ["openapi", "v2"] => Ok(openapi_v2(server, headers)),
        ["openapi", "v3", ref rest @ ..] => openapi(&server.scheme(), rest, query, headers, &encoder),
        [endpoint, ref rest @ ..] => {
            let endpoint = Endpoint::ALL.into_iter().find(|known| known.name() == endpoint);
            let endpoint = endpoint.ok_or_else(status::no_such_resource)?;
            let checks = health::checks(endpoint, server.health_checks(), closing);
            match *rest {
                [] => Ok(health(endpoint, &checks, query).await),
                [name] => {
                    let check = checks.iter().find(|check| check.name() == name);
                    Ok(one_check(check.ok_or_else(status::no_such_resource)?).await)
                }
                _ => Err(status::no_such_resource()),
            }
        }
        [] => Err(status::no_such_resource()),
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
        "gitVersion": version_text(),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// What `/` lists.
fn index(server: &ApiServer) -> Value {
    let scheme = &*server.scheme();
    let mut paths = vec!["/api".to_owned(), "/apis".to_owned()];
    for (group, versions) in discovery::groups(scheme) {
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        if !group.is_empty() {
            paths.push(root.clone());
        }
        paths.extend(versions.iter().map(|(version, _)| format!("{root}/{version}")));
    }
    for endpoint in Endpoint::ALL {
        let name = endpoint.name();
        paths.push(format!("/{name}"));
        let checks = health::checks(endpoint, server.health_checks(), false);
        paths.extend(checks.iter().map(|check| format!("/{name}/{}", check.name())));
    }
    paths.extend(["/metrics", "/openapi/v2", "/openapi/v3", "/version"].map(str::to_owned));
    paths.sort();
    json!({ "paths": paths })
}

/// Whether all is well, in as many words as are asked for.
async fn health(
    endpoint: Endpoint,
    checks: &[Arc<dyn HealthCheck>],
    query: &Query,
) -> Response<ResponseBody> {
    let excluded: Vec<&str> = query.all("exclude").collect();
    let (Report { well, lines }, name) = (health::look(checks, &excluded).await, endpoint.name());
    if !well {
        return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{lines}{name} check failed"));
    }
    let verbose = query.all("verbose").next().is_some();
    let mut response = plain(if verbose { format!("{lines}{name} check passed\n") } else { "ok".into() });
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// One check by itself, which says why it fails.
async fn one_check(check: &Arc<dyn HealthCheck>) -> Response<ResponseBody> {
    match check.check().await {
        Ok(()) => plain("ok"),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("internal server error: {why}")),
    }
}

/// `/metrics`.
async fn metrics(server: &ApiServer, headers: &HeaderMap) -> Response<ResponseBody> {
    let (media_type, page) = metrics::page(server, headers).await;
    encode::respond(StatusCode::OK, HeaderValue::from_static(media_type), ResponseBody::whole(page))
}

/// The server's version, as Kubernetes writes it.
pub(super) fn version_text() -> String {
    format!("v1.{MINOR}.0+windlass.{}", env!("CARGO_PKG_VERSION"))
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
