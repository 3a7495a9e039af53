//! The body of a response: bytes that exist, or pieces that are made when the connection asks for
//! them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};

use crate::client;

/// The body of a response.
///
/// A stream is polled only when the connection has room, and each piece is encoded then; so a slow
/// reader holds one encoded piece and nothing more.
pub struct ResponseBody(Inner);

enum Inner {
    Whole(Bytes),
    Stream(client::Body),
}

impl ResponseBody {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Whole(bytes.into()))
    }

    /// Pieces, as they come.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Inner::Stream(Box::pin(stream)))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.0 {
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Stream(stream) => {
                stream.as_mut().poll_next(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

/// As a stream, for callers in process.
impl From<ResponseBody> for client::Body {
    fn from(body: ResponseBody) -> Self {
        match body.0 {
            Inner::Whole(bytes) if bytes.is_empty() => Box::pin(futures_util::stream::empty()),
            Inner::Whole(bytes) => Box::pin(futures_util::stream::once(async { Ok(bytes) })),
            Inner::Stream(stream) => stream,
        }
    }
}

impl From<client::Body> for ResponseBody {
    fn from(stream: client::Body) -> Self {
        Self(Inner::Stream(stream))
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Inner::Whole(bytes) => write!(f, "ResponseBody({} bytes)", bytes.len()),
            Inner::Stream(_) => f.write_str("ResponseBody(stream)"),
        }
    }
}
