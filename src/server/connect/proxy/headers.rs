//! Headers of proxied requests and answers.
//!
//! Source: `httputil.ReverseProxy` of Go, and `k8s.io/apimachinery/pkg/util/proxy` (1.36).

use std::net::IpAddr;

use http::header::{self, AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const HOST_ASKED: HeaderName = HeaderName::from_static("x-forwarded-host");
const SCHEME_ASKED: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a token begins with that stands among a WebSocket's subprotocols.
///
/// Source: `k8s.io/apiserver/pkg/authentication/request/websocket` (1.36).
pub(crate) const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// What a backend is told of the request that its own follows from.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwarded {
    /// Who sent it; nobody in process.
    pub(super) peer: Option<IpAddr>,
    /// The path that was asked for, and by which scheme and host, where the request's line named them. An
    /// upgrade says nothing of these.
    pub(super) uri: Option<String>,
    pub(super) origin: Option<(String, String)>,
}

impl Forwarded {
    /// What a peer says of those before it stays, in one header; the rest is written over.
    fn write(self, headers: &mut HeaderMap) {
        if let Some(peer) = self.peer {
            let before = headers.get_all(FOR).iter().map(HeaderValue::as_bytes);
            let peer = peer.to_canonical().to_string();
            let chain: Vec<_> = before.chain([peer.as_bytes()]).collect();
            if let Ok(chain) = HeaderValue::from_bytes(&chain.join(&b", "[..])) {
                headers.insert(FOR, chain);
            }
        }
        let (scheme, host) = self.origin.unzip();
        for (name, value) in [(URI, self.uri), (HOST_ASKED, host), (SCHEME_ASKED, scheme)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// What goes on to the backend: no header that is between two neighbours only, and not how the caller proved
/// who it is.
pub(super) fn onward(mut headers: HeaderMap, upgrade: bool, forwarded: Forwarded) -> HeaderMap {
    let trailers = headers.get_all(TE).iter().any(|value| value.as_bytes() == b"trailers");
    let wanted = headers.get(UPGRADE).cloned().filter(|_| upgrade);
    hop_by_hop(&mut headers);
    headers.remove(AUTHORIZATION);
    headers.remove(HOST);
    let impersonation: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(wanted) = wanted {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, wanted);
        drop_bearer(&mut headers);
    }
    forwarded.write(&mut headers);
    headers
}

/// What comes back to the caller: neither what is between two neighbours only, nor what lets pages of other
/// origins read what is behind the API server.
pub(super) fn back(mut headers: HeaderMap, upgrade: bool) -> HeaderMap {
    let wanted = headers.get(UPGRADE).cloned().filter(|_| upgrade);
    hop_by_hop(&mut headers);
    for name in ["credentials", "headers", "methods", "origin"] {
        headers.remove(format!("access-control-allow-{name}"));
    }
    if let Some(wanted) = wanted {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, wanted);
    }
    headers
}

/// Whether a request wants to become something else.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
    };
    headers.contains_key(UPGRADE) && headers.get_all(CONNECTION).iter().any(named)
}

fn hop_by_hop(headers: &mut HeaderMap) {
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
        UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// A WebSocket's subprotocols without the token by which browsers say who they are.
fn drop_bearer(headers: &mut HeaderMap) {
    let left: Vec<String> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && !name.starts_with(BEARER))
        .collect();
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = HeaderValue::try_from(left.join(", "))
        && !value.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn of_uri(path: &str) -> Forwarded {
        Forwarded { uri: Some(path.to_owned()), ..Forwarded::default() }
    }

    #[test]
    fn secrets_and_hop_by_hop_headers_stay_behind() {
        let sent = headers(&[
            ("connection", "x-own, close"),
            ("x-own", "1"),
            ("authorization", "Bearer t"),
            ("impersonate-user", "root"),
            ("proxy-authorization", "x"),
            ("host", "server"),
            ("te", "trailers"),
            ("accept", "*/*"),
            ("cookie", "of=the-backend"),
        ]);
        let left = onward(sent, false, of_uri("/api/v1/x/proxy/a"));
        let expected = headers(&[
            ("accept", "*/*"),
            ("cookie", "of=the-backend"),
            ("te", "trailers"),
            ("x-forwarded-uri", "/api/v1/x/proxy/a"),
        ]);
        assert_eq!(left, expected);
    }

    #[test]
    fn whose_a_request_was_is_added_to_what_others_said_of_it() {
        let peer = |text: &str| Some(text.parse().unwrap());
        for (sent, peer, expected) in [
            (&[][..], None, None),
            (&[("x-forwarded-for", "10.0.0.1")], None, Some("10.0.0.1")),
            (&[], peer("10.0.0.2"), Some("10.0.0.2")),
            (&[], peer("::ffff:10.0.0.2"), Some("10.0.0.2")),
            (
                &[("x-forwarded-for", "10.0.0.1, fd00::1"), ("x-forwarded-for", "anything")],
                peer("fd00::2"),
                Some("10.0.0.1, fd00::1, anything, fd00::2"),
            ),
        ] {
            for upgrade in [false, true] {
                let forwarded = Forwarded { peer, ..Forwarded::default() };
                let left = onward(headers(sent), upgrade, forwarded);
                let told: Vec<_> = left.get_all(FOR).iter().collect();
                assert_eq!(told, Vec::from_iter(expected), "{sent:?}");
            }
        }
    }

    #[test]
    fn where_a_request_went_is_written_over_what_others_said_of_it() {
        let sent = || {
            headers(&[("x-forwarded-host", "a"), ("x-forwarded-proto", "http"), ("x-forwarded-uri", "/a")])
        };
        assert_eq!(onward(sent(), true, Forwarded::default()), sent());
        let origin = Some(("https".to_owned(), "b:1".to_owned()));
        let left = onward(sent(), false, Forwarded { origin, ..of_uri("/b") });
        let expected =
            [("x-forwarded-host", "b:1"), ("x-forwarded-proto", "https"), ("x-forwarded-uri", "/b")];
        assert_eq!(left, headers(&expected));
    }

    #[test]
    fn an_upgrade_keeps_what_it_is_about_and_not_the_token() {
        let sent = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.dG9rZW4, own"),
        ]);
        assert!(wants_upgrade(&sent) && !wants_upgrade(&headers(&[("upgrade", "websocket")])));
        let left = onward(sent, true, Forwarded::default());
        assert_eq!(left["upgrade"], "websocket");
        assert_eq!(left["sec-websocket-protocol"], "own");
    }

    #[test]
    fn other_origins_are_let_in_by_nobody_behind() {
        let sent = headers(&[("access-control-allow-origin", "*"), ("x-own", "1"), ("keep-alive", "5")]);
        assert_eq!(back(sent, false), headers(&[("x-own", "1")]));
    }
}
