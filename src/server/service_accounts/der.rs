//! As much of DER as keys need: who encloses whom.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT: u8 = 0x06;

/// `id-ecPublicKey`, `prime256v1`, `secp384r1` and `rsaEncryption`, as they are encoded.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// What sort of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Rsa,
    P256,
    P384,
}

impl Sort {
    /// How a key of this sort is named among others.
    fn algorithm(self) -> Vec<u8> {
        let parts = match self {
            Self::Rsa => [tlv(OBJECT, RSA), tlv(NULL, &[])],
            Self::P256 => [tlv(OBJECT, EC), tlv(OBJECT, P256)],
            Self::P384 => [tlv(OBJECT, EC), tlv(OBJECT, P384)],
        };
        tlv(SEQUENCE, &parts.concat())
    }
}

/// A public key as everybody exchanges them (SubjectPublicKeyInfo, RFC 5280).
pub(super) fn public_key_info(sort: Sort, key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    tlv(SEQUENCE, &[sort.algorithm(), tlv(BIT_STRING, &bits)].concat())
}

/// The sort and the key itself in such a one; none where it is of no sort that is known.
pub(super) fn public_key(info: &[u8]) -> Option<(Sort, Vec<u8>)> {
    let (inside, []) = take(info, SEQUENCE)? else { return None };
    let (algorithm, rest) = take(inside, SEQUENCE)?;
    let sort = sort(algorithm)?;
    let (bits, []) = take(rest, BIT_STRING)? else { return None };
    let (0, key) = (*bits.first()?, &bits[1..]) else { return None };
    Some((sort, key.to_vec()))
}

/// A private key on a curve, as OpenSSL writes it (SEC1), in the form that names its sort (PKCS#8).
pub(super) fn from_sec1(key: &[u8]) -> Option<Vec<u8>> {
    let (inside, []) = take(key, SEQUENCE)? else { return None };
    let (_, rest) = take(inside, INTEGER)?;
    let (secret, _) = take(rest, OCTET_STRING)?;
    let sort = match secret.len() {
        32 => Sort::P256,
        48 => Sort::P384,
        _ => return None,
    };
    Some(tlv(SEQUENCE, &[tlv(INTEGER, &[0]), sort.algorithm(), tlv(OCTET_STRING, key)].concat()))
}

/// The sort of a private key that names it (PKCS#8).
pub(super) fn private_sort(key: &[u8]) -> Option<Sort> {
    let (inside, _) = take(key, SEQUENCE)?;
    let (_, rest) = take(inside, INTEGER)?;
    sort(take(rest, SEQUENCE)?.0)
}

/// Modulus and exponent of an RSAPublicKey, without leading zeros.
pub(super) fn rsa_numbers(key: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (inside, []) = take(key, SEQUENCE)? else { return None };
    let (modulus, rest) = take(inside, INTEGER)?;
    let (exponent, []) = take(rest, INTEGER)? else { return None };
    let short = |number: &[u8]| number.iter().copied().skip_while(|digit| *digit == 0).collect();
    Some((short(modulus), short(exponent)))
}

fn sort(algorithm: &[u8]) -> Option<Sort> {
    let (object, rest) = take(algorithm, OBJECT)?;
    if object == RSA {
        return Some(Sort::Rsa);
    }
    let curve = take(rest, OBJECT).filter(|_| object == EC)?.0;
    [(P256, Sort::P256), (P384, Sort::P384)].into_iter().find(|(own, _)| *own == curve).map(|(_, sort)| sort)
}

/// What the first element holds, if it is of this tag, and what comes behind it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // 0x80 would be a length that is found out later, which DER does not have.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match length {
        0..=0x7f => out.push(length as u8),
        _ => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
            out.push(0x80 | digits.len() as u8);
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_found_again_and_nothing_else() {
        for (sort, size) in [(Sort::P256, 65), (Sort::P384, 97), (Sort::Rsa, 270), (Sort::Rsa, 70_000)] {
            let key = vec![7; size];
            let info = public_key_info(sort, &key);
            assert_eq!(public_key(&info), Some((sort, key)));
            for cut in 0..info.len().min(40) {
                assert_eq!(public_key(&info[..cut]), None);
            }
            assert_eq!(public_key(&[info, vec![0]].concat()), None, "something comes behind");
        }
        assert_eq!(public_key(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        let inner = tlv(SEQUENCE, &[tlv(INTEGER, &[1]), tlv(OCTET_STRING, &[9; 32])].concat());
        assert_eq!(private_sort(&from_sec1(&inner).unwrap()), Some(Sort::P256));
        let rsa = tlv(SEQUENCE, &[tlv(INTEGER, &[0, 0x80, 1]), tlv(INTEGER, &[1, 0, 1])].concat());
        assert_eq!(rsa_numbers(&rsa), Some((vec![0x80, 1], vec![1, 0, 1])));
        assert_eq!(from_sec1(&tlv(SEQUENCE, &tlv(INTEGER, &[1]))), None);
    }
}
