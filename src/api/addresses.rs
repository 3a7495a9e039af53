//! IP addresses and CIDR blocks as text: what was read of old, what is read now, and the one form that is
//! canonical.
//!
//! Go once read `010.001.002.003` and took an IPv4 address in IPv6's clothes for IPv4. What is stored may
//! still be written so; what is new may not.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/ip.go` (1.36) and the parsers of `k8s.io/utils/net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const INTERFACE: &str = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";

/// A CIDR block as it was written: the address that it names may be one inside the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The address before the slash; an IPv4 address in IPv6's clothes is what it is.
    pub(crate) address: IpAddr,
    /// The length of the prefix in the bits of that address, or of IPv6's for one that wore its clothes.
    pub(crate) prefix: u8,
    /// Whether it was written as IPv6, though it is IPv4.
    mapped: bool,
}

/// Reads an address, leading zeros and clothes allowed.
pub(crate) fn sloppy_ip(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| padded(text).map(IpAddr::V4))?;
    Some(bare(ip))
}

/// Reads a block in the same way.
pub(crate) fn sloppy_cidr(text: &str) -> Option<Block> {
    let (address, prefix) = text.split_once('/')?;
    let written = address.parse().ok().or_else(|| padded(address).map(IpAddr::V4))?;
    let wide = written.is_ipv6();
    let prefix = number(prefix, if wide { 128 } else { 32 })?;
    let address = bare(written);
    Some(Block { address, prefix, mapped: wide && address.is_ipv4() })
}

/// An IPv4 address of which some parts have leading zeros.
fn padded(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = text.split('.').map(|part| number(part, 255)).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(parts).ok().map(Ipv4Addr::from)
}

fn number(digits: &str, max: u8) -> Option<u8> {
    let digits = Some(digits).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { Some(0) } else { digits.parse().ok().filter(|value| *value <= max) }
}

fn bare(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(wide) => wide.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

fn is_mapped(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_ipv4_mapped().is_some())
}

/// What is wrong with an address that may be written in any way that is plain.
pub(crate) fn ip(text: &str) -> Vec<String> {
    match sloppy_ip(text) {
        None => vec![IP.into()],
        Some(_) if text.parse::<IpAddr>().is_err() => vec!["must not have leading 0s".into()],
        Some(_) if is_mapped(text) => vec!["must not be an IPv4-mapped IPv6 address".into()],
        Some(_) => Vec::new(),
    }
}

/// What is wrong with an address that must be canonical.
pub(crate) fn canonical_ip(text: &str) -> Vec<String> {
    let wrong = ip(text);
    match sloppy_ip(text) {
        Some(ip) if wrong.is_empty() && ip.to_string() != text => {
            vec![format!("must be in canonical form ({:?})", ip.to_string())]
        }
        _ => wrong,
    }
}

/// What is wrong with a block that may be written in any way that is plain.
pub(crate) fn cidr(text: &str) -> Vec<String> {
    let Some(block) = sloppy_cidr(text) else { return vec![CIDR.into()] };
    if !block.is_plain(text) {
        vec!["must not have leading 0s in IP or prefix length".into()]
    } else if block.mapped {
        vec!["must not have an IPv4-mapped IPv6 address".into()]
    } else if block.address != block.base() {
        vec!["must not have bits set beyond the prefix length".into()]
    } else {
        Vec::new()
    }
}

/// What is wrong with a block that must be canonical.
pub(crate) fn canonical_cidr(text: &str) -> Vec<String> {
    let wrong = cidr(text);
    match sloppy_cidr(text) {
        Some(block) if wrong.is_empty() && block.to_string() != text => {
            vec![format!("must be in canonical form ({:?})", block.to_string())]
        }
        _ => wrong,
    }
}

/// What is wrong with the address of an interface, which names its block too.
pub(crate) fn interface(text: &str) -> Vec<String> {
    let Some(block) = sloppy_cidr(text) else { return vec![INTERFACE.into()] };
    // The prefix of IPv4 in IPv6's clothes counts the clothes, where it is long enough to.
    let prefix = if block.mapped && block.prefix > 32 { block.prefix - 96 } else { block.prefix };
    let canonical = format!("{}/{prefix}", block.address);
    if canonical == text { Vec::new() } else { vec![format!("must be in canonical form ({canonical:?})")] }
}

/// What somebody who wrote this address should know.
pub(crate) fn ip_warning(path: &dyn std::fmt::Display, text: &str) -> Option<String> {
    let ip = sloppy_ip(text)?;
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(wide)) if !is_mapped(text) => (wide.to_string() != text).then(|| {
            format!(
                "{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({:?})",
                wide.to_string()
            )
        }),
        Ok(IpAddr::V4(_)) => None,
        _ => Some(format!("{path}: non-standard IP address {text:?} is invalid: use {:?}", ip.to_string())),
    }
}

/// What somebody who wrote this block should know.
pub(crate) fn cidr_warnings(path: &dyn std::fmt::Display, text: &str) -> Vec<String> {
    let Some(block) = sloppy_cidr(text) else { return Vec::new() };
    let mut warnings = Vec::new();
    if block.address != block.base() {
        let alone = format!("{}/{}", block.address, if block.address.is_ipv4() { 32 } else { 128 });
        warnings.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be {:?} or {alone:?}?)",
            block.to_string()
        ));
    }
    if !block.is_plain(text) || block.mapped {
        warnings.push(format!(
            "{path}: non-standard CIDR value {text:?} is invalid: use {:?}",
            block.to_string()
        ));
    }
    if warnings.is_empty() && block.address.is_ipv6() && block.to_string() != text {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({:?})",
            block.to_string()
        ));
    }
    warnings
}

