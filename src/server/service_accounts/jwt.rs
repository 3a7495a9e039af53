//! JSON Web Tokens in their compact form (RFC 7519), as far as service accounts have them.
//!
//! A kube-apiserver also signs with keys of the curve P-521 (ES512), and believes tokens that are signed so;
//! `ring` knows no such curve, so that these keys are refused here when they are given, and such tokens are
//! those of an unknown key.
//!
//! Source: `signerFromECDSAPrivateKey` of `k8s.io/kubernetes/pkg/serviceaccount` (1.36).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::ServiceAccountIssuer;
use super::claims::Claims;
use crate::server::authentication::Unauthorized;

/// The longest token that is looked at.
const LONGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    kid: String,
    /// What a reader must understand; nothing is.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Issued {
    #[serde(default)]
    iss: String,
}

impl ServiceAccountIssuer {
    /// The token that says this.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let key = self.signing();
        let header = json!({"alg": key.verifying().algorithm(), "kid": key.verifying().kid()}).to_string();
        let claims = serde_json::to_value(claims).expect("claims are maps of texts and numbers").to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// What a token of this issuer says, whose signature is good; nothing where it is another's.
    pub(super) fn verify(&self, token: &str) -> Result<Option<Claims>, Unauthorized> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (Some(said), true) = (decode(claims), token.len() <= LONGEST) else { return Ok(None) };
        // Not believed before the signature is: only whether it is worth a look.
        let issued: Option<Issued> = serde_json::from_slice(&said).ok();
        if issued.is_none_or(|issued| issued.iss != self.issuer) {
            return Ok(None);
        }
        let header = decode(header).and_then(|header| serde_json::from_slice::<Header>(&header).ok());
        let (Some(header), Some(signature)) = (header, decode(signature)) else { return Ok(None) };
        if header.crit.is_some() {
            return Err(Unauthorized::new("unsupported critical header"));
        }
        let message = &token[..token.len() - token.rsplit('.').next().map_or(0, str::len) - 1];
        let mut known = false;
        for key in self.keys(&header.kid) {
            known = true;
            // A key is good for its own algorithm and no other.
            if header.alg == key.algorithm() && key.verifies(message.as_bytes(), &signature) {
                let claims = serde_json::from_slice(&said);
                return claims.map(Some).map_err(|error| Unauthorized::new(error.to_string()));
            }
        }
        let why = if known { "invalid signature" } else { "invalid signature, no keys found" };
        Err(Unauthorized::new(why))
    }
}
