//! Upgrades: HTTP that becomes a stream in both directions.
//!
//! The server's own handshake with the caller and its handshake with the node's agent are two: once
//! both are made, bytes pass through as they are, WebSocket frames included.

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{BodyError, ResponseBody, encode, read};
use crate::api::{Status, status};
use crate::client::wire::accept_key;
use crate::client::{self, Identity, Target};
use crate::server::ApiServer;

/// How much a pipe in this process holds before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;

/// Opens a stream to a subresource and hands it to the caller.
pub(super) async fn connect<B>(
    server: &ApiServer,
    identity: &Identity,
    target: Target,
    query: String,
    request: &mut Request<B>,
) -> Result<Response<ResponseBody>, Status> {
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).cloned();
    let wants = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let protocols = protocols(headers);
    let refusal = match (wants.as_deref(), key.is_some()) {
        (None, _) => Some("Upgrade request required"),
        (Some("websocket"), true) => None,
        _ => Some("unable to upgrade: only WebSocket (RFC 6455) is served here"),
    };
    let request_to_open = client::Request::Connect { target, query, protocols };
    if let Some(why) = refusal {
        // Who may not is told so first.
        super::permit(server, identity, &crate::server::Attributes::of(&request_to_open))?;
        return Err(status::bad_request(why));
    }
    let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let Some(on_upgrade) = on_upgrade else {
        return Err(status::bad_request("unable to upgrade: this connection cannot be upgraded"));
    };
    let client::Response::Connection { protocol, mut io } =
        server.handle(identity, request_to_open).await?.response
    else {
        return Err(status::internal("the node's agent opened no stream"));
    };
    server.env().tasks.spawn("upgraded stream", async move {
        match on_upgrade.await {
            Ok(upgraded) => {
                let mut caller = TokioIo::new(upgraded);
                // An end without goodbye is how these streams mostly end.
                let ended = tokio::io::copy_bidirectional(&mut caller, &mut io).await;
                tracing::trace!(?ended, "an upgraded stream ended");
            }
            Err(error) => tracing::debug!(%error, "the caller went away before its upgrade"),
        }
    });
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(accept) = key.and_then(|key| HeaderValue::try_from(accept_key(key.as_bytes())).ok()) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !protocol.is_empty() {
        let protocol =
            HeaderValue::try_from(protocol).map_err(|error| status::internal(error.to_string()))?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// Whether a request wants to be upgraded and no connection below it can do so.
pub(super) fn needs_a_pipe<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(UPGRADE) && request.extensions().get::<OnUpgrade>().is_none()
}

/// Carries a request over a pipe in this process, with HTTP/1.1 at both ends, so that both get
/// their end of the upgraded stream.
pub(super) async fn over_a_pipe<B>(
    server: &ApiServer,
    identity: &Identity,
    request: Request<B>,
) -> Response<ResponseBody>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (own, caller) = (server.clone(), identity.clone());
    server.env().tasks.spawn("pipe, server's end", async move {
        let service = hyper::service::service_fn(move |request| {
            let (server, identity) = (own.clone(), caller.clone());
            async move { Ok::<_, std::convert::Infallible>(super::respond(&server, &identity, request).await) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(far), service)
            .with_upgrades()
            .await;
        tracing::trace!(?served, "a pipe was served");
    });
    let failed = |error: &dyn std::fmt::Display| encode::failure(&status::internal(error.to_string()), None);
    let (parts, body) = request.into_parts();
    let body: Bytes = match read(server, body).await {
        Ok(body) => body,
        Err(status) => return encode::failure(&status, None),
    };
    let (mut sender, connection) = match hyper::client::conn::http1::handshake(TokioIo::new(near)).await {
        Ok(opened) => opened,
        Err(error) => return failed(&error),
    };
    server.env().tasks.spawn("pipe, caller's end", async move {
        let driven = connection.with_upgrades().await;
        tracing::trace!(?driven, "a pipe was driven");
    });
    match sender.send_request(Request::from_parts(parts, Full::new(body))).await {
        Ok(response) => response.map(incoming),
        Err(error) => failed(&error),
    }
}

/// The body of an HTTP response from elsewhere, passed on piece by piece.
pub(crate) fn incoming(body: hyper::body::Incoming) -> ResponseBody {
    if http_body::Body::is_end_stream(&body) {
        return ResponseBody::empty();
    }
    let pieces = BodyStream::new(body.map_err(std::io::Error::other))
        .filter_map(|frame| async { frame.map(|frame| frame.into_data().ok()).transpose() });
    ResponseBody::stream(pieces)
}

/// The subprotocols that a caller speaks, best first.
fn protocols(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    #[test]
    fn protocols_come_in_one_header_or_many() {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static("sec-websocket-protocol"), HeaderValue::from_static("a, b"));
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("c"));
        assert_eq!(protocols(&headers), ["a", "b", "c"]);
    }
}
