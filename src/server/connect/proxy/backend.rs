//! One request to what listens somewhere, over a connection of its own.

use std::io;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

use super::address::Scheme;
use super::place::Place;
use crate::env::BoxIo;
use crate::server::ApiServer;
use crate::server::connect::agent::{Outbound, exchange as over};

/// How long it may take until a backend has taken the connection.
const DIAL: Duration = Duration::from_secs(30);

/// Why there is no answer.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request to a place; answers when the head of the response is there.
pub(super) async fn exchange(
    server: &ApiServer,
    place: &Place,
    request: Request<Outbound>,
) -> Result<Response<Incoming>, Error> {
    let dialing = server.env().clock.timeout(DIAL, dial(server, place)).await;
    let io = dialing.map_err(|_late| io::Error::new(io::ErrorKind::TimedOut, "i/o timeout"))??;
    Ok(over(server, io, request).await?)
}

async fn dial(server: &ApiServer, place: &Place) -> Result<BoxIo, Error> {
    let dialer = server.node_dialer().ok_or("this server has no way to its nodes")?;
    match place {
        Place::Agent { node } => Ok(dialer.dial(node).await?),
        Place::Port { node, address, scheme } => {
            let io = dialer
                .dial_address(node, *address)
                .await
                .map_err(|error| format!("dial tcp {address}: {error}"))?;
            match scheme {
                Scheme::Http => Ok(io),
                Scheme::Https => tls::connect(io, address.ip()).await,
            }
        }
    }
}

/// TLS to a backend, whoever it is: nothing in the cluster says who a pod should be.
///
/// Source: `ProxyTLSClientConfig` of `k8s.io/kubernetes/pkg/controlplane` (1.36), which checks nothing either.
#[cfg(feature = "tls")]
mod tls {
    use std::net::IpAddr;
    use std::sync::Arc;

    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::client::danger::{
        HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
    };
    use tokio_rustls::rustls::crypto::{
        CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
    };
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

    use crate::env::BoxIo;

    pub(super) async fn connect(io: BoxIo, address: IpAddr) -> Result<BoxIo, super::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(config)).connect(ServerName::from(address), io).await?;
        Ok(Box::new(tls))
    }

    #[derive(Debug)]
    struct Anybody(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(not(feature = "tls"))]
mod tls {
    use std::net::IpAddr;

    use crate::env::BoxIo;

    pub(super) async fn connect(_: BoxIo, address: IpAddr) -> Result<BoxIo, super::Error> {
        Err(format!("{address} is asked for by HTTPS, and this program was built without the feature tls")
            .into())
    }
}
