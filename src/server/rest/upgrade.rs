//! Upgrades: HTTP that becomes a stream in both directions.
//!
//! The server's own handshake with the caller and its handshake with the node's agent are two: once
//! both are made, bytes pass through as they are, frames included.

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, BodyStream, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{BodyError, ResponseBody, encode, read};
use crate::api::{Status, status};
use crate::client::wire::accept_key;
use crate::client::{self, Identity, Target};
use crate::server::connect::{self, BEARER, Onward, Peer, Upgrade};
use crate::server::registry::not_allowed;
use crate::server::{ApiServer, Attributes, admission};

/// How much a pipe in this process holds before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;

/// Opens a stream to a subresource and hands it to the caller.
pub(super) async fn connect<B>(
    server: &ApiServer,
    identity: &Identity,
    target: Target,
    query: &str,
    request: &mut Request<B>,
) -> Result<Response<ResponseBody>, Status> {
    // A policy for `create` is older than WebSockets, whose requests are gets: both are needed.
    //
    // Source: `ensureAuthorizedForVerb` of `k8s.io/kubernetes/pkg/registry/core/pod/rest` (1.36).
    if *request.method() == Method::GET {
        super::permit(server, identity, &Attributes::on("get", &target))?;
    }
    super::permit(server, identity, &Attributes::on("create", &target))?;
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(not_allowed());
    }
    let upgrade = wanted(request.headers())?;
    admission::connect(server, identity, &target, query).await?;
    let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let Some(on_upgrade) = on_upgrade else {
        return Err(status::bad_request("unable to upgrade: this connection cannot be upgraded"));
    };
    let client::Response::Connection { protocol, io } =
        connect::open(server, &target, query, &upgrade).await?
    else {
        return Err(status::internal("the node's agent opened no stream"));
    };
    let clock = server.env().clock.clone();
    server.env().tasks.spawn("upgraded stream", async move {
        match on_upgrade.await {
            Ok(upgraded) => connect::relay(TokioIo::new(upgraded), io, &clock).await,
            Err(error) => tracing::debug!(%error, "the caller went away before its upgrade"),
        }
    });
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let named = match upgrade {
        Upgrade::WebSocket(_) => {
            let key = request.headers().get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            if let Ok(accept) = HeaderValue::try_from(accept_key(key)) {
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            SEC_WEBSOCKET_PROTOCOL
        }
        Upgrade::Spdy(_) => {
            headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            connect::STREAM_PROTOCOL
        }
    };
    if !protocol.is_empty() {
        let protocol =
            HeaderValue::try_from(protocol).map_err(|error| status::internal(error.to_string()))?;
        headers.insert(named, protocol);
    }
    Ok(response)
}

/// What a caller wants its connection to become.
fn wanted(headers: &HeaderMap) -> Result<Upgrade, Status> {
    if !connect::wants_upgrade(headers) {
        return Err(status::bad_request("Upgrade request required"));
    }
    let wants = listed(headers, &UPGRADE).next().unwrap_or_default().to_ascii_lowercase();
    match wants.as_str() {
        "websocket" if headers.contains_key(SEC_WEBSOCKET_KEY) => {
            let spoken = listed(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|name| !name.starts_with(BEARER));
            Ok(Upgrade::WebSocket(spoken.map(str::to_owned).collect()))
        }
        "spdy/3.1" => {
            Ok(Upgrade::Spdy(listed(headers, &connect::STREAM_PROTOCOL).map(str::to_owned).collect()))
        }
        _ => Err(status::bad_request("unable to upgrade: missing upgrade headers in request")),
    }
}

/// Whether a request wants to be upgraded and no connection below it can do so.
pub(super) fn needs_a_pipe<B>(request: &Request<B>) -> bool {
    connect::wants_upgrade(request.headers()) && request.extensions().get::<OnUpgrade>().is_none()
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

/// A request that goes on to somebody else, with whatever its caller still sends.
pub(super) fn onward<B>(rest: String, mut request: Request<B>) -> Onward
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let peer = request.extensions().get::<Peer>().copied();
    let (parts, body) = request.into_parts();
    let body = body
        .map_frame(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        .map_err(Into::into)
        .boxed_unsync();
    let http::request::Parts { method, uri, headers, version, .. } = parts;
    // HTTP/2 names both with every request.
    let absolute = peer.is_some() && version < Version::HTTP_2;
    let origin = uri.scheme_str().zip(uri.authority()).filter(|_| absolute);
    let origin = origin.map(|(scheme, host)| (scheme.to_owned(), host.to_string()));
    Onward { method, uri, rest, headers, body, upgrade, peer, origin }
}

/// The body of an HTTP response from elsewhere, passed on piece by piece.
pub(crate) fn incoming(body: hyper::body::Incoming) -> ResponseBody {
    if http_body::Body::is_end_stream(&body) {
        return ResponseBody::empty();
    }
    ResponseBody::stream(pieces(body))
}

/// The pieces of a body from elsewhere.
pub(crate) fn pieces(body: hyper::body::Incoming) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    BodyStream::new(body.map_err(std::io::Error::other))
        .filter_map(|frame| async { frame.map(|frame| frame.into_data().ok()).transpose() })
}

/// The names in a header's lists.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn protocols_come_in_one_header_or_many_and_a_token_is_none() {
        let sent = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-protocol", "a, base64url.bearer.authorization.k8s.io.dG9rZW4"),
            ("sec-websocket-protocol", "c"),
        ]);
        let Upgrade::WebSocket(protocols) = wanted(&sent).unwrap() else { panic!("a WebSocket") };
        assert_eq!(protocols, ["a", "c"]);
    }

    #[test]
    fn what_is_no_upgrade_is_refused() {
        for (sent, why) in [
            (&[][..], "Upgrade request required"),
            (&[("upgrade", "websocket")], "Upgrade request required"),
            (
                &[("connection", "upgrade"), ("upgrade", "h2c")],
                "unable to upgrade: missing upgrade headers in request",
            ),
        ] {
            assert_eq!(wanted(&headers(sent)).err().unwrap().message, why);
        }
    }
}
