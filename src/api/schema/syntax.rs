//! What is wrong with text that is no JSON, as Go says it.
//!
//! Clients of every language show these words to people, who know them from Kubernetes. Nothing else is done with
//! the text here: it has been refused already.
//!
//! Source: the states of `encoding/json`'s scanner (Go 1.25), by which `k8s.io/apimachinery` finds a body's kind.

/// So many lists and objects in one another, and no more.
const MAX_DEPTH: usize = 10_000;

/// The first thing that Go's scanner objects to; none where it objects to nothing.
pub(crate) fn complaint(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0, open: Vec::new() };
    scanner.document().err()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// What we are in: objects by `{`, lists by `[`.
    open: Vec<u8>,
}

type Scanned<T = ()> = Result<T, String>;

impl Scanner<'_> {
    fn document(&mut self) -> Scanned {
        const VALUE: &str = "looking for beginning of value";
        const KEY: &str = "looking for beginning of object key string";
        self.value(VALUE)?;
        // What begins has been read; lists and objects say by `open` that they have not ended.
        while let Some(&within) = self.open.last() {
            let first = self.text[self.at - 1] == within;
            let byte = self.significant()?;
            match (within, byte) {
                (b'{', b'}') | (b'[', b']') => {
                    self.at += 1;
                    self.open.pop();
                    continue;
                }
                _ if first => {}
                (_, b',') => self.at += 1,
                (b'{', byte) => return Err(invalid(byte, "after object key:value pair")),
                (_, byte) => return Err(invalid(byte, "after array element")),
            }
            if within == b'{' {
                match self.significant()? {
                    b'"' => self.string()?,
                    byte => return Err(invalid(byte, KEY)),
                }
                match self.significant()? {
                    b':' => self.at += 1,
                    byte => return Err(invalid(byte, "after object key")),
                }
            }
            self.value(VALUE)?;
        }
        match self.significant() {
            Ok(byte) => Err(invalid(byte, "after top-level value")),
            Err(_) => Ok(()),
        }
    }

    /// Reads a scalar, or enters a list or an object.
    fn value(&mut self, wanted: &str) -> Scanned {
        match self.significant()? {
            byte @ (b'{' | b'[') => {
                self.at += 1;
                self.open.push(byte);
                if self.open.len() > MAX_DEPTH { Err("exceeded max depth".to_owned()) } else { Ok(()) }
            }
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            byte => Err(invalid(byte, wanted)),
        }
    }

    fn string(&mut self) -> Scanned {
        self.at += 1;
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Scanned {
        self.at += 1;
        for wanted in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != wanted {
                let wanted = char::from(wanted);
                return Err(invalid(byte, &format!("in literal {word} (expecting '{wanted}')")));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Scanned {
        if self.text[self.at] == b'-' {
            self.at += 1;
            self.digit("in numeric literal")?;
            self.at -= 1;
        }
        if self.text[self.at] == b'0' {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, context: &str) -> Scanned {
        let byte = self.next()?;
        if byte.is_ascii_digit() { Ok(()) } else { Err(invalid(byte, context)) }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Scanned<u8> {
        let byte = self.peek().ok_or_else(|| "unexpected end of JSON input".to_owned())?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is no space, which is not taken.
    fn significant(&mut self) -> Scanned<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let byte = self.next()?;
        self.at -= 1;
        Ok(byte)
    }
}

/// `invalid character 'x' after array element`.
fn invalid(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x07 => "\\a".to_owned(),
        0x08 => "\\b".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\n' => "\\n".to_owned(),
        0x0b => "\\v".to_owned(),
        0x0c => "\\f".to_owned(),
        b'\r' => "\\r".to_owned(),
        byte @ (..0x20 | 0x7f) => format!("\\x{byte:02x}"),
        // Above ASCII Go takes a byte for the character of that number; these do not print.
        byte @ (0x80..=0xa0 | 0xad) => format!("\\u{byte:04x}"),
        byte => char::from(byte).to_string(),
    };
    format!("invalid character '{shown}' {context}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn complaints_are_gos() {
        let end = Some("unexpected end of JSON input");
        for (text, expected) in [
            ("", end),
            ("  ", end),
            ("{", end),
            ("{\"a\"", end),
            ("{\"a\":", end),
            ("{\"a\":1", end),
            ("{\"a\":1,", end),
            ("[1", end),
            ("\"ab", end),
            ("tru", end),
            ("-", end),
            ("1.", end),
            ("1e", end),
            ("{}", None),
            (" [ ] ", None),
            ("{\"a\": [1, {\"b\": null}], \"c\": -0.5e+7} \n", None),
            ("0", None),
            ("kind: Pod", Some("invalid character 'k' looking for beginning of value")),
            ("{a: 1}", Some("invalid character 'a' looking for beginning of object key string")),
            ("{'a': 1}", Some("invalid character '\\'' looking for beginning of object key string")),
            ("{\"a\" 1}", Some("invalid character '1' after object key")),
            ("{\"a\": 1 \"b\": 2}", Some("invalid character '\"' after object key:value pair")),
            ("{\"a\": 1,}", Some("invalid character '}' looking for beginning of object key string")),
            ("[1,]", Some("invalid character ']' looking for beginning of value")),
            ("[1 2]", Some("invalid character '2' after array element")),
            ("{} {}", Some("invalid character '{' after top-level value")),
            ("01", Some("invalid character '1' after top-level value")),
            ("trUe", Some("invalid character 'U' in literal true (expecting 'u')")),
            ("nul ", Some("invalid character ' ' in literal null (expecting 'l')")),
            ("\"a\nb\"", Some("invalid character '\\n' in string literal")),
            ("\"\\x\"", Some("invalid character 'x' in string escape code")),
            ("\"\\u00g0\"", Some("invalid character 'g' in \\u hexadecimal character escape")),
            ("-a", Some("invalid character 'a' in numeric literal")),
            ("1.x", Some("invalid character 'x' after decimal point in numeric literal")),
            ("1e+x", Some("invalid character 'x' in exponent of numeric literal")),
            ("\u{1}", Some("invalid character '\\x01' looking for beginning of value")),
            ("é", Some("invalid character 'Ã' looking for beginning of value")),
        ] {
            assert_eq!(complaint(text.as_bytes()).as_deref(), expected, "{text:?}");
        }
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(complaint(deep(MAX_DEPTH).as_bytes()), None);
        assert_eq!(complaint(deep(MAX_DEPTH + 1).as_bytes()).as_deref(), Some("exceeded max depth"));
    }

    proptest! {
        /// Where the reader that decodes bodies objects to nothing, neither does this one, and the other way round.
        #[test]
        fn it_objects_where_the_reader_does(text in "[\\[\\]{}:,\" 0-9.eE+\\-truefalsnu\\\\]{0,12}") {
            let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            prop_assert_eq!(read.is_ok(), complaint(text.as_bytes()).is_none());
        }
    }
}
