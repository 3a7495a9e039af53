//! CIDR blocks: arithmetic on ranges of IP addresses.
//!
//! A block is its first address and a prefix length; addresses are counted as numbers, so that one
//! code serves IPv4 and IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A block of addresses, such as `10.96.0.0/12`. Its address has no bit set beyond the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

/// What is wrong with a CIDR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// It is none.
    #[error("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
    Syntax,
    /// It names an address inside a block, not the block.
    #[error("must not have bits set beyond the prefix length")]
    HostBits,
    /// The prefix is longer than the address.
    #[error("prefix length {0} is longer than the address")]
    PrefixLength(u8),
}

impl Cidr {
    /// The block that starts at `base`.
    ///
    /// # Errors
    ///
    /// When the prefix is longer than the address, or `base` is not the block's first address.
    pub fn new(base: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let block = Self::around(base, prefix)?;
        if block.base == base { Ok(block) } else { Err(CidrError::HostBits) }
    }

    /// The block of this size that an address is in.
    ///
    /// # Errors
    ///
    /// When the prefix is longer than the address.
    pub fn around(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let width = width(address);
        if prefix > width {
            return Err(CidrError::PrefixLength(prefix));
        }
        let host = host_mask(width - prefix);
        Ok(Self { base: with_number(address, number(address) & !host), prefix })
    }

    /// The first address.
    #[must_use]
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        with_number(self.base, number(self.base) | self.host_mask())
    }

    /// The length of the prefix, in bits.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it holds IPv4 addresses.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.base.is_ipv4()
    }

    /// How many addresses it holds; `u128::MAX` for `::/0`, which holds one more.
    #[must_use]
    pub fn size(&self) -> u128 {
        self.host_mask().saturating_add(1)
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && number(address) & !self.host_mask() == number(self.base)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.base)
    }

    /// Whether an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The address at an index, counted from the first, which is 0.
    #[must_use]
    pub fn nth(&self, index: u128) -> Option<IpAddr> {
        (index <= self.host_mask()).then(|| with_number(self.base, number(self.base) + index))
    }

    /// The index of an address in the block: the inverse of [`nth`](Self::nth).
    #[must_use]
    pub fn index(&self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| number(address) & self.host_mask())
    }

    /// The part at an index among the equal parts with this longer prefix.
    #[must_use]
    pub fn subnet(&self, prefix: u8, index: u128) -> Option<Self> {
        let bits = prefix.checked_sub(self.prefix)?;
        let rest = width(self.base).checked_sub(prefix)?;
        if index > host_mask(bits) {
            return None;
        }
        let offset = index.checked_shl(rest.into()).unwrap_or(0);
        Some(Self { base: with_number(self.base, number(self.base) + offset), prefix })
    }

    /// All parts with this longer prefix, in order; none where it is not longer.
    pub fn subnets(self, prefix: u8) -> impl Iterator<Item = Self> {
        let mut index = 0u128;
        std::iter::from_fn(move || {
            let part = self.subnet(prefix, index)?;
            index = index.checked_add(1)?;
            Some(part)
        })
    }

    fn host_mask(&self) -> u128 {
        host_mask(width(self.base) - self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn host_mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX >> (128 - u32::from(bits)) }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The address with this number, of the same family as `family`.
fn with_number(family: IpAddr, number: u128) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::from(number as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Syntax)?;
        let plain = !prefix.is_empty()
            && prefix.bytes().all(|byte| byte.is_ascii_digit())
            && (prefix == "0" || !prefix.starts_with('0'));
        let address = address.parse().map_err(|_| CidrError::Syntax)?;
        let prefix = prefix.parse().ok().filter(|_| plain).ok_or(CidrError::Syntax)?;
        Self::new(address, prefix)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn a_block_counts_its_addresses() {
        let block = cidr("10.96.0.0/12");
        assert_eq!(block.size(), 1 << 20);
        assert_eq!(block.nth(1), Some("10.96.0.1".parse().unwrap()));
        assert_eq!(block.last(), "10.111.255.255".parse::<IpAddr>().unwrap());
        assert_eq!(block.nth(1 << 20), None);
        assert_eq!(cidr("::/0").nth(u128::MAX), Some(Ipv6Addr::from(u128::MAX).into()));
        assert_eq!(cidr("1.2.3.4/32").size(), 1);
    }

    #[test]
    fn parts_follow_each_other() {
        let parts: Vec<_> = cidr("127.5.0.0/16").subnets(18).map(String::from).collect();
        assert_eq!(parts, ["127.5.0.0/18", "127.5.64.0/18", "127.5.128.0/18", "127.5.192.0/18"]);
        assert_eq!(cidr("10.0.0.0/24").subnets(16).count(), 0);
        assert_eq!(cidr("10.0.0.0/24").subnets(33).count(), 0);
        assert_eq!(cidr("10.0.0.0/24").subnet(24, 0), Some(cidr("10.0.0.0/24")));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0/8", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/+8", "010.0.0.0/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Syntax), "{text}");
        }
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits));
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::PrefixLength(33)));
    }

    #[test]
    fn families_never_meet() {
        assert!(!cidr("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(!cidr("::/0").overlaps(&cidr("10.0.0.0/8")));
    }

    fn blocks() -> impl Strategy<Value = Cidr> {
        prop_oneof![
            (any::<u32>(), 0u8..=32).prop_map(|(bits, prefix)| (IpAddr::V4(bits.into()), prefix)),
            (any::<u128>(), 0u8..=128).prop_map(|(bits, prefix)| (IpAddr::V6(bits.into()), prefix)),
        ]
        .prop_map(|(address, prefix)| Cidr::around(address, prefix).unwrap())
    }

    proptest! {
        #[test]
        fn text_round_trips(block in blocks()) {
            prop_assert_eq!(block.to_string().parse::<Cidr>().unwrap(), block);
        }

        #[test]
        fn nth_and_index_are_inverse(block in blocks(), index in any::<u128>()) {
            match block.nth(index) {
                Some(address) => {
                    prop_assert!(block.contains(address));
                    prop_assert_eq!(block.index(address), Some(index));
                }
                None => prop_assert!(index >= block.size()),
            }
        }

        #[test]
        fn blocks_overlap_when_an_end_of_one_is_in_the_other(a in blocks(), b in blocks()) {
            let ends = a.contains(b.base()) || a.contains(b.last()) || b.contains(a.base());
            prop_assert_eq!(a.overlaps(&b), ends);
            prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
        }

        #[test]
        fn parts_lie_inside_and_apart(block in blocks(), longer in 1u8..=16, index in any::<u16>()) {
            if let Some(part) = block.subnet(block.prefix().saturating_add(longer), index.into()) {
                prop_assert!(block.covers(&part));
                if let Some(next) = block.subnet(part.prefix(), u128::from(index) + 1) {
                    prop_assert!(!part.overlaps(&next));
                }
            }
        }
    }
}
