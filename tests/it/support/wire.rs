//! Connections to a server on a port, down to their bytes.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use windlass::env::Tasks;
use windlass::server::https::KeyPair;

use super::Served;

/// A TLS session, with a client's certificate or without.
pub(crate) async fn dial(
    served: &Served,
    pair: Option<&KeyPair>,
    http2: bool,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = served.certificates.authority();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match pair {
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = TcpStream::connect(served.https.address()).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

/// A connection over HTTP/1.1 that takes one request after another.
pub(crate) struct Http1 {
    sender: SendRequest<Full<bytes::Bytes>>,
    driver: Tasks,
}

impl Http1 {
    pub(crate) async fn open(served: &Served) -> Self {
        let stream = dial(served, None, false).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = Tasks::new();
        driver.spawn("connection", connection.with_upgrades());
        Self { sender, driver }
    }

    /// The answer, whose body has not been read.
    pub(crate) async fn begin(
        &mut self,
        request: http::Request<String>,
    ) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request.map(|body| Full::new(body.into()))).await
    }

    /// The answer, read whole.
    pub(crate) async fn send(&mut self, request: http::Request<String>) -> http::Response<String> {
        let (parts, body) = self.begin(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        http::Response::from_parts(parts, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Waits until the server has ended the connection.
    pub(crate) async fn closed(&self) {
        self.driver.idle().await;
    }
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.driver.cancel();
    }
}
