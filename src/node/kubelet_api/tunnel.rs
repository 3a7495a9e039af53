//! A WebSocket as a stream of bytes: each binary message is the next piece.
//!
//! Source: `TunnelingConnection` of `k8s.io/client-go/tools/portforward` (1.36).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// The longest message that is sent.
const MESSAGE: usize = 32 * 1024;

/// The bytes that come, and where those go that are sent. Shutting the writer down closes the socket in
/// peace; what comes after that is only read.
pub(super) fn tunnel<T>(socket: WebSocketStream<T>) -> (Reader<T>, Writer<T>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, stream) = socket.split();
    (Reader { stream, rest: Bytes::new() }, Writer { sink, closing: false })
}

pub(super) struct Reader<T> {
    stream: SplitStream<WebSocketStream<T>>,
    rest: Bytes,
}

pub(super) struct Writer<T> {
    sink: SplitSink<WebSocketStream<T>, Message>,
    closing: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Reader<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(_))) => {
                    let why = "a tunnel carries binary messages only";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
                // Pings are answered by the socket itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Writer<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.sink).poll_ready(context)).map_err(broken)?;
        let length = bytes.len().min(MESSAGE);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..length]));
        Pin::new(&mut self.sink).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sink).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(Pin::new(&mut self.sink).poll_ready(context)).map_err(broken)?;
            let peace = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            Pin::new(&mut self.sink).start_send(Message::Close(Some(peace))).map_err(broken)?;
            self.closing = true;
        }
        match ready!(Pin::new(&mut self.sink).poll_flush(context)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(broken(error))),
        }
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test]
    async fn messages_are_pieces_and_a_close_is_the_end() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let near = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let (mut reader, mut writer) = tunnel(near);
        for text in ["one", "", "two"] {
            far.send(Message::binary(text)).await.unwrap();
        }
        far.send(Message::Ping(Bytes::new())).await.unwrap();
        let mut six = [0; 6];
        reader.read_exact(&mut six).await.unwrap();
        assert_eq!(&six, b"onetwo");
        writer.write_all(&vec![1; MESSAGE + 1]).await.unwrap();
        writer.shutdown().await.unwrap();
        let mut lengths = Vec::new();
        while let Some(Ok(message)) = far.next().await {
            match message {
                Message::Binary(bytes) => lengths.push(bytes.len()),
                Message::Close(frame) => {
                    assert_eq!(frame.unwrap().code, CloseCode::Normal);
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(lengths, [MESSAGE, 1]);
        // The answer to the close goes out with it.
        far.flush().await.unwrap();
        assert_eq!(reader.read(&mut six).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn text_has_no_place_in_a_tunnel() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let near = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        far.send(Message::text("hello")).await.unwrap();
        let (mut reader, _writer) = tunnel(near);
        let refused = reader.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
