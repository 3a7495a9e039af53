//! Connections in, requests out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::authority::Lenient;
use super::{Shared, route};
use crate::env::Tasks;

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
    let mut builder = http2::Builder::new(Executor(shared.env.tasks.clone()));
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
    crate::select! {
        () = shared.draining.cancelled() => {}
        served = connection.as_mut() => return Ok(served?),
    }
    connection.as_mut().graceful_shutdown();
    Ok(connection.await?)
}

/// Hyper's own tasks, one a request, in the server's group.
#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn("etcd request", future);
    }
}
