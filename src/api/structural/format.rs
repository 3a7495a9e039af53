//! Formats of strings and numbers.
//!
//! Source: `supportedVersionedFormats` of `k8s.io/apiextensions-apiserver/pkg/apiserver/validation` and
//! `k8s.io/kube-openapi/pkg/validation/strfmt` (1.36).

use std::sync::OnceLock;

use regex::Regex;

use super::schema::Type;

/// A format that is known for its type.
#[derive(Clone, Debug)]
pub(super) struct Format {
    name: String,
    check: fn(&str) -> bool,
}

type Check = fn(&str) -> bool;

/// Formats of strings; a dash in a name counts for nothing.
const STRINGS: [(&str, Check); 26] = [
    ("bsonobjectid", |text| text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
    ("uri", is_uri),
    ("email", is_email),
    ("hostname", is_hostname),
    ("ipv4", |text| sloppy_ip(text).is_some() && text.contains('.')),
    ("ipv6", |text| text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_ok()),
    ("cidr", is_cidr),
    ("mac", is_mac),
    ("uuid", |text| uuid(text, None)),
    ("uuid3", |text| uuid(text, Some('3'))),
    ("uuid4", |text| uuid(text, Some('4'))),
    ("uuid5", |text| uuid(text, Some('5'))),
    ("isbn", |text| is_isbn10(text) || is_isbn13(text)),
    ("isbn10", is_isbn10),
    ("isbn13", is_isbn13),
    ("creditcard", is_credit_card),
    ("ssn", |text| text.len() == 11 && matches(SSN, text)),
    ("hexcolor", |text| {
        let digits = text.strip_prefix('#').unwrap_or(text);
        matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }),
    ("rgbcolor", is_rgb_color),
    ("byte", is_base64),
    ("password", |_| true),
    ("date", is_date),
    ("duration", is_duration),
    ("datetime", is_date_time),
    ("k8sshortname", |text| text.len() <= 63 && is_label(text)),
    ("k8slongname", |text| text.len() <= 253 && text.split('.').all(is_label)),
];

impl Format {
    /// The format of this name, where it is one of the type's. A value of any other is not judged by it.
    pub(super) fn find(name: &str, ty: Option<Type>) -> Option<Self> {
        let check = check_of(name, ty)?;
        Some(Self { name: name.to_owned(), check })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        (self.check)(text)
    }
}

fn check_of(name: &str, ty: Option<Type>) -> Option<Check> {
    if name.is_empty() {
        return None;
    }
    let any: Check = |_| true;
    match ty {
        None | Some(Type::String) => {
            let normal = name.replace('-', "");
            STRINGS.iter().find(|(known, _)| *known == normal).map(|(_, check)| *check)
        }
        Some(Type::Integer) => matches!(name, "int32" | "int64").then_some(any),
        Some(Type::Number) => matches!(name, "float" | "double").then_some(any),
        _ => None,
    }
}

/// Whether a format is known for a type of this name; the empty one is any.
#[must_use]
pub fn is_known(format: &str, ty: &str) -> bool {
    let ty = match ty {
        "" => None,
        "string" => Some(Type::String),
        "integer" => Some(Type::Integer),
        "number" => Some(Type::Number),
        _ => Some(Type::Object),
    };
    check_of(format, ty).is_some()
}

/// Whether a text matches a pattern of this file; each is compiled once.
fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: OnceLock<Vec<(&str, Regex)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        PATTERNS
            .iter()
            .map(|pattern| (*pattern, Regex::new(pattern).expect("a pattern of this file")))
            .collect()
    });
    compiled.iter().any(|(known, regex)| *known == pattern && regex.is_match(text))
}

const SSN: &str = r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
const HOSTNAME: &str = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
const CREDIT_CARD: &str = r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$";
const TIME: &str = r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
const PATTERNS: [&str; 4] = [SSN, HOSTNAME, CREDIT_CARD, TIME];

fn is_uri(text: &str) -> bool {
    // What stands in a request: an absolute path, or an absolute address. No fragment is looked for.
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    if !escapes_are_sound(text) {
        return false;
    }
    if text.starts_with('/') || text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    let named = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !named {
        return false;
    }
    let Some(authority) = rest.strip_prefix("//") else { return true };
    let end = authority.find(['/', '?']).unwrap_or(authority.len());
    let host = authority[..end].rsplit('@').next().unwrap_or_default();
    let port = match host.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            Some((_, after)) => after,
            None => return false,
        },
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains([' ', '<', '>', '"'])
}

