//! Words of an expression. Source: the lexer rules of `parser/gen/CEL.g4` of `cel-go` v0.26.

use super::source::Issues;

/// A word and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    pub(super) text: &'t str,
    /// Its first code point.
    pub(super) at: u32,
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An operator, a bracket, `in`, `true`, `false` or `null`.
    Symbol,
    Ident,
    /// A name between backquotes.
    EscapedIdent,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    End,
}

impl Token<'_> {
    pub(super) fn is(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }

    /// Whether an expression may begin with it.
    pub(super) fn begins_expression(&self) -> bool {
        match self.kind {
            TokenKind::Symbol => {
                matches!(self.text, "[" | "{" | "(" | "." | "-" | "!" | "true" | "false" | "null")
            }
            TokenKind::EscapedIdent | TokenKind::End => false,
            _ => true,
        }
    }

    /// The word as messages show it.
    pub(super) fn shown(&self) -> &str {
        if self.kind == TokenKind::End { "<EOF>" } else { self.text }
    }
}

const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":",
    "+", "*", "/", "%",
];

/// All words, an end last. What is none is reported and left out.
pub(super) fn tokens<'t>(text: &'t str, issues: &mut Issues<'_>) -> Vec<Token<'t>> {
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 0);
    loop {
        let blank = blank(rest);
        at += points(&rest[..blank]);
        rest = &rest[blank..];
        if rest.is_empty() {
            tokens.push(Token { kind: TokenKind::End, text: "", at });
            return tokens;
        }
        let length = match word(rest) {
            Ok((kind, length)) => {
                tokens.push(Token { kind, text: &rest[..length], at });
                length
            }
            Err(length) => {
                let shown = rest[..length].replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
                issues.report(at, format!("Syntax error: token recognition error at: '{shown}'"));
                length
            }
        };
        at += points(&rest[..length]);
        rest = &rest[length..];
    }
}

fn points(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// Bytes of white space and comments at the beginning.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(['\t', ' ', '\r', '\n', '\u{c}']);
        match rest.strip_prefix("//") {
            Some(comment) => rest = comment.find('\n').map_or("", |end| &comment[end..]),
            None => return text.len() - rest.len(),
        }
    }
}

/// The longest word at the beginning and its bytes, or the bytes that are none.
fn word(text: &str) -> Result<(TokenKind, usize), usize> {
    let first = text.as_bytes()[0];
    if let Some(quoted) = quoted(text) {
        return quoted;
    }
    if first.is_ascii_digit() || (first == b'.' && text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) {
        return Ok(number(text));
    }
    if first.is_ascii_alphabetic() || first == b'_' {
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let kind = match &text[..length] {
            "in" | "true" | "false" | "null" => TokenKind::Symbol,
            _ => TokenKind::Ident,
        };
        return Ok((kind, length));
    }
    if first == b'`' {
        let inside = text[1..]
            .find(|c: char| !c.is_ascii_alphanumeric() && !"_.-/ ".contains(c))
            .unwrap_or(text.len() - 1);
        return match text[1 + inside..].chars().next() {
            Some('`') if inside > 0 => Ok((TokenKind::EscapedIdent, inside + 2)),
            end => Err(1 + inside + end.map_or(0, char::len_utf8)),
        };
    }
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol)) {
        return Ok((TokenKind::Symbol, symbol.len()));
    }
    // What begins a longer symbol takes the next character along.
    let mut wrong = text.chars();
    let first = wrong.next().map_or(0, char::len_utf8);
    let second = if text.starts_with(['=', '&', '|']) { wrong.next().map_or(0, char::len_utf8) } else { 0 };
    Err(first + second)
}

fn number(text: &str) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let run = |from: usize, digit: fn(&u8) -> bool| {
        bytes[from..].iter().position(|b| !digit(b)).map_or(bytes.len(), |length| from + length)
    };
    let unsigned = |end: usize| {
        if matches!(bytes.get(end), Some(b'u' | b'U')) {
            (TokenKind::Uint, end + 1)
        } else {
            (TokenKind::Int, end)
        }
    };
    if text.starts_with("0x") && bytes.get(2).is_some_and(u8::is_ascii_hexdigit) {
        return unsigned(run(2, u8::is_ascii_hexdigit));
    }
    let whole = run(0, u8::is_ascii_digit);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = run(end + 1, u8::is_ascii_digit);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let digits = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(digits).is_some_and(u8::is_ascii_digit) {
            end = run(digits, u8::is_ascii_digit);
        }
    }
    if end == whole { unsigned(end) } else { (TokenKind::Double, end) }
}

/// A string or bytes, if the text begins with one: its bytes, or those up to where it goes wrong.
fn quoted(text: &str) -> Option<Result<(TokenKind, usize), usize>> {
    let quote = text.bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
    let prefix = &text[..quote];
    let (kind, raw) = match prefix {
        "" => (TokenKind::String, false),
        "r" | "R" => (TokenKind::String, true),
        "b" | "B" => (TokenKind::Bytes, false),
        _ if prefix.eq_ignore_ascii_case("br") => (TokenKind::Bytes, true),
        _ => return None,
    };
    let mark = &text[quote..=quote];
    let triple = mark.repeat(3);
    let long = text[quote..].starts_with(&triple);
    let mark = if long { triple.as_str() } else { mark };
    let mut at = quote + mark.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(mark) {
            return Some(Ok((kind, at + mark.len())));
        }
        let Some(next) = rest.chars().next() else { break };
        if !long && matches!(next, '\n' | '\r') {
            at += 1;
            break;
        }
        if next == '\\' && !raw {
            match escape(rest) {
                Ok(length) => at += length,
                Err(length) => {
                    at += length;
                    break;
                }
            }
        } else {
            at += next.len_utf8();
        }
    }
    // A long one that does not end begins with an empty one that does.
    if long { Some(Ok((kind, quote + 2))) } else { Some(Err(at)) }
}

/// The bytes of an escape sequence, or those up to where it goes wrong.
fn escape(text: &str) -> Result<usize, usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize, digit: fn(&u8) -> bool| {
        let found = bytes.iter().skip(from).take(count).take_while(|b| digit(b)).count();
        if found == count {
            Ok(from + count)
        } else {
            Err(text[from + found..].chars().next().map_or(text.len(), |c| from + found + c.len_utf8()))
        }
    };
    match bytes.get(1) {
        Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`') => Ok(2),
        Some(b'x' | b'X') => digits(2, 2, u8::is_ascii_hexdigit),
        Some(b'u') => digits(2, 4, u8::is_ascii_hexdigit),
        Some(b'U') => digits(2, 8, u8::is_ascii_hexdigit),
        Some(b'0'..=b'3') => digits(2, 2, |b| (b'0'..=b'7').contains(b)),
        _ => Err(1 + text[1..].chars().next().map_or(0, char::len_utf8)),
    }
}
