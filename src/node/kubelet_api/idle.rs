//! Whether anything happens on a connection.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::env::Clock;

/// A connection that notes when it was used last.
pub(super) struct Watched<T> {
    io: T,
    clock: Clock,
    activity: Activity,
}

/// When a connection was used last.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<Instant>>);

impl<T> Watched<T> {
    pub(super) fn new(io: T, clock: &Clock) -> (Self, Activity) {
        let activity = Activity(Arc::new(Mutex::new(clock.instant())));
        (Self { io, clock: clock.clone(), activity: activity.clone() }, activity)
    }

    fn used(&self) {
        *self.activity.0.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.instant();
    }
}

impl Activity {
    /// Waits until nothing was read or written for so long. Cancel safe.
    pub(super) async fn silent_for(&self, limit: Duration, clock: &Clock) {
        let last = || *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let before = last();
            clock.sleep_until(before + limit).await;
            if last() == before {
                return;
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.used();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.used();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn either_direction_counts() {
        let clock = Clock::simulated();
        let (near, mut far) = tokio::io::duplex(16);
        let (mut watched, activity) = Watched::new(near, &clock);
        let start = clock.instant();
        let limit = Duration::from_secs(60);
        let use_it = async {
            clock.sleep(Duration::from_secs(40)).await;
            watched.write_all(b"x").await.unwrap();
            clock.sleep(Duration::from_secs(40)).await;
            far.write_all(b"y").await.unwrap();
            assert_eq!(watched.read_u8().await.unwrap(), b'y');
            std::future::pending::<()>().await;
        };
        crate::select! {
            () = use_it => {}
            () = activity.silent_for(limit, &clock) => {}
        }
        assert_eq!((clock.instant() - start).as_secs(), 140);
    }
}
