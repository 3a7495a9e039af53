//! URLs, as Go reads them.
//!
//! Source: `pkg/cel/library/urls.go` of `k8s.io/apiserver` (1.36), and `net/url` of Go 1.26.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{Builder, List, Value, quoted};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row("url", &[("string_to_url", "(string) -> kubernetes.URL")], |scope, args| {
        let text = text(scope, args)?;
        check(text)
            .and_then(|()| parse(text))
            .map(|url| Value::Url(Arc::new(url)))
            .map_err(|why| Fault::error(format!("URL parse error during conversion from string: {why}")))
    }),
    row("getScheme", &[("url_get_scheme", "kubernetes.URL.() -> string")], |scope, args| {
        part(scope, args, |it| it.scheme.clone())
    }),
    row("getHost", &[("url_get_host", "kubernetes.URL.() -> string")], |scope, args| {
        part(scope, args, |it| it.host.clone())
    }),
    row("getHostname", &[("url_get_hostname", "kubernetes.URL.() -> string")], |scope, args| {
        part(scope, args, |it| it.host_and_port().0.to_owned())
    }),
    row("getPort", &[("url_get_port", "kubernetes.URL.() -> string")], |scope, args| {
        part(scope, args, |it| it.host_and_port().1.to_owned())
    }),
    row("getEscapedPath", &[("url_get_escaped_path", "kubernetes.URL.() -> string")], |scope, args| {
        part(scope, args, Url::escaped_path)
    }),
    row("getQuery", &[("url_get_query", "kubernetes.URL.() -> map(string, list(string))")], query),
    row("isURL", &[("is_url_string", "(string) -> bool")], |scope, args| {
        Ok(Value::Bool(check(text(scope, args)?).is_ok()))
    }),
];

/// A URL in its parts.
#[derive(Clone, Debug, Default)]
pub struct Url {
    scheme: String,
    /// What is behind the scheme of a URL without slashes.
    opaque: String,
    user: Option<String>,
    host: String,
    /// As written.
    path: String,
    query: Option<String>,
    fragment: String,
}

fn text<'v>(scope: &mut Scope<'_, '_>, args: &'v [Value<'_>]) -> Result<&'v str, Fault> {
    let [Value::String(text)] = args else { return Err(Fault::no_overload()) };
    scope.meter.make(text.len())?;
    Ok(text)
}

fn part<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>], of: impl FnOnce(&Url) -> String) -> Eval<'a> {
    let [Value::Url(url)] = args else { return Err(Fault::no_overload()) };
    // An escaped path is at most three times as long.
    scope.meter.make(url.path.len().saturating_mul(3).saturating_add(url.host.len()))?;
    Ok(Value::text(of(url)))
}

fn query<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::Url(url)] = args else { return Err(Fault::no_overload()) };
    let query = url.query.as_deref().unwrap_or_default();
    scope.meter.make(query.len().saturating_mul(32))?;
    let mut found: BTreeMap<String, Vec<Value<'a>>> = BTreeMap::new();
    // What cannot be read is left out.
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let unescape = |text: &str| unescape(&text.replace('+', " "), Part::Query).ok();
        if let (Some(key), Some(value)) = (unescape(key), unescape(value)) {
            found.entry(key).or_default().push(Value::text(value));
        }
    }
    let mut map = Builder::default();
    for (key, values) in found {
        map.set(&Value::text(key), Value::List(List::of(values)))?;
    }
    map.done()
}

/// Which part of a URL is escaped.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Query,
    Fragment,
}

