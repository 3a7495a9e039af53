//! A URL, cut where Go cuts it.
//!
//! Source: `Parse` of Go's `net/url`, as far as it tells good addresses of webhooks from bad ones.

/// The parts of a URL that somebody asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// In lower case; empty where there is none.
    pub(super) scheme: String,
    pub(super) user: Option<&'a str>,
    /// With its port.
    pub(super) host: &'a str,
    pub(super) query: &'a str,
    pub(super) fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts, or what Go says of a text that has none.
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        let (whole, fragment) = text.split_once('#').unwrap_or((text, ""));
        Self::cut(whole, fragment).map_err(|why| format!("parse {text:?}: {why}"))
    }

    fn cut(whole: &'a str, fragment: &'a str) -> Result<Self, String> {
        if whole.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("net/url: invalid control character in URL".into());
        }
        let (scheme, rest) = scheme(whole)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) => after.split_at(after.find('/').unwrap_or(after.len())),
            None => ("", rest),
        };
        if scheme.is_empty() && authority.is_empty() {
            let first = path.split('/').next().unwrap_or_default();
            if first.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        escapes(path)?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self::host(host)?;
        Ok(Self { scheme: scheme.to_lowercase(), user, host, query, fragment })
    }
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, letter) in text.char_indices() {
        match letter {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".into()),
            ':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

/// Each `%` is followed by two hexadecimal digits.
fn escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits: String = text[at..].chars().take(3).collect();
        if digits.len() < 3 || !digits[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {digits:?}"));
        }
    }
    Ok(())
}

fn host(host: &str) -> Result<(), String> {
    let (name, port) = match host.strip_prefix('[') {
        Some(inside) => inside.split_once(']').ok_or("missing ']' in host")?,
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if (!port.is_empty() && !port.starts_with(':')) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port {port:?} after host"));
    }
    let strange = |letter: &char| {
        letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:%<>\"".contains(*letter)
    };
    match name.chars().find(strange) {
        Some(letter) => Err(format!("invalid character {:?} in host name", letter.to_string())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut() {
        let parts = Parts::of("HTTPS://me:secret@a.example:443/b%20c?d=e#f").unwrap();
        assert_eq!(parts.scheme, "https");
        assert_eq!((parts.user, parts.host), (Some("me:secret"), "a.example:443"));
        assert_eq!((parts.query, parts.fragment), ("d=e", "f"));
        let bare = Parts::of("a.example").unwrap();
        assert_eq!((&*bare.scheme, bare.host), ("", ""));
        assert_eq!(Parts::of("https://[::1]:8443/").unwrap().host, "[::1]:8443");
        assert_eq!(Parts::of("").unwrap().host, "");
    }

    #[test]
    fn what_is_none_is_said_to_be_none() {
        for (text, why) in [
            (":a", "missing protocol scheme"),
            ("a.b:c", ""),
            ("1.2:3", "first path segment in URL cannot contain colon"),
            ("https://a:b", "invalid port \":b\" after host"),
            ("https://[::1", "missing ']' in host"),
            ("https://a b/", "invalid character \" \" in host name"),
            ("https://a/%zz", "invalid URL escape \"%zz\""),
            ("https://a/%z", "invalid URL escape \"%z\""),
            ("https://a/\u{7}", "net/url: invalid control character in URL"),
        ] {
            let said = Parts::of(text).err().unwrap_or_default();
            assert!(said.ends_with(why) && said.is_empty() == why.is_empty(), "{text:?}: {said}");
        }
    }
}
