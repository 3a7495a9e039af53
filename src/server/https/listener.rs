//! The listener: connections in, requests out.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::header::ACCEPT;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::{Authenticator, ClientCertificates};
use crate::client;
use crate::env::Tasks;
use crate::server::ApiServer;
use crate::server::rest::{self, ResponseBody};

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(30);
/// HTTP/2: how often a quiet connection is asked whether it is alive, and how long it may think.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));
/// HTTP/2: requests at a time on one connection (kube-apiserver's default).
const STREAMS: u32 = 100;
/// What one connection may hold that its reader has not taken.
const SEND_BYTES: usize = 64 * 1024;
/// How long requests may take to end when the listener closes.
const DRAIN: Duration = Duration::from_secs(5);

/// What a listener is made of.
#[non_exhaustive]
pub struct HttpsOptions {
    /// TLS; [`Certificates::server_config`](super::Certificates::server_config) makes one.
    pub tls: Arc<ServerConfig>,
    /// Who tells whom requests are from, in order.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
}

impl HttpsOptions {
    /// Client certificates alone.
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Self { tls, authenticators: vec![Arc::new(ClientCertificates)] }
    }

    /// Another authenticator, behind those that are there.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Arc::new(authenticator));
        self
    }
}

/// An [`ApiServer`] that listens. Dropping it leaves it listening until the server's own tasks end.
#[derive(Debug)]
pub struct HttpsServer {
    address: SocketAddr,
    draining: CancellationToken,
    tasks: Tasks,
    clock: crate::env::Clock,
}

/// What every connection shares.
struct Shared {
    server: ApiServer,
    acceptor: TlsAcceptor,
    authenticators: Vec<Arc<dyn Authenticator>>,
    draining: CancellationToken,
    tasks: Tasks,
}

impl HttpsServer {
    /// Serves `server` on `listener`. Its tasks form a group below the server's.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn start(server: &ApiServer, listener: TcpListener, options: HttpsOptions) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let env = server.env().child();
        let (tasks, clock) = (env.tasks, env.clock);
        let draining = CancellationToken::new();
        let shared = Arc::new(Shared {
            server: server.clone(),
            acceptor: TlsAcceptor::from(options.tls),
            authenticators: options.authenticators,
            draining: draining.clone(),
            tasks: tasks.clone(),
        });
        tasks.spawn("https listener", shared.accept(listener));
        Ok(Self { address, draining, tasks, clock })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, ends watches and logs where they stand, lets other requests finish for
    /// five seconds, and then ends what is left. No task and no port remains.
    pub async fn shutdown(&self) {
        self.draining.cancel();
        let idle = self.clock.timeout(DRAIN, self.tasks.idle()).await;
        if idle.is_err() {
            tracing::debug!(address = %self.address, "connections did not end by themselves");
        }
        self.tasks.shutdown().await;
    }
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = crate::select! {
                () = self.draining.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let shared = self.clone();
                    self.tasks.spawn("https connection", async move {
                        if let Err(error) = shared.connection(stream).await {
                            tracing::debug!(%peer, %error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    // Mostly too many open files: those that end give some back.
                    tracing::warn!(%error, "cannot accept a connection");
                    self.server.env().clock.sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        let clock = self.server.env().clock.clone();
        let tls = crate::select! {
            () = self.draining.cancelled() => return Ok(()),
            tls = clock.timeout(HANDSHAKE, self.acceptor.accept(stream)) => tls??,
        };
        let (_, session) = tls.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2".as_slice());
        let certificate: Option<Arc<CertificateDer<'static>>> = session
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|certificate| Arc::new(certificate.clone().into_owned()));
        let shared = self.clone();
        let service = service_fn(move |request| {
            let (shared, certificate) = (shared.clone(), certificate.clone());
            async move { Ok::<_, Infallible>(shared.respond(certificate.as_deref(), request).await) }
        });
        let mut builder = auto::Builder::new(Executor(self.tasks.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(SEND_BYTES)
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .max_concurrent_streams(STREAMS)
            .max_send_buf_size(SEND_BYTES)
            .max_header_list_size(1 << 20);
        // ALPN has said what comes: nothing is guessed from the first bytes.
        let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(tls), service));
        crate::select! {
            () = self.draining.cancelled() => {}
            served = connection.as_mut() => return served,
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }

    async fn respond(
        &self,
        certificate: Option<&CertificateDer<'static>>,
        mut request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        let certificate = certificate.map(|certificate| certificate.as_ref());
        let headers = request.headers_mut();
        let identity = match self.server.authenticate(&self.authenticators, certificate, &path, headers).await
        {
            Ok(identity) => identity,
            Err(status) => return rest::failure(&status, request.headers().get(ACCEPT)),
        };
        let response = rest::respond(&self.server, &identity, request).await;
        // A watch has no end of its own: it ends with the listener.
        let draining = self.draining.clone();
        response.map(|body| {
            if http_body::Body::size_hint(&body).exact().is_some() {
                return body;
            }
            let end = async move { draining.cancelled().await };
            ResponseBody::stream(client::Body::from(body).take_until(Box::pin(end)))
        })
    }
}

/// Hyper's own tasks (one a request on HTTP/2), in the listener's group.
#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn("http2 stream", future);
    }
}
