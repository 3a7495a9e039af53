//! Connections: one for each exchange, kept for the next.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::endpoint::Endpoint;
use crate::env::{Env, Task};

/// How long connecting may take, handshakes included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses (client-go's idle time).
const IDLE: Duration = Duration::from_secs(90);
/// How many of these there may be (client-go's, for one host).
const KEPT: usize = 25;
/// TCP: after what silence the other side is asked whether it is there, and how often.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The connections to one server.
pub(super) struct Pool {
    endpoint: Endpoint,
    tls: TlsConnector,
    /// The name that the server's certificate must carry.
    name: ServerName<'static>,
    env: Env,
    /// The last used is last.
    idle: Mutex<Vec<(Instant, Connection)>>,
}

/// A connection, and the task that drives it. Dropping it closes it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: Task<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection while an exchange has it. Dropping it closes it.
pub(super) struct Lease {
    connection: Connection,
    pool: Weak<Pool>,
    reused: bool,
}

/// The server could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{step} {server}: {source}")]
struct ConnectError {
    step: &'static str,
    server: String,
    #[source]
    source: BoxError,
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, tls: TlsConnector, name: ServerName<'static>, env: Env) -> Self {
        Self { endpoint, tls, name, env, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// Cancel safe as far as a request can be: dropping closes the connection.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), BoxError> {
        loop {
            let mut lease = self.lease().await?;
            let only_reads = request.method().is_safe();
            let again = (lease.reused && only_reads).then(|| request.clone());
            let mut failure = match lease.connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(failure) => failure,
            };
            // Each time around takes an idle connection away, so this ends with a new one.
            let unsent = failure.take_message().filter(|_| lease.reused);
            match unsent.or(again.filter(|_| is_gone(failure.error()))) {
                Some(again) => request = again,
                None => return Err(failure.into_error().into()),
            }
        }
    }

    /// A connection that is ready for a request.
    async fn lease(self: &Arc<Self>) -> Result<Lease, BoxError> {
        while let Some(mut connection) = self.take() {
            // It is ready as soon as its task has seen the last exchange's end, unless it broke.
            let ready = self.env.clock.timeout(CONNECT, connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Ok(Lease { connection, pool: Arc::downgrade(self), reused: true });
            }
        }
        let connection = self
            .env
            .clock
            .timeout(CONNECT, self.connect())
            .await
            .map_err(|elapsed| self.failed("connecting to", elapsed))??;
        Ok(Lease { connection, pool: Arc::downgrade(self), reused: false })
    }

    fn take(&self) -> Option<Connection> {
        let now = self.env.clock.instant();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, connection)| {
            now.duration_since(*since) < IDLE && !connection.sender.is_closed()
        });
        idle.pop().map(|(_, connection)| connection)
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let stream = TcpStream::connect((self.endpoint.host(), self.endpoint.port()))
            .await
            .map_err(|error| self.failed("connecting to", error))?;
        let alive = TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1);
        let tuned = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&alive));
        tuned.map_err(|error| self.failed("connecting to", error))?;
        let stream = self
            .tls
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| self.failed("speaking TLS with", error))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed("speaking HTTP with", error))?;
        let task = self.env.tasks.spawn("connection to a server", async move {
            let driven = connection.with_upgrades().await;
            tracing::trace!(?driven, "a connection ended");
        });
        Ok(Connection { sender, task })
    }

    fn failed(&self, step: &'static str, source: impl Into<BoxError>) -> ConnectError {
        ConnectError { step, server: self.endpoint.to_string(), source: source.into() }
    }
}

impl Lease {
    /// The exchange is over, its answer read to the end: another may have the connection.
    pub(super) fn give_back(self) {
        let Some(pool) = self.pool.upgrade() else { return };
        if self.connection.sender.is_closed() {
            return;
        }
        let since = pool.env.clock.instant();
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push((since, self.connection));
        }
    }
}

/// Whether the server had closed the connection before it said anything.
fn is_gone(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}
