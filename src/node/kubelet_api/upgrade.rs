//! Connections that become streams: WebSocket, SPDY/3.1, or the latter inside the former.

use std::future::Future;
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::idle::Watched;
use super::tunnel::tunnel;
use super::{Answer, Refusal, full};
use crate::client::wire::accept_key;
use crate::client::wire::spdy::Connection;
use crate::env::{Clock, Env, Tasks};

pub(super) type Socket = WebSocketStream<Watched<TokioIo<Upgraded>>>;

/// How long a connection may be silent in both directions.
///
/// Source: `--streaming-connection-idle-timeout` of kubelet (1.36).
const IDLE: Duration = Duration::from_secs(4 * 60 * 60);
/// How long the other side is waited for at the end.
pub(super) const PARTING: Duration = Duration::from_secs(5);
/// The longest message of a WebSocket, and the longest frame of one.
const MESSAGE: usize = 4 * 1024 * 1024;
/// What the subprotocol of a WebSocket begins with that carries SPDY.
const TUNNELLED: &str = "SPDY/3.1+";

/// Names of subprotocols, the best first.
pub(super) struct Speaks {
    /// Of WebSockets. One that begins with `SPDY/3.1+` carries SPDY, of which the rest is the subprotocol.
    pub(super) websocket: &'static [&'static str],
    /// What a WebSocket speaks whose caller names none.
    pub(super) unnamed: Option<&'static str>,
    /// Of SPDY.
    pub(super) spdy: &'static [&'static str],
}

/// A connection that has become a stream of messages or many streams.
pub(super) enum Spoken {
    WebSocket(Box<Socket>),
    Spdy(Connection),
}

#[derive(Clone, Copy)]
enum Carrier {
    WebSocket,
    Spdy,
}

/// What the two sides have come to.
struct Agreed {
    carrier: Carrier,
    /// The subprotocol as it is answered, where the caller has named any.
    answered: Option<&'static str>,
    /// What is spoken.
    protocol: &'static str,
}

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// Answers the request for an upgrade, and hands the connection to `then` once it stands, with the
/// subprotocol. Whatever tasks a connection needs end with it, and it ends after hours of silence.
pub(super) fn upgrade<F, Fut>(env: &Env, mut request: Request<Incoming>, speaks: &Speaks, then: F) -> Answer
where
    F: FnOnce(Spoken, &'static str) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let headers = request.headers();
    let agreed = match carrier(headers)? {
        Carrier::WebSocket => websocket_protocol(headers, speaks)?,
        Carrier::Spdy => match spdy_protocol(headers, speaks) {
            Some(agreed) => agreed,
            None => return no_stream_protocol(headers, speaks),
        },
    };
    let response = response(&agreed, headers)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let (tasks, clock) = (env.tasks.child(), env.clock.clone());
    env.tasks.spawn("upgraded connection", async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "no upgrade"),
        };
        let (io, activity) = Watched::new(TokioIo::new(upgraded), &clock);
        let serve = async {
            let spoken = agreed.over(io, &tasks, &clock).await;
            then(spoken, agreed.protocol).await;
            // What says goodbye has a moment for it.
            let _ = clock.timeout(2 * PARTING, tasks.idle()).await;
        };
        crate::select! {
            () = serve => {}
            () = activity.silent_for(IDLE, &clock) => tracing::debug!("a connection was silent for too long"),
        }
        tasks.shutdown().await;
    });
    Ok(response)
}

impl Agreed {
    async fn over(&self, io: Watched<TokioIo<Upgraded>>, tasks: &Tasks, clock: &Clock) -> Spoken {
        if let Carrier::Spdy = self.carrier {
            let (reader, writer) = tokio::io::split(io);
            return Spoken::Spdy(Connection::start(reader, writer, tasks, clock));
        }
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        if self.answered.is_some_and(|name| name.starts_with(TUNNELLED)) {
            let (reader, writer) = tunnel(socket);
            return Spoken::Spdy(Connection::start(reader, writer, tasks, clock));
        }
        Spoken::WebSocket(Box::new(socket))
    }
}

