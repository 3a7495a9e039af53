//! How a client is made.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::credentials::Token;
use super::endpoint::Endpoint;
use super::pool::Pool;
use super::rows::Rows;
use super::trust::{self, beside};
use super::{Inner, RemoteClient};
use crate::api::Scheme;
use crate::client::{Identity, Kubeconfig, KubeconfigError};
use crate::env::Env;

/// How long an answer may take (kube-apiserver's own limit, and a little).
const TIMEOUT: Duration = Duration::from_secs(65);

/// What a [`RemoteClient`] is made of.
#[derive(Debug)]
pub struct RemoteClientBuilder {
    kubeconfig: Kubeconfig,
    folder: Option<PathBuf>,
    context: Option<String>,
    scheme: Scheme,
    env: Option<Env>,
    agent: String,
    timeout: Duration,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The kubeconfig is none, or names what it does not hold.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// A file that is needed cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server's URL is none that can be reached.
    #[error("the server's URL {url:?}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody says whose certificates to trust; the machine's authorities are not asked.
    #[error("the kubeconfig names no certificate authority")]
    NoAuthority,
    /// A certificate, key or token cannot be used.
    #[error("{what}: {source}")]
    Credential {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RemoteError {
    pub(super) fn credential<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Credential { what, source: source.into() }
    }
}

impl RemoteClientBuilder {
    pub(super) fn new(kubeconfig: Kubeconfig) -> Self {
        Self {
            kubeconfig,
            folder: None,
            context: None,
            scheme: Scheme::builtin(),
            env: None,
            agent: concat!("windlass/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: TIMEOUT,
        }
    }

    pub(super) fn file(path: &Path) -> Result<Self, RemoteError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RemoteError::File { path: path.to_owned(), source })?;
        Ok(Self { folder: path.parent().map(Into::into), ..Self::new(Kubeconfig::parse(&text)?) })
    }

    /// Uses this context instead of the current one.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>) -> Self {
        self.context = Some(name.into());
        self
    }

    /// Reads answers by the rows of this scheme; without one by [`Scheme::builtin`].
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Takes time and randomness from here, and has its tasks (one a connection) in a group below
    /// it: when that group ends, connections do, and later calls fail. Without one,
    /// [`Env::system`].
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Names the program, as `User-Agent` and in [`Client::identity`](crate::client::Client::identity).
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// How long an answer may take; without this, 65 seconds. See [`RemoteClient`] for what it limits.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the client. Nothing is sent before the first call.
    ///
    /// The kubeconfig's user is who it says it is ([`Identity::user`] of its name; nobody, where it
    /// has no credentials); what the server takes it for is the server's affair. Of credentials
    /// these count: a client certificate with its key, and a token or a file with one, which is read
    /// again every minute.
    ///
    /// # Errors
    ///
    /// See [`RemoteError`].
    pub fn build(self) -> Result<RemoteClient, RemoteError> {
        let (cluster, user, _) = self.kubeconfig.resolve(self.context.as_deref())?;
        let folder = self.folder.as_deref();
        let env = self.env.unwrap_or_else(Env::system).child();
        let endpoint = Endpoint::parse(&cluster.server)?;
        let expected = cluster.tls_server_name.as_deref().filter(|name| !name.is_empty());
        let expected = expected.unwrap_or(endpoint.host()).to_owned();
        let name = ServerName::try_from(expected).map_err(RemoteError::credential("the server's name"))?;
        let credentials = &user.user;
        let tls = trust::config(cluster, credentials, folder, &env.clock)?;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let token = match (given(&credentials.token_file), given(&credentials.token)) {
            (Some(file), _) => Token::file(beside(folder, &file)),
            (None, Some(token)) => Token::fixed(&token).map_err(RemoteError::credential("the token"))?,
            (None, None) => Token::None,
        };
        let certificate =
            given(&credentials.client_certificate_data).or(given(&credentials.client_certificate));
        let identity = match (&token, certificate) {
            (Token::None, None) => Identity::anonymous(),
            _ => Identity::user(&user.name),
        };
        let agent =
            HeaderValue::try_from(&self.agent).map_err(RemoteError::credential("the program's name"))?;
        Ok(RemoteClient(Arc::new(Inner {
            pool: Arc::new(Pool::new(endpoint, TlsConnector::from(Arc::new(tls)), name, env)),
            rows: Arc::new(Rows::new(self.scheme)),
            token,
            agent,
            identity: identity.agent(self.agent),
            timeout: self.timeout,
        })))
    }
}
