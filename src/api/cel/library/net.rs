//! Addresses and blocks of them.
//!
//! Source: `pkg/cel/library/ip.go` and `pkg/cel/library/cidr.go` of `k8s.io/apiserver` (1.36), and `net/netip` of Go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::Value;
use super::address;

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 30, overloads, run }
}

const IS: &str = "net.IP.() -> bool";

pub(super) const FUNCTIONS: &[Function] = &[
    row("ip", &[("string_to_ip", "(string) -> net.IP")], |_, args| Ok(Value::Ip(parse_ip(text(args)?)?))),
    row("family", &[("ip_family", "net.IP.() -> int")], |_, args| {
        Ok(Value::Int(if ip(args)?.is_ipv4() { 4 } else { 6 }))
    }),
    row("ip.isCanonical", &[("ip_is_canonical", "(string) -> bool")], |_, args| {
        let text = text(args)?;
        Ok(Value::Bool(parse_ip(text)?.to_string() == text))
    }),
    row("isUnspecified", &[("ip_is_unspecified", IS)], |_, args| Ok(Value::Bool(ip(args)?.is_unspecified()))),
    row("isLoopback", &[("ip_is_loopback", IS)], |_, args| Ok(Value::Bool(ip(args)?.is_loopback()))),
    row("isLinkLocalMulticast", &[("ip_is_link_local_multicast", IS)], |_, args| {
        Ok(Value::Bool(match ip(args)? {
            IpAddr::V4(it) => it.octets().starts_with(&[224, 0, 0]),
            IpAddr::V6(it) => it.segments()[0] & 0xff0f == 0xff02,
        }))
    }),
    row("isLinkLocalUnicast", &[("ip_is_link_local_unicast", IS)], |_, args| {
        Ok(Value::Bool(is_link_local_unicast(ip(args)?)))
    }),
    row("isGlobalUnicast", &[("ip_is_global_unicast", IS)], |_, args| {
        let ip = ip(args)?;
        let special = ip.is_unspecified()
            || ip.is_loopback()
            || ip.is_multicast()
            || is_link_local_unicast(ip)
            || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        Ok(Value::Bool(!special))
    }),
    row("isIP", &[("is_ip", "(string) -> bool")], |_, args| Ok(Value::Bool(parse_ip(text(args)?).is_ok()))),
    row("string", &[("ip_to_string", "(net.IP) -> string")], |_, args| {
        Ok(Value::text(ip(args)?.to_string()))
    }),
    row("cidr", &[("string_to_cidr", "(string) -> net.CIDR")], |_, args| {
        let (address, prefix) = parse_cidr(text(args)?)?;
        Ok(Value::Cidr(address, prefix))
    }),
    row(
        "containsIP",
        &[
            ("cidr_contains_ip_string", "net.CIDR.(string) -> bool"),
            ("cidr_contains_ip_ip", "net.CIDR.(net.IP) -> bool"),
        ],
        |_, args| {
            let (address, prefix) = cidr(args)?;
            let other = match args.get(1) {
                // What is no address is told as if there were no overload for it.
                Some(Value::String(text)) => parse_ip(text).map_err(|_| Fault::no_overload())?,
                Some(Value::Ip(other)) => *other,
                _ => return Err(Fault::no_overload()),
            };
            Ok(Value::Bool(masked(address, prefix) == masked_like(other, address, prefix)))
        },
    ),
    row(
        "containsCIDR",
        &[
            ("cidr_contains_cidr_string", "net.CIDR.(string) -> bool"),
            ("cidr_contains_cidr", "net.CIDR.(net.CIDR) -> bool"),
        ],
        |_, args| {
            let (address, prefix) = cidr(args)?;
            let (other, length) = match args.get(1) {
                Some(Value::String(text)) => parse_cidr(text)?,
                Some(Value::Cidr(other, length)) => (*other, *length),
                _ => return Err(Fault::no_overload()),
            };
            let within = prefix <= length && masked(address, prefix) == masked_like(other, address, prefix);
            Ok(Value::Bool(within))
        },
    ),
    row("ip", &[("cidr_ip", "net.CIDR.() -> net.IP")], |_, args| Ok(Value::Ip(cidr(args)?.0))),
    row("prefixLength", &[("cidr_prefix_length", "net.CIDR.() -> int")], |_, args| {
        Ok(Value::Int(cidr(args)?.1.into()))
    }),
    row("masked", &[("cidr_masked", "net.CIDR.() -> net.CIDR")], |_, args| {
        let (address, prefix) = cidr(args)?;
        Ok(Value::Cidr(masked(address, prefix), prefix))
    }),
    row("isCIDR", &[("is_cidr", "(string) -> bool")], |_, args| {
        Ok(Value::Bool(parse_cidr(text(args)?).is_ok()))
    }),
    row("string", &[("cidr_to_string", "(net.CIDR) -> string")], |_, args| {
        let (address, prefix) = cidr(args)?;
        Ok(Value::text(format!("{address}/{prefix}")))
    }),
];

