//! Who a request is from.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client::Identity;

/// What a request brings to show who it is from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Credentials<'a> {
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The client's certificate, whose chain TLS has verified against the cluster's authority.
    pub certificate: Option<&'a CertificateDer<'a>>,
}

/// There is a credential, and it is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential is not good")]
pub struct Unauthorized;

/// Tells who a request is from.
///
/// # Contract
///
/// `Some` is who it is from, `None` that there is no credential of this authenticator's kind; the
/// next one is asked then, and where none knows, the request is anonymous.
///
/// # Errors
///
/// [`Unauthorized`] when there is a credential of this kind and it is not good: the next one is
/// asked all the same, but where none knows the request is refused (401).
///
/// # Cancel safety
///
/// Dropping loses nothing.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who this is from.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized>;
}

#[async_trait]
impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        (**self).authenticate(credentials).await
    }
}

/// Asks one authenticator after another.
pub(super) async fn authenticate(
    authenticators: &[Arc<dyn Authenticator>],
    credentials: Credentials<'_>,
) -> Result<Identity, Unauthorized> {
    let mut bad = false;
    for authenticator in authenticators {
        match authenticator.authenticate(credentials).await {
            Ok(Some(identity)) => return Ok(identity),
            Ok(None) => {}
            Err(Unauthorized) => bad = true,
        }
    }
    if bad { Err(Unauthorized) } else { Ok(Identity::anonymous()) }
}

/// Client certificates: the common name is the user, organizations are groups.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCertificates;

#[async_trait]
impl Authenticator for ClientCertificates {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        let Some(certificate) = credentials.certificate else { return Ok(None) };
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Unauthorized)?;
        let subject = certificate.subject();
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().ok().map(str::to_owned)
        };
        let Some(user) = subject.iter_common_name().find_map(text).filter(|user| !user.is_empty()) else {
            return Err(Unauthorized);
        };
        let identity =
            subject.iter_organization().filter_map(text).fold(Identity::user(user), Identity::group);
        Ok(Some(identity))
    }
}

/// Bearer tokens that are known beforehand. Clones share the table.
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<BTreeMap<String, Identity>>>);

impl Tokens {
    /// No token at all: every bearer token is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the bearer of `token` be `identity` from now on.
    pub fn insert(&self, token: impl Into<String>, identity: Identity) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.into(), identity);
    }

    /// The same table, in which the bearer of `token` is `identity`.
    #[must_use]
    pub fn with(self, token: impl Into<String>, identity: Identity) -> Self {
        self.insert(token, identity);
        self
    }

    /// Forgets a token.
    pub fn remove(&self, token: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        let Some(token) = bearer(credentials.headers) else { return Ok(None) };
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Every entry is compared whole, so that the time tells nothing about how much was right.
        let known = table.iter().fold(None, |found, (own, identity)| {
            if same(own.as_bytes(), token.as_bytes()) { Some(identity) } else { found }
        });
        known.cloned().map(Some).ok_or(Unauthorized)
    }
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Without the tokens.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(table.values().map(|identity| &identity.user)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Clock;
    use crate::server::https::Certificates;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    fn headers(authorization: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, http::HeaderValue::from_static(authorization));
        headers
    }

    #[tokio::test]
    async fn a_token_is_its_bearer_and_a_wrong_one_is_nobody() {
        let all: Vec<Arc<dyn Authenticator>> =
            vec![Arc::new(ClientCertificates), Arc::new(Tokens::new().with("secret", Identity::admin()))];
        let who = |headers: HeaderMap| {
            let all = all.clone();
            async move {
                let credentials = Credentials { headers: &headers, certificate: None };
                authenticate(&all, credentials).await.map(|identity| identity.user)
            }
        };
        assert_eq!(who(headers("Bearer secret")).await, Ok("kubernetes-admin".into()));
        assert_eq!(who(headers("bearer  secret")).await, Ok("kubernetes-admin".into()));
        assert_eq!(who(headers("Bearer secre")).await, Err(Unauthorized));
        assert_eq!(who(headers("Basic secret")).await, Ok("system:anonymous".into()));
        assert_eq!(who(HeaderMap::new()).await, Ok("system:anonymous".into()));
    }

    #[tokio::test]
    async fn a_certificate_names_user_and_group() {
        let made = Certificates::generate(&["localhost"], &Clock::system()).unwrap();
        let pair = made.client("alice", Some("dev")).unwrap();
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let headers = HeaderMap::new();
        let credentials = Credentials { headers: &headers, certificate: Some(&der) };
        let identity = ClientCertificates.authenticate(credentials).await.unwrap().unwrap();
        assert_eq!(identity, Identity::user("alice").group("dev"));
    }
}
