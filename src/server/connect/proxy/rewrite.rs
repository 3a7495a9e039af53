//! Addresses in answers: those of the backend become those by which the caller reached it.
//!
//! Source: `Transport` of `k8s.io/apimachinery/pkg/util/proxy` (1.36).

use std::io::Read;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder, GzDecoder, GzEncoder};
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// The longest page whose links are rewritten. A longer one is passed on as it is.
pub(super) const PAGE: usize = 4 * 1024 * 1024;

/// What a backend is to the caller.
#[derive(Clone, Debug)]
pub(super) struct Rewriter {
    /// The path in front of the backend's own, without a slash at its end.
    pub(super) prefix: String,
    /// The hosts that are the backend: its own, and the one that the caller asked.
    pub(super) hosts: Vec<String>,
}

/// The attributes that hold addresses.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

impl Rewriter {
    /// An address as the caller can use it: one of another host, or relative to the page, stays.
    pub(super) fn address(&self, text: &str) -> String {
        let (host, path) = match split(text) {
            Some((host, path)) => (Some(host), path),
            None => (None, text),
        };
        if host.is_some_and(|host| !self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))) {
            return text.to_owned();
        }
        let path = if host.is_some() && path.is_empty() { "/" } else { path };
        if !path.starts_with('/') {
            return text.to_owned();
        }
        if within(path, &self.prefix) { path.to_owned() } else { format!("{}{path}", self.prefix) }
    }

    /// A page with its links rewritten, in the encoding that it has; none where that is unknown, or the page
    /// is too long when it is unpacked.
    pub(super) fn page(&self, encoding: &str, body: &[u8]) -> Option<Bytes> {
        let plain = match encoding {
            "" | "identity" => return Some(self.html(body).into()),
            "gzip" => unpack(GzDecoder::new(body))?,
            "deflate" => unpack(DeflateDecoder::new(body))?,
            _ => return None,
        };
        let rewritten = self.html(&plain);
        let mut packed = Vec::new();
        match encoding {
            "gzip" => GzEncoder::new(&*rewritten, Compression::fast()).read_to_end(&mut packed),
            _ => DeflateEncoder::new(&*rewritten, Compression::fast()).read_to_end(&mut packed),
        }
        .ok()?;
        Some(packed.into())
    }

    /// Rewrites tags whose addresses change, and copies everything else byte by byte.
    fn html(&self, page: &[u8]) -> Vec<u8> {
        let mut emitter = DefaultEmitter::<usize>::new_with_span();
        emitter.naively_switch_states(true);
        let mut out = Vec::with_capacity(page.len() + 256);
        let mut copied = 0;
        for token in Tokenizer::new_with_emitter(page, emitter) {
            let Ok(Token::StartTag(tag)) = token else { continue };
            let Some(written) = self.tag(&tag) else { continue };
            let (start, end) = (tag.span.start, tag.span.end);
            // What is no whole tag behind the last one is copied.
            let whole = page.get(start..end).is_some_and(|tag| tag.starts_with(b"<") && tag.ends_with(b">"));
            if start < copied || !whole {
                continue;
            }
            out.extend_from_slice(&page[copied..start]);
            out.extend_from_slice(written.as_bytes());
            copied = end;
        }
        out.extend_from_slice(&page[copied..]);
        out
    }

    /// The tag with its addresses rewritten; none where none of them changes.
    fn tag(&self, tag: &StartTag<usize>) -> Option<String> {
        let name = std::str::from_utf8(&tag.name).ok()?;
        let (_, holding) = ATTRIBUTES.iter().find(|(own, _)| *own == name)?;
        let mut changed = false;
        let mut written = format!("<{name}");
        for (attribute, value) in &tag.attributes {
            let (attribute, value) = (std::str::from_utf8(attribute).ok()?, std::str::from_utf8(value).ok()?);
            let shown = if holding.contains(&attribute) { self.address(value) } else { value.to_owned() };
            changed |= shown != value;
            let shown = shown.replace('&', "&amp;").replace('"', "&#34;").replace('<', "&lt;");
            written.push_str(&format!(" {attribute}=\"{shown}\""));
        }
        written.push_str(if tag.self_closing { "/>" } else { ">" });
        changed.then_some(written)
    }
}

/// Whether a path begins with the steps of a prefix.
fn within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// Host and rest of an absolute address, or of one that only leaves its scheme out.
fn split(text: &str) -> Option<(&str, &str)> {
    let behind = match text.split_once("://") {
        Some((scheme, rest)) if matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") => rest,
        Some(_) => return None,
        None => text.strip_prefix("//")?,
    };
    let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    Some(behind.split_at(end))
}

fn unpack(packed: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let limit = u64::try_from(PAGE).unwrap_or(u64::MAX) + 1;
    packed.take(limit).read_to_end(&mut plain).ok()?;
    (plain.len() <= PAGE).then_some(plain)
}

