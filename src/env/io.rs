//! Byte streams in both directions, whatever carries them.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions: a socket, a TLS session, one end of a pipe.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Any [`Io`].
pub type BoxIo = Box<dyn Io>;