fn text<'v>(args: &'v [Value<'_>]) -> Result<&'v str, Fault> {
    match args {
        [Value::String(text)] => Ok(text),
        _ => Err(Fault::no_overload()),
    }
}

fn ip(args: &[Value<'_>]) -> Result<IpAddr, Fault> {
    match args {
        [Value::Ip(ip)] => Ok(*ip),
        _ => Err(Fault::no_overload()),
    }
}

fn cidr(args: &[Value<'_>]) -> Result<(IpAddr, u8), Fault> {
    match args {
        [Value::Cidr(address, prefix), ..] => Ok((*address, *prefix)),
        _ => Err(Fault::no_overload()),
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, Fault> {
    let shown = || address::shown(text);
    match address::parse(text) {
        Err(why) => Err(Fault::error(format!(
            "IP Address {} parse error during conversion from string: {why}",
            shown()
        ))),
        Ok((_, true)) => Err(Fault::error(format!("IP address {} with zone value is not allowed", shown()))),
        Ok((it, _)) if is_mapped(it) => {
            Err(Fault::error(format!("IPv4-mapped IPv6 address {} is not allowed", shown())))
        }
        Ok((it, _)) => Ok(it),
    }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(it) if it.to_ipv4_mapped().is_some())
}

/// An address and a prefix length, which must be written as Go wants it.
fn parse_cidr(text: &str) -> Result<(IpAddr, u8), Fault> {
    const WRONG: &str = "network address parse error during conversion from string";
    let shown = || address::shown(text);
    let fail = |why: &str| Fault::error(format!("{WRONG}: {WRONG}: netip.ParsePrefix({}): {why}", shown()));
    let (address, length) = text.rsplit_once('/').ok_or_else(|| fail("no '/'"))?;
    let (address, zone) = address::parse(address).map_err(|why| fail(&why))?;
    if zone {
        return Err(fail("IPv6 zones cannot be present in a prefix"));
    }
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    if !digits || (length.len() > 1 && length.starts_with('0')) {
        return Err(fail(&format!("bad bits after slash: {}", address::shown(length))));
    }
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = length.parse().ok().filter(|bits: &u8| *bits <= most);
    let bits = bits.ok_or_else(|| fail("prefix length out of range"))?;
    if is_mapped(address) {
        return Err(Fault::error(format!("{WRONG}: IPv4-mapped IPv6 address {} is not allowed", shown())));
    }
    Ok((address, bits))
}

fn is_link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(it) => it.is_link_local(),
        IpAddr::V6(it) => it.is_unicast_link_local(),
    }
}

/// The address with the bits behind the prefix zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(it.to_bits() & mask))
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() & mask))
        }
    }
}

/// The other address, masked, if it is of the same family.
fn masked_like(other: IpAddr, like: IpAddr, prefix: u8) -> IpAddr {
    if other.is_ipv4() == like.is_ipv4() { masked(other, prefix) } else { other }
}
