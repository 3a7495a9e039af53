//! Watches over HTTPS: how many events reach so many watchers in a second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::server::TOKEN;

/// Watches, and the events that have come. Dropping it ends them.
pub(crate) struct Watchers {
    runtime: tokio::runtime::Runtime,
    events: Arc<AtomicU64>,
}

impl Watchers {
    /// So many requests for the same path, over so many connections. One piece that is received counts as
    /// many events as it has ends of lines.
    pub(crate) fn start(address: SocketAddr, path: &str, count: usize, connections: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let events = Arc::new(AtomicU64::new(0));
        let open = Arc::new(AtomicU64::new(0));
        for _ in 0..connections {
            runtime.spawn(connection(
                address,
                path.to_owned(),
                count / connections,
                events.clone(),
                open.clone(),
            ));
        }
        while open.load(Ordering::Relaxed) < count as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { runtime, events }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Waits until so many events have come; answers how long it took.
    pub(crate) fn wait(&self, count: u64) -> Duration {
        let start = Instant::now();
        while self.events() < count {
            std::thread::sleep(Duration::from_millis(1));
            assert!(start.elapsed() < Duration::from_secs(120), "{} of {count} events came", self.events());
        }
        start.elapsed()
    }

    pub(crate) fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn connection(
    address: SocketAddr,
    path: String,
    count: usize,
    events: Arc<AtomicU64>,
    open: Arc<AtomicU64>,
) {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(ring::default_provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(address).await.expect("a connection");
    socket.set_nodelay(true).expect("no delay");
    let connector = TlsConnector::from(Arc::new(config));
    let tls = connector.connect("localhost".try_into().expect("a name"), socket).await.expect("TLS");
    let (sender, driver) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(16 << 20)
        .initial_connection_window_size(1 << 30)
        .handshake(TokioIo::new(tls))
        .await
        .expect("HTTP/2");
    tokio::spawn(driver);
    for _ in 0..count {
        let (mut sender, events, open) = (sender.clone(), events.clone(), open.clone());
        let request = Request::get(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Empty::<bytes::Bytes>::new())
            .expect("a request");
        tokio::spawn(async move {
            let mut body = sender.send_request(request).await.expect("an answer").into_body();
            open.fetch_add(1, Ordering::Relaxed);
            while let Some(Ok(frame)) = body.frame().await {
                let lines =
                    frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                events.fetch_add(lines as u64, Ordering::Relaxed);
            }
        });
    }
}

/// Whoever serves is believed: the bench has started it.
#[derive(Debug)]
struct Anybody(CryptoProvider);

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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
