//! A store served over etcd's v3 gRPC API.
//!
//! [`EtcdServer`] lets clients of etcd (etcdctl, kube-apiserver, client libraries) work on any
//! [`ObjectStore`], as on an etcd cluster of one member. Everything that a client can tell apart is
//! etcd's: revisions in headers, the order and grouping of watch events, error codes and texts.
//!
//! The KV, Watch and Lease services are complete; of Maintenance, Cluster and Auth there is what a
//! store and a single member can answer, and what is left is refused in etcd's words. What the store
//! itself cannot do ([`ObjectStore::leases`], [`ObjectStore::maintenance`]) answers `UNIMPLEMENTED`.
//!
//! Code map: `listener` takes connections, `authority` bears with URLs for hosts, `frame` reads and
//! writes single messages, `route` leads them to `kv`, `lease`, `maintenance` and `cluster`; `watch`
//! is a stream of its own kind.

mod authority;
mod cluster;
mod codec;
mod convert;
mod error;
mod frame;
mod kv;
mod lease;
mod listener;
mod maintenance;
#[doc(hidden)]
pub mod proto;
mod route;
mod watch;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::env::{Clock, Env, Tasks};
use crate::store::{ObjectStore, Revision};

/// The term of the only leader that there has ever been.
const TERM: u64 = 2;
/// What a message may be longer than a request (etcd's `grpcOverheadBytes`).
const OVERHEAD: usize = 512 * 1024;
/// How long requests may take to end when the server shuts down.
const DRAIN: Duration = Duration::from_secs(5);

/// How a store is served. The defaults are etcd's.
#[derive(Clone)]
#[non_exhaustive]
pub struct EtcdServerOptions {
    /// The cluster's number, in every header.
    pub cluster_id: u64,
    /// The only member's number, in every header.
    pub member_id: u64,
    /// The only member's name.
    pub name: String,
    /// Where clients reach it; where empty, the address that it listens on.
    pub client_urls: Vec<String>,
    /// The version of etcd that it says it is. Clients conclude from it what they may ask:
    /// kube-apiserver asks watches for their progress from 3.5.8 on.
    pub version: String,
    /// The longest write, in bytes: 1.5 MiB.
    pub max_request_bytes: usize,
    /// The most comparisons, and the most operations of a branch, that a transaction may have: 128.
    pub max_txn_ops: usize,
    /// How often a quiet watch that wants to says how far it is: ten minutes, and at random up to a
    /// tenth longer.
    pub progress_interval: Duration,
    /// TLS, where clients speak it.
    #[cfg(feature = "tls")]
    pub tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
}

impl Default for EtcdServerOptions {
    fn default() -> Self {
        Self {
            cluster_id: 0x7769_6e64_6c61_7373,
            member_id: 0x6574_6364_2d6f_6e65,
            name: "default".to_owned(),
            client_urls: Vec::new(),
            version: "3.5.21".to_owned(),
            max_request_bytes: 1536 * 1024,
            max_txn_ops: 128,
            progress_interval: Duration::from_secs(600),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl EtcdServerOptions {
    /// These options with another interval at which quiet watches say how far they are.
    #[must_use]
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.progress_interval = interval;
        self
    }

    /// These options with other addresses that clients are told.
    #[must_use]
    pub fn client_urls(mut self, urls: Vec<String>) -> Self {
        self.client_urls = urls;
        self
    }

    /// These options with TLS. The configuration offers the protocol `h2`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<tokio_rustls::rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// The longest message, in bytes, either way; longer watch answers come in fragments, where the
    /// client takes them.
    fn max_message_bytes(&self) -> usize {
        self.max_request_bytes + OVERHEAD
    }
}

/// Without the TLS configuration, which may hold keys.
impl std::fmt::Debug for EtcdServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdServerOptions")
            .field("name", &self.name)
            .field("client_urls", &self.client_urls)
            .field("version", &self.version)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_txn_ops", &self.max_txn_ops)
            .field("progress_interval", &self.progress_interval)
            .finish_non_exhaustive()
    }
}

