//! What every request passes, whatever it asks for: its audit id, its deadline, its room among the others,
//! and what is told of it afterwards.
//!
//! The order is that of `DefaultBuildHandlerChain` of `k8s.io/apiserver/pkg/server` (1.36).

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};

use super::call::{self, Call};
use super::exchange::Exchange;
use super::{BodyError, ResponseBody, encode, gzip, route};
use crate::api::{Status, status};
use crate::client::{self, Identity};
use crate::server::drain::Drain;
use crate::server::limits::Slot;
use crate::server::{ApiServer, Refusal};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// The group whose requests are served however many there are.
const MASTERS: &str = "system:masters";
/// How long somebody is to wait for whom there is no room.
const RETRY_SECONDS: u16 = 1;

/// Whence a request comes.
pub(crate) struct Origin<'a> {
    /// Who sent it; the refusal where that cannot be told.
    pub(crate) identity: Result<&'a Identity, Status>,
    /// The end of the listener that it came by, if it came by one.
    pub(crate) drain: Option<&'a Drain>,
}

/// Answers a request of the caller `identity`.
pub(crate) async fn respond<B>(
    server: &ApiServer,
    identity: &Identity,
    request: Request<B>,
) -> Response<ResponseBody>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    respond_from(server, Origin { identity: Ok(identity), drain: None }, request).await
}

/// Answers a request.
pub(crate) async fn respond_from<B>(
    server: &ApiServer,
    origin: Origin<'_>,
    mut request: Request<B>,
) -> Response<ResponseBody>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    if !call::is_well_formed(request.uri().path()) {
        // What Go's own server says, before anybody of Kubernetes sees the request.
        let mut refused = encode::plain("400 Bad Request");
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return refused;
    }
    let call = Call::of(&request);
    let headers = request.headers();
    let accept = headers.get(ACCEPT).cloned();
    let audit_id = audit_id(server, headers);
    let zips = !call.long_running && gzip::is_accepted(headers);
    let (long_running, series) = (call.long_running, call.series(server, headers));
    let clock = &server.env().clock;
    let mut exchange = Exchange::begin(clock.clone(), series, call.reads(), long_running);
    exchange.token = origin.drain.map(|drain| if long_running { drain.watch() } else { drain.request() });

    if let Some(drain) = origin.drain {
        // What becomes something else than HTTP holds on to it by itself.
        request.extensions_mut().insert(drain.clone());
    }
    let closing = origin.drain.is_some_and(Drain::is_closing);
    let answer = match (call.timeout(server.limits().request_timeout), origin.identity) {
        (Err(status), _) | (_, Err(status)) => Err(status.into()),
        (Ok(timeout), Ok(identity)) => match admit(server, identity, &call) {
            Err(response) => Ok(response),
            Ok(slot) => {
                exchange.slot = slot;
                let served = Box::pin(serve(server, identity, call, closing, request));
                within(server, timeout, served).await
            }
        },
    };
    let mut response = answer.unwrap_or_else(|refusal| encode::refused(&refusal, accept.as_ref()));
    let headers = response.headers_mut();
    headers.insert(AUDIT_ID, audit_id);
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    if zips {
        response = gzip::zip(response);
    }
    exchange.answered(response.status().as_u16());
    let ends = origin.drain.filter(|_| long_running).map(Drain::ended);
    response.map(|body| match ends {
        Some(end) if body.is_stream() => {
            ResponseBody::stream(client::Body::from(body).take_until(Box::pin(end))).within(exchange)
        }
        _ => body.within(exchange),
    })
}

/// What goes with a request through all logs: the caller's own, or a new one.
fn audit_id(server: &ApiServer, headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(&AUDIT_ID).filter(|given| !given.is_empty());
    given.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(server.new_audit_id()).expect("a UUID is made of letters, digits and hyphens")
    })
}

/// Makes room for a request, or answers that there is none.
fn admit(
    server: &ApiServer,
    identity: &Identity,
    call: &Call,
) -> Result<Option<Slot>, Response<ResponseBody>> {
    if call.long_running {
        return Ok(None);
    }
    let slot = server.in_flight().admit(call.mutating, server.second());
    if slot.is_some() || identity.in_group(MASTERS) {
        return Ok(slot);
    }
    let mut response =
        encode::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.");
    response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
    Err(response)
}

async fn serve<B>(
    server: &ApiServer,
    identity: &Identity,
    call: Call,
    closing: bool,
    request: Request<B>,
) -> Result<Response<ResponseBody>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let identity = match agent {
        Some(agent) => &identity.clone().agent(agent),
        None => identity,
    };
    route(server, identity, call, closing, request).await
}

/// Waits for an answer, if there is a limit only so long; one that panics is an answer, too.
async fn within(
    server: &ApiServer,
    limit: Option<Duration>,
    served: impl Future<Output = Result<Response<ResponseBody>, Refusal>>,
) -> Result<Response<ResponseBody>, Refusal> {
    let served = AssertUnwindSafe(served).catch_unwind();
    let outcome = match limit {
        None => served.await,
        Some(limit) => match server.env().clock.timeout(limit, served).await {
            Ok(outcome) => outcome,
            Err(_) => {
                return Err(status::timeout("request did not complete within the allotted timeout").into());
            }
        },
    };
    outcome.unwrap_or_else(|panic| {
        tracing::error!(panic = words(&*panic), "a request panicked");
        let said = "This request caused apiserver to panic. Look in the logs for details.";
        Ok(encode::text(StatusCode::INTERNAL_SERVER_ERROR, said))
    })
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something that is no text")
}
