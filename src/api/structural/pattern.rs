//! Regular expressions as Go reads them.
//!
//! Go's are ASCII where Rust's are Unicode (`\d`, `\w`, `\s`, `\b`), and take a brace that begins no
//! repetition, or a bracket within a class, for itself. So a pattern is translated before it is compiled.
//! Both engines are linear in the text. How large a pattern may become is bounded, as Go bounds it.

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes; Go's bound is on its own instructions.
const MOST: usize = 1 << 20;

/// A pattern of a schema.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern; what is wrong with it where that fails.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(&translate(text)).size_limit(MOST).dfa_size_limit(MOST).build();
        let regex = regex.map_err(|error| format!("error parsing regexp: {}", reason(&error)))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The last line of what the compiler says: those before it show the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// A pattern in Go's syntax as one in Rust's.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut class = false;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        if letter == '\\' {
            rest = escape(after, class, &mut out);
            continue;
        }
        if class {
            match letter {
                '[' if after.starts_with(':') && after.contains(":]") => {
                    let end = after.find(":]").map_or(after.len(), |at| at + 2);
                    out.push('[');
                    out.push_str(&after[..end]);
                    rest = &after[end..];
                    continue;
                }
                '[' | '&' | '~' => out.push('\\'),
                ']' => class = false,
                _ => {}
            }
        } else if letter == '[' {
            class = true;
            out.push('[');
            rest = after;
            if let Some(negated) = rest.strip_prefix('^') {
                out.push('^');
                rest = negated;
            }
            // A bracket that comes first is one of the class.
            if let Some(first) = rest.strip_prefix(']') {
                out.push_str("\\]");
                rest = first;
            }
            continue;
        } else if letter == '{' && !repeats(after) {
            out.push('\\');
        }
        out.push(letter);
        rest = after;
    }
    out
}

/// Whether what follows a brace makes it a repetition.
fn repeats(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None => !inside.is_empty() && digits(inside),
        Some((low, high)) => !low.is_empty() && digits(low) && digits(high),
    }
}

/// Translates what stands behind a backslash; what is left after it.
fn escape<'a>(rest: &'a str, class: bool, out: &mut String) -> &'a str {
    let Some(letter) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[letter.len_utf8()..];
    let (inside, outside) = match letter {
        'd' => ("0-9", "[0-9]"),
        'D' => ("[^0-9]", "[^0-9]"),
        'w' => ("0-9A-Za-z_", "[0-9A-Za-z_]"),
        'W' => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
        's' => ("\\t\\n\\f\\r ", "[\\t\\n\\f\\r ]"),
        'S' => ("[^\\t\\n\\f\\r ]", "[^\\t\\n\\f\\r ]"),
        'b' if !class => ("", "(?-u:\\b)"),
        'B' if !class => ("", "(?-u:\\B)"),
        'Q' if !class => {
            let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        _ => {
            out.push('\\');
            out.push(letter);
            return after;
        }
    };
    out.push_str(if class { inside } else { outside });
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        let cases = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "\u{664}", false),
            (r"^\w$", "é", false),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\s]$", "\u{a0}", true),
            (r"^\S+\s\S+$", "a b", true),
            ("^a{2}$", "aa", true),
            ("^a{$", "a{", true),
            ("^{a}$", "{a}", true),
            ("^a{,2}$", "a{,2}", true),
            ("^[[]$", "[", true),
            ("^[]a]+$", "]a", true),
            ("^[^]]$", "]", false),
            ("^[a&&b]+$", "&a", true),
            ("^[[:alpha:]]+$", "abc", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"\bfoo\b", "a foo b", true),
            ("^(?i)abc$", "ABC", true),
            ("", "anything", true),
        ];
        for (pattern, text, wanted) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        for pattern in ["(", "[a", r"\1", "(?=a)", "*", "((a{100}){100}){100}"] {
            let why = Pattern::new(pattern).unwrap_err();
            assert!(why.starts_with("error parsing regexp: "), "{why}");
        }
    }
}
