//! What a connection is doing, and for how long it may: stay idle, take its time with a head, take nothing of
//! what it is sent.
//!
//! Source: `IdleTimeout` and `ReadHeaderTimeout` of `k8s.io/apiserver/pkg/server/secure_serving.go` (1.36). A
//! peer that takes nothing is given as long as a request: the connections of such have no bound there.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::env::Clock;

/// How long a connection may stay idle.
const IDLE: Duration = Duration::from_secs(90);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(32);
/// How long nothing of what is sent may be taken.
const STALLED: Duration = Duration::from_secs(60);

/// A connection's doings. Clones are the same connection's.
#[derive(Clone)]
pub(super) struct Activity {
    state: Arc<Mutex<State>>,
    clock: Clock,
    /// Whether a byte that comes while nothing is asked for begins a head: not so on HTTP/2, where it may
    /// be a ping.
    bytes_begin_heads: bool,
}

struct State {
    /// Requests that are being answered.
    open: usize,
    /// Since when nothing is asked for.
    idle: Instant,
    /// Since when a head is coming.
    head: Option<Instant>,
    /// Since when nothing is taken.
    stalled: Option<Instant>,
}

/// A bell that is set.
struct Timer {
    due: Instant,
    rings: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Timer {
    fn new(clock: &Clock, due: Instant) -> Self {
        let clock = clock.clone();
        Self { due, rings: Box::pin(async move { clock.sleep_until(due).await }) }
    }
}

/// Why a connection should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is idle, and may be ended in peace.
    Idle,
    /// Its peer takes too long.
    Late,
}

/// A request that is being answered, on a connection.
pub(super) struct Open(Activity);

impl Activity {
    pub(super) fn new(clock: Clock, http2: bool) -> Self {
        let state = State { open: 0, idle: clock.instant(), head: None, stalled: None };
        Self { state: Arc::new(Mutex::new(state)), clock, bytes_begin_heads: !http2 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head is there.
    pub(super) fn request(&self) -> Open {
        let mut state = self.lock();
        state.open += 1;
        state.head = None;
        Open(self.clone())
    }

    /// Waits until the connection should end. To be looked at whenever the connection is, in the same task.
    /// Cancel safe.
    pub(super) fn ended(&self) -> impl Future<Output = End> + Send + use<> {
        let own = self.clone();
        let mut timer: Option<Timer> = None;
        poll_fn(move |context| {
            loop {
                let now = own.clock.instant();
                let (due, end) = own.lock().due(now);
                if let Some(end) = end.filter(|_| due <= now) {
                    return Poll::Ready(end);
                }
                // A timer that rings early does no harm: mostly there is one, set for an earlier request.
                let set = match timer.take() {
                    Some(set) if set.due <= due => set,
                    _ => Timer::new(&own.clock, due),
                };
                ready!(timer.insert(set).rings.as_mut().poll(context));
                timer = None;
            }
        })
    }
}

impl State {
    /// When to look next, and what is due then if nothing happens.
    fn due(&self, now: Instant) -> (Instant, Option<End>) {
        let stalled = self.stalled.map(|since| (since + STALLED, Some(End::Late)));
        let other = match self.head {
            // Whoever is busy is looked at again in time for what may begin right after.
            _ if self.open > 0 => (now + HEAD, None),
            Some(since) => (since + HEAD, Some(End::Late)),
            None => (self.idle + IDLE, Some(End::Idle)),
        };
        stalled.into_iter().chain([other]).min_by_key(|(due, _)| *due).unwrap_or(other)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = self.0.clock.instant();
        let mut state = self.0.lock();
        state.open -= 1;
        state.idle = now;
    }
}

/// A connection's bytes, watched.
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
    /// Whether the last write was not taken at once.
    waits: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity, waits: false }
    }

    /// Takes note of how a write went.
    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        let waits = written.is_pending();
        if waits != self.waits {
            self.waits = waits;
            let now = self.activity.clock.instant();
            self.activity.lock().stalled = waits.then_some(now);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.activity.bytes_begin_heads && buffer.filled().len() > before {
            let now = self.activity.clock.instant();
            let mut state = self.activity.lock();
            if state.open == 0 && state.head.is_none() {
                state.head = Some(now);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What ends a connection, and after how many seconds.
    async fn ended(activity: &Activity, clock: &Clock) -> (End, u64) {
        let start = clock.instant();
        let end = activity.ended().await;
        (end, (clock.instant() - start).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_end_and_busy_ones_do_not() {
        let clock = Clock::simulated();
        let activity = Activity::new(clock.clone(), false);
        assert_eq!(ended(&activity, &clock).await, (End::Idle, 90));
        let open = activity.request();
        let busy = clock.timeout(Duration::from_secs(86_400), activity.ended()).await;
        assert!(busy.is_err());
        drop(open);
        assert_eq!(ended(&activity, &clock).await, (End::Idle, 90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_ends_its_connection() {
        for http2 in [false, true] {
            let clock = Clock::simulated();
            let activity = Activity::new(clock.clone(), http2);
            let (near, mut far) = tokio::io::duplex(64);
            let mut watched = Watched::new(near, activity.clone());
            let start = clock.instant();
            let reads = async {
                loop {
                    far.write_all(b"G").await.unwrap();
                    watched.read_exact(&mut [0]).await.unwrap();
                    clock.sleep(Duration::from_secs(5)).await;
                }
            };
            let end = crate::select! {
                end = activity.ended() => end,
                never = reads => never,
            };
            let expected = if http2 { (End::Idle, 90) } else { (End::Late, 32) };
            assert_eq!((end, (clock.instant() - start).as_secs()), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_its_connection() {
        let clock = Clock::simulated();
        let activity = Activity::new(clock.clone(), true);
        let _open = activity.request();
        let (near, mut far) = tokio::io::duplex(8);
        let mut watched = Watched::new(near, activity.clone());
        let start = clock.instant();
        // One that takes a little now and then goes on.
        let slow = async {
            for _ in 0..10 {
                clock.sleep(Duration::from_secs(50)).await;
                far.read_exact(&mut [0; 8]).await.unwrap();
            }
            std::future::pending::<End>().await
        };
        let end = crate::select! {
            end = activity.ended() => end,
            end = slow => end,
            _ = watched.write_all(&[0; 1000]) => unreachable!("nobody takes it all"),
        };
        assert_eq!((end, (clock.instant() - start).as_secs()), (End::Late, 560));
    }
}
