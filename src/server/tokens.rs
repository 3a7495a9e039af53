//! Tokens that this server has given out: opaque, and good until their time is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use super::ApiServer;
use crate::api::Object;
use crate::client::Identity;

/// Tokens, with whom they speak for and until when.
#[derive(Default)]
pub(super) struct Tokens(Mutex<BTreeMap<String, (Identity, Timestamp)>>);

impl ApiServer {
    /// Whom a token that this server has given out speaks for; nobody, once its time is over.
    #[must_use]
    pub fn authenticate_token(&self, token: &str) -> Option<Identity> {
        let tokens = self.0.tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, expires) = tokens.get(token)?;
        (*expires > self.env().clock.now()).then(|| identity.clone())
    }

    /// Makes a token for a service account, and says until when it is good.
    pub(super) fn issue_token(&self, account: &Object, seconds: i64) -> (String, Timestamp) {
        let mut bytes = [0; 32];
        self.0.streams.tokens.fill(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let clock = &self.env().clock;
        let expires = clock.now_seconds() + SignedDuration::from_secs(seconds.min(86_400 * 365));
        let (namespace, name) = (&account.key().namespace, account.name());
        let mut identity = Identity::user(format!("system:serviceaccount:{namespace}:{name}"))
            .group("system:serviceaccounts")
            .group(format!("system:serviceaccounts:{namespace}"));
        identity.uid = account.uid().into();
        let mut tokens = self.0.tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        tokens.retain(|_, (_, expires)| *expires > now);
        tokens.insert(token.clone(), (identity, expires));
        (token, expires)
    }
}
