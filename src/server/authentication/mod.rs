//! Authentication: who a request is from.
//!
//! [`Authenticator`]s are asked one after another: those of the server, those of the listener, and last the
//! server's own, which knows the [service account](crate::server::ServiceAccountIssuer) tokens that it has
//! given out. A request that brings nothing that any of them knows is from `system:anonymous`, as far as
//! [`Anonymous`] lets it. Whoever is somebody belongs to `system:authenticated`. Credentials do not go on:
//! what stands in headers is taken out, so that nothing behind, such as a proxied service, ever sees it.
//!
//! Who is known may then act as somebody else, if the authorizer lets them (`impersonation`).
//!
//! Sources: `k8s.io/apiserver/pkg/authentication` and `pkg/endpoints/filters` (1.36).

mod anonymous;
mod bearer;
#[cfg(feature = "tls")]
mod certificate;
mod front_proxy;
pub(crate) mod impersonation;
mod static_tokens;

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

pub use anonymous::Anonymous;
pub use bearer::bearer_token;
#[cfg(feature = "tls")]
pub use certificate::ClientCertificates;
pub use front_proxy::FrontProxy;
pub use static_tokens::Tokens;

use super::ApiServer;
use crate::api::{Status, status};
use crate::client::Identity;

/// What a request brings to show who it is from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Credentials<'a> {
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The client's certificate (DER), whose chain TLS has verified against the cluster's authority.
    pub certificate: Option<&'a [u8]>,
    /// The path that is asked for.
    pub path: &'a str,
}

/// There is a credential, and it is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unauthorized {
    why: String,
}

impl Unauthorized {
    /// For this reason, which a TokenReview tells, and nobody else.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

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

    /// Takes this authenticator's credentials out of the headers of a request that was authenticated, by
    /// whomever. `Authorization` and a WebSocket's bearer protocol go without it.
    fn forget(&self, headers: &mut HeaderMap) {
        let _ = headers;
    }
}

#[async_trait]
impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        (**self).authenticate(credentials).await
    }

    fn forget(&self, headers: &mut HeaderMap) {
        (**self).forget(headers);
    }
}

/// The group of everybody who is somebody.
const AUTHENTICATED: &str = "system:authenticated";

impl ApiServer {
    /// Whom a request is from; its credentials are taken out of its headers. The `listener`'s authenticators
    /// are asked behind those of the server.
    ///
    /// # Errors
    ///
    /// 401 where there are credentials and none is good, or none where nobody may be anonymous.
    pub async fn authenticate(
        &self,
        listener: &[Arc<dyn Authenticator>],
        certificate: Option<&[u8]>,
        path: &str,
        headers: &mut HeaderMap,
    ) -> Result<Identity, Status> {
        let credentials = Credentials { headers, certificate, path };
        let known = match self.sender(listener, credentials).await {
            Ok(Some(identity)) => identity,
            Ok(None) if self.anonymous().admits(path) => Identity::anonymous(),
            Ok(None) => return Err(status::unauthorized()),
            Err(error) => {
                tracing::debug!(%error, path, "a request is not authenticated");
                return Err(status::unauthorized());
            }
        };
        headers.remove(AUTHORIZATION);
        bearer::forget(headers);
        for authenticator in self.authenticators().iter().chain(listener) {
            authenticator.forget(headers);
        }
        Ok(known)
    }

    async fn sender(
        &self,
        listener: &[Arc<dyn Authenticator>],
        credentials: Credentials<'_>,
    ) -> Result<Option<Identity>, Unauthorized> {
        let mut bad = None;
        for authenticator in self.authenticators().iter().chain(listener) {
            match authenticator.authenticate(credentials).await {
                Ok(Some(identity)) => return Ok(Some(in_group(identity))),
                Ok(None) => {}
                Err(error) => bad = bad.or(Some(error)),
            }
        }
        if let Some(token) = bearer_token(credentials.headers)? {
            match self.authenticate_token(&token).await {
                Ok(Some(identity)) => return Ok(Some(identity)),
                // A token that nobody knows is a bad one.
                Ok(None) => bad = bad.or_else(|| Some(Unauthorized::new("invalid bearer token"))),
                Err(error) => bad = bad.or(Some(error)),
            }
        }
        bad.map_or(Ok(None), Err)
    }

    /// Whom a bearer token speaks for, and for which of `audiences`; where none are given, for the server's
    /// own. What a TokenReview asks.
    ///
    /// # Errors
    ///
    /// Why a token is not good.
    pub(crate) async fn review_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<(Identity, Vec<String>)>, Unauthorized> {
        let own = self.service_accounts().audiences();
        let wanted = if audiences.is_empty() { own } else { audiences };
        let reviewed = self.review_service_account(token, wanted).await?;
        if reviewed.is_some() {
            return Ok(reviewed);
        }
        // Other tokens know no audience: they are good for the server alone.
        let shared: Vec<String> = wanted.iter().filter(|name| own.contains(name)).cloned().collect();
        if shared.is_empty() {
            return Ok(None);
        }
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Unauthorized::new("invalid bearer token"))?;
        headers.insert(AUTHORIZATION, value);
        let credentials = Credentials { headers: &headers, certificate: None, path: "" };
        let mut bad = Unauthorized::new("invalid bearer token");
        for authenticator in self.authenticators() {
            match authenticator.authenticate(credentials).await {
                Ok(Some(identity)) => return Ok(Some((in_group(identity), shared))),
                Ok(None) => {}
                Err(error) => bad = error,
            }
        }
        Err(bad)
    }
}

/// Whoever is somebody is in the group of all who are.
///
/// Source: `AuthenticatedGroupAdder` of `k8s.io/apiserver/pkg/authentication/group` (1.36).
fn in_group(identity: Identity) -> Identity {
    let anonymous = identity.user == "system:anonymous";
    let grouped = identity.in_group(AUTHENTICATED) || identity.in_group("system:unauthenticated");
    if anonymous || grouped { identity } else { identity.group(AUTHENTICATED) }
}
