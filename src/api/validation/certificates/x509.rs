//! What certificates and requests for them say, as far as anybody asks here.
//!
//! A server reads them. Without the feature `server` nobody stores objects, and bytes pass unread.
#![cfg_attr(not(feature = "server"), allow(dead_code, reason = "what is not read has no kind"))]

/// What is asked of a certificate.
pub(super) struct Certificate {
    /// Whether it may sign others.
    pub(super) is_authority: bool,
}

/// Reads a request for a certificate and checks that who signed it has the key. A signature of a kind that
/// nobody here can check, such as one on P-521, is left to the signer.
#[cfg(feature = "server")]
pub(super) fn request(der: &[u8]) -> Result<(), String> {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::error::X509Error;
    use x509_parser::prelude::FromDer as _;

    let (rest, request) = X509CertificationRequest::from_der(der).map_err(malformed)?;
    if !rest.is_empty() {
        return Err("asn1: syntax error: trailing data".into());
    }
    match request.verify_signature() {
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => Ok(()),
        Err(_) => Err("x509: signature does not match the public key".into()),
    }
}

/// Reads a certificate.
#[cfg(feature = "server")]
pub(super) fn certificate(der: &[u8]) -> Result<Certificate, String> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    let (rest, certificate) = X509Certificate::from_der(der).map_err(malformed)?;
    if !rest.is_empty() {
        return Err("x509: trailing data".into());
    }
    let constraints = certificate.basic_constraints().map_err(|error| format!("x509: {error}"))?;
    Ok(Certificate { is_authority: constraints.is_some_and(|constraints| constraints.value.ca) })
}

#[cfg(feature = "server")]
fn malformed(error: impl std::fmt::Display) -> String {
    format!("asn1: structure error: {error}")
}

#[cfg(not(feature = "server"))]
pub(super) fn request(_der: &[u8]) -> Result<(), String> {
    Ok(())
}

#[cfg(not(feature = "server"))]
pub(super) fn certificate(_der: &[u8]) -> Result<Certificate, String> {
    Ok(Certificate { is_authority: true })
}

/// A public key, as far as anybody asks here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    kind: KeyKind,
    /// The key, as its algorithm writes it.
    bytes: Vec<u8>,
}

/// What a public key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Ed25519.
    Ed25519,
    /// P-256, P-384 or P-521.
    Curve(Curve),
    /// RSA, with so many bits.
    Rsa(usize),
    /// Another.
    Unknown,
}

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// Another.
    Other,
}

impl PublicKey {
    /// What a pod's key may be none of, in Kubernetes' words: what is shown, and why.
    pub(super) fn refusal(&self) -> Option<(String, &'static str)> {
        match self.kind {
            KeyKind::Ed25519 | KeyKind::Rsa(3072 | 4096) => None,
            KeyKind::Curve(Curve::Other) => {
                Some(("curve".into(), "elliptic public keys must use curve P256, P384, or P521"))
            }
            KeyKind::Curve(_) => None,
            KeyKind::Rsa(bits) => {
                Some((format!("{bits}-bit modulus"), "RSA keys must have modulus size 3072 or 4096"))
            }
            KeyKind::Unknown => {
                Some((String::new(), "unknown public key type; supported types are Ed25519, ECDSA, and RSA"))
            }
        }
    }
}

/// Reads a public key of a `SubjectPublicKeyInfo`.
#[cfg(feature = "server")]
pub(super) fn public_key(der: &[u8]) -> Option<PublicKey> {
    use x509_parser::prelude::FromDer as _;
    use x509_parser::x509::SubjectPublicKeyInfo;

    let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
    rest.is_empty().then(|| key_of(&info))
}

/// The key that a request for a certificate is about.
#[cfg(feature = "server")]
pub(super) fn key_of_request(der: &[u8]) -> Option<PublicKey> {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    let (_, request) = X509CertificationRequest::from_der(der).ok()?;
    Some(key_of(&request.certification_request_info.subject_pki))
}

/// The key that a certificate is for, and from when until when it is good, in seconds since 1970.
#[cfg(feature = "server")]
pub(super) fn leaf(der: &[u8]) -> Option<(PublicKey, std::ops::Range<i64>)> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some((key_of(certificate.public_key()), validity.not_before.timestamp()..validity.not_after.timestamp()))
}

#[cfg(feature = "server")]
fn key_of(info: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> PublicKey {
    use x509_parser::public_key::PublicKey as Parsed;

    let algorithm = info.algorithm.algorithm.to_id_string();
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let kind = match (algorithm.as_str(), info.parsed()) {
        ("1.3.101.112", _) => KeyKind::Ed25519,
        (_, Ok(Parsed::RSA(key))) => KeyKind::Rsa(key.key_size()),
        ("1.2.840.10045.2.1", _) => {
            KeyKind::Curve(match curve.map(|oid| oid.to_id_string()).unwrap_or_default().as_str() {
                "1.2.840.10045.3.1.7" => Curve::P256,
                "1.3.132.0.34" => Curve::P384,
                "1.3.132.0.35" => Curve::P521,
                _ => Curve::Other,
            })
        }
        _ => KeyKind::Unknown,
    };
    PublicKey { kind, bytes: info.subject_public_key.data.to_vec() }
}

/// Whether who has this key signed a message. A signature on P-521, which nobody here can check, passes.
#[cfg(feature = "server")]
pub(super) fn has_signed(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    let algorithm: &'static dyn VerificationAlgorithm = match key.kind {
        KeyKind::Ed25519 => &ED25519,
        KeyKind::Curve(Curve::P256) => &ECDSA_P256_SHA256_ASN1,
        KeyKind::Curve(Curve::P384) => &ECDSA_P384_SHA256_ASN1,
        KeyKind::Rsa(_) => &RSA_PSS_2048_8192_SHA256,
        KeyKind::Curve(_) | KeyKind::Unknown => return true,
    };
    UnparsedPublicKey::new(algorithm, &key.bytes).verify(message, signature).is_ok()
}

#[cfg(not(feature = "server"))]
pub(super) fn public_key(_der: &[u8]) -> Option<PublicKey> {
    Some(PublicKey { kind: KeyKind::Ed25519, bytes: Vec::new() })
}

#[cfg(not(feature = "server"))]
pub(super) fn key_of_request(der: &[u8]) -> Option<PublicKey> {
    public_key(der)
}

#[cfg(not(feature = "server"))]
pub(super) fn leaf(der: &[u8]) -> Option<(PublicKey, std::ops::Range<i64>)> {
    Some((public_key(der)?, 0..0))
}

#[cfg(not(feature = "server"))]
pub(super) fn has_signed(_key: &PublicKey, _message: &[u8], _signature: &[u8]) -> bool {
    true
}
