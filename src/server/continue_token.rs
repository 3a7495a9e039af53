//! Continue tokens: where a list goes on, and at which revision.
//!
//! The form is Kubernetes' own (`k8s.io/apiserver/pkg/storage/continue.go`, 1.36): base64 of
//! `{"v":"meta.k8s.io/v1","rv":7,"start":"namespace/name\u0000"}`; `rv` -1 is the newest revision.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::api::{ObjectKey, Revision};

const VERSION: &str = "meta.k8s.io/v1";

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// What can be wrong with a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("continue key is not valid: {0}")]
    Malformed(String),
    #[error("continue key is not valid: server does not recognize this encoded version {0}")]
    Version(String),
    #[error("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")]
    Revision,
    #[error("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")]
    NoStart,
}

/// A token that goes on behind `last`, at `revision`.
pub(crate) fn encode(revision: Revision, last: &ObjectKey) -> String {
    token(i64::try_from(revision.0).unwrap_or(i64::MAX), last)
}

/// A token that goes on behind `last`, at whatever revision is newest then.
pub(crate) fn encode_newest(last: &ObjectKey) -> String {
    token(-1, last)
}

fn token(rv: i64, last: &ObjectKey) -> String {
    let token = Token { v: VERSION.into(), rv, start: format!("{last}\0") };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("texts and a number are JSON"))
}

/// The revision (none for the newest) and the object behind which a token goes on.
pub(crate) fn decode(token: &str) -> Result<(Option<Revision>, ObjectKey), TokenError> {
    let malformed = |error: &dyn std::fmt::Display| TokenError::Malformed(error.to_string());
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| malformed(&error))?;
    let Token { v, rv, start } = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
    if v != VERSION {
        return Err(TokenError::Version(v));
    }
    if rv == 0 {
        return Err(TokenError::Revision);
    }
    let start = start.strip_suffix('\0').unwrap_or(&start);
    if start.is_empty() {
        return Err(TokenError::NoStart);
    }
    if start.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(TokenError::Malformed(start.into()));
    }
    let key = match start.split_once('/') {
        Some((namespace, name)) => ObjectKey::new(namespace, name),
        None => ObjectKey::new("", start),
    };
    Ok((u64::try_from(rv).ok().map(Revision), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_where_it_was_made() {
        for key in [ObjectKey::new("default", "a"), ObjectKey::new("", "node-1")] {
            assert_eq!(decode(&encode(Revision(7), &key)), Ok((Some(Revision(7)), key.clone())));
            assert_eq!(decode(&encode_newest(&key)), Ok((None, key)));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let with = |v: &str, rv, start: &str| {
            let token = Token { v: v.into(), rv, start: start.into() };
            decode(&URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap()))
        };
        assert!(matches!(decode("?"), Err(TokenError::Malformed(_))));
        assert!(matches!(decode("e30"), Err(TokenError::Malformed(_))));
        assert_eq!(with("v2", 1, "a"), Err(TokenError::Version("v2".into())));
        assert_eq!(with(VERSION, 0, "a"), Err(TokenError::Revision));
        assert_eq!(with(VERSION, 1, ""), Err(TokenError::NoStart));
        assert!(matches!(with(VERSION, 1, "../a"), Err(TokenError::Malformed(_))));
    }
}
