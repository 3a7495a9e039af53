//! Secrets: whether a key pair is one.
//!
//! Source: `X509KeyPair` of Go's `crypto/tls`, in whose words it is said.

use serde_json::Value;

use super::text;
use crate::api::validation::pem_blocks;

#[cfg(feature = "tls")]
mod key_pair;
/// Without the feature `tls` nobody can read either half.
#[cfg(not(feature = "tls"))]
mod key_pair {
    pub(super) fn judge(_certificate: &[u8], _key: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Why a secret's key pair is none.
///
/// Source: `warningsForSecret` of `k8s.io/kubernetes/pkg/registry/core/secret` (1.36).
pub(super) fn secret(secret: &Value) -> Vec<String> {
    if secret["type"] != "kubernetes.io/tls" {
        return Vec::new();
    }
    let blocks = |key: &str| pem_blocks(text(&secret["data"][key]));
    let (certificate, key) = (blocks("tls.crt"), blocks("tls.key"));
    let pair = certificate_of(&certificate).and_then(|certificate| Ok((certificate, key_of(&key)?)));
    pair.and_then(|(certificate, key)| key_pair::judge(certificate, key)).err().into_iter().collect()
}

/// Blocks of PEM: what each is called, and its bytes.
type Blocks = [(String, Vec<u8>)];

fn skipped(blocks: &Blocks) -> String {
    blocks.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(" ")
}

/// The first certificate.
fn certificate_of(blocks: &Blocks) -> Result<&[u8], String> {
    let found = blocks.iter().find(|(label, _)| label == "CERTIFICATE");
    found.map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| match blocks {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [(only, _)] if only.ends_with("PRIVATE KEY") => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs \
             may have been switched"
                .to_owned()
        }
        all => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
             following types: [{}]",
            skipped(all)
        ),
    })
}

/// The first private key.
fn key_of(blocks: &Blocks) -> Result<&[u8], String> {
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let found = blocks.iter().find(|(label, _)| is_key(label));
    found.map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| match blocks {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [(only, _)] if only == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        all => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks \
             of the following types: [{}]",
            skipped(all)
        ),
    })
}