fn response(agreed: &Agreed, headers: &HeaderMap) -> Result<Response<super::Body>, Refusal> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let named = match agreed.carrier {
        Carrier::WebSocket => {
            let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
            let accept = HeaderValue::try_from(accept_key(key)).map_err(|_| refuse("bad key"))?;
            answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
            answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
            SEC_WEBSOCKET_PROTOCOL
        }
        Carrier::Spdy => {
            answer.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            STREAM_PROTOCOL
        }
    };
    if let Some(answered) = agreed.answered {
        answer.insert(named, HeaderValue::from_static(answered));
    }
    Ok(response)
}

fn refuse(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}

fn carrier(headers: &HeaderMap) -> Result<Carrier, Refusal> {
    let mut wanted = listed(headers, &UPGRADE);
    let offered = wanted.by_ref().find_map(|name| match name.to_ascii_lowercase().as_str() {
        "websocket" => Some(Carrier::WebSocket),
        "spdy/3.1" => Some(Carrier::Spdy),
        _ => None,
    });
    match offered {
        Some(Carrier::WebSocket) if headers.contains_key(SEC_WEBSOCKET_KEY) => Ok(Carrier::WebSocket),
        Some(Carrier::Spdy) => Ok(Carrier::Spdy),
        _ => Err(refuse("unable to upgrade: missing upgrade headers in request")),
    }
}

/// Whether what is asked for is SPDY, plain or inside a WebSocket.
pub(super) fn carries_spdy(headers: &HeaderMap) -> bool {
    match carrier(headers) {
        Ok(Carrier::WebSocket) => {
            listed(headers, &SEC_WEBSOCKET_PROTOCOL).any(|name| name.starts_with(TUNNELLED))
        }
        Ok(Carrier::Spdy) => true,
        Err(_) => false,
    }
}

/// The best of the subprotocols that the caller of a WebSocket offers.
fn websocket_protocol(headers: &HeaderMap, speaks: &Speaks) -> Result<Agreed, Refusal> {
    let carrier = Carrier::WebSocket;
    let offered: Vec<_> = listed(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
    let spoken = speaks.websocket.iter().copied().find(|protocol| offered.contains(protocol));
    match (spoken, speaks.unnamed) {
        (Some(spoken), _) => {
            let protocol = spoken.strip_prefix(TUNNELLED).unwrap_or(spoken);
            Ok(Agreed { carrier, answered: Some(spoken), protocol })
        }
        (None, Some(protocol)) if offered.is_empty() => Ok(Agreed { carrier, answered: None, protocol }),
        _ => {
            let served = speaks.websocket;
            Err(refuse(format!(
                "unable to negotiate protocol: client supports {offered:?}, server supports {served:?}"
            )))
        }
    }
}

/// The caller's best of those that are spoken.
fn spdy_protocol(headers: &HeaderMap, speaks: &Speaks) -> Option<Agreed> {
    let known = |name: &str| speaks.spdy.iter().copied().find(|known| *known == name);
    let protocol = listed(headers, &STREAM_PROTOCOL).find_map(known)?;
    Some(Agreed { carrier: Carrier::Spdy, answered: Some(protocol), protocol })
}

/// Source: `Handshake` of `k8s.io/streaming/pkg/httpstream` (1.36).
fn no_stream_protocol(headers: &HeaderMap, speaks: &Speaks) -> Answer {
    let list = |names: &[&str]| format!("[{}]", names.join(" "));
    let offered: Vec<_> = listed(headers, &STREAM_PROTOCOL).collect();
    if offered.is_empty() {
        let why = format!(
            "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with {} headers",
            headers.len()
        );
        return Err(refuse(why));
    }
    let mut response = super::plain(format!(
        "unable to upgrade: unable to negotiate protocol: client supports {}, server accepts {}",
        list(&offered),
        list(speaks.spdy)
    ));
    *response.status_mut() = StatusCode::FORBIDDEN;
    for name in speaks.spdy {
        response.headers_mut().append(ACCEPTED_PROTOCOLS, HeaderValue::from_static(name));
    }
    Ok(response)
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
