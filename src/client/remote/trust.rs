//! TLS: whom to trust, and what to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::RemoteError;
use crate::client::{Cluster, User};
use crate::env::Clock;

/// What TLS needs to reach a cluster as a user. Names of files that are not absolute are looked for
/// in `folder`.
pub(super) fn config(
    cluster: &Cluster,
    user: &User,
    folder: Option<&Path>,
    clock: &Clock,
) -> Result<ClientConfig, RemoteError> {
    let data = (&cluster.certificate_authority_data, &cluster.certificate_authority);
    let authority = pem("the certificate authority", data, folder)?.ok_or(RemoteError::NoAuthority)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the certificate authority", &authority)? {
        roots.add(certificate).map_err(RemoteError::credential("the certificate authority"))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(RemoteError::credential("the certificate authority"))?;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(WallTime(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(RemoteError::credential("the versions of TLS"))?
        .with_webpki_verifier(verifier);
    let chain = (&user.client_certificate_data, &user.client_certificate);
    let key = (&user.client_key_data, &user.client_key);
    let chain = pem("the client certificate", chain, folder)?;
    let key = pem("the client key", key, folder)?;
    let mut config = match (chain, key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(chain), Some(key)) => {
            let chain = certificates("the client certificate", &chain)?;
            let key =
                PrivateKeyDer::from_pem_slice(&key).map_err(RemoteError::credential("the client key"))?;
            let failed = "the client certificate and its key";
            builder.with_client_auth_cert(chain, key).map_err(RemoteError::credential(failed))?
        }
        (chain, _) => {
            let missing = if chain.is_some() { "key" } else { "certificate" };
            let why = format!("there is no {missing} to go with it");
            return Err(RemoteError::credential("the client certificate and its key")(why));
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The path of a file that a kubeconfig names.
pub(super) fn beside(folder: Option<&Path>, file: &str) -> PathBuf {
    folder.map_or_else(|| PathBuf::from(file), |folder| folder.join(file))
}

/// PEM from data or, where there is none, from a file.
fn pem(
    what: &'static str,
    (data, file): (&Option<String>, &Option<String>),
    folder: Option<&Path>,
) -> Result<Option<Vec<u8>>, RemoteError> {
    if let Some(data) = data.as_deref().filter(|data| !data.is_empty()) {
        return STANDARD.decode(data.trim()).map(Some).map_err(RemoteError::credential(what));
    }
    let Some(file) = file.as_deref().filter(|file| !file.is_empty()) else { return Ok(None) };
    let path = beside(folder, file);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) => Err(RemoteError::File { path, source }),
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RemoteError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(RemoteError::credential(what))?;
    if read.is_empty() {
        Err(RemoteError::credential(what)("there is no certificate in it"))
    } else {
        Ok(read)
    }
}

/// The time by which certificates are judged.
#[derive(Debug)]
struct WallTime(Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
