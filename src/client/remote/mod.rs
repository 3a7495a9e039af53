//! `Client` over HTTPS: the same requests, to a control plane elsewhere.
//!
//! One exchange at a time has a connection to itself (HTTP/1.1, kept open and used again), so that a
//! stream's end is its connection's end: who drops a watch has closed it, and the server sees that
//! at once. Each connection is driven by one task of the client's [`Env`](crate::env::Env), which
//! ends with the connection; a client that is dropped closes those that are idle, and what a stream
//! still holds lives exactly as long as the stream.
//!
//! Nothing is tried again behind the caller's back, but for one thing that no caller could know: a
//! connection that was idle and that the server had closed meanwhile is replaced by a new one, when
//! the request had not been sent or only reads.

mod answer;
mod ask;
mod body;
mod builder;
mod credentials;
mod endpoint;
mod pool;
mod rows;
mod trust;
mod upgrade;
mod watch;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

pub use builder::{RemoteClientBuilder, RemoteError};
pub use webhook::HttpsWebhooks;

use super::{Client, Error, Identity, Kubeconfig, Request, Response};
use answer::Wanted;
use ask::Ask;
use body::Pieces;
use credentials::Token;
use pool::{Lease, Pool};
use rows::Rows;

/// A client of a Kubernetes API server over HTTPS. Clones share everything.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use windlass::client::remote::RemoteClient;
/// use windlass::client::{Api, Client, ListOptions};
/// use windlass::k8s_openapi::api::core::v1::Pod;
///
/// # async fn pods() -> Result<(), Box<dyn std::error::Error>> {
/// let client: Arc<dyn Client> = Arc::new(RemoteClient::file("/etc/kubernetes/admin.conf")?.build()?);
/// for pod in Api::<Pod>::all(client).list(ListOptions::default()).await?.items {
///     println!("{}", pod.metadata.name.unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Contract
///
/// That of [`Client`], as far as the server keeps it. Objects belong to the rows of the scheme that
/// the client was built with; a resource that it does not have gets a row made from the answer
/// ([`Resource::new`](crate::api::Resource::new)): its kind as the server says, namespaced once an
/// object with a namespace was seen or asked for.
///
/// A watch may end at any time without an error (kube-apiserver ends each after half an hour or
/// more): whoever wants to go on asks again from the last revision, as
/// [`Informer`](super::Informer) does. Connecting has ten seconds, and an answer the client's timeout,
/// whole for those that end, up to its head for watches and connections. Raw requests, which may be
/// logs that are followed, have no limit but that on connecting. A host that is gone is noticed by
/// TCP's keep-alive after about three minutes.
///
/// # Errors
///
/// What the server says as the variant of [`Error`] that its `Status` is; a failure that is no
/// `Status` is made one from its code and text. [`Error::Transport`] with the operation where no
/// answer came: nobody listens, TLS is refused, the time ran out, the stream broke. [`Error::Decode`]
/// for an answer that is no JSON of the expected form. A request that would mean another one on the
/// wire (a deletion of an object without a name is that of all) is refused and not sent.
///
/// # Cancel safety
///
/// As [`Client::call`]'s: a call that is dropped closes its connection, and a write may or may not
/// have happened. Dropping a watch, a raw response or a connection closes it.
#[derive(Clone)]
pub struct RemoteClient(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    rows: Arc<Rows>,
    token: Token,
    agent: HeaderValue,
    identity: Identity,
    timeout: Duration,
}

impl RemoteClient {
    /// A client of what a kubeconfig names. For a URL and credentials without a file:
    /// `Kubeconfig::new(url).authority(pem).token("me", token)`.
    #[must_use]
    pub fn builder(kubeconfig: Kubeconfig) -> RemoteClientBuilder {
        RemoteClientBuilder::new(kubeconfig)
    }

    /// A client of what a kubeconfig file names. Files that it names are looked for beside it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no kubeconfig.
    pub fn file(path: impl AsRef<std::path::Path>) -> Result<RemoteClientBuilder, RemoteError> {
        RemoteClientBuilder::file(path.as_ref())
    }
}

