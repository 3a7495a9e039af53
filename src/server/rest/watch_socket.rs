//! Watches over WebSocket, as browsers ask for them: a message an event.
//!
//! Source: `endpoints/handlers/watch.go` of `k8s.io/apiserver/pkg` (1.36). Unlike there, a caller that names no
//! `Origin` is served: only browsers send one, and it is not what tells who they are.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::ResponseBody;
use super::encode::Encoder;
use crate::api::status;
use crate::client::wire::{self, Query, accept_key};
use crate::client::{self, Identity, Target};
use crate::server::drain::Drain;
use crate::server::{ApiServer, Refusal};

/// What a caller may send at a time: it has nothing to say but that it goes.
const MESSAGE_BYTES: usize = 4096;
/// What begins the name of the subprotocol that carries a bearer token, which is none to speak.
const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether a request asks for a WebSocket.
pub(super) fn wants(headers: &HeaderMap) -> bool {
    let names = |name, wanted: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
    };
    names(CONNECTION, "upgrade") && names(UPGRADE, "websocket")
}

/// Begins a watch and sends its events over the connection that the request came by.
pub(super) async fn respond<B>(
    server: &ApiServer,
    identity: &Identity,
    encoder: &Encoder,
    target: Target,
    query: &Query,
    request: &mut Request<B>,
) -> Result<Response<ResponseBody>, Refusal> {
    let options = wire::decode_watch(query).map_err(|status| *status)?;
    let answer = server.handle(identity, client::Request::Watch { target, options }).await?;
    let client::Response::Watch(events) = answer.response else {
        return Err(status::internal("a watch was answered with something else").into());
    };
    let (content_type, mut events) = encoder.events(events)?;
    let headers = request.headers();
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).cloned() else {
        return Err(status::bad_request("websocket: missing Sec-WebSocket-Key").into());
    };
    let protocol = protocol(headers);
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Err(status::bad_request("unable to upgrade: this connection cannot be upgraded").into());
    };
    let text = content_type == "application/json";
    // The listener ends this watch in its turn, like any other.
    let drain = request.extensions().get::<Drain>().cloned();
    let token = drain.as_ref().map(Drain::watch);
    server.env().tasks.spawn("watch over WebSocket", async move {
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES));
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let (mut send, mut receive) = socket.split();
        let mut drained = pin!(async {
            match drain {
                Some(drain) => drain.ended().await,
                None => std::future::pending().await,
            }
        });
        loop {
            let event = crate::select! {
                () = drained.as_mut() => break,
                told = receive.next() => match told {
                    // What it says is not listened to; answers to pings go out with the next event.
                    Some(Ok(message)) if !message.is_close() => continue,
                    _ => break,
                },
                event = events.next() => event,
            };
            let Some(event) = event else { break };
            if send.send(message(text, event)).await.is_err() {
                return;
            }
        }
        let _ = send.close().await;
        drop(token);
    });
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let accept = accept_key(key.as_bytes());
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is ASCII"));
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// One event as a message: text where it is JSON, which is UTF-8.
fn message(text: bool, event: Bytes) -> Message {
    match Utf8Bytes::try_from(event.clone()) {
        Ok(event) if text => Message::Text(event),
        _ => Message::Binary(event),
    }
}

/// The subprotocol to agree to: the first that is named.
fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut names = named.flat_map(|value| value.split(',')).map(str::trim);
    let first = names.find(|name| !name.is_empty() && !name.starts_with(BEARER))?;
    HeaderValue::try_from(first).ok()
}
