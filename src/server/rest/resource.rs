//! Requests about resources: from HTTP to [`client::Request`] and back.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response};
use serde_json::Value;

use super::encode::{Encoder, NO_PROTOBUF};
use super::negotiate::{self, BodyEncoding, Place, Shape};
use super::table::IncludeObject;
use super::{BodyError, ResponseBody, permit, read, upgrade, watch_socket};
use crate::api::field::{self, Path};
use crate::api::schema::{self, ProtobufError};
use crate::api::{Resource, Status, manifest, status};
use crate::client::wire::{self, Query, ResourcePath};
use crate::client::{self, DeleteOptions, Identity, Patch, PatchType, Payload, Target};
use crate::server::{ApiServer, Attributes, Refusal, admission, connect, registry};

/// The media types of patches, with what they are.
const PATCHES: &[(&str, PatchType)] = &[
    ("application/json-patch+json", PatchType::Json),
    ("application/merge-patch+json", PatchType::Merge),
    ("application/strategic-merge-patch+json", PatchType::StrategicMerge),
    ("application/apply-patch+yaml", PatchType::Apply),
];

/// Answers a request about a resource.
pub(super) async fn respond<B>(
    server: &ApiServer,
    identity: &Identity,
    path: ResourcePath,
    query: &Query,
    mut request: Request<B>,
) -> Result<Response<ResponseBody>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let ResourcePath { target, watch, rest } = path;
    let row = server.scheme().resource(&target.resource).cloned();
    match (row.is_some(), target.resource.resource.as_str(), target.subresource.as_deref()) {
        (true, "pods", Some("log")) if request.method() == Method::GET => {
            permit(server, identity, &Attributes::on("get", &target))?;
            return Ok(connect::log(server, &target, query).await?);
        }
        (true, "pods", Some("exec" | "attach" | "portforward")) => {
            let text = request.uri().query().unwrap_or_default().to_owned();
            return Ok(upgrade::connect(server, identity, target, &text, &mut request).await?);
        }
        (true, "pods" | "services" | "nodes", Some("proxy")) => {
            permit(server, identity, &Attributes::on(proxy_verb(request.method()), &target))?;
            let options = form_urlencoded::Serializer::new(String::new()).append_pair("path", &rest).finish();
            admission::connect(server, identity, &target, &options).await?;
            return Ok(connect::proxy(server, &target, upgrade::onward(rest, request)).await?);
        }
        _ => {}
    }
    let asks_to_watch = watches(request.method(), &target, watch, query);
    // Who may not is told so before anything else, and before a body is read.
    let verb = verb(request.method(), &target, asks_to_watch);
    permit(server, identity, &Attributes::on(verb, &target))?;
    if !rest.is_empty() {
        // Only what proxies has a path of somebody else's behind it.
        return Err(status::no_such_resource().into());
    }
    // A scale is a built-in object, whatever it is one of.
    let custom = row.as_ref().is_some_and(|row| row.schema.is_none())
        && target.subresource.as_deref() != Some("scale");
    let place = if custom { Place::CustomObjects } else { Place::Objects };
    let format = negotiate::negotiate(request.headers(), query.get("pretty"), place)?;
    let include = include_object(query, &format.shape)?;
    let series = row.as_ref().filter(|_| asks_to_watch).map(|row| server.metrics().watches.series(row));
    let encoder =
        Encoder { format, include, clock: server.env().clock.clone(), resource: row.clone(), series };
    if asks_to_watch && watch_socket::wants(request.headers()) {
        return watch_socket::respond(server, identity, &encoder, target, query, &mut request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match parts.method {
        Method::GET | Method::HEAD => bytes::Bytes::new(),
        _ => read(server, body).await?,
    };
    let request = translate(&parts.method, target, watch, query, &parts.headers, body, row.as_deref())
        .map_err(|status| *status)?;
    Ok(encoder.answer(server.handle(identity, request).await?))
}

/// Whether a request asks for a watch.
pub(super) fn watches(method: &Method, target: &Target, watch: bool, query: &Query) -> bool {
    *method == Method::GET && (watch || (target.name.is_none() && query.flag("watch")))
}

/// What a request asks for. Pure.
fn translate(
    method: &Method,
    target: Target,
    watch: bool,
    query: &Query,
    headers: &HeaderMap,
    body: bytes::Bytes,
    row: Option<&Resource>,
) -> Result<client::Request, Box<Status>> {
    let row = row.filter(|_| target.subresource.is_none());
    let content_type = headers.get(CONTENT_TYPE);
    let named = target.name.is_some();
    match (method.as_str(), named) {
        ("GET", _) if watches(method, &target, watch, query) => {
            Ok(client::Request::Watch { target, options: wire::decode_watch(query)? })
        }
        ("GET", true) => Ok(client::Request::Get { target, options: wire::decode_get(query)? }),
        ("GET", false) => Ok(client::Request::List { target, options: wire::decode_list(query)? }),
        ("POST", named) if !named || target.subresource.is_some() => {
            let (options, _) = wire::decode_write(query, "CreateOptions", None)?;
            let object = payload(content_type, body, row)?;
            Ok(client::Request::Create { target, object, options })
        }
        ("PUT", true) => {
            let (options, _) = wire::decode_write(query, "UpdateOptions", None)?;
            let object = payload(content_type, body, row)?;
            Ok(client::Request::Update { target, object, options })
        }
        ("PATCH", true) => {
            let media = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let media = media.split(';').next().unwrap_or_default().trim();
            let Some((_, kind)) = PATCHES.iter().find(|(name, _)| *name == media) else {
                let names: Vec<_> = PATCHES.iter().map(|(name, _)| *name).collect();
                return Err(Box::new(negotiate::unsupported(&names.join(", "))));
            };
            let (options, force) = wire::decode_write(query, "PatchOptions", Some(*kind))?;
            Ok(client::Request::Patch { target, patch: Patch { kind: *kind, body, force }, options })
        }
        ("DELETE", true) if target.subresource.is_none() => {
            Ok(client::Request::Delete { target, options: delete_options(query, content_type, &body)? })
        }
        ("DELETE", false) => {
            let options = delete_options(query, content_type, &body)?;
            Ok(client::Request::DeleteCollection { target, list: wire::decode_list(query)?, options })
        }
        (other, _) => {
            let verb = other.to_lowercase();
            let resource = &target.resource;
            Err(Box::new(status::method_not_supported(&resource.group, &resource.resource, &verb)))
        }
    }
}

/// The object that a body holds; `row` is the resource that it is to be of, if that is known.
fn payload(
    content_type: Option<&http::HeaderValue>,
    bytes: bytes::Bytes,
    row: Option<&Resource>,
) -> Result<Payload, Box<Status>> {
    let media_type = match negotiate::body_encoding(content_type)? {
        BodyEncoding::Json => "application/json",
        BodyEncoding::Yaml => "application/yaml",
        BodyEncoding::Protobuf => {
            let tree = schema::decode_protobuf(&bytes);
            let unreadable = |error| Box::new(unreadable(&error, row, &bytes));
            return tree.map(Payload::Tree).map_err(unreadable);
        }
    };
    Ok(Payload::Bytes { media_type: media_type.into(), bytes })
}

/// Why a body in protobuf is no object of this row, as Kubernetes words it.
fn unreadable(error: &ProtobufError, row: Option<&Resource>, body: &[u8]) -> Status {
    let Some(row) = row else { return status::bad_request(error.to_string()) };
    status::bad_request(match error {
        ProtobufError::UnknownKind { api_version, kind } => {
            let version = api_version.rsplit('/').next().unwrap_or_default();
            let why = if row.schema.is_some() { error.to_string() } else { NO_PROTOBUF.to_owned() };
            format!("{kind} in version {version:?} cannot be handled as a {}: {why}", row.kind)
        }
        ProtobufError::NoMagic | ProtobufError::Empty => {
            return registry::unrecognized(row, &error.to_string(), body);
        }
        error => {
            format!("{0} in version {1:?} cannot be handled as a {0}: {error}", row.kind, row.version)
        }
    })
}

fn delete_options(
    query: &Query,
    content_type: Option<&http::HeaderValue>,
    body: &[u8],
) -> Result<DeleteOptions, Box<Status>> {
    if body.is_empty() {
        return wire::decode_delete(query, None);
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        Box::new(status::bad_request(format!("unable to decode DeleteOptions: {error}")))
    };
    let tree: Value = match negotiate::body_encoding(content_type)? {
        BodyEncoding::Json => serde_json::from_slice(body).map_err(|error| unreadable(&error))?,
        BodyEncoding::Protobuf => schema::decode_protobuf(body).map_err(|error| unreadable(&error))?,
        BodyEncoding::Yaml => {
            let text = std::str::from_utf8(body).map_err(|error| unreadable(&error))?;
            manifest::yaml::parse(text).map_err(|error| unreadable(&error))?
        }
    };
    wire::decode_delete(query, Some(&tree))
}

/// What the rows of a table hold beside their cells.
fn include_object(query: &Query, shape: &Shape) -> Result<IncludeObject, Status> {
    if !matches!(shape, Shape::Table(_)) {
        return Ok(IncludeObject::default());
    }
    match query.get("includeObject") {
        None | Some("Metadata") => Ok(IncludeObject::Metadata),
        Some("None") => Ok(IncludeObject::None),
        Some("Object") => Ok(IncludeObject::Object),
        Some(other) => {
            let why = "must be 'Metadata', 'Object', 'None', or empty";
            let error = field::Error::invalid(&Path::new("includeObject"), other, why);
            Err(status::bad_request(format!("Unable to convert to Table as requested: {error}")))
        }
    }
}

/// The verb that a request needs; none for a method that Kubernetes knows no verb for.
///
/// Source: `endpoints/request/requestinfo.go` of `k8s.io/apiserver/pkg` (1.36).
pub(super) fn verb(method: &Method, target: &Target, watches: bool) -> &'static str {
    match (method, target.name.is_some()) {
        _ if watches => "watch",
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "",
    }
}

/// The verb that a method on a proxied path needs.
fn proxy_verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::GET | Method::HEAD => "get",
        // Whoever may do anything may ask for options, too.
        _ => "",
    }
}
