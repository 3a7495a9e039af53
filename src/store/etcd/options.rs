//! How to reach a cluster.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::env::Env;

/// How an [`EtcdStore`](super::EtcdStore) reaches its cluster.
#[derive(Clone)]
#[non_exhaustive]
pub struct EtcdOptions {
    /// Time, chance and tasks; the machine's by default. The connections themselves live outside it:
    /// this store is not for simulations.
    pub env: Env,
    /// User and password, for a cluster with authentication. One that has it switched off, or on
    /// only later, is served all the same.
    pub user: Option<(String, String)>,
    /// TLS, for endpoints that begin with `https://`.
    pub tls: Option<EtcdTls>,
    /// How long a connection may take to come about; 5 seconds by default.
    pub connect_timeout: Duration,
    /// How long a call may take, with everything that is tried again; 20 seconds by default. etcd
    /// itself gives up after 7.
    pub request_timeout: Duration,
    /// A connection in use that is silent for so long is pinged; 10 seconds by default. etcd hangs up
    /// on clients that ping more often than every 5 (`--grpc-keepalive-min-time`).
    pub keep_alive_interval: Duration,
    /// A connection that leaves a ping unanswered for so long is dead; 5 seconds by default.
    pub keep_alive_timeout: Duration,
    /// How many bytes of undelivered events a watch holds, about; 8 MiB by default. One that exceeds
    /// it is cancelled at the server and taken up again from where it stands once it has been read.
    pub watch_buffer_bytes: usize,
    /// The key that is read where only the newest revision is wanted: one that the user may read. A
    /// zero byte by default, which few keep anything at.
    pub revision_key: Bytes,
}

/// TLS towards a cluster. What is given is in PEM.
#[derive(Clone, Default)]
pub struct EtcdTls {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    domain: Option<String>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            env: Env::system(),
            user: None,
            tls: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(5),
            watch_buffer_bytes: 8 << 20,
            revision_key: Bytes::from_static(b"\0"),
        }
    }
}

impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("keep_alive_interval", &self.keep_alive_interval)
            .field("keep_alive_timeout", &self.keep_alive_timeout)
            .field("watch_buffer_bytes", &self.watch_buffer_bytes)
            .field("revision_key", &self.revision_key)
            .finish_non_exhaustive()
    }
}

impl EtcdOptions {
    /// Another source of time, chance and tasks.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// As this user.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }

    /// With TLS.
    #[must_use]
    pub fn tls(mut self, tls: EtcdTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With another bound on a call.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// With another bound on what a watch holds.
    #[must_use]
    pub fn watch_buffer_bytes(mut self, bytes: usize) -> Self {
        self.watch_buffer_bytes = bytes;
        self
    }

    /// With another key to learn the newest revision by.
    #[must_use]
    pub fn revision_key(mut self, key: impl Into<Bytes>) -> Self {
        self.revision_key = key.into();
        self
    }

    /// For one endpoint.
    pub(super) fn for_endpoint(&self, url: &str, anonymous: bool) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(self.connect_timeout)
            .with_keep_alive(self.keep_alive_interval, self.keep_alive_timeout)
            // A ping while nothing is asked counts as an offence against etcd's policy.
            .with_keep_alive_while_idle(false)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some((name, password)) = self.user.as_ref().filter(|_| !anonymous) {
            options = options.with_user(name, password);
        }
        match &self.tls {
            Some(tls) if !url.starts_with("http://") => options.with_tls(tls.client()),
            _ => options,
        }
    }
}

impl fmt::Debug for EtcdTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdTls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("domain", &self.domain)
            .finish()
    }
}

impl EtcdTls {
    /// TLS that trusts nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts servers that these authorities vouch for.
    #[must_use]
    pub fn ca(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(certificates.into());
        self
    }

    /// Shows this certificate to the server.
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects the server's certificate to be for this name, not for the endpoint's.
    #[must_use]
    pub fn domain(mut self, name: impl Into<String>) -> Self {
        self.domain = Some(name.into());
        self
    }

    fn client(&self) -> TlsOptions {
        let mut tls = TlsOptions::new();
        if let Some(ca) = &self.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        match &self.domain {
            Some(name) => tls.domain_name(name),
            None => tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let tls = EtcdTls::new().identity("certificate", "secret key");
        let shown = format!("{:?}", EtcdOptions::default().user("root", "secret word").tls(tls));
        assert!(shown.contains("root") && !shown.contains("secret"), "{shown}");
    }
}
