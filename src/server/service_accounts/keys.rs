//! Keys that sign tokens, and keys that verify them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};

use super::der::{self, Sort};

/// Bytes that are no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service account key cannot be used: {why}")]
pub struct KeyError {
    why: String,
}

impl KeyError {
    fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string() }
    }
}

/// A key that signs.
pub(super) struct SigningKey {
    pair: Pair,
    random: SystemRandom,
    verifying: VerifyingKey,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Curve(Box<EcdsaKeyPair>),
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    kid: String,
    sort: Sort,
    /// An RSAPublicKey, or a point.
    key: Vec<u8>,
}

impl SigningKey {
    /// A key that nobody has had before.
    ///
    /// # Panics
    ///
    /// When the operating system has no random numbers to offer.
    pub(super) fn generate() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let made = made.expect("the operating system offers random numbers");
        Self::from_pkcs8(made.as_ref()).expect("a key that was just made")
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(KeyError::new)? {
            PrivateKeyDer::Pkcs1(key) => {
                Self::rsa(RsaKeyPair::from_der(key.secret_pkcs1_der()).map_err(KeyError::new)?)
            }
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => {
                let key = der::from_sec1(key.secret_sec1_der());
                Self::from_pkcs8(&key.ok_or_else(|| KeyError::new("its curve is not P-256 or P-384"))?)
            }
            _ => Err(KeyError::new("its form is not known")),
        }
    }

    fn from_pkcs8(key: &[u8]) -> Result<Self, KeyError> {
        let sort =
            der::private_sort(key).ok_or_else(|| KeyError::new("it is neither RSA nor P-256 nor P-384"))?;
        let random = SystemRandom::new();
        let algorithm = match sort {
            Sort::Rsa => return Self::rsa(RsaKeyPair::from_pkcs8(key).map_err(KeyError::new)?),
            Sort::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Sort::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key, &random).map_err(KeyError::new)?;
        let verifying = VerifyingKey::new(sort, pair.public_key().as_ref().to_vec());
        Ok(Self { pair: Pair::Curve(Box::new(pair)), random, verifying })
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::new(Sort::Rsa, pair.public_key().as_ref().to_vec());
        Ok(Self { pair: Pair::Rsa(Box::new(pair)), random: SystemRandom::new(), verifying })
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The signature of a message, in the form that a JWS has it.
    ///
    /// # Panics
    ///
    /// When the operating system has no random numbers to offer.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let needs_chance = "the operating system offers random numbers";
        match &self.pair {
            Pair::Curve(pair) => pair.sign(&self.random, message).expect(needs_chance).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).expect(needs_chance);
                signature
            }
        }
    }
}

impl VerifyingKey {
    fn new(sort: Sort, key: Vec<u8>) -> Self {
        let hash = digest(&SHA256, &der::public_key_info(sort, &key));
        Self { kid: URL_SAFE_NO_PAD.encode(hash), sort, key }
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        match SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
            Ok(info) => {
                let (sort, key) = der::public_key(&info)
                    .ok_or_else(|| KeyError::new("it is neither RSA nor P-256 nor P-384"))?;
                Ok(Self::new(sort, key))
            }
            // A private key holds its public one.
            Err(_) => SigningKey::from_pem(pem).map(|key| key.verifying),
        }
    }

    /// The key's name, which follows from the key.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self.sort {
            Sort::Rsa => "RS256",
            Sort::P256 => "ES256",
            Sort::P384 => "ES384",
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.sort {
            Sort::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Sort::P256 => &ECDSA_P256_SHA256_FIXED,
            Sort::P384 => &ECDSA_P384_SHA384_FIXED,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }

    /// The key as others get to know it (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = json!({"use": "sig", "kid": self.kid, "alg": self.algorithm()});
        match self.sort {
            Sort::Rsa => {
                let (n, e) = der::rsa_numbers(&self.key).unwrap_or_default();
                jwk["kty"] = "RSA".into();
                jwk["n"] = URL_SAFE_NO_PAD.encode(n).into();
                jwk["e"] = URL_SAFE_NO_PAD.encode(e).into();
            }
            Sort::P256 | Sort::P384 => {
                let (x, y) = self.key[1..].split_at(self.key.len() / 2);
                jwk["kty"] = "EC".into();
                jwk["crv"] = if self.sort == Sort::P256 { "P-256" } else { "P-384" }.into();
                jwk["x"] = URL_SAFE_NO_PAD.encode(x).into();
                jwk["y"] = URL_SAFE_NO_PAD.encode(y).into();
            }
        }
        jwk
    }
}

/// Without the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verifying.fmt(f)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_its_public_half_verifies_and_no_other() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let signature = key.sign(b"message");
        assert!(key.verifying().verifies(b"message", &signature));
        assert!(!key.verifying().verifies(b"massage", &signature));
        assert!(!other.verifying().verifies(b"message", &signature));
        assert_ne!(key.verifying().kid(), other.verifying().kid());
        let jwk = key.verifying().jwk();
        assert_eq!((&jwk["kty"], &jwk["crv"], &jwk["alg"]), (&json!("EC"), &json!("P-256"), &json!("ES256")));
        let size = |field: &str| URL_SAFE_NO_PAD.decode(jwk[field].as_str().unwrap()).unwrap().len();
        assert_eq!((size("x"), size("y"), size("kid")), (32, 32, 32));
    }
}
