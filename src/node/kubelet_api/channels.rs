//! WebSockets with channels: the first byte of a message says which.
//!
//! In the binary form that byte is the channel's number; in the older one that is text, it is the number's
//! digit, and the rest is base64.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::upgrade::{PARTING, Socket};
use crate::env::Clock;

/// How much is read of a stream at once.
pub(super) const CHUNK: usize = 32 * 1024;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Binary,
    Base64,
}

impl Form {
    /// The form of a subprotocol.
    pub(super) fn of(protocol: &str) -> Self {
        if protocol.contains("base64.") { Self::Base64 } else { Self::Binary }
    }

    fn write(self, channel: u8, bytes: &[u8]) -> Message {
        match self {
            Self::Binary => {
                let mut message = BytesMut::with_capacity(bytes.len() + 1);
                message.put_u8(channel);
                message.put_slice(bytes);
                Message::Binary(message.freeze())
            }
            Self::Base64 => {
                let mut message = String::from(char::from(b'0'.saturating_add(channel)));
                STANDARD.encode_string(bytes, &mut message);
                Message::text(message)
            }
        }
    }

    /// Channel and bytes; none of a message of the other form, or of none.
    fn read(self, message: Message) -> Option<(u8, Bytes)> {
        match (self, message) {
            (Self::Binary, Message::Binary(mut bytes)) if !bytes.is_empty() => {
                let channel = bytes.split_to(1)[0];
                Some((channel, bytes))
            }
            (Self::Base64, Message::Text(text)) => {
                let (channel, rest) = text.as_bytes().split_first()?;
                let channel = channel.checked_sub(b'0').filter(|channel| *channel < 10)?;
                Some((channel, STANDARD.decode(rest).ok()?.into()))
            }
            _ => None,
        }
    }
}

/// The sending half, shared by all who send. Its lock is fair, so that no channel starves.
#[derive(Clone)]
pub(super) struct Sender {
    sink: Arc<tokio::sync::Mutex<SplitSink<Socket, Message>>>,
    form: Form,
}

/// The receiving half.
pub(super) struct Receiver {
    stream: SplitStream<Socket>,
    form: Form,
}

pub(super) fn split(socket: Socket, form: Form) -> (Sender, Receiver) {
    let (sink, stream) = socket.split();
    (Sender { sink: Arc::new(tokio::sync::Mutex::new(sink)), form }, Receiver { stream, form })
}

impl Sender {
    /// Sends bytes on a channel; answers whether the other side may still be there.
    pub(super) async fn send(&self, channel: u8, bytes: &[u8]) -> bool {
        self.message(self.form.write(channel, bytes)).await
    }

    async fn message(&self, message: Message) -> bool {
        self.sink.lock().await.send(message).await.is_ok()
    }

    /// Ends the socket in peace: says so, and waits until the other side says so too. kubectl takes
    /// any other end for a failure, and throws away how its command ended; and what it is still
    /// sending when the socket is dropped resets the connection under what it has not read yet.
    pub(super) async fn close(&self, receiver: &mut Receiver, clock: &Clock) {
        let peace = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        let parting = async {
            if self.message(Message::Close(Some(peace))).await {
                while receiver.receive().await.is_some() {}
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

impl Receiver {
    /// The next bytes on any channel; `None` when the other side has closed.
    pub(super) async fn receive(&mut self) -> Option<(u8, Bytes)> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Close(_)) | Err(_) => return None,
                // Pings are answered by the socket itself; what is no message of a channel says nothing.
                Ok(message) => {
                    if let Some(said) = self.form.read(message) {
                        return Some(said);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        for form in [Form::Binary, Form::Base64] {
            for (channel, bytes) in [(0, &b""[..]), (3, b"\0\xff text")] {
                let read = form.read(form.write(channel, bytes));
                assert_eq!(read, Some((channel, Bytes::copy_from_slice(bytes))), "{form:?}");
            }
        }
        assert_eq!(Form::Base64.write(1, b"hi"), Message::text("1aGk="));
        for nothing in [Message::text(""), Message::text("x!"), Message::text("1%"), Message::binary("")] {
            assert_eq!(Form::Base64.read(nothing.clone()), None, "{nothing:?}");
            assert_eq!(Form::Binary.read(nothing), None);
        }
        assert_eq!(Form::of("v4.base64.channel.k8s.io"), Form::Base64);
        assert_eq!(Form::of("v5.channel.k8s.io"), Form::Binary);
    }
}
