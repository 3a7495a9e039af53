//! SPDY/3.1, as much of it as Kubernetes speaks: many streams in one connection.
//!
//! Kubernetes' streams (exec, attach, port-forward) are SPDY's, either on a connection that was upgraded
//! to `SPDY/3.1`, or inside a WebSocket whose messages carry SPDY's bytes (`SPDY/3.1+portforward.k8s.io`).
//! The caller opens every stream; so only that side of the protocol is here that is called.
//!
//! [`frame`] is the format and [`headers`] its compressed blocks, both pure; a [`Connection`] carries
//! [`Stream`]s over any pair of a reader and a writer.
//!
//! # Bounds
//!
//! Whatever the other side sends, a connection holds at most [`BUFFERED`] bytes that nobody has read,
//! [`STREAMS`] streams, [`ACCEPTED`] of them that nobody has taken yet, one control frame of [`CONTROL`]
//! bytes and the [`BLOCK`](headers::BLOCK) bytes that its headers unpack to. What is too much waits with
//! its sender, is refused by a reset, or ends the connection.
//!
//! # Flow control
//!
//! Kubernetes' own implementation neither keeps to windows nor opens any, so that a stream which nobody
//! reads holds up its connection. Here windows are opened as data is read, and are kept to once the other
//! side has shown that it knows of them (by a `WINDOW_UPDATE` or its initial window in `SETTINGS`); what
//! bounds memory is the budget above, for both kinds of peers.
//!
//! Source: the SPDY protocol, draft 3.1, and how `github.com/moby/spdystream` as vendored by Kubernetes
//! (1.36) differs from it.

mod connection;
mod dictionary;
pub(crate) mod frame;
pub(crate) mod headers;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use connection::Connection;
pub(crate) use stream::{Incoming, Outgoing, Stream};

/// Bytes of data that a connection holds until somebody reads them.
pub(crate) const BUFFERED: usize = 1024 * 1024;
/// Streams of one connection at a time.
pub(crate) const STREAMS: usize = 1024;
/// Streams that were opened and that nobody has taken yet.
pub(crate) const ACCEPTED: usize = 16;
/// The payload of a control frame.
pub(crate) const CONTROL: usize = 16 * 1024;
/// Data of one frame that is sent, and of one read of a longer one that comes.
pub(crate) const PIECE: usize = 32 * 1024;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What came is no SPDY/3.1, or more of it than is taken.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The other side is gone, or has reset the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream was reset")]
pub(crate) struct Gone;
