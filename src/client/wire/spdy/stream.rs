//! One stream of a connection.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;

use super::connection::{Handle, Piece};
use super::frame::{Frame, reset};
use super::{Gone, PIECE};

/// A stream that the caller has opened. Dropping both of its halves forgets it, without a word to the caller.
pub(crate) struct Stream {
    /// Its number in the connection.
    pub(crate) id: u32,
    /// What the caller said of it.
    pub(crate) headers: HeaderMap,
    /// What the caller sends.
    pub(crate) incoming: Incoming,
    /// What is sent to the caller.
    pub(crate) outgoing: Outgoing,
}

/// The half of a stream that the caller writes.
pub(crate) struct Incoming {
    pieces: mpsc::UnboundedReceiver<Piece>,
    held: Arc<Held>,
}

/// The half of a stream that the caller reads.
pub(crate) struct Outgoing(Arc<Held>);

/// Forgets the stream with its last half.
struct Held {
    id: u32,
    handle: Arc<Handle>,
}

impl Stream {
    pub(super) fn new(
        id: u32,
        headers: HeaderMap,
        pieces: mpsc::UnboundedReceiver<Piece>,
        handle: Arc<Handle>,
    ) -> Self {
        let held = Arc::new(Held { id, handle });
        let outgoing = Outgoing(held.clone());
        Self { id, headers, incoming: Incoming { pieces, held }, outgoing }
    }

    /// A header of the stream, as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Incoming {
    /// The next piece; none once the caller has finished or reset the stream, or is gone.
    ///
    /// # Cancel safety
    ///
    /// No piece is lost.
    pub(crate) async fn read(&mut self) -> Option<Bytes> {
        let Piece { bytes, .. } = self.pieces.recv().await?;
        self.held.handle.shared.has_read(Some(self.held.id), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Some(bytes)
    }

    /// Whether the whole stream is over, rather than only what the caller sends.
    pub(crate) fn is_over(&self) -> bool {
        self.held.handle.shared.is_over(self.held.id)
    }
}

impl Outgoing {
    /// Tells the caller that the stream was taken. What is written before, Kubernetes' clients throw away.
    pub(crate) async fn reply(&self) -> Result<(), Gone> {
        self.queue(Frame::SynReply { id: self.0.id, fin: false, headers: HeaderMap::new() }).await
    }

    /// Sends bytes.
    ///
    /// # Cancel safety
    ///
    /// A part of them may have been sent.
    pub(crate) async fn write(&self, mut bytes: Bytes) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let length = self.0.handle.shared.window(self.0.id, bytes.len().min(PIECE)).await?;
            let bytes = bytes.split_to(length);
            self.queue(Frame::Data { id: self.0.id, fin: false, bytes }).await?;
        }
        Ok(())
    }

    /// Says that nothing more is sent.
    pub(crate) async fn finish(&self) -> Result<(), Gone> {
        let Held { id, handle } = &*self.0;
        if handle.shared.is_over(*id) {
            return Err(Gone);
        }
        self.queue(Frame::Data { id: *id, fin: true, bytes: Bytes::new() }).await?;
        handle.shared.finished_here(*id);
        Ok(())
    }

    /// Ends the stream in both directions.
    pub(crate) async fn reset(&self) {
        // Where it is over already, there is nobody to tell.
        let _ = self.queue(Frame::Reset { id: self.0.id, status: reset::CANCEL }).await;
        self.0.handle.shared.forget(self.0.id);
    }

    /// Puts a frame behind those that wait to be written.
    async fn queue(&self, frame: Frame) -> Result<(), Gone> {
        self.0.handle.queue.send(frame).await.map_err(|_| Gone)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.handle.shared.forget(self.id);
    }
}
