//! A cluster on a port: HTTPS, and the kubeconfig that leads there.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::builder::part;
use super::{Cluster, StartError};
use crate::server::https::{Certificates, HttpsOptions, HttpsServer, Tokens};

/// Where a cluster listens. It closes with the cluster, or before.
pub struct Endpoint {
    server: HttpsServer,
    certificates: Certificates,
}

impl Cluster {
    /// Serves HTTPS at `address` (port 0: any that is free), with certificates made for this.
    /// Callers are who their client certificate or their bearer token says.
    ///
    /// # Errors
    ///
    /// [`StartError::Part`] when the address cannot be had.
    pub async fn listen(&self, address: SocketAddr, tokens: Tokens) -> Result<Endpoint, StartError> {
        let names = ["localhost", "kubernetes", "kubernetes.default.svc", &address.ip().to_string()];
        let certificates = Certificates::generate(&names, &self.env.clock).map_err(part("HTTPS"))?;
        let tls = certificates.server_config().map_err(part("HTTPS"))?;
        let listener = TcpListener::bind(address).await.map_err(part("HTTPS"))?;
        let options = HttpsOptions::new(tls).authenticator(tokens);
        let server = HttpsServer::start(&self.server, listener, options).map_err(part("HTTPS"))?;
        Ok(Endpoint { server, certificates })
    }
}

impl Endpoint {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it listens, as clients want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The certificates of this endpoint, to make clients' from.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A kubeconfig with a client certificate of the administrator's.
    ///
    /// # Errors
    ///
    /// [`StartError::Part`] when the certificate cannot be made.
    pub fn admin_kubeconfig(&self) -> Result<String, StartError> {
        let made = self.certificates.admin_kubeconfig(&self.url()).map_err(part("kubeconfig"))?;
        serde_yaml::to_string(&made).map_err(part("kubeconfig"))
    }

    /// Stops listening; requests may finish for a moment.
    pub async fn shutdown(&self) {
        self.server.shutdown().await;
    }
}
