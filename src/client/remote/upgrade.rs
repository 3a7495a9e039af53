//! Streams in both directions: a WebSocket's handshake, and the bytes behind it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::{ask, transport};
use crate::client::wire::accept_key;
use crate::client::{Error, Response, Target};
use crate::env::Random;

/// The request for an upgrade, and the key that it carries.
pub(super) fn request(
    target: &Target,
    query: &str,
    protocols: &[String],
    random: &Random,
) -> Result<(String, http::Request<Bytes>), Error> {
    let mut key = [0; 16];
    random.stream("websocket keys").fill(&mut key);
    let key = STANDARD.encode(key);
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = ask::uri("connect", target, query)?;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let value = |text: &str| HeaderValue::try_from(text).map_err(|error| transport("connect", error));
    headers.insert(SEC_WEBSOCKET_KEY, value(&key)?);
    if !protocols.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value(&protocols.join(", "))?);
    }
    Ok((key, request))
}

/// The stream behind a handshake that the server took part in.
pub(super) async fn connection(
    response: http::Response<Incoming>,
    key: &str,
    protocols: &[String],
) -> Result<Response, Error> {
    let protocol = agreed(response.headers(), key, protocols).map_err(|why| transport("connect", why))?;
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| transport("connect", error))?;
    Ok(Response::Connection { protocol, io: Box::new(TokioIo::new(upgraded)) })
}

/// The subprotocol that was chosen, of a handshake that is good (RFC 6455, 4.1).
fn agreed(headers: &HeaderMap, key: &str, protocols: &[String]) -> Result<String, &'static str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text(UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err("the server switched to another protocol than WebSocket");
    }
    if text(SEC_WEBSOCKET_ACCEPT) != accept_key(key.as_bytes()) {
        return Err("the server did not understand the WebSocket's key");
    }
    let protocol = text(SEC_WEBSOCKET_PROTOCOL);
    if !protocol.is_empty() && !protocols.iter().any(|own| own == protocol) {
        return Err("the server chose a subprotocol that was not offered");
    }
    Ok(protocol.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_looked_at() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let cases = [
            ("websocket", good, "a", Ok("a")),
            ("WebSocket", good, "", Ok("")),
            ("SPDY/3.1", good, "a", Err("the server switched to another protocol than WebSocket")),
            ("websocket", "x", "a", Err("the server did not understand the WebSocket's key")),
            ("websocket", good, "c", Err("the server chose a subprotocol that was not offered")),
        ];
        for (upgrade, accept, protocol, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept));
            if !protocol.is_empty() {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
            }
            let offered = ["a".to_owned(), "b".to_owned()];
            assert_eq!(agreed(&headers, key, &offered), expected.map(str::to_owned));
        }
    }
}