#[async_trait]
impl Client for RemoteClient {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        self.0.call(request).await
    }

    fn identity(&self) -> &Identity {
        &self.0.identity
    }
}

impl Inner {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        match request {
            Request::Raw(request) => {
                let (response, lease) = self.send("raw request", request).await?;
                Ok(Response::Raw(response.map(|body| Pieces::new(body, lease).boxed())))
            }
            Request::Connect { target, query, protocols } => {
                let (key, request) = upgrade::request(&target, &query, &protocols, &self.pool.env().random)?;
                let opened = self.within("connect", async {
                    let (response, lease) = self.send("connect", request).await?;
                    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
                        return Err(refusal("connect", response, lease).await);
                    }
                    upgrade::connection(response, &key, &protocols).await
                });
                opened.await
            }
            Request::Watch { target, options } => {
                let Ask { target, request, .. } = ask::watch(target, options)?;
                let (body, lease) = self.within("watch", self.accepted("watch", request)).await?;
                Ok(Response::Watch(watch::events(Pieces::new(body, lease), self.rows.clone(), target)))
            }
            request => {
                let Ask { operation, target, wanted, request } = ask::ask(request)?;
                let whole = async {
                    let (body, lease) = self.accepted(operation, request).await?;
                    let whole = body.collect().await.map_err(|error| transport(operation, error))?;
                    lease.give_back();
                    Ok(whole.to_bytes())
                };
                let bytes = self.within(operation, whole).await?;
                match wanted {
                    Wanted::Object => answer::object(&self.rows, &target, &bytes),
                    Wanted::List => answer::list(&self.rows, &target, &bytes),
                }
            }
        }
    }

    /// Sends a request that the server must accept.
    async fn accepted(
        &self,
        operation: &'static str,
        request: http::Request<Bytes>,
    ) -> Result<(Incoming, Lease), Error> {
        let (response, lease) = self.send(operation, request).await?;
        for warning in response.headers().get_all(http::header::WARNING) {
            tracing::warn!(operation, warning = %String::from_utf8_lossy(warning.as_bytes()), "the server warns");
        }
        if response.status().is_success() {
            Ok((response.into_body(), lease))
        } else {
            Err(refusal(operation, response, lease).await)
        }
    }

    /// Sends a request under this client's name.
    async fn send(
        &self,
        operation: &'static str,
        mut request: http::Request<Bytes>,
    ) -> Result<(http::Response<Incoming>, Lease), Error> {
        let endpoint = self.pool.endpoint();
        let uri = endpoint.uri(request.uri()).map_err(|error| transport(operation, error))?;
        *request.uri_mut() = uri;
        *request.version_mut() = http::Version::HTTP_11;
        let token = self.token.header(&self.pool.env().clock).map_err(|error| transport(operation, error))?;
        let headers = request.headers_mut();
        headers.insert(HOST, endpoint.host_header().clone());
        headers.entry(USER_AGENT).or_insert_with(|| self.agent.clone());
        if let Some(token) = token {
            headers.entry(AUTHORIZATION).or_insert(token);
        }
        self.pool.send(request.map(Full::new)).await.map_err(|error| transport(operation, error))
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let clock = &self.pool.env().clock;
        clock.timeout(self.timeout, exchange).await.map_err(|elapsed| transport(operation, elapsed))?
    }
}

/// What a server said when it refused.
async fn refusal(operation: &'static str, response: http::Response<Incoming>, lease: Lease) -> Error {
    let code = response.status();
    match answer::refusal_text(response.into_body()).await {
        Ok((text, whole)) => {
            if whole {
                lease.give_back();
            }
            answer::refused(code, &text).into()
        }
        Err(error) => transport(operation, error),
    }
}

fn transport(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Transport { operation, source: source.into() }
}

/// Where it goes and who asks.
impl std::fmt::Debug for RemoteClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteClient")
            .field("server", &self.0.pool.endpoint().to_string())
            .field("user", &self.0.identity.user)
            .finish_non_exhaustive()
    }
}
