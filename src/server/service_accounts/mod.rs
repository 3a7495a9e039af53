//! Service accounts: tokens that this server gives out, knows again, and lets others verify.
//!
//! A token is a JWT as kube-apiserver's: signed with the issuer's key, bound to a time, to audiences, and
//! mostly to a pod, and no longer good once what it is bound to is gone. Nothing about it is remembered, so
//! servers that share a store and a key know each other's tokens. `keys` signs and verifies, `claims` are
//! what is said (pure), `request` answers a TokenRequest, `authenticate` knows the bearer, and `discovery`
//! tells others how to verify.
//!
//! The signatures are ring's, which TLS brings along anyhow; what is left of a JWT is base64 and JSON.
//!
//! Sources: `pkg/serviceaccount` and `pkg/registry/core/serviceaccount/storage/token.go` (1.36).

mod authenticate;
mod claims;
mod der;
mod discovery;
mod jwt;
mod keys;
mod request;

use std::sync::OnceLock;

#[cfg(feature = "tls")]
pub(crate) use authenticate::CREDENTIAL_ID;
pub(crate) use authenticate::groups;
pub(crate) use discovery::VerificationDocument;
pub use keys::KeyError;
pub(crate) use request::token;

use keys::{SigningKey, VerifyingKey};

/// The issuer where nothing is said, as kubeadm sets it up.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Who gives out service account tokens, under which name, and with which keys.
#[derive(Debug)]
pub struct ServiceAccountIssuer {
    issuer: String,
    audiences: Vec<String>,
    jwks_uri: Option<String>,
    signing: OnceLock<SigningKey>,
    others: Vec<VerifyingKey>,
    longest_seconds: Option<i64>,
    extends: bool,
}

impl ServiceAccountIssuer {
    /// An issuer of this name, which should be an https URL. It signs with a key of its own, made when it is
    /// first needed and kept in memory only (ES256), unless one is given.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        Self {
            audiences: vec![issuer.clone()],
            issuer,
            jwks_uri: None,
            signing: OnceLock::new(),
            others: Vec::new(),
            longest_seconds: None,
            extends: true,
        }
    }

    /// The same, signing with this key: PEM of an RSA key (PKCS#1 or PKCS#8; RS256) or of one on the curves
    /// P-256 or P-384 (SEC1 or PKCS#8; ES256, ES384), as `--service-account-signing-key-file`.
    ///
    /// # Errors
    ///
    /// When it is no such key.
    pub fn signing_key(mut self, pem: &str) -> Result<Self, KeyError> {
        self.signing = OnceLock::from(SigningKey::from_pem(pem)?);
        Ok(self)
    }

    /// The same, and tokens that were signed with this key are good, too: PEM of a public key or of a private
    /// one, as `--service-account-key-file`.
    ///
    /// # Errors
    ///
    /// When it is no such key.
    pub fn verifying_key(mut self, pem: &str) -> Result<Self, KeyError> {
        self.others.push(VerifyingKey::from_pem(pem)?);
        Ok(self)
    }

    /// The same, for these audiences: whom a token is for that asks for none, and for whom one must be to be
    /// good here, as `--api-audiences`.
    #[must_use]
    pub fn api_audiences(mut self, audiences: impl IntoIterator<Item = String>) -> Self {
        self.audiences = audiences.into_iter().collect();
        self
    }

    /// The same, with its keys told to be found at this URL, as `--service-account-jwks-uri`.
    #[must_use]
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = Some(uri.into());
        self
    }

    /// The same, with no token good for more than so many seconds, as `--service-account-max-token-expiration`.
    #[must_use]
    pub fn max_token_expiration_seconds(mut self, seconds: i64) -> Self {
        self.longest_seconds = Some(seconds);
        self
    }

    /// The same, and tokens that every pod gets by itself are good for the hour that they say and no longer,
    /// as `--service-account-extend-token-expiration=false`. Otherwise such a token is good for a year, for
    /// programs that never read it again.
    #[must_use]
    pub fn extend_token_expiration(mut self, extend: bool) -> Self {
        self.extends = extend;
        self
    }

    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    fn signing(&self) -> &SigningKey {
        self.signing.get_or_init(SigningKey::generate)
    }

    /// The keys by which a token may be signed that names `kid`; by whichever where it names none.
    fn keys<'a>(&'a self, kid: &'a str) -> impl Iterator<Item = &'a VerifyingKey> {
        let own = self.signing().verifying();
        std::iter::once(own).chain(&self.others).filter(move |key| kid.is_empty() || key.kid() == kid)
    }
}

impl Default for ServiceAccountIssuer {
    fn default() -> Self {
        Self::new(ISSUER)
    }
}
