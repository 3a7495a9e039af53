//! IP addresses and blocks as old fields hold them: written in ways that are understood but no longer
//! accepted.
//!
//! Kubernetes once read any address that Go's early parsers did: leading zeros, IPv4 inside IPv6,
//! blocks that name an address inside. What is stored stays valid; what is written anew must not be
//! ambiguous. As `k8s.io/apimachinery/pkg/util/validation` (1.36) has it.

use std::net::{IpAddr, Ipv4Addr};

use super::cidr::Cidr;

const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const BLOCK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// The address that a text means, leading zeros allowed; an IPv4 address inside an IPv6 one is the
/// IPv4 address.
pub(crate) fn lenient(text: &str) -> Option<IpAddr> {
    match text.parse() {
        Ok(IpAddr::V6(address)) => Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)),
        Ok(address) => Some(address),
        Err(_) => with_leading_zeros(text).map(IpAddr::V4),
    }
}

fn with_leading_zeros(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let digits = parts.next().filter(|part| !part.is_empty())?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        *octet = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    }
    parts.next().is_none().then(|| octets.into())
}

/// What is wrong with an address that is written anew.
pub(crate) fn address_problems(text: &str) -> Vec<String> {
    if lenient(text).is_none() {
        return vec![ADDRESS.into()];
    }
    match text.parse::<IpAddr>() {
        Err(_) => vec!["must not have leading 0s".into()],
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".into()]
        }
        Ok(_) => Vec::new(),
    }
}

/// An address and the length of a prefix, as a block's text names them.
pub(crate) fn lenient_block(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mapped = address.contains(':');
    let address = lenient(address)?;
    let prefix = prefix.parse::<u8>().ok()?;
    match address {
        // Of an IPv4 address inside an IPv6 one, the prefix counts the bits around it, too.
        IpAddr::V4(_) if mapped => Some((address, prefix.checked_sub(96).filter(|prefix| *prefix <= 32)?)),
        IpAddr::V4(_) => (prefix <= 32).then_some((address, prefix)),
        IpAddr::V6(_) => (prefix <= 128).then_some((address, prefix)),
    }
}

/// What is wrong with a block that is written anew.
pub(crate) fn block_problems(text: &str) -> Vec<String> {
    let Some((address, prefix)) = lenient_block(text) else { return vec![BLOCK.into()] };
    let (written, length) = text.split_once('/').unwrap_or_default();
    let plain = written.parse::<IpAddr>();
    let padded = length.len() > 1 && length.starts_with('0');
    let problem = match plain {
        Err(_) => "must not have leading 0s in IP or prefix length",
        Ok(_) if padded => "must not have leading 0s in IP or prefix length",
        Ok(IpAddr::V6(own)) if own.to_ipv4_mapped().is_some() => "must not have an IPv4-mapped IPv6 address",
        Ok(_) if Cidr::new(address, prefix).is_err() => "must not have bits set beyond the prefix length",
        Ok(_) => return Vec::new(),
    };
    vec![problem.into()]
}

/// Whether a block's addresses are of IPv6; nothing where it is none.
pub(crate) fn block_is_ipv6(text: &str) -> Option<bool> {
    lenient_block(text).map(|(address, _)| address.is_ipv6())
}

/// What is said of an address that is accepted but should be written otherwise.
pub(crate) fn address_warning(text: &str) -> Option<String> {
    let meant = lenient(text)?;
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(own)) if own.to_ipv4_mapped().is_none() => {
            let canonical = own.to_string();
            (canonical != text).then(|| {
                format!("IPv6 address {text:?} should be in RFC 5952 canonical format ({canonical:?})")
            })
        }
        Ok(IpAddr::V4(_)) => None,
        _ => Some(format!("non-standard IP address {text:?} is invalid: use \"{meant}\"")),
    }
}

/// What is said of a block that is accepted but should be written otherwise.
pub(crate) fn block_warnings(text: &str) -> Vec<String> {
    let Some((address, prefix)) = lenient_block(text) else { return Vec::new() };
    let Ok(block) = Cidr::around(address, prefix) else { return Vec::new() };
    let mut warnings = Vec::new();
    if block.base() != address {
        let width = if address.is_ipv4() { 32 } else { 128 };
        warnings.push(format!(
            "CIDR value {text:?} is ambiguous in this context (should be \"{block}\" or \"{address}/{width}\"?)"
        ));
    }
    let (written, length) = text.split_once('/').unwrap_or_default();
    let padded = length.len() > 1 && length.starts_with('0');
    match written.parse::<IpAddr>() {
        Ok(IpAddr::V6(own)) if own.to_ipv4_mapped().is_none() && !padded => {
            let canonical = format!("{own}/{prefix}");
            if warnings.is_empty() && canonical != text {
                warnings.push(format!(
                    "IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({canonical:?})"
                ));
            }
        }
        Ok(IpAddr::V4(_)) if !padded => {}
        _ => warnings.push(format!("non-standard CIDR value {text:?} is invalid: use \"{block}\"")),
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, problem) in [
            ("10.0.0.1", ""),
            ("2001:db8::1", ""),
            ("2001:DB8:0::1", ""),
            ("010.0.0.1", "must not have leading 0s"),
            ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
            ("10.0.0", ADDRESS),
            ("10.0.0.256", ADDRESS),
            ("10.0.0.1.2", ADDRESS),
            ("+1.0.0.1", ADDRESS),
            ("fe80::1%eth0", ADDRESS),
            ("", ADDRESS),
        ] {
            let expected: Vec<&str> =
                Some(problem).filter(|problem| !problem.is_empty()).into_iter().collect();
            assert_eq!(address_problems(text), expected, "{text}");
        }
        assert_eq!(address_warning("10.0.0.1"), None);
        assert_eq!(address_warning("2001:db8::1"), None);
        for (text, warning) in [
            ("010.0.0.1", "non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""),
            ("::ffff:1.2.3.4", "non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\""),
            (
                "2001:db8:0::1",
                "IPv6 address \"2001:db8:0::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
            ),
        ] {
            assert_eq!(address_warning(text).as_deref(), Some(warning));
        }
    }

    #[test]
    fn blocks() {
        for (text, problem) in [
            ("10.0.0.0/8", ""),
            ("2001:db8::/64", ""),
            ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
            ("10.0.0.0/33", BLOCK),
            ("10.0.0.0", BLOCK),
            ("10.0.0.0/-1", BLOCK),
        ] {
            let expected: Vec<&str> =
                Some(problem).filter(|problem| !problem.is_empty()).into_iter().collect();
            assert_eq!(block_problems(text), expected, "{text}");
        }
        assert_eq!(block_warnings("10.0.0.0/8"), Vec::<String>::new());
        assert_eq!(
            block_warnings("10.0.0.1/8"),
            [
                "CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
            ]
        );
        assert_eq!(
            block_warnings("10.0.0.0/08"),
            ["non-standard CIDR value \"10.0.0.0/08\" is invalid: use \"10.0.0.0/8\""]
        );
        assert_eq!(
            block_warnings("2001:DB8::/32"),
            ["IPv6 CIDR value \"2001:DB8::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")"]
        );
    }
}