fn escapes_are_sound(text: &str) -> bool {
    text.match_indices('%').all(|(at, _)| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// An address of RFC 5322, also with a name before it: `a@b`, `A <a@b>`.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match text.strip_suffix('>') {
        Some(rest) => match rest.rsplit_once('<') {
            Some((_, address)) => address,
            None => return false,
        },
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let atom = |text: &str| {
        let fits = |letter: char| {
            letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || !letter.is_ascii()
        };
        !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.chars().all(fits))
    };
    let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
    let literal = domain.starts_with('[') && domain.ends_with(']');
    (quoted || atom(local)) && (literal || atom(domain))
}

fn is_hostname(text: &str) -> bool {
    matches(HOSTNAME, text) && text.len() <= 255 && text.split('.').all(|part| part.len() <= 63)
}

/// An IPv4 address, zeros before its numbers allowed, or an IPv6 one.
fn sloppy_ip(text: &str) -> Option<std::net::IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| std::net::IpAddr::from(octets))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match sloppy_ip(address) {
        Some(std::net::IpAddr::V4(_)) => 32,
        Some(std::net::IpAddr::V6(_)) => 128,
        None => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit())
        && length.len() <= 3
        && length.parse().is_ok_and(|length: u32| length <= most)
}

fn is_mac(text: &str) -> bool {
    let hex =
        |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups = |separator: char, digits: usize, counts: [usize; 3]| {
        let parts: Vec<_> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| hex(part, digits))
    };
    groups(':', 2, [6, 8, 20]) || groups('-', 2, [6, 8, 20]) || groups('.', 4, [3, 4, 10])
}

/// 32 hexadecimal digits; dashes may stand between their groups.
fn uuid(text: &str, version: Option<char>) -> bool {
    let mut rest = text;
    let mut digits = String::with_capacity(32);
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some(group) = rest.get(..length) else { return false };
        digits.push_str(group);
        rest = &rest[length..];
    }
    let at = |index| digits[index..].chars().next().unwrap_or_default();
    let variant = || matches!(at(16).to_ascii_lowercase(), '8' | '9' | 'a' | 'b');
    rest.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && version.is_none_or(|version| at(12) == version && (version == '3' || variant()))
}

fn isbn_digits(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-').collect()
}

fn is_isbn10(text: &str) -> bool {
    let digits = isbn_digits(text);
    if digits.len() != 10 || !digits[..9].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let last = match digits[9] {
        b'X' => 10,
        digit if digit.is_ascii_digit() => u32::from(digit - b'0'),
        _ => return false,
    };
    let sum: u32 = (1..).zip(&digits[..9]).map(|(weight, digit)| weight * u32::from(digit - b'0')).sum();
    (sum + 10 * last).is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let digits = isbn_digits(text);
    if digits.len() != 13 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = [1, 3].into_iter().cycle();
    let sum: u32 = weights.zip(&digits).map(|(weight, digit)| weight * u32::from(digit - b'0')).sum();
    sum.is_multiple_of(10)
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !matches(CREDIT_CARD, &digits) {
        return false;
    }
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|byte| u32::from(byte - b'0'))
        .enumerate()
        .map(|(index, digit)| if index % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

fn is_rgb_color(text: &str) -> bool {
    let Some(inside) = text.strip_prefix("rgb(").and_then(|text| text.strip_suffix(')')) else {
        return false;
    };
    let parts: Vec<_> = inside.split(',').map(str::trim).collect();
    let plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
            && part.parse::<u8>().is_ok()
    };
    parts.len() == 3 && parts.into_iter().all(plain)
}

fn is_base64(text: &str) -> bool {
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    is_date(date) && matches(TIME, time) && &time[..2] <= "23" && &time[3..5] <= "59" && &time[6..8] <= "59"
}

/// A duration as Go writes it, or numbers with units such as `2 weeks`.
fn is_duration(text: &str) -> bool {
    is_go_duration(text) || has_units(text)
}

fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let after = &rest[number..];
        let (fraction, after) = match after.strip_prefix('.') {
            Some(digits) => {
                let left = digits.trim_start_matches(|letter: char| letter.is_ascii_digit());
                (digits.len() - left.len(), left)
            }
            None => (0, after),
        };
        if number + fraction == 0 || number > 18 {
            return false;
        }
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        // `m` is the start of `ms`.
        let unit = units.iter().filter(|unit| after.starts_with(**unit)).max_by_key(|unit| unit.len());
        let Some(unit) = unit else { return false };
        rest = &after[unit.len()..];
    }
    true
}

