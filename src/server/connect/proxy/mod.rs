//! The proxies of pods, services and nodes: any method on any path, passed on to what listens there.
//!
//! Redirects are not followed but handed to the caller, rewritten so that they lead through the proxy
//! again; so are the links of pages. A connection goes with each request and ends with it: one whose
//! backend refuses an upgrade carries nothing more, whatever the caller sends behind it.
//!
//! Source: `UpgradeAwareHandler` of `k8s.io/apimachinery/pkg/util/proxy` (1.36).

mod address;
mod backend;
mod endpoints;
mod headers;
mod place;
mod rewrite;

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::agent::Outbound;
use super::relay::relay;
use crate::api::{Status, status};
use crate::client::Target;
use crate::client::wire::target_path;
use crate::server::ApiServer;
use crate::server::rest::{self, ResponseBody};
use headers::Forwarded;
pub(crate) use headers::{BEARER, wants_upgrade};
use place::Place;
use rewrite::{PAGE, Rewriter, clean};

/// What may not stand in a path as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A request that goes on to somebody else.
pub(crate) struct Onward {
    pub(crate) method: Method,
    /// As the caller sent it.
    pub(crate) uri: Uri,
    /// What stands behind `…/proxy`, decoded; empty where nothing does.
    pub(crate) rest: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Outbound,
    /// The caller's connection, where it can become something else.
    pub(crate) upgrade: Option<OnUpgrade>,
    /// Who sent it, where it came by a socket.
    pub(crate) peer: Option<Peer>,
    /// The scheme and host of its line, where that is an absolute address, as proxies get it.
    pub(crate) origin: Option<(String, String)>,
}

/// The address that a request came from, as one of its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Passes a request on to what listens behind a pod, a service or a node. The caller has been authorized.
pub(crate) async fn proxy(
    server: &ApiServer,
    target: &Target,
    onward: Onward,
) -> Result<Response<ResponseBody>, Status> {
    let place = place::find(server, target).await?;
    let Onward { method, uri, rest, headers: sent, body, upgrade, peer, origin } = onward;
    let upgrading = wants_upgrade(&sent);
    if !upgrading && rest.is_empty() && matches!(method, Method::GET | Method::HEAD) {
        return Ok(to_the_root(&uri));
    }
    let path: String = utf8_percent_encode(&clean(&rest), PATH).collect();
    let rewriter = rewriter(target, &uri, &place, &sent);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = backend_uri(&path, uri.query())?;
    let forwarded = Forwarded {
        peer: peer.map(|Peer(address)| address),
        uri: (!upgrading).then(|| format!("{}{path}", rewriter.prefix)),
        origin: origin.filter(|_| !upgrading),
    };
    *request.headers_mut() = headers::onward(sent, upgrading, forwarded);
    let host = HeaderValue::try_from(place.host()).map_err(|error| status::bad_request(error.to_string()))?;
    request.headers_mut().insert(HOST, host);
    let answered = backend::exchange(server, &place, request).await;
    if upgrading {
        let response =
            answered.map_err(|error| status::internal(format!("error dialing backend: {error}")))?;
        return upgraded(server, response, upgrade).await;
    }
    let unreachable = |error| status::unavailable(format!("error trying to reach service: {error}"));
    answer(answered.map_err(unreachable)?, &rewriter).await
}

/// A page at the root of a backend has links that are relative to it.
fn to_the_root(uri: &Uri) -> Response<ResponseBody> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(format!("{}/{query}", uri.path())) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn backend_uri(path: &str, query: Option<&str>) -> Result<Uri, Status> {
    let mut text = path.to_owned();
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    text.parse().map_err(|error: http::uri::InvalidUri| status::bad_request(error.to_string()))
}

fn rewriter(target: &Target, uri: &Uri, place: &Place, sent: &HeaderMap) -> Rewriter {
    let caller = sent.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let hosts = [place.host()].into_iter().chain(caller).chain(uri.host().map(str::to_owned));
    Rewriter { prefix: target_path(target), hosts: hosts.collect() }
}

