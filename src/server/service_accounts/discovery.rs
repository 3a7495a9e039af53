//! How others verify tokens: OpenID Connect's discovery documents.
//!
//! Source: `pkg/serviceaccount/openidmetadata.go` and `pkg/routes/openidmetadata.go` (1.36).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ServiceAccountIssuer;

/// Where the documents are.
const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";

/// A document for whoever wants to verify tokens.
pub(crate) struct VerificationDocument {
    pub(crate) media_type: &'static str,
    pub(crate) body: Value,
}

impl ServiceAccountIssuer {
    /// The document at a path; none where there is none. Nobody could use them without an https issuer, so
    /// such an issuer has none, as in Kubernetes. `host` is where this server is reached.
    pub(crate) fn document(&self, path: &str, host: &str) -> Option<VerificationDocument> {
        if !self.issuer.starts_with("https://") || self.issuer.contains(['?', '#']) {
            return None;
        }
        match path.trim_end_matches('/') {
            CONFIGURATION => {
                let algorithms: BTreeSet<_> = self.keys("").map(super::VerifyingKey::algorithm).collect();
                let body = json!({
                    "issuer": self.issuer,
                    "jwks_uri": self.jwks_uri.clone().unwrap_or_else(|| format!("https://{host}{KEYS}")),
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": algorithms,
                });
                Some(VerificationDocument { media_type: "application/json", body })
            }
            KEYS => {
                let keys: Vec<Value> = self.keys("").map(super::VerifyingKey::jwk).collect();
                let (media_type, body) = ("application/jwk-set+json", json!({"keys": keys}));
                Some(VerificationDocument { media_type, body })
            }
            _ => None,
        }
    }
}