/// The path of a backend, cleaned of steps that go nowhere or up, so that none leads out of it.
pub(super) fn clean(rest: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in rest.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let mut path = format!("/{}", steps.join("/"));
    if rest.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter() -> Rewriter {
        Rewriter {
            prefix: "/api/v1/namespaces/ns/pods/web:80/proxy".into(),
            hosts: vec!["10.0.0.1:80".into(), "localhost:8001".into()],
        }
    }

    #[test]
    fn addresses_of_the_backend_lead_through_the_proxy_and_others_stay() {
        let prefix = rewriter().prefix;
        for (text, expected) in [
            ("/", format!("{prefix}/")),
            ("/a/b?c=d#e", format!("{prefix}/a/b?c=d#e")),
            ("http://10.0.0.1:80/a", format!("{prefix}/a")),
            ("https://LOCALHOST:8001/a/", format!("{prefix}/a/")),
            ("//10.0.0.1:80/a", format!("{prefix}/a")),
            ("http://10.0.0.1:80", format!("{prefix}/")),
            ("http://10.0.0.1/a", "http://10.0.0.1/a".into()),
            ("https://example.com/", "https://example.com/".into()),
            ("a/b", "a/b".into()),
            ("?page=2", "?page=2".into()),
            ("mailto:x@example.com", "mailto:x@example.com".into()),
            (&format!("{prefix}/there"), format!("{prefix}/there")),
        ] {
            assert_eq!(rewriter().address(text), expected, "{text}");
        }
        assert_eq!(rewriter().address(&format!("{prefix}x/")), format!("{prefix}{prefix}x/"));
    }

    #[test]
    fn links_are_rewritten_and_everything_else_is_as_it_was() {
        let page = r#"<!DOCTYPE html><HTML><!-- <a href="/no"> --><a  title='x "y"' href=/a>&amp;</a>
<img src="http://10.0.0.1:80/i?a=1&amp;b=2"/><img src=rel.png><p href="/p">
<script>if (a < b) { "<a href='/s'>" }</script><a href='https://example.com/'>"#;
        let prefix = rewriter().prefix;
        let expected = format!(
            r#"<!DOCTYPE html><HTML><!-- <a href="/no"> --><a href="{prefix}/a" title="x &#34;y&#34;">&amp;</a>
<img src="{prefix}/i?a=1&amp;b=2"/><img src=rel.png><p href="/p">
<script>if (a < b) {{ "<a href='/s'>" }}</script><a href='https://example.com/'>"#
        );
        let rewritten = rewriter().page("", page.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&rewritten), expected);
        for encoding in ["gzip", "deflate"] {
            let mut packed = Vec::new();
            match encoding {
                "gzip" => GzEncoder::new(page.as_bytes(), Compression::best()).read_to_end(&mut packed),
                _ => DeflateEncoder::new(page.as_bytes(), Compression::best()).read_to_end(&mut packed),
            }
            .unwrap();
            let rewritten = rewriter().page(encoding, &packed).unwrap();
            let plain = match encoding {
                "gzip" => unpack(GzDecoder::new(&*rewritten)),
                _ => unpack(DeflateDecoder::new(&*rewritten)),
            };
            assert_eq!(plain.unwrap(), expected.as_bytes(), "{encoding}");
        }
        assert_eq!(rewriter().page("br", page.as_bytes()), None);
    }

    #[test]
    fn lines_may_end_in_any_way_and_letters_be_of_any_length() {
        let prefix = rewriter().prefix;
        let page = "<p>\r\n\r é<a\r\nhref='/a'>\r\n<script>\r\n</script>\r<a href=\"/b\">ü</a>";
        let expected = format!(
            "<p>\r\n\r é<a href=\"{prefix}/a\">\r\n<script>\r\n</script>\r<a href=\"{prefix}/b\">ü</a>"
        );
        let rewritten = rewriter().page("", page.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&rewritten), expected);
    }

    #[test]
    fn a_page_that_unpacks_to_too_much_is_left_alone() {
        let mut packed = Vec::new();
        GzEncoder::new(&*vec![b' '; PAGE + 1], Compression::best()).read_to_end(&mut packed).unwrap();
        assert!(packed.len() < 100_000);
        assert_eq!(rewriter().page("gzip", &packed), None);
    }

    #[test]
    fn no_path_leads_out() {
        for (rest, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a/../../b", "/b"),
            ("/../../../etc/passwd", "/etc/passwd"),
            ("/a//b/./c/", "/a/b/c/"),
            ("/a/..", "/"),
        ] {
            assert_eq!(clean(rest), expected, "{rest}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_page_survives(page in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            rewriter().page("", &page);
        }

        #[test]
        fn a_page_without_links_is_the_same(parts in proptest::collection::vec(part(), 0..40)) {
            let page = parts.concat();
            proptest::prop_assert_eq!(rewriter().page("", page.as_bytes()).unwrap(), page);
        }
    }

    fn part() -> impl proptest::prelude::Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "<p x=/y>",
            "\r\n",
            "\r",
            "<",
            ">",
            "</a",
            "text",
            "'",
            "\"",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<b>",
            "&amp;",
            "\0",
            "<title>",
            "<a name=x>",
            "<![CDATA[",
            "<!doctype",
            "é",
        ])
    }
}