/// A store that listens. Dropping it leaves it listening until the environment's tasks end.
#[derive(Debug)]
pub struct EtcdServer {
    address: SocketAddr,
    draining: CancellationToken,
    tasks: Tasks,
    clock: Clock,
}

impl EtcdServer {
    /// Serves `store` on `listener`. Its tasks form a group below the environment's.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        env: &Env,
        store: Arc<dyn ObjectStore>,
        listener: TcpListener,
        options: EtcdServerOptions,
    ) -> io::Result<Self> {
        let env = env.child();
        let address = listener.local_addr()?;
        let (tasks, clock, draining) = (env.tasks.clone(), env.clock.clone(), CancellationToken::new());
        let client_urls = if options.client_urls.is_empty() {
            vec![own_url(address, &options)]
        } else {
            options.client_urls.clone()
        };
        let shared = Arc::new(Shared {
            store,
            options,
            client_urls,
            encodings: watch::Encodings::new(),
            jitter: env.random.stream("etcd watch progress"),
            draining: draining.clone(),
            env,
        });
        tasks.spawn("etcd listener", listener::accept(shared, listener));
        Ok(Self { address, draining, tasks, clock })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, ends watches and other streams with `UNAVAILABLE`, so that clients go
    /// elsewhere, lets other requests finish for five seconds, and then ends what is left. No task
    /// and no port remains.
    pub async fn shutdown(&self) {
        self.draining.cancel();
        if self.clock.timeout(DRAIN, self.tasks.idle()).await.is_err() {
            tracing::debug!(address = %self.address, "connections did not end by themselves");
        }
        self.tasks.shutdown().await;
    }
}

fn own_url(address: SocketAddr, options: &EtcdServerOptions) -> String {
    #[cfg(feature = "tls")]
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    #[cfg(not(feature = "tls"))]
    let scheme = {
        let _ = options;
        "http"
    };
    format!("{scheme}://{address}")
}

/// What all connections share.
struct Shared {
    store: Arc<dyn ObjectStore>,
    options: EtcdServerOptions,
    client_urls: Vec<String>,
    encodings: watch::Encodings,
    jitter: crate::env::Stream,
    draining: CancellationToken,
    env: Env,
}

impl Shared {
    fn header(&self, revision: Revision) -> proto::ResponseHeader {
        proto::ResponseHeader {
            cluster_id: self.options.cluster_id,
            member_id: self.options.member_id,
            revision: convert::signed(revision),
            raft_term: TERM,
        }
    }

    async fn revision(&self) -> Result<Revision, Status> {
        self.store.revision().await.map_err(|error| error::status(&error))
    }

    /// Refuses a write that is too long.
    fn check_length(&self, length: usize) -> Result<(), Status> {
        if length > self.options.max_request_bytes { Err(error::REQUEST_TOO_LARGE.into()) } else { Ok(()) }
    }

    /// Until the next time that quiet watches say how far they are.
    fn tick(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let interval = self.jitter.jitter(self.options.progress_interval, 0.1);
        let clock = self.env.clock.clone();
        Box::pin(async move { clock.sleep(interval).await })
    }

    /// The same stream, which ends when the server shuts down.
    fn until_drained<T, S>(&self, stream: S) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
    where
        S: Stream<Item = Result<T, Status>> + Send + 'static,
        T: Send + 'static,
    {
        let mut stream = Box::pin(stream);
        let mut drained = Some(Box::pin(self.draining.clone().cancelled_owned()));
        futures_util::stream::poll_fn(move |context| {
            use std::task::Poll;
            let Some(waiting) = &mut drained else { return Poll::Ready(None) };
            match stream.as_mut().poll_next(context) {
                Poll::Pending if waiting.as_mut().poll(context).is_ready() => {
                    drained = None;
                    Poll::Ready(Some(Err(error::STOPPED.into())))
                }
                other => other,
            }
        })
    }
}