impl Block {
    /// Whether the text that it was read from has no leading zeros.
    fn is_plain(self, text: &str) -> bool {
        let Some((address, prefix)) = text.split_once('/') else { return false };
        address.parse::<IpAddr>().is_ok() && (prefix == "0" || !prefix.starts_with('0'))
    }

    /// The prefix in the bits of the address.
    fn own_prefix(self) -> u8 {
        if self.mapped { self.prefix.saturating_sub(96) } else { self.prefix }
    }

    /// The first address of the block.
    pub(crate) fn base(self) -> IpAddr {
        match self.address {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.own_prefix())).unwrap_or(0);
                Ipv4Addr::from(u32::from(ip) & mask).into()
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.own_prefix())).unwrap_or(0);
                Ipv6Addr::from(u128::from(ip) & mask).into()
            }
        }
    }

    /// Whether `other` is inside this block and smaller.
    pub(crate) fn strictly_covers(self, other: Self) -> bool {
        let within = Self { address: other.base(), prefix: self.own_prefix(), mapped: false };
        self.address.is_ipv4() == other.address.is_ipv4()
            && within.base() == self.base()
            && self.own_prefix() < other.own_prefix()
    }
}

/// The canonical form.
impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base(), self.own_prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let canonical = |shown: &str| vec![format!("must be in canonical form ({shown:?})")];
        for (text, plain, strict) in [
            ("1.2.3.4", vec![], vec![]),
            ("2001:db8::1", vec![], vec![]),
            ("2001:DB8::1", vec![], canonical("2001:db8::1")),
            ("2001:db8:0:0:0:0:0:1", vec![], canonical("2001:db8::1")),
            ("01.002.03.4", vec!["must not have leading 0s".to_owned()], vec!["must not have leading 0s".into()]),
            (
                "::ffff:1.2.3.4",
                vec!["must not be an IPv4-mapped IPv6 address".into()],
                vec!["must not be an IPv4-mapped IPv6 address".into()],
            ),
            ("1.2.3", vec![IP.to_owned()], vec![IP.into()]),
            ("1.2.3.256", vec![IP.into()], vec![IP.into()]),
            ("1.2.3.4 ", vec![IP.into()], vec![IP.into()]),
            ("fe80::1%eth0", vec![IP.into()], vec![IP.into()]),
            ("", vec![IP.into()], vec![IP.into()]),
        ] {
            assert_eq!((ip(text), canonical_ip(text)), (plain, strict), "{text}");
        }
    }

    #[test]
    fn blocks() {
        for (text, wrong) in [
            ("10.0.0.0/8", ""),
            ("::/0", ""),
            ("2001:db8::/64", ""),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.0", CIDR),
            ("10.0.0.0/33", CIDR),
            ("10.0.0.0/+8", CIDR),
            ("10.0.0.0/8/8", CIDR),
        ] {
            assert_eq!(cidr(text).first().map_or("", String::as_str), wrong, "{text}");
        }
        assert_eq!(canonical_cidr("2001:DB8::/64"), ["must be in canonical form (\"2001:db8::/64\")"]);
    }

    #[test]
    fn a_block_covers_what_is_smaller_and_inside() {
        let covers = |one, other| sloppy_cidr(one).unwrap().strictly_covers(sloppy_cidr(other).unwrap());
        assert!(covers("10.0.0.0/8", "10.1.0.0/16") && covers("0.0.0.0/0", "1.2.3.4/32"));
        assert!(!covers("10.0.0.0/8", "10.0.0.0/8") && !covers("10.0.0.0/8", "11.0.0.0/16"));
        assert!(!covers("::/0", "10.0.0.0/8") && covers("2001:db8::/32", "2001:db8:1::/48"));
    }

    #[test]
    fn interfaces_name_an_address_and_its_block() {
        assert_eq!(interface("10.9.8.7/24"), Vec::<String>::new());
        assert_eq!(interface("2001:db8::1/64"), Vec::<String>::new());
        assert_eq!(interface("::ffff:192.168.0.1/120"), ["must be in canonical form (\"192.168.0.1/24\")"]);
        assert_eq!(interface("10.9.8.7"), [INTERFACE]);
    }

    #[test]
    fn warnings() {
        let at = "x";
        assert_eq!(ip_warning(&at, "1.2.3.4"), None);
        assert_eq!(
            ip_warning(&at, "01.2.3.4").unwrap(),
            "x: non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\""
        );
        assert_eq!(
            ip_warning(&at, "2001:DB8::1").unwrap(),
            "x: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")"
        );
        assert_eq!(
            cidr_warnings(&at, "10.1.2.3/8"),
            ["x: CIDR value \"10.1.2.3/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \
              \"10.1.2.3/32\"?)"]
        );
        assert_eq!(
            cidr_warnings(&at, "2001:DB8::/64"),
            ["x: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")"]
        );
    }
}
