//! The one form in which a newer field holds an address or a block, and what blocks lie in which.
//!
//! Source: `IsValidIP`, `IsValidCIDR` and `IsValidInterfaceAddress` of
//! `k8s.io/apimachinery/pkg/util/validation` (1.36).

use std::net::IpAddr;

use super::cidr::Cidr;
use super::ip;

const INTERFACE: &str = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";

/// The block that a text means, in whatever form; the address before the slash may be one inside it.
pub(crate) fn block(text: &str) -> Option<Cidr> {
    let (address, prefix) = ip::lenient_block(text)?;
    Cidr::around(address, prefix).ok()
}

/// Whether a block lies in another and is smaller.
pub(crate) fn is_part(part: &Cidr, whole: &Cidr) -> bool {
    whole.covers(part) && part.prefix() > whole.prefix()
}

/// What is wrong with an address that must be in its one form.
pub(crate) fn address_problems(text: &str) -> Vec<String> {
    let problems = ip::address_problems(text);
    canonical(text, problems, ip::lenient(text).map(|address| address.to_string()))
}

/// What is wrong with a block that must be in its one form.
pub(crate) fn block_problems(text: &str) -> Vec<String> {
    let problems = ip::block_problems(text);
    canonical(text, problems, block(text).map(|block| block.to_string()))
}

/// What is wrong with the address of an interface, which names its block too.
pub(crate) fn interface_problems(text: &str) -> Vec<String> {
    let Some((address, prefix)) = ip::lenient_block(text) else { return vec![INTERFACE.into()] };
    let whole = match address {
        IpAddr::V4(address) => format!("{address}/{prefix}"),
        IpAddr::V6(address) => format!("{address}/{prefix}"),
    };
    canonical(text, Vec::new(), Some(whole))
}

fn canonical(text: &str, problems: Vec<String>, form: Option<String>) -> Vec<String> {
    match form {
        Some(form) if problems.is_empty() && form != text => {
            vec![format!("must be in canonical form ({form:?})")]
        }
        _ => problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_form() {
        let canonical = |form: &str| vec![format!("must be in canonical form ({form:?})")];
        let right = Vec::<String>::new();
        assert_eq!(address_problems("1.2.3.4"), right);
        assert_eq!(address_problems("2001:DB8::1"), canonical("2001:db8::1"));
        assert_eq!(address_problems("2001:db8:0:0:0:0:0:1"), canonical("2001:db8::1"));
        assert_eq!(address_problems("01.2.3.4"), ["must not have leading 0s"]);
        assert_eq!(block_problems("10.0.0.0/8"), right);
        assert_eq!(block_problems("2001:DB8::/64"), canonical("2001:db8::/64"));
        assert_eq!(block_problems("10.0.0.1/8"), ["must not have bits set beyond the prefix length"]);
        assert_eq!(interface_problems("10.9.8.7/24"), right);
        assert_eq!(interface_problems("2001:db8::1/64"), right);
        assert_eq!(interface_problems("::ffff:192.168.0.1/120"), canonical("192.168.0.1/24"));
        assert_eq!(interface_problems("10.9.8.7"), [INTERFACE]);
    }

    #[test]
    fn a_part_is_smaller_and_inside() {
        let part = |one, other| is_part(&block(one).unwrap(), &block(other).unwrap());
        assert!(part("10.1.0.0/16", "10.0.0.0/8") && part("1.2.3.4/32", "0.0.0.0/0"));
        assert!(!part("10.0.0.0/8", "10.0.0.0/8") && !part("11.0.0.0/16", "10.0.0.0/8"));
        assert!(!part("10.0.0.0/8", "::/0") && part("2001:db8:1::/48", "2001:db8::/32"));
    }
}
