//! The listener: connections in, requests out.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, End, Watched};
use super::{Authenticator, ClientCertificates};
use crate::api::Status;
use crate::env::Tasks;
use crate::server::ApiServer;
use crate::server::connect::Peer;
use crate::server::drain::Drain;
use crate::server::rest::{self, Origin, ResponseBody};

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// HTTP/2: how often a quiet connection is asked whether it is alive, and how long it may think.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));
/// HTTP/2: requests at a time on one connection.
const STREAMS: u32 = 100;
/// HTTP/2: what may be sent on a stream that is not read, and the largest frame: all but a hundredth of bodies.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The largest head of a request, whose path HTTP/1.1 libraries bound by 64 KiB of their own.
const HEAD_BYTES: usize = 1 << 20;
/// HTTP/1.1: so many headers.
const HEADERS: usize = 1000;
/// HTTP/2: what one stream may hold that its reader has not taken.
const SEND_BYTES: usize = 64 * 1024;
/// How long connections may take to end once nothing is under way on them.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a listener is made of.
#[non_exhaustive]
pub struct HttpsOptions {
    /// TLS; [`Certificates::server_config`](super::Certificates::server_config) makes one.
    pub tls: Arc<ServerConfig>,
    /// Who tells whom requests are from, in order.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    /// How long the listener goes on once it is told to end, while it says that it is not ready: until
    /// whoever spreads requests over servers has noticed. Not at all where nothing is said
    /// (`--shutdown-delay-duration` of kube-apiserver).
    pub shutdown_delay: Duration,
    /// Within how long watches end then, so that their clients do not begin all at once somewhere else: two
    /// hundred a second at least, so that few end at once. 5 s where nothing is said
    /// (`--shutdown-watch-termination-grace-period`).
    pub watch_termination_grace: Duration,
    /// By what chance a request over HTTP/2 makes its connection end when all is answered, so that clients
    /// spread over servers; never where nothing is said (`--goaway-chance`).
    pub goaway_chance: f64,
    /// What `Strict-Transport-Security` says; not sent where nothing is
    /// (`--strict-transport-security-directives`).
    pub strict_transport_security: Option<HeaderValue>,
}

impl HttpsOptions {
    /// Client certificates alone.
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Self {
            tls,
            authenticators: vec![Arc::new(ClientCertificates)],
            shutdown_delay: Duration::ZERO,
            watch_termination_grace: Duration::from_secs(5),
            goaway_chance: 0.0,
            strict_transport_security: None,
        }
    }

    /// Another authenticator, behind those that are there.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Arc::new(authenticator));
        self
    }

    /// These options with another time to go on while not ready.
    #[must_use]
    pub fn shutdown_delay(mut self, delay: Duration) -> Self {
        self.shutdown_delay = delay;
        self
    }

    /// These options with another time for watches to end.
    #[must_use]
    pub fn watch_termination_grace(mut self, grace: Duration) -> Self {
        self.watch_termination_grace = grace;
        self
    }

    /// These options with another chance of ending a connection over HTTP/2, which kube-apiserver bounds by
    /// 0.02.
    #[must_use]
    pub fn goaway_chance(mut self, chance: f64) -> Self {
        self.goaway_chance = chance;
        self
    }

    /// These options with another word on transport security, such as `max-age=31536000`.
    #[must_use]
    pub fn strict_transport_security(mut self, directives: HeaderValue) -> Self {
        self.strict_transport_security = Some(directives);
        self
    }
}

/// An [`ApiServer`] that listens. Dropping it leaves it listening until the server's own tasks end.
#[derive(Debug)]
pub struct HttpsServer {
    address: SocketAddr,
    server: ApiServer,
    closing: CancellationToken,
    drain: Drain,
    tasks: Tasks,
    delay: Duration,
    grace: Duration,
}

/// What every connection shares.
struct Shared {
    server: ApiServer,
    acceptor: TlsAcceptor,
    authenticators: Vec<Arc<dyn Authenticator>>,
    closing: CancellationToken,
    drain: Drain,
    tasks: Tasks,
    goaway_chance: f64,
    strict_transport_security: Option<HeaderValue>,
}

