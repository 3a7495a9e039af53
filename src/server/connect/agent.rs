//! HTTP/1.1 to a node's agent.

use std::io;

use base64::Engine;
use bytes::Bytes;
use http::header::{
    self, AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::api::{Status, status};
use crate::client;
use crate::server::ApiServer;

/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 64 * 1024;

/// A get of this path.
pub(super) fn get(path: &str) -> Result<Request<Full<Bytes>>, Status> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() =
        path.parse().map_err(|error: http::uri::InvalidUri| status::bad_request(error.to_string()))?;
    Ok(request)
}

/// Sends a request to the agent of a node, over a stream of its own.
pub(super) async fn send(
    server: &ApiServer,
    node: &str,
    mut request: Request<Full<Bytes>>,
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
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    server.env().tasks.spawn("stream to a node's agent", async move {
        let driven = connection.with_upgrades().await;
        tracing::trace!(?driven, "a stream to a node's agent ended");
    });
    sender.send_request(request).await.map_err(|error| failed(&error))
}

/// Opens a WebSocket to the agent of a node.
pub(super) async fn upgrade(
    server: &ApiServer,
    node: &str,
    path: &str,
    protocols: &[String],
) -> Result<client::Response, Status> {
    let mut request = get(path)?;
    let mut key = [0; 16];
    server.env().random.stream("websocket keys").fill(&mut key);
    let key = base64::engine::general_purpose::STANDARD.encode(key);
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    for (name, text) in [(SEC_WEBSOCKET_KEY, key), (SEC_WEBSOCKET_PROTOCOL, protocols.join(", "))] {
        if !text.is_empty() {
            let value =
                HeaderValue::try_from(text).map_err(|error| status::bad_request(error.to_string()))?;
            headers.insert(name, value);
        }
    }
    let response = send(server, node, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response, "pods", "").await);
    }
    let protocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
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

/// Headers without those that are between two neighbours only, and without the caller's secrets.
pub(super) fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [
        CONNECTION,
        AUTHORIZATION,
        UPGRADE,
        HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_hop_by_hop_headers_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "x-own, close"), ("x-own", "1"), ("authorization", "Bearer t"), ("accept", "*/*")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let left = end_to_end(headers);
        assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