/// Whether a number with a unit stands anywhere in a text.
fn has_units(text: &str) -> bool {
    const UNITS: [&[&str]; 8] = [
        &["ns", "nano"],
        &["us", "µs", "micro"],
        &["ms", "milli"],
        &["s", "sec"],
        &["m", "min"],
        &["h", "hr", "hour"],
        &["d", "day"],
        &["w", "wk", "week"],
    ];
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        rest = rest[start..].trim_start_matches(|letter: char| letter.is_ascii_digit());
        let unit: String = rest
            .trim_start()
            .chars()
            .take_while(|letter| letter.is_ascii_alphabetic() || *letter == 'µ')
            .flat_map(char::to_lowercase)
            .collect();
        let known = |variants: &&[&str]| {
            variants.contains(&&*unit)
                || variants.last().is_some_and(|last| !unit.is_empty() && unit.starts_with(last))
        };
        if UNITS.iter().any(known) {
            return true;
        }
    }
    false
}

/// A DNS label in lower case.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_each_format_and_others() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("bsonobjectid", &["507f1f77bcf86cd799439011"], &["507f1f77bcf86cd79943901"]),
            ("uri", &["/a/b", "https://a.b/c?d=e", "mailto:a@b"], &["", "a/b", "%", "http://[::1"]),
            ("email", &["a@b.example", "A B <a@b>"], &["a", "@b", "a@", "a b@c"]),
            ("hostname", &["a", "a-b.example.com", "xn--a.example"], &["", "a..b", "-a", "a_b"]),
            ("ipv4", &["1.2.3.4", "01.2.3.4", "::ffff:1.2.3.4"], &["1.2.3", "1.2.3.256", "::1"]),
            ("ipv6", &["::1", "fe80::1"], &["1.2.3.4", ":::"]),
            ("cidr", &["10.0.0.0/8", "fd00::/8"], &["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1"]),
            (
                "mac",
                &["01:23:45:67:89:ab", "01-23-45-67-89-ab", "0123.4567.89ab"],
                &["01:23", "01:23:45:67:89:ax"],
            ),
            (
                "uuid",
                &["7d444840-9dc0-11d1-b245-5ffdce74fad2", "7D4448409DC011D1B2455FFDCE74FAD2"],
                &["7d444840"],
            ),
            ("uuid4", &["7d444840-9dc0-41d1-b245-5ffdce74fad2"], &["7d444840-9dc0-11d1-b245-5ffdce74fad2"]),
            ("isbn10", &["0321751043", "0-321-75104-3"], &["0321751044"]),
            ("isbn13", &["978-0321751041"], &["978-0321751042"]),
            ("isbn", &["0321751043", "978-0321751041"], &["1"]),
            ("creditcard", &["4111 1111 1111 1111"], &["4111 1111 1111 1112"]),
            ("ssn", &["111-22-3333"], &["111223333", "111-22-333"]),
            ("hexcolor", &["#FFF", "abcdef"], &["#FFFF", "#ggg"]),
            ("rgbcolor", &["rgb(0, 128,255)"], &["rgb(0,0,256)", "rgb(00,0,0)", "rgb(0,0)"]),
            ("byte", &["YQ==", "YWI=", "YWJj"], &["", "YQ", "Y==="]),
            ("date", &["2020-02-29"], &["2021-02-29", "2020-2-1", "x"]),
            (
                "date-time",
                &["2020-01-01T00:00:00Z", "2020-01-01t00:00:00.5+01:00"],
                &["2020-01-01", "2020-01-01T24:00:00Z"],
            ),
            ("duration", &["1h30m", "-1.5s", "0", "2 weeks", "22 ns"], &["", "1", "1x", "h"]),
            ("k8s-short-name", &["a-b", "0"], &["A", "a.b", "-a", ""]),
            ("k8s-long-name", &["a-b.c"], &["a..b", "A"]),
            ("password", &["", "x"], &[]),
        ];
        for (name, good, bad) in cases {
            let format = Format::find(name, Some(Type::String)).unwrap();
            good.iter().for_each(|text| assert!(format.fits(text), "{name}: {text}"));
            bad.iter().for_each(|text| assert!(!format.fits(text), "{name}: {text}"));
        }
    }

    #[test]
    fn a_format_counts_only_with_its_type() {
        assert!(is_known("date-time", "string") && is_known("datetime", "") && is_known("int64", "integer"));
        assert!(!is_known("int64", "string") && !is_known("date", "integer") && !is_known("foo", "string"));
        assert!(!is_known("date", "object") && is_known("double", "number") && !is_known("int32", "number"));
    }
}
