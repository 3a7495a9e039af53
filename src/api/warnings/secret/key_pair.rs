//! A certificate and a private key: whether each is one, and whether they belong together.
//!
//! What the two are is told by their form. That a key is another than the certificate's is only said where the
//! key could be read as far as its public half: a key on P-224 or P-521, a short one of RSA, or one that leaves
//! its public half out, may belong to any certificate of its kind. So there is no false warning, and a few true
//! ones are missing, as those of what Go finds wrong deep within a certificate.

use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::{
    PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The algorithms of which keys are paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rsa,
    Ecdsa,
    Ed25519,
}

impl Algorithm {
    /// The algorithm of an object identifier.
    fn of(identifier: &str) -> Option<Self> {
        Some(match identifier {
            "1.2.840.113549.1.1.1" => Self::Rsa,
            "1.2.840.10045.2.1" => Self::Ecdsa,
            "1.3.101.112" => Self::Ed25519,
            _ => return None,
        })
    }
}

/// Says why these are no pair, where that is known.
pub(super) fn judge(certificate: &[u8], key: &[u8]) -> Result<(), String> {
    let certificate = public_half(certificate)?;
    let (algorithm, key) = private_half(key)?;
    let Some(info) = certificate else { return Ok(()) };
    let Some(expected) = Algorithm::of(&info.algorithm.algorithm.to_id_string()) else {
        return Err("tls: unknown public key algorithm".into());
    };
    if algorithm != expected {
        return Err("tls: private key type does not match public key type".into());
    }
    let public = any_supported_type(&key).ok().and_then(|key| Some(key.public_key()?.to_vec()));
    let known = public.as_deref().and_then(|info| SubjectPublicKeyInfo::from_der(info).ok());
    match known {
        Some((_, known)) if known.subject_public_key.data != info.subject_public_key.data => {
            Err("tls: private key does not match public key".into())
        }
        _ => Ok(()),
    }
}

/// What a certificate says of its key; nothing where only Go might read it.
fn public_half(der: &[u8]) -> Result<Option<SubjectPublicKeyInfo<'_>>, String> {
    let Some((SEQUENCE, inside, rest)) = element(der) else {
        return Err("x509: malformed certificate".into());
    };
    if !rest.is_empty() {
        return Err("x509: trailing data".into());
    }
    if !matches!(element(inside), Some((SEQUENCE, ..))) {
        return Err("x509: malformed tbs certificate".into());
    }
    let parsed = X509Certificate::from_der(der).ok();
    Ok(parsed.map(|(_, certificate)| certificate.tbs_certificate.subject_pki))
}

/// The algorithm of a private key, and the key in the form that it has: PKCS#1, PKCS#8 or SEC 1.
fn private_half(der: &[u8]) -> Result<(Algorithm, PrivateKeyDer<'_>), String> {
    const NONE: &str = "tls: failed to parse private key";
    let Some((SEQUENCE, inside, [])) = element(der) else { return Err(NONE.into()) };
    let Some((INTEGER, _, inside)) = element(inside) else { return Err(NONE.into()) };
    match element(inside) {
        Some((INTEGER, ..)) => Ok((Algorithm::Rsa, PrivatePkcs1KeyDer::from(der).into())),
        Some((OCTETS, ..)) => Ok((Algorithm::Ecdsa, PrivateSec1KeyDer::from(der).into())),
        Some((SEQUENCE, named, _)) => {
            const X25519: [u8; 3] = [0x2b, 0x65, 0x6e];
            let algorithm = match element(named) {
                Some((IDENTIFIER, [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], _)) => {
                    Algorithm::Rsa
                }
                Some((IDENTIFIER, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], _)) => Algorithm::Ecdsa,
                Some((IDENTIFIER, [0x2b, 0x65, 0x70], _)) => Algorithm::Ed25519,
                Some((IDENTIFIER, id, _)) if id == X25519 => {
                    return Err("tls: found unknown private key type in PKCS#8 wrapping".into());
                }
                _ => return Err(NONE.into()),
            };
            Ok((algorithm, PrivatePkcs8KeyDer::from(der).into()))
        }
        _ => Err(NONE.into()),
    }
}

