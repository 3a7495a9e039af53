//! Connections in, requests out.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;

use super::authority::Lenient;
use super::{Shared, route};

/// How often a quiet connection is asked whether it is alive, and how long it may think. How often
/// clients ask, nobody minds.
const PING: (Duration, Duration) = (Duration::from_secs(2 * 60 * 60), Duration::from_secs(20));
/// What a client may send of one request, and of all together, before it is read.
const WINDOW: (u32, u32) = (2 << 20, 16 << 20);
/// What one answer may hold that its reader has not taken.
const SEND_BYTES: usize = 64 * 1024;
/// Requests that a client may give up before they were looked at; clients end watches by the hundred.
const RESETS: usize = 4096;
/// How long a client may take to shake hands.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(10);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Takes connections until the server shuts down.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let tasks = shared.env.tasks.clone();
    loop {
        let accepted = crate::select! {
            () = shared.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let shared = shared.clone();
                tasks.spawn("etcd connection", async move {
                    if let Err(error) = connection(shared, stream).await {
                        tracing::debug!(%peer, %error, "a connection ended");
                    }
                });
            }
            Err(error) => {
                // Mostly too many open files: those that end give some back.
                tracing::warn!(%error, "cannot accept a connection");
                shared.env.clock.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    #[cfg(feature = "tls")]
    if let Some(config) = shared.options.tls.clone() {
        let shake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
        let tls = crate::select! {
            () = shared.draining.cancelled() => return Ok(()),
            tls = shared.env.clock.timeout(HANDSHAKE, shake) => tls??,
        };
        return serve(shared, TokioIo::new(Lenient::new(tls))).await;
    }
    serve(shared, TokioIo::new(Lenient::new(stream))).await
}

async fn serve(shared: Arc<Shared>, io: impl Read + Write + Unpin) -> Result<(), Failure> {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(route::respond(shared, request).await) }
    });
    let begun = Begun::default();
    let mut builder = http2::Builder::new(begun.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .initial_stream_window_size(WINDOW.0)
        .initial_connection_window_size(WINDOW.1)
        .max_concurrent_streams(u32::MAX)
        .max_pending_accept_reset_streams(RESETS)
        .max_send_buf_size(SEND_BYTES)
        .auto_date_header(false);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut running = FuturesUnordered::new();
    let mut draining = pin!(shared.draining.cancelled());
    let mut drained = false;
    poll_fn(|context| {
        if !drained && draining.as_mut().poll(context).is_ready() {
            connection.as_mut().graceful_shutdown();
            drained = true;
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended);
            }
            running.extend(begun.take().into_iter().map(unconstrained));
            let mut ended = 0;
            while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {
                ended += 1;
            }
            // The answers of those that ended are sent together.
            if ended == 0 {
                return Poll::Pending;
            }
        }
    })
    .await?;
    Ok(())
}

/// Requests that hyper has begun and nobody has looked at.
///
/// A connection drives its own requests: all that one read brings are looked at one after the other,
/// and what they answer at once leaves in one write. What would keep the others waiting has a task of
/// its own. They are not held to one task's budget of operations: a thousand may be answered by one sync
/// of a disk, and all but the first hundred would only be asked again. One that panics ends alone, as a
/// task does.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<Request>>>);

type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Begun {
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Begun {
    fn execute(&self, request: F) {
        let request = AssertUnwindSafe(request).catch_unwind().map(drop);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(request));
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Executor;

    use super::*;

    #[tokio::test]
    async fn a_request_that_panics_ends_alone() {
        let begun = Begun::default();
        let (told, heard) = tokio::sync::oneshot::channel();
        begun.execute(async { panic!("on purpose") });
        begun.execute(async { told.send(()).expect("somebody listens") });
        let mut running: FuturesUnordered<_> = begun.take().into_iter().collect();
        while let Some(()) = running.next().await {}
        heard.await.expect("the other request has gone on");
    }
}
