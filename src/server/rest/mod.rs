//! The API server as HTTP.
//!
//! One function, `respond`, turns an HTTP request into an HTTP response; the tower service
//! ([`RestService`]), the HTTPS listener and raw requests in process all call it. It only
//! translates: a path, a query and a body become a [`Request`](crate::client::Request), the server
//! carries it out under the caller's name, and the answer is written in the form that was asked
//! for. What is no resource (discovery, OpenAPI, health, metrics, version) is answered here, by the same
//! authorizer's leave. Every failure is a Kubernetes `Status`, but for the few that Kubernetes answers
//! before it knows what is asked for.
//!
//! `door` is what stands before all of it: limits, deadlines, audit ids, metrics.

mod body;
mod call;
mod discovery;
mod door;
mod encode;
mod events;
mod exchange;
mod fixed;
mod gzip;
mod jsonpath;
mod list;
mod negotiate;
mod openapi;
mod openapi_v2;
pub(crate) use openapi_v2::OpenApiV2;
mod resource;
mod service;
mod table;
mod upgrade;
mod watch_socket;

use bytes::{Buf, Bytes};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};

pub use body::ResponseBody;
pub use service::RestService;

pub(crate) use door::respond;
#[cfg(feature = "tls")]
pub(crate) use door::{Origin, respond_from};
pub(crate) use encode::{plain, plain_stream};
pub(crate) use upgrade::{incoming, pieces};

use super::authentication::impersonation;
use super::{ApiServer, Attributes, Decision, Refusal, authorize};
use crate::api::{Status, status};
use crate::client::wire::ApiPath;
use crate::client::{self, Identity};
use call::Call;
use encode::Encoder;
use negotiate::Place;
use table::IncludeObject;

/// Errors of request bodies, whatever their type.
type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl ApiServer {
    /// This server as a tower service, acting as `identity`: for `kube::Client::new`, or behind any
    /// HTTP server that knows its users by its own means.
    ///
    /// No socket is involved. A request with an `Upgrade` header is carried over a pipe in this
    /// process, so that `hyper::upgrade::on` works on its response.
    #[must_use]
    pub fn service(&self, identity: Identity) -> RestService {
        RestService::new(self.clone(), identity)
    }
}

/// Answers a raw request of a caller in process.
pub(crate) async fn raw(
    server: &ApiServer,
    identity: &Identity,
    request: Request<Bytes>,
) -> client::Response {
    let response = respond(server, identity, request.map(http_body_util::Full::new)).await;
    client::Response::Raw(response.map(client::Body::from))
}

async fn route<B>(
    server: &ApiServer,
    identity: &Identity,
    call: Call,
    closing: bool,
    mut request: Request<B>,
) -> Result<Response<ResponseBody>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let asked = || call.attributes(&method, uri.path());
    let acts_as = impersonation::act_as(server, identity, request.headers_mut(), asked)?;
    let identity = acts_as.as_ref().unwrap_or(identity);
    let Call { path, query, .. } = call;
    if let ApiPath::Resource(path) = path {
        return resource::respond(server, identity, path, &query, request).await;
    }
    allow(server, identity, request.method(), request.uri().path())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(status::failure(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .into());
    }
    let place = match path {
        ApiPath::Legacy | ApiPath::Groups => Place::Discovery,
        _ => Place::Fixed,
    };
    // Health and version are text or JSON whatever is asked for, as kube-apiserver has it.
    if let ApiPath::Other(path) = &path {
        return Ok(fixed::respond(server, path, &query, request.headers(), closing).await?);
    }
    let format = negotiate::negotiate(request.headers(), query.get("pretty"), place)?;
    let encoder = Encoder {
        format,
        include: IncludeObject::None,
        clock: server.env().clock.clone(),
        resource: None,
        series: None,
    };
    Ok(fixed::discovery(server, &path, &encoder, request.headers())?)
}

/// Whether the caller may use a path that is no resource.
fn allow(server: &ApiServer, identity: &Identity, method: &Method, path: &str) -> Result<(), Status> {
    let attributes = Attributes::path(&method.as_str().to_lowercase(), path);
    permit(server, identity, &attributes)
}

/// Whether the caller may do this.
fn permit(server: &ApiServer, identity: &Identity, attributes: &Attributes) -> Result<(), Status> {
    match server.authorize(identity, attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny { reason } => Err(authorize::refusal(identity, attributes, &reason)),
    }
}

/// Reads a body whole, of as many bytes as the server takes.
async fn read<B>(server: &ApiServer, body: B) -> Result<Bytes, Status>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let limit = server.limits().body_bytes;
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let why = format!("Request entity too large: limit is {limit}");
            status::failure(413, "RequestEntityTooLarge", why)
        } else {
            status::bad_request(format!("error reading the body: {error}"))
        }
    })?;
    let mut buffer = collected.aggregate();
    Ok(buffer.copy_to_bytes(buffer.remaining()))
}
