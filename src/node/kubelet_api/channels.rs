//! WebSockets with channels: the first byte of a binary message says which.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Answer, Refusal, full};
use crate::env::{Clock, Tasks};

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;
pub(super) type Receiver = SplitStream<Socket>;

/// How long the other side is waited for at the end.
const PARTING: Duration = Duration::from_secs(5);

/// How much is read of a stream at once.
const CHUNK: usize = 32 * 1024;

/// Answers a handshake, and gives the socket to `then` once it stands. The first of `speaks` that
/// the caller offers is spoken; a caller that offers none speaks `otherwise`, where there is one.
pub(super) fn upgrade<F, Fut>(
    tasks: &Tasks,
    mut request: Request<Incoming>,
    speaks: &[&'static str],
    otherwise: Option<&'static str>,
    then: F,
) -> Answer
where
    F: FnOnce(Socket, &'static str) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let refuse = |why: &str| Refusal(StatusCode::BAD_REQUEST, why.to_owned());
    let key = request.headers().get(SEC_WEBSOCKET_KEY).ok_or_else(|| refuse("you must use a WebSocket"))?;
    let accept = accept(key.as_bytes());
    let offered: Vec<_> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let spoken = speaks.iter().copied().find(|protocol| offered.contains(protocol));
    let protocol = match (spoken, otherwise) {
        (Some(spoken), _) => spoken,
        (None, Some(otherwise)) if offered.is_empty() => otherwise,
        _ => {
            let why = format!(
                "unable to negotiate protocol: client supports {offered:?}, server supports {speaks:?}"
            );
            return Err(Refusal(StatusCode::BAD_REQUEST, why));
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn("websocket", async move {
        match upgrade.await {
            Ok(upgraded) => {
                let socket =
                    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                then(socket, protocol).await;
            }
            Err(error) => tracing::debug!(%error, "no websocket"),
        }
    });
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).map_err(|_| refuse("bad key"))?);
    if spoken.is_some() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}

/// What answers a handshake's key (RFC 6455, section 4.2.2).
fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

/// The sending half, shared by all who send. Its lock is fair, so that no channel starves.
#[derive(Clone)]
pub(super) struct Sender(std::sync::Arc<tokio::sync::Mutex<SplitSink<Socket, Message>>>);

impl Sender {
    pub(super) fn split(socket: Socket) -> (Self, Receiver) {
        let (sink, receiver) = socket.split();
        (Self(std::sync::Arc::new(tokio::sync::Mutex::new(sink))), receiver)
    }

    /// Sends bytes on a channel; answers whether the other side may still be there.
    pub(super) async fn send(&self, channel: u8, bytes: &[u8]) -> bool {
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.put_u8(channel);
        message.put_slice(bytes);
        self.message(Message::Binary(message.freeze())).await
    }

    pub(super) async fn message(&self, message: Message) -> bool {
        self.0.lock().await.send(message).await.is_ok()
    }

    /// Ends the socket in peace: says so, and waits until the other side says so too. kubectl takes
    /// any other end for a failure, and throws away how its command ended; and what it is still
    /// sending when the socket is dropped resets the connection under what it has not read yet.
    pub(super) async fn close(&self, receiver: &mut Receiver, clock: &Clock) {
        let peace = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        let parting = async {
            if self.message(Message::Close(Some(peace))).await {
                while receive(receiver).await.is_some() {}
            }
        };
        // One who does not answer is left.
        let _ = clock.timeout(PARTING, parting).await;
    }

    /// Sends all of a stream on a channel, until either ends.
    pub(super) async fn copy(&self, channel: u8, mut from: Pin<Box<dyn AsyncRead + Send>>) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if !self.send(channel, &buffer[..read]).await {
                return;
            }
        }
    }
}

/// The next bytes on any channel; `None` when the other side has closed.
pub(super) async fn receive(receiver: &mut Receiver) -> Option<(u8, Bytes)> {
    loop {
        match receiver.next().await? {
            Ok(Message::Binary(mut bytes)) if !bytes.is_empty() => {
                let channel = bytes.split_to(1)[0];
                return Some((channel, bytes));
            }
            Ok(Message::Close(_)) | Err(_) => return None,
            // Pings are answered by the socket itself.
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
