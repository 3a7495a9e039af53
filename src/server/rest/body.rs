//! The body of a response: bytes that exist, or pieces that are made when the connection asks for
//! them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};

use super::exchange::Exchange;
use crate::client;

/// The body of a response.
///
/// Pieces are made only when the connection has room; so a slow reader holds one encoded piece and
/// nothing more.
pub struct ResponseBody {
    content: Content,
    /// The request that this answers, which lasts as long as its body.
    exchange: Option<Box<Exchange>>,
    /// What else lasts as long.
    held: Option<Box<dyn Send>>,
}

pub(super) enum Content {
    Whole(Bytes),
    Pieces(Box<dyn Pieces>),
    Stream(client::Body),
}

/// Bytes that are there to be made, without waiting for anything.
pub(super) trait Pieces: Send {
    /// The next ones; none at the end.
    fn next(&mut self) -> Option<Bytes>;

    /// How many are left, where that is known.
    fn left(&self) -> Option<u64>;
}

impl ResponseBody {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Whole(bytes.into()))
    }

    /// Pieces, as they come.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self::of(Content::Stream(Box::pin(stream)))
    }

    pub(super) fn pieces(pieces: impl Pieces + 'static) -> Self {
        Self::of(Content::Pieces(Box::new(pieces)))
    }

    pub(super) fn of(content: Content) -> Self {
        Self { content, exchange: None, held: None }
    }

    pub(super) fn into_content(self) -> Content {
        self.content
    }

    /// Whether there is no telling when it ends.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(_))
    }

    /// Lets the exchange last as long as the body does.
    pub(super) fn within(self, exchange: Exchange) -> Self {
        Self { exchange: Some(Box::new(exchange)), ..self }
    }

    /// Lets this live as long as the body does.
    #[cfg(feature = "tls")]
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        Self { held: Some(Box::new(held)), ..self }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.poll_piece(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Pieces(pieces) => pieces.left() == Some(0),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let exact = match &self.content {
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Pieces(pieces) => pieces.left(),
            Content::Stream(_) => None,
        };
        exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body as a stream: not the body itself, on which streams' and bodies' methods would get in each other's
/// way.
struct Piecewise(ResponseBody);

impl Stream for Piecewise {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_piece(context)
    }
}

impl ResponseBody {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Pieces(pieces) => pieces.next().map(Ok),
            Content::Stream(stream) => std::task::ready!(stream.as_mut().poll_next(context)),
        };
        if let (Some(Ok(bytes)), Some(exchange)) = (&piece, &mut self.exchange) {
            exchange.sent(bytes.len());
        }
        Poll::Ready(piece)
    }
}

/// As a stream, for callers in process.
impl From<ResponseBody> for client::Body {
    fn from(body: ResponseBody) -> Self {
        match body {
            ResponseBody { content: Content::Stream(stream), exchange: None, held: None } => stream,
            body => Box::pin(Piecewise(body)),
        }
    }
}

impl From<client::Body> for ResponseBody {
    fn from(stream: client::Body) -> Self {
        Self::of(Content::Stream(stream))
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.content {
            Content::Whole(bytes) => write!(f, "ResponseBody({} bytes)", bytes.len()),
            Content::Pieces(pieces) => write!(f, "ResponseBody({:?} bytes)", pieces.left()),
            Content::Stream(_) => f.write_str("ResponseBody(stream)"),
        }
    }
}
