//! Addresses as Go reads them, and what is wrong with others. Source: `net/netip` of Go.

use std::net::IpAddr;

use super::super::value::quoted;

/// The longest text that is shown in a message, in characters.
const SHOWN: usize = 100;
/// The longest text that can be an address, its zone aside: what is longer is not looked at.
const LONGEST: usize = 45;

/// The address, and whether it has a zone, or what is wrong with the text.
pub(super) fn parse(text: &str) -> Result<(IpAddr, bool), String> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let short = if address.len() > LONGEST { "" } else { address };
    match (short.parse::<IpAddr>(), zone) {
        (Ok(it @ IpAddr::V6(_)), Some(zone)) if !zone.is_empty() => Ok((it, true)),
        (Ok(it), None) => Ok((it, false)),
        _ => Err(format!("ParseAddr({}): {}", shown(text), wrong(text))),
    }
}

/// A text as messages show it.
pub(super) fn shown(text: &str) -> String {
    quoted(&text.chars().take(SHOWN).collect::<String>())
}

/// What is wrong with a text that is no address.
fn wrong(text: &str) -> String {
    let found = match text.find(['.', ':', '%']) {
        Some(at) if text[at..].starts_with('.') => wrong_with_v4(text),
        Some(at) if text[at..].starts_with(':') => wrong_with_v6(text),
        Some(_) => Some("missing IPv6 address".to_owned()),
        None => None,
    };
    found.unwrap_or_else(|| "unable to parse IP".to_owned())
}

fn at(what: &str, rest: &str) -> Option<String> {
    Some(format!("{what} (at {})", shown(rest)))
}

fn wrong_with_v4(text: &str) -> Option<String> {
    let (mut value, mut digits, mut fields) = (0_u32, 0, 0);
    for (index, c) in text.char_indices() {
        match c {
            '0'..='9' => {
                if digits == 1 && value == 0 {
                    return Some("IPv4 field has octet with leading zero".to_owned());
                }
                value = value * 10 + c.to_digit(10)?;
                digits += 1;
                if value > 255 {
                    return Some("IPv4 field has value >255".to_owned());
                }
            }
            '.' => {
                if digits == 0 || index + 1 == text.len() {
                    return at("IPv4 field must have at least one digit", &text[index..]);
                }
                if fields == 3 {
                    return Some("IPv4 address too long".to_owned());
                }
                (value, digits, fields) = (0, 0, fields + 1);
            }
            _ => return at("unexpected character", &text[index..]),
        }
    }
    (fields < 3).then(|| "IPv4 address too short".to_owned())
}

fn wrong_with_v6(text: &str) -> Option<String> {
    let (mut rest, zone) = text.split_once('%').map_or((text, None), |(rest, zone)| (rest, Some(zone)));
    if zone == Some("") {
        return Some("zone must be a non-empty string".to_owned());
    }
    // Octets that are read, and where `::` was.
    let (mut octets, mut ellipsis) = (0, None);
    if let Some(after) = rest.strip_prefix("::") {
        (rest, ellipsis) = (after, Some(0));
    }
    while octets < 16 && !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        if digits > 4 {
            return at("each group must have 4 or less digits", rest);
        }
        if digits == 0 {
            return at("each colon-separated field must have at least one digit", rest);
        }
        let after = &rest[digits..];
        if after.starts_with('.') {
            if ellipsis.is_none() && octets != 12 {
                return at("embedded IPv4 address must replace the final 2 fields of the address", rest);
            }
            if octets + 4 > 16 {
                return at("too many hex fields to fit an embedded IPv4 at the end of the address", rest);
            }
            if let Some(wrong) = wrong_with_v4(rest) {
                return Some(wrong);
            }
            (octets, rest) = (octets + 4, "");
            break;
        }
        (octets, rest) = (octets + 2, after);
        if rest.is_empty() {
            break;
        }
        let Some(after) = rest.strip_prefix(':') else {
            return at("unexpected character, want colon", rest);
        };
        if after.is_empty() {
            return at("colon must be followed by more characters", rest);
        }
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            if ellipsis.is_some() {
                return at("multiple :: in address", rest);
            }
            (ellipsis, rest) = (Some(octets), after);
        }
    }
    if !rest.is_empty() {
        return at("trailing garbage after address", rest);
    }
    match ellipsis {
        None if octets < 16 => Some("address string too short".to_owned()),
        Some(_) if octets >= 16 => Some("the :: must expand to at least one field of zeros".to_owned()),
        _ => None,
    }
}