/// What the requests of one connection share.
struct Connection {
    shared: Arc<Shared>,
    certificate: Option<CertificateDer<'static>>,
    peer: Peer,
    activity: Activity,
    /// It is to end when all is answered.
    leave: Notify,
    http2: bool,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl HttpsServer {
    /// Serves `server` on `listener`. Its tasks form a group below the server's.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn start(server: &ApiServer, listener: TcpListener, options: HttpsOptions) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let tasks = server.env().child().tasks;
        let (closing, drain) = (CancellationToken::new(), Drain::default());
        let shared = Arc::new(Shared {
            server: server.clone(),
            acceptor: TlsAcceptor::from(options.tls),
            authenticators: options.authenticators,
            closing: closing.clone(),
            drain: drain.clone(),
            tasks: tasks.clone(),
            goaway_chance: options.goaway_chance,
            strict_transport_security: options.strict_transport_security,
        });
        tasks.spawn("https listener", shared.accept(listener));
        let (delay, grace) = (options.shutdown_delay, options.watch_termination_grace);
        Ok(Self { address, server: server.clone(), closing, drain, tasks, delay, grace })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the listener, step by step: `/readyz` fails; after [`HttpsOptions::shutdown_delay`] nothing new
    /// is accepted; requests under way are answered, for as long as a request may take; watches and logs
    /// end where they stand, within [`HttpsOptions::watch_termination_grace`]; and what is left after five
    /// seconds more is cut off. No task and no port remains.
    ///
    /// # Cancel safety
    ///
    /// A step that was begun goes on; calling again takes the rest.
    pub async fn shutdown(&self) {
        let clock = &self.server.env().clock;
        self.drain.close();
        if !self.delay.is_zero() && !self.closing.is_cancelled() {
            clock.sleep(self.delay).await;
        }
        self.closing.cancel();
        let limit = self.server.limits().request_timeout;
        if clock.timeout(limit, self.drain.requests_done()).await.is_err() {
            tracing::warn!(address = %self.address, "requests did not end in time");
        }
        self.drain.end_watches(clock, self.grace).await;
        if clock.timeout(FAREWELL, self.tasks.idle()).await.is_err() {
            tracing::debug!(address = %self.address, "connections did not end by themselves");
        }
        self.tasks.shutdown().await;
    }
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = crate::select! {
                () = self.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let shared = self.clone();
                    self.tasks.spawn("https connection", async move {
                        if let Err(error) = shared.connection(stream, peer.ip()).await {
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

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: IpAddr) -> Result<(), Error> {
        stream.set_nodelay(true)?;
        let clock = self.server.env().clock.clone();
        let shaken = crate::select! {
            () = self.closing.cancelled() => return Ok(()),
            shaken = clock.timeout(HANDSHAKE, self.acceptor.accept(stream)) => shaken,
        };
        let tls = match shaken {
            Ok(Ok(tls)) => tls,
            failed => {
                self.server.metrics().handshakes.add(1);
                return failed.map_err(Error::from)?.map(drop).map_err(Error::from);
            }
        };
        let (_, session) = tls.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2".as_slice());
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let connection = Arc::new(Connection {
            certificate: certificate.map(|certificate| certificate.clone().into_owned()),
            peer: Peer(peer),
            activity: Activity::new(clock, http2),
            leave: Notify::new(),
            http2,
            shared: self,
        });
        connection.serve(tls).await
    }
}

impl Connection {
    async fn serve(self: Arc<Self>, tls: TlsStream<TcpStream>) -> Result<(), Error> {
        let own = self.clone();
        let service = service_fn(move |request| {
            let own = own.clone();
            async move { Ok::<_, Infallible>(own.respond(request).await) }
        });
        let io = TokioIo::new(Watched::new(tls, self.activity.clone()));
        // ALPN has said what comes: nothing is guessed from the first bytes.
        if self.http2 {
            let serving = http2::Builder::new(Executor(self.shared.tasks.clone()))
                .timer(TokioTimer::new())
                .keep_alive_interval(PING.0)
                .keep_alive_timeout(PING.1)
                .max_concurrent_streams(STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(STREAM_WINDOW * STREAMS)
                .max_frame_size(STREAM_WINDOW)
                .max_send_buf_size(SEND_BYTES)
                .max_header_list_size(HEAD_BYTES as u32)
                .serve_connection(io, service);
            self.drive(serving, http2::Connection::graceful_shutdown).await
        } else {
            // No timeout of its own: it would end idle connections as soon as those whose head is late.
            let serving = http1::Builder::new()
                .header_read_timeout(None)
                .max_header_size(HEAD_BYTES)
                .max_headers(HEADERS)
                .max_buf_size(HEAD_BYTES)
                .serve_connection(io, service)
                .with_upgrades();
            self.drive(serving, http1::UpgradeableConnection::graceful_shutdown).await
        }
    }

    /// Drives a connection to its end, or to what ends it.
    async fn drive<C>(&self, serving: C, farewell: fn(Pin<&mut C>)) -> Result<(), Error>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut serving = pin!(serving);
        let mut ended = pin!(self.activity.ended());
        let idle = crate::select! {
            served = serving.as_mut() => return Ok(served?),
            () = self.shared.closing.cancelled() => false,
            () = self.leave.notified() => false,
            end = ended.as_mut() => match end {
                End::Idle => true,
                End::Late => return Err("the peer took too long".into()),
            },
        };
        farewell(serving.as_mut());
        let clock = &self.shared.server.env().clock;
        // Answers that are under way are waited for, as long as somebody takes them.
        let patience = async {
            if idle {
                clock.sleep(FAREWELL).await;
            } else {
                self.activity.ended().await;
            }
        };
        crate::select! {
            served = serving => Ok(served?),
            () = patience => Err("the peer took too long".into()),
        }
    }

    async fn respond(&self, mut request: Request<Incoming>) -> Response<ResponseBody> {
        let (shared, open) = (&self.shared, self.activity.request());
        if self.http2 && shared.server.sends_away(shared.goaway_chance) {
            self.leave.notify_one();
        }
        request.extensions_mut().insert(self.peer);
        let path = request.uri().path().to_owned();
        let certificate = self.certificate.as_deref();
        let headers = request.headers_mut();
        let identity = shared.server.authenticate(&shared.authenticators, certificate, &path, headers).await;
        let origin =
            Origin { identity: identity.as_ref().map_err(Status::clone), drain: Some(&shared.drain) };
        let mut response = rest::respond_from(&shared.server, origin, request).await;
        if let Some(directives) = &shared.strict_transport_security {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, directives.clone());
        }
        response.map(|body| body.holding(open))
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
