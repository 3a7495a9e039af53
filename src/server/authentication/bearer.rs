//! Bearer tokens: in `Authorization`, or in a WebSocket's subprotocols, since browsers let nobody set headers.
//!
//! Source: `authentication/request/{bearertoken,websocket}` of `k8s.io/apiserver` (1.36).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use super::Unauthorized;

const PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The bearer token of a request; none where it has none.
///
/// # Errors
///
/// Where a WebSocket's subprotocols hold one, and not as they should.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, Unauthorized> {
    let header = || -> Option<&str> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
        Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
    };
    match header() {
        Some(token) => Ok(Some(token.to_owned())),
        None => websocket_token(headers),
    }
}

fn websocket_token(headers: &HeaderMap) -> Result<Option<String>, Unauthorized> {
    let upgrades = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    if !upgrades.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Ok(None);
    }
    let mut others = false;
    let mut token = None;
    for protocol in protocols(headers) {
        let Some(encoded) = protocol.strip_prefix(PROTOCOL) else {
            others = true;
            continue;
        };
        if token.is_some() {
            return Err(Unauthorized::new("multiple base64.bearer.authorization tokens specified"));
        }
        let decoded = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| Unauthorized::new("invalid base64.bearer.authorization token encoding"))?;
        let decoded = String::from_utf8(decoded)
            .map_err(|_| Unauthorized::new("invalid base64.bearer.authorization token"))?;
        token = Some(decoded);
    }
    match token.filter(|token| !token.is_empty()) {
        // One must be left to be chosen, or a browser takes the handshake for failed.
        Some(_) if !others => Err(Unauthorized::new("missing additional subprotocol")),
        token => Ok(token),
    }
}

/// Takes the token out of a WebSocket's subprotocols.
pub(super) fn forget(headers: &mut HeaderMap) {
    if !protocols(headers).any(|protocol| protocol.starts_with(PROTOCOL)) {
        return;
    }
    let others: Vec<&str> = protocols(headers).filter(|protocol| !protocol.starts_with(PROTOCOL)).collect();
    let others = HeaderValue::try_from(others.join(","));
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(others) = others {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn tokens_stand_in_a_header_or_in_a_subprotocol() {
        let encoded = format!("{PROTOCOL}{}", URL_SAFE_NO_PAD.encode("secret"));
        let protocols = format!("v4.channel.k8s.io, {encoded}");
        let socket =
            |protocols: &str| headers(&[("upgrade", "websocket"), ("sec-websocket-protocol", protocols)]);
        let why = |text: &str| Err(Unauthorized::new(text));
        let cases = [
            (headers(&[("authorization", "Bearer secret")]), Ok(Some("secret"))),
            (headers(&[("authorization", "bearer  secret")]), Ok(Some("secret"))),
            (headers(&[("authorization", "Basic secret")]), Ok(None)),
            (headers(&[("authorization", "Bearer ")]), Ok(None)),
            (socket(&protocols), Ok(Some("secret"))),
            (headers(&[("sec-websocket-protocol", &protocols)]), Ok(None)),
            (socket("v4.channel.k8s.io"), Ok(None)),
            (socket(&encoded), why("missing additional subprotocol")),
            (
                socket(&format!("{protocols}, {encoded}")),
                why("multiple base64.bearer.authorization tokens specified"),
            ),
            (socket(&format!("a, {PROTOCOL}%%")), why("invalid base64.bearer.authorization token encoding")),
        ];
        for (headers, expected) in cases {
            assert_eq!(bearer_token(&headers), expected.map(|token| token.map(str::to_owned)), "{headers:?}");
        }
        let mut given = socket(&protocols);
        forget(&mut given);
        assert_eq!(given, socket("v4.channel.k8s.io"));
    }
}
