//! What is typed into a container, by as many as like.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

/// Writes that wait for the container to read.
const QUEUE: usize = 4;
/// The longest of them.
const PIECE: usize = 32 * 1024;

enum Typed {
    Bytes(Bytes),
    End,
}

/// The way to a container's standard input. The input ends when every clone is dropped.
#[derive(Clone)]
pub(super) struct Stdin(mpsc::Sender<Typed>);

impl Stdin {
    /// The way, and what has to run for it to lead anywhere. The latter ends with the former, or when the
    /// container reads no more.
    pub(super) fn of(mut pipe: ChildStdin) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, mut typed) = mpsc::channel(QUEUE);
        let write = async move {
            while let Some(Typed::Bytes(bytes)) = typed.recv().await {
                if pipe.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        (Self(sender), write)
    }

    /// One who types. Its shutdown ends the input where `once` is set.
    pub(super) fn writer(&self, once: bool) -> Pin<Box<dyn AsyncWrite + Send>> {
        Box::pin(Writer { sender: PollSender::new(self.0.clone()), once })
    }
}

struct Writer {
    sender: PollSender<Typed>,
    once: bool,
}

impl Writer {
    fn send(&mut self, context: &mut Context<'_>, typed: impl FnOnce() -> Typed) -> Poll<io::Result<()>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.sender.poll_reserve(context)).map_err(gone)?;
        Poll::Ready(self.sender.send_item(typed()).map_err(gone))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        ready!(self.send(context, || Typed::Bytes(Bytes::copy_from_slice(piece))))?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.once {
            ready!(self.send(context, || Typed::End))?;
            self.once = false;
        }
        Poll::Ready(Ok(()))
    }
}