/// Whether an octet must be escaped there.
fn must_escape(octet: u8, part: Part) -> bool {
    if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    match part {
        Part::Host | Part::Zone => !b"!$&'()*+,;=:[]<>\"".contains(&octet),
        Part::Path => !b"$&+,/:;=@".contains(&octet),
        Part::User => !b"$&+,;=".contains(&octet),
        Part::Query => true,
        Part::Fragment => !b"$&+,/:;=?@!()*".contains(&octet),
    }
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let octet = octets[at];
        if octet == b'%' {
            let digit = |at: usize| octets.get(at).and_then(|b| char::from(*b).to_digit(16));
            let shown = || {
                let mut end = (at + 3).min(octets.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("invalid URL escape {}", quoted(&text[at..end]))
            };
            let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else { return Err(shown()) };
            let value = u8::try_from(high * 16 + low).unwrap_or_default();
            let percent = value == b'%';
            // A host escapes only what is not ASCII; a zone, what a host may not have.
            if part == Part::Host && high < 8 && !percent {
                return Err(shown());
            }
            if part == Part::Zone && !percent && value != b' ' && must_escape(value, Part::Host) {
                return Err(shown());
            }
            out.push(value);
            at += 3;
        } else {
            if matches!(part, Part::Host | Part::Zone) && octet.is_ascii() && must_escape(octet, part) {
                let shown = quoted(&char::from(octet).to_string());
                return Err(format!("invalid character {shown} in host name"));
            }
            out.push(octet);
            at += 1;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn escape(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if must_escape(octet, part) {
            out.push_str(&format!("%{octet:02X}"));
        } else {
            out.push(char::from(octet));
        }
    }
    out
}

/// Whether the text can be the target of a request, `url.ParseRequestURI`.
pub(super) fn check(text: &str) -> Result<(), String> {
    read(text, true).map(|_| ()).map_err(|why| format!("parse {}: {why}", quoted(text)))
}

fn parse(text: &str) -> Result<Url, String> {
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = read(before, false).map_err(|why| format!("parse {}: {why}", quoted(before)))?;
    unescape(fragment, Part::Fragment).map_err(|why| format!("parse {}: {why}", quoted(text)))?;
    fragment.clone_into(&mut url.fragment);
    Ok(url)
}

fn read(text: &str, request: bool) -> Result<Url, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && request {
        return Err("empty url".to_owned());
    }
    let mut url = Url::default();
    if text == "*" {
        "*".clone_into(&mut url.path);
        return Ok(url);
    }
    let (scheme, mut rest) = scheme(text)?;
    url.scheme = scheme.to_lowercase();
    if let Some((before, query)) = rest.split_once('?') {
        url.query = Some(query.to_owned());
        rest = before;
    }
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if request {
            return Err("invalid URI for request".to_owned());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority = !url.scheme.is_empty() || (!request && !rest.starts_with("///"));
    if has_authority && let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        authority(&mut url, &after[..end])?;
        rest = &after[end..];
    }
    unescape(rest, Part::Path)?;
    rest.clone_into(&mut url.path);
    Ok(url)
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn authority(url: &mut Url, text: &str) -> Result<(), String> {
    let Some((user, host)) = text.rsplit_once('@') else {
        url.host = self::host(&url.scheme, text)?;
        return Ok(());
    };
    url.host = self::host(&url.scheme, host)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) =
        user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
    let mut shown = escape(&unescape(name, Part::User)?, Part::User);
    if let Some(password) = password {
        shown.push(':');
        shown.push_str(&escape(&unescape(password, Part::User)?, Part::User));
    }
    url.user = Some(shown);
    Ok(())
}

fn host(scheme: &str, text: &str) -> Result<String, String> {
    let port = |port: &str| {
        let fine = port.is_empty()
            || port.strip_prefix(':').is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()));
        if fine { Ok(()) } else { Err(format!("invalid port {} after host", quoted(port))) }
    };
    match text.rfind('[') {
        Some(at) if at > 0 => return Err("invalid IP-literal".to_owned()),
        Some(_) => {
            let end = text.rfind(']').ok_or("missing ']' in host")?;
            port(&text[end + 1..])?;
            let inside = &text[1..end];
            let name = match inside.find("%25") {
                Some(zone) => {
                    unescape(&inside[..zone], Part::Host)? + &unescape(&inside[zone..], Part::Zone)?
                }
                None => unescape(inside, Part::Host)?,
            };
            let address = name.split('%').next().unwrap_or_default();
            return match address.parse::<IpAddr>() {
                Ok(IpAddr::V6(_)) => Ok(format!("[{name}]{}", &text[end + 1..])),
                Ok(IpAddr::V4(_)) => Err("invalid IP-literal".to_owned()),
                Err(_) => Err(format!("invalid host: ParseAddr({}): unable to parse IP", quoted(&name))),
            };
        }
        None => {}
    }
    // Other schemes than the web's may list hosts with their ports.
    let strict = matches!(scheme, "http" | "https");
    if let Some(at) = if strict { text.find(':') } else { text.rfind(':') } {
        port(&text[at..])?;
    }
    unescape(text, Part::Host)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Url {
    fn host_and_port(&self) -> (&str, &str) {
        let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
        let (host, port) = match self.host.rsplit_once(':') {
            Some((host, port)) if digits(port) => (host, port),
            _ => (&*self.host, ""),
        };
        (host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host), port)
    }

    /// The path as written, where it is written well.
    fn escaped_path(&self) -> String {
        let allowed = |octet: u8| b"!$&'()*+,;=:@[]%".contains(&octet) || !must_escape(octet, Part::Path);
        if self.path.bytes().all(allowed) {
            return self.path.clone();
        }
        escape(&unescape(&self.path, Part::Path).unwrap_or_default(), Part::Path)
    }

    /// The whole URL.
    pub(in super::super) fn text(&self) -> String {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&self.scheme);
            text.push(':');
        }
        if self.opaque.is_empty() {
            if !self.host.is_empty()
                || self.user.is_some()
                || (!self.scheme.is_empty() && !self.path.is_empty())
            {
                text.push_str("//");
            }
            if let Some(user) = &self.user {
                text.push_str(user);
                text.push('@');
            }
            text.push_str(&escape(&self.host, Part::Host));
            text.push_str(&self.escaped_path());
        } else {
            text.push_str(&self.opaque);
        }
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query);
        }
        if !self.fragment.is_empty() {
            text.push('#');
            text.push_str(&self.fragment);
        }
        text
    }
}
