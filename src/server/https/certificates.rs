//! Certificates, made when a cluster starts.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::client::Kubeconfig;
use crate::env::Clock;

/// An authority, and the serving certificate that it signed.
///
/// Keys are fresh from the operating system's randomness and are kept in memory only.
pub struct Certificates {
    authority: CertifiedIssuer<'static, rcgen::KeyPair>,
    serving: KeyPair,
    clock: Clock,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// A certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct CertificateError {
    operation: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl CertificateError {
    fn new<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { operation, source: source.into() }
    }
}

impl Certificates {
    /// An authority and a serving certificate for these host names and addresses, good for ten
    /// years from `clock`'s day.
    ///
    /// # Errors
    ///
    /// When a name is none that a certificate can carry.
    pub fn generate(names: &[&str], clock: &Clock) -> Result<Self, CertificateError> {
        let failed = "making the cluster's authority";
        let mut params = params(&[], clock).map_err(CertificateError::new(failed))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "windlass-ca");
        let key = rcgen::KeyPair::generate().map_err(CertificateError::new(failed))?;
        let authority = CertifiedIssuer::self_signed(params, key).map_err(CertificateError::new(failed))?;
        let serving =
            sign(&authority, names, "kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth, clock)
                .map_err(CertificateError::new("making the serving certificate"))?;
        Ok(Self { authority, serving, clock: clock.clone() })
    }

    /// The authority's certificate, PEM: what clients trust.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// The serving certificate.
    #[must_use]
    pub fn serving(&self) -> &KeyPair {
        &self.serving
    }

    /// A certificate by which a client is `user`, of `group`.
    ///
    /// # Errors
    ///
    /// When the name is none that a certificate can carry.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<KeyPair, CertificateError> {
        sign(&self.authority, &[], user, group, ExtendedKeyUsagePurpose::ClientAuth, &self.clock)
            .map_err(CertificateError::new("making a client certificate"))
    }

    /// How the administrator reaches a server of this authority at `url`
    /// (`https://127.0.0.1:6443`), with a client certificate made for this.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made.
    pub fn admin_kubeconfig(&self, url: &str) -> Result<Kubeconfig, CertificateError> {
        let pair = self.client("kubernetes-admin", Some("system:masters"))?;
        Ok(Kubeconfig::new(url).authority(self.authority()).client_certificate(
            "kubernetes-admin",
            pair.certificate,
            pair.key,
        ))
    }

    /// What a TLS listener needs: the serving certificate, and a look at client certificates of
    /// this authority, for those who have one.
    ///
    /// # Errors
    ///
    /// When rustls refuses the certificates.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(self.authority.der().clone())
            .map_err(CertificateError::new("trusting the cluster's authority"))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(CertificateError::new("verifying client certificates"))?;
        let chain = CertificateDer::from_pem_slice(self.serving.certificate.as_bytes())
            .map_err(CertificateError::new("reading the serving certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(self.serving.key.as_bytes())
            .map_err(CertificateError::new("reading the serving key"))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::new("choosing TLS versions"))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![chain], key)
            .map_err(CertificateError::new("serving the certificate"))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn sign(
    authority: &CertifiedIssuer<'static, rcgen::KeyPair>,
    names: &[&str],
    common_name: &str,
    organization: Option<&str>,
    usage: ExtendedKeyUsagePurpose,
    clock: &Clock,
) -> Result<KeyPair, rcgen::Error> {
    let mut params = params(names, clock)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(KeyPair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn params(names: &[&str], clock: &Clock) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    // A day's slack, for clients whose clock is behind.
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let from = today.yesterday().unwrap_or(today);
    let date = |years: i32| {
        // The last days of a month may be missing in another year's; the 28th never is.
        let (month, day) = (from.month().unsigned_abs(), from.day().unsigned_abs().min(28));
        date_time_ymd(i32::from(from.year()) + years, month, day)
    };
    params.not_before = date(0);
    params.not_after = date(10);
    Ok(params)
}

/// Without the key.
impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("serving", &self.serving).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_authority_signs_for_servers_and_clients() {
        let made = Certificates::generate(&["localhost", "127.0.0.1"], &Clock::simulated()).unwrap();
        assert!(made.authority().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(made.server_config().is_ok());
        let client = made.client("alice", Some("dev")).unwrap();
        assert!(client.key.contains("PRIVATE KEY"));
        assert!(!format!("{client:?}").contains("PRIVATE KEY"));
    }
}