/// The tag and the content of the first element of DER, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = der else { return None };
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            // Longer ones are longer than any secret.
            let (digits, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn certificate(key: &KeyPair) -> Vec<u8> {
        let made =
            CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap().self_signed(key).unwrap();
        made.der().to_vec()
    }

    /// The content of a PKCS#8 key, which is a key of another form.
    fn unwrapped(pkcs8: &[u8]) -> Vec<u8> {
        let (_, inside, _) = element(pkcs8).unwrap();
        let (_, _, inside) = element(inside).unwrap();
        let (_, _, inside) = element(inside).unwrap();
        element(inside).unwrap().1.to_vec()
    }

    #[test]
    fn halves_belong_together_or_not() {
        let keys = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519]
            .map(|algorithm| KeyPair::generate_for(algorithm).unwrap());
        for (index, own) in keys.iter().enumerate() {
            for (other, key) in keys.iter().enumerate() {
                let said = judge(&certificate(own), key.serialized_der());
                let expected = match (index, other) {
                    _ if index == other => Ok(()),
                    (0 | 1, 0 | 1) => Err("tls: private key does not match public key".to_owned()),
                    _ => Err("tls: private key type does not match public key type".to_owned()),
                };
                assert_eq!(said, expected, "certificate {index}, key {other}");
            }
        }
        let stranger = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let wrong = Err("tls: private key does not match public key".to_owned());
        assert_eq!(judge(&certificate(&keys[0]), stranger.serialized_der()), wrong);
        // The same key in the form of SEC 1.
        assert_eq!(judge(&certificate(&keys[0]), &unwrapped(keys[0].serialized_der())), Ok(()));
        assert_eq!(judge(&certificate(&keys[0]), &unwrapped(stranger.serialized_der())), wrong);
    }

    #[test]
    fn what_is_no_key_or_no_certificate_is_told() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let (sound, own) = (certificate(&key), key.serialized_der());
        let said = |certificate: &[u8], key: &[u8]| judge(certificate, key).unwrap_err();
        assert_eq!(said(&[0], own), "x509: malformed certificate");
        assert_eq!(said(&[0x30, 0x03, 0x02, 0x01, 0x00], own), "x509: malformed tbs certificate");
        assert_eq!(said(&[&sound[..], &[0]].concat(), own), "x509: trailing data");
        assert_eq!(said(&sound, &[0]), "tls: failed to parse private key");
        assert_eq!(said(&sound, &sound), "tls: failed to parse private key");
        let mut exchange = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialized_der().to_vec();
        let at = exchange.windows(3).position(|part| part == [0x2b, 0x65, 0x70]).unwrap();
        exchange[at + 2] = 0x6e;
        assert_eq!(said(&sound, &exchange), "tls: found unknown private key type in PKCS#8 wrapping");
    }

    #[test]
    fn a_key_that_cannot_be_read_as_far_as_its_public_half_gets_no_warning() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        // SEC 1 without its optional parts.
        let inner = unwrapped(key.serialized_der());
        let (_, inside, _) = element(&inner).unwrap();
        let (_, _, after) = element(inside).unwrap();
        let (_, _, optional) = element(after).unwrap();
        let short = &inside[..inside.len() - optional.len()];
        let bare = [&[SEQUENCE, u8::try_from(short.len()).unwrap()], short].concat();
        assert_eq!(judge(&certificate(&key), &bare), Ok(()));
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(judge(&certificate(&other), &bare), Ok(()));
        // A certificate that only its frame makes one.
        let hollow = [SEQUENCE, 0x02, SEQUENCE, 0x00];
        assert_eq!(judge(&hollow, key.serialized_der()), Ok(()));
    }
}
