//! HTTP/1.1 to a node's agent.

use std::io;

use base64::Engine;
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::Upgrade;
use crate::api::{Status, status};
use crate::client;
use crate::env::BoxIo;
use crate::server::ApiServer;

/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 64 * 1024;

/// The body of a request that goes on.
pub(crate) type Outbound = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The name under which SPDY's subprotocols are offered.
pub(crate) const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// A get of this path.
pub(super) fn get(path: &str) -> Result<Request<Outbound>, Status> {
    let mut request = Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *request.uri_mut() =
        path.parse().map_err(|error: http::uri::InvalidUri| status::bad_request(error.to_string()))?;
    Ok(request)
}

/// Sends a request to the agent of a node, over a stream of its own.
pub(super) async fn send(
    server: &ApiServer,
    node: &str,
    mut request: Request<Outbound>,
) -> Result<Response<Incoming>, Status> {
    let failed = |error: &dyn std::fmt::Display| status::internal(format!("error dialing backend: {error}"));
    let dialer = server.node_dialer().ok_or_else(|| failed(&"this server has no way to its nodes"))?;
    let stream = dialer.dial(node).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(&format_args!("no agent of node {node:?} is known")),
        _ => failed(&error),
    })?;
    if let Ok(host) = HeaderValue::from_str(node) {
        request.headers_mut().insert(HOST, host);
    }
    exchange(server, stream, request).await.map_err(|error| failed(&error))
}

/// Sends the one request of a connection.
pub(super) async fn exchange(
    server: &ApiServer,
    io: BoxIo,
    request: Request<Outbound>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    server.env().tasks.spawn("connection for one request", async move {
        let driven = connection.with_upgrades().await;
        tracing::trace!(?driven, "a connection for one request ended");
    });
    sender.send_request(request).await
}

/// Opens a stream to the agent of a node.
pub(super) async fn upgrade(
    server: &ApiServer,
    node: &str,
    path: &str,
    upgrade: &Upgrade,
) -> Result<client::Response, Status> {
    let mut request = get(path)?;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let put = |headers: &mut HeaderMap, name, text: String| {
        let value = HeaderValue::try_from(text).map_err(|error| status::bad_request(error.to_string()))?;
        headers.append(name, value);
        Ok::<_, Status>(())
    };
    let named = match upgrade {
        Upgrade::WebSocket(protocols) => {
            let mut key = [0; 16];
            server.fill_key(&mut key);
            let key = base64::engine::general_purpose::STANDARD.encode(key);
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            put(headers, SEC_WEBSOCKET_KEY, key)?;
            if !protocols.is_empty() {
                put(headers, SEC_WEBSOCKET_PROTOCOL, protocols.join(", "))?;
            }
            SEC_WEBSOCKET_PROTOCOL
        }
        Upgrade::Spdy(protocols) => {
            headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            for protocol in protocols {
                put(headers, STREAM_PROTOCOL, protocol.clone())?;
            }
            *request.method_mut() = Method::POST;
            STREAM_PROTOCOL
        }
    };
    let response = send(server, node, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response, "pods", "").await);
    }
    let protocol = response.headers().get(named);
    let protocol = protocol.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| status::internal(format!("unable to upgrade connection: {error}")))?;
    Ok(client::Response::Connection { protocol, io: Box::new(TokioIo::new(upgraded)) })
}

/// What an agent said when it refused: its own `Status`, or its text as one.
pub(super) async fn refusal(response: Response<Incoming>, resource: &str, name: &str) -> Status {
    let code = response.status();
    let body = Limited::new(response.into_body(), REFUSAL_BYTES).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let Ok(said) = serde_json::from_slice::<Status>(&body)
        && said.code != 0
    {
        return said;
    }
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    match code {
        StatusCode::BAD_REQUEST => status::bad_request(text),
        StatusCode::NOT_FOUND if !text.is_empty() => status::failure(404, "NotFound", text),
        StatusCode::NOT_FOUND => status::not_found("", resource, name),
        code => status::failure(
            if code.as_u16() >= 400 { code.as_u16() } else { 500 },
            "InternalError",
            format!("an error on the server ({text:?}) has prevented the request from succeeding"),
        ),
    }
}