/// The backend's answer, as the caller gets it.
async fn answer(response: Response<Incoming>, rewriter: &Rewriter) -> Result<Response<ResponseBody>, Status> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        let why = "error trying to reach service: the backend upgrades a request that did not ask for it";
        return Err(status::unavailable(why));
    }
    parts.headers = headers::back(parts.headers, false);
    if let Some(location) = parts.headers.get(LOCATION) {
        let location = location
            .to_str()
            .map_err(|error| status::internal(format!("error trying to parse Location header: {error}")))?;
        if let Ok(rewritten) = HeaderValue::try_from(rewriter.address(location)) {
            parts.headers.insert(LOCATION, rewritten);
        }
        return Ok(Response::from_parts(parts, rest::incoming(body)));
    }
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let length = text(CONTENT_LENGTH).parse::<usize>().ok();
    if media != "text/html" || length.is_some_and(|length| length > PAGE) {
        return Ok(Response::from_parts(parts, rest::incoming(body)));
    }
    let encoding = text(CONTENT_ENCODING).to_ascii_lowercase();
    let (page, more) = whole(body).await?;
    if let (None, Some(rewritten)) = (&more, rewriter.page(&encoding, &page)) {
        parts.headers.remove(CONTENT_LENGTH);
        return Ok(Response::from_parts(parts, ResponseBody::whole(rewritten)));
    }
    let begun = futures_util::stream::once(async move { Ok(page) });
    let body = match more {
        Some(more) => ResponseBody::stream(futures_util::StreamExt::chain(begun, rest::pieces(more))),
        None => ResponseBody::stream(begun),
    };
    Ok(Response::from_parts(parts, body))
}

/// A page; or what was read of it, and its rest, where it is too long to be looked at.
async fn whole(mut body: Incoming) -> Result<(Bytes, Option<Incoming>), Status> {
    let mut page = bytes::BytesMut::new();
    while page.len() <= PAGE {
        match body.frame().await {
            None => return Ok((page.freeze(), None)),
            Some(Ok(frame)) => page.extend(frame.into_data().ok()),
            Some(Err(error)) => {
                return Err(status::unavailable(format!("error trying to reach service: {error}")));
            }
        }
    }
    Ok((page.freeze(), Some(body)))
}

/// The backend's answer to an upgrade: if it agrees, the caller's connection becomes what the two make of it.
/// If it does not, the caller is told, and the backend's connection ends.
async fn upgraded(
    server: &ApiServer,
    mut response: Response<Incoming>,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<ResponseBody>, Status> {
    let code = response.status();
    let Some(caller) = upgrade else {
        return Err(status::bad_request("unable to upgrade: this connection cannot be upgraded"));
    };
    if code != StatusCode::SWITCHING_PROTOCOLS {
        if code.as_u16() < 400 {
            return Err(status::internal(format!("invalid upgrade response: status code {}", code.as_u16())));
        }
        let (mut parts, body) = response.into_parts();
        parts.headers = headers::back(parts.headers, false);
        parts.headers.remove(CONTENT_LENGTH);
        let said = Limited::new(body, PAGE).collect().await;
        let said = said.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Ok(Response::from_parts(parts, ResponseBody::whole(said)));
    }
    let backend = hyper::upgrade::on(&mut response);
    let clock = server.env().clock.clone();
    server.env().tasks.spawn("proxied upgrade", async move {
        match futures_util::future::try_join(caller, backend).await {
            Ok((caller, backend)) => relay(TokioIo::new(caller), TokioIo::new(backend), &clock).await,
            Err(error) => tracing::debug!(%error, "an upgrade came to nothing"),
        }
    });
    let mut answer = Response::new(ResponseBody::empty());
    *answer.status_mut() = code;
    *answer.headers_mut() = headers::back(std::mem::take(response.headers_mut()), true);
    answer.headers_mut().remove(CONTENT_LENGTH);
    Ok(answer)
}
