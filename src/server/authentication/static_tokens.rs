//! Tokens that are known beforehand.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{Authenticator, Credentials, Unauthorized, bearer_token};
use crate::client::Identity;

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
        let Some(token) = bearer_token(credentials.headers)? else { return Ok(None) };
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Every entry is compared whole, so that the time tells nothing about how much was right.
        let known = table.iter().fold(None, |found, (own, identity)| {
            if same(own.as_bytes(), token.as_bytes()) { Some(identity) } else { found }
        });
        known.cloned().map(Some).ok_or_else(|| Unauthorized::new("invalid bearer token"))
    }
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
    use http::HeaderMap;
    use http::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    #[tokio::test]
    async fn a_token_is_its_bearer_and_a_wrong_one_is_nobody() {
        let tokens = Tokens::new().with("secret", Identity::admin());
        let who = async |authorization: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(authorization));
            let credentials = Credentials { headers: &headers, certificate: None, path: "/" };
            tokens.authenticate(credentials).await.map(|known| known.map(|identity| identity.user))
        };
        assert_eq!(who("Bearer secret").await, Ok(Some("kubernetes-admin".into())));
        assert!(who("Bearer secre").await.is_err());
        assert_eq!(who("Basic secret").await, Ok(None));
        tokens.remove("secret");
        assert!(who("Bearer secret").await.is_err());
    }
}
