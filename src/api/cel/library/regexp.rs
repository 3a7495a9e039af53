//! From RE2's syntax, as Go's `regexp` reads it, to that of the crate `regex`.
//!
//! The two differ in what `\d`, `\w`, `\s` and `\b` mean (ASCII there, Unicode here), in `\Q..\E`, in operators
//! within classes (`[a&&b]` is four characters there), and in how much may be repeated. Every piece is written
//! anew, so that nothing passes that means something else. Source: `regexp/syntax/parse.go` of Go, whose errors
//! these are.

use std::fmt::Write;

/// The most that one expression may be repeated, those around it included.
const MOST_REPEATS: u64 = 1_000;
/// How deep groups may nest.
const DEEPEST: usize = 250;

/// The pattern in the other syntax, or what is wrong with it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator =
        Translator { pattern, at: 0, out: String::with_capacity(pattern.len()), groups: Vec::new() };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    /// For every open group, the largest repetition within.
    groups: Vec<u64>,
}

/// What was read last: what a repetition would repeat.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// Nothing that can be repeated.
    Nothing,
    /// Something, with the largest repetition within.
    Atom(u64),
    /// A repetition, which began at that octet.
    Repeated(usize),
}

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_if(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn fail<T>(what: &str, part: &str) -> Result<T, String> {
        Err(format!("error parsing regexp: {what}: `{part}`"))
    }

    fn run(&mut self) -> Result<(), String> {
        let mut last = Last::Nothing;
        // The largest repetition seen in the group that is open.
        let mut largest: u64 = 1;
        while let Some(next) = self.rest().chars().next() {
            let start = self.at;
            last = match next {
                '*' | '+' | '?' | '{' => {
                    let repeat = self.repeat(last)?;
                    match repeat {
                        Some(count) => {
                            largest = largest.max(count);
                            Last::Repeated(start)
                        }
                        None => {
                            self.at += 1;
                            self.literal('{');
                            Last::Atom(1)
                        }
                    }
                }
                '(' => {
                    if self.group(&mut largest)? {
                        Last::Nothing
                    } else {
                        last
                    }
                }
                ')' => {
                    self.at += 1;
                    let Some(outside) = self.groups.pop() else {
                        return Self::fail("unexpected )", self.pattern);
                    };
                    self.out.push(')');
                    let inside = largest;
                    largest = outside.max(inside);
                    Last::Atom(inside)
                }
                '|' => {
                    self.at += 1;
                    self.out.push('|');
                    Last::Nothing
                }
                '[' => {
                    self.class()?;
                    Last::Atom(1)
                }
                '\\' => self.escape()?,
                '.' | '^' | '$' => {
                    self.at += 1;
                    self.out.push(next);
                    Last::Atom(1)
                }
                other => {
                    self.at += other.len_utf8();
                    self.literal(other);
                    Last::Atom(1)
                }
            };
        }
        if self.groups.is_empty() { Ok(()) } else { Self::fail("missing closing )", self.pattern) }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() || c.is_ascii_whitespace() || c.is_control() {
            let _ = write!(self.out, "\\x{{{:X}}}", u32::from(c));
        } else {
            self.out.push(c);
        }
    }

    /// `*`, `+`, `?` or `{1,2}`, and the largest repetition it makes; nothing where a brace is only a brace.
    fn repeat(&mut self, last: Last) -> Result<Option<u64>, String> {
        let start = self.at;
        let (written, count) = match self.rest().as_bytes()[0] {
            b'{' => match self.braces()? {
                Some(it) => it,
                None => return Ok(None),
            },
            _ => {
                self.at += 1;
                (self.pattern[start..self.at].to_owned(), 1)
            }
        };
        let lazy = self.take_if("?");
        let operator = &self.pattern[start..self.at];
        let inside = match last {
            Last::Nothing => return Self::fail("missing argument to repetition operator", operator),
            Last::Repeated(before) => {
                return Self::fail("invalid nested repetition operator", &self.pattern[before..self.at]);
            }
            Last::Atom(inside) => inside,
        };
        let product = inside.saturating_mul(count.max(1));
        if product > MOST_REPEATS {
            return Self::fail("invalid repeat count", operator);
        }
        self.out.push_str(&written);
        if lazy {
            self.out.push('?');
        }
        Ok(Some(product))
    }

    /// `{n}`, `{n,}` or `{n,m}`, and the larger number.
    fn braces(&mut self) -> Result<Option<(String, u64)>, String> {
        let rest = self.rest();
        let Some(end) = rest.find('}') else { return Ok(None) };
        let inside = &rest[1..end];
        let (low, high) = inside.split_once(',').map_or((inside, None), |(low, high)| (low, Some(high)));
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_number(low) || high.is_some_and(|high| !high.is_empty() && !is_number(high)) {
            return Ok(None);
        }
        let value = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        let (from, to) = (value(low), high.filter(|high| !high.is_empty()).map(value));
        let written = &rest[..=end];
        if from > MOST_REPEATS || to.is_some_and(|to| to > MOST_REPEATS || to < from) {
            return Self::fail("invalid repeat count", written);
        }
        self.at += end + 1;
        Ok(Some((written.to_owned(), to.unwrap_or(from).max(from))))
    }

    /// An opening bracket; whether it opened a group, and did not only set flags.
    fn group(&mut self, largest: &mut u64) -> Result<bool, String> {
        let start = self.at;
        self.at += 1;
        if self.groups.len() >= DEEPEST {
            return Self::fail("expression nests too deeply", self.pattern);
        }
        if self.take_if("?P<") || self.take_if("?<") {
            let rest = self.rest();
            let Some(end) = rest.find('>') else {
                return Self::fail("invalid named capture", &self.pattern[start..]);
            };
            let name = &rest[..end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Self::fail("invalid named capture", &self.pattern[start..=self.at + end]);
            }
            self.at += end + 1;
            // Names are for nothing here, and may begin with a digit there only.
            self.out.push_str("(?:");
        } else if self.take_if("?") {
            let length = self.rest().find([':', ')']).unwrap_or(self.rest().len());
            let flags = &self.rest()[..length];
            let valid = flags.strip_suffix('-').is_none()
                && flags.matches('-').count() <= 1
                && flags.chars().all(|c| "imsU-".contains(c));
            let end = self.rest()[length..].chars().next();
            let (Some(end), true) = (end, valid) else {
                let wrong = flags.find(|c: char| !"imsU-".contains(c)).unwrap_or(length);
                let end_of = |at: usize| self.pattern[at..].chars().next().map_or(at, |c| at + c.len_utf8());
                let shown = &self.pattern[start..end_of(self.at + wrong)];
                let what =
                    if end.is_none() { "missing closing )" } else { "invalid or unsupported Perl syntax" };
                return Self::fail(what, if end.is_none() { self.pattern } else { shown });
            };
            self.at += length + 1;
            if end == ')' {
                if !flags.is_empty() {
                    let _ = write!(self.out, "(?{flags})");
                }
                return Ok(false);
            }
            let _ = write!(self.out, "(?{flags}:");
        } else {
            self.out.push_str("(?:");
        }
        self.groups.push(std::mem::replace(largest, 1));
        Ok(true)
    }

    fn escape(&mut self) -> Result<Last, String> {
        let start = self.at;
        self.at += 1;
        let Some(next) = self.take() else {
            return Self::fail("trailing backslash at end of expression", "");
        };
        match next {
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("(?-u:\\B)"),
            'Q' => return Ok(self.quoted()),
            'p' | 'P' => {
                let class = self.unicode(next == 'P')?;
                self.out.push_str(&class);
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                let _ = write!(self.out, "[{}]", perl(next));
            }
            other => {
                let c = self.character(start, other)?;
                self.literal(c);
            }
        }
        Ok(Last::Atom(1))
    }

    /// What is between `\Q` and `\E`, each character for itself.
    fn quoted(&mut self) -> Last {
        let rest = self.rest();
        let (inside, length) = rest.find("\\E").map_or((rest, rest.len()), |end| (&rest[..end], end + 2));
        self.at += length;
        for c in inside.chars() {
            self.literal(c);
        }
        if inside.is_empty() { Last::Nothing } else { Last::Atom(1) }
    }

    /// `\p{Greek}` or `\pN`, behind the letter.
    fn unicode(&mut self, negated: bool) -> Result<String, String> {
        let start = self.at - 2;
        let name = if self.take_if("{") {
            let rest = self.rest();
            let Some(end) = rest.find('}') else {
                return Self::fail("invalid character class range", &self.pattern[start..]);
            };
            self.at += end + 1;
            &rest[..end]
        } else {
            let from = self.at;
            self.take();
            &self.pattern[from..self.at]
        };
        let (name, inverted) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let shown = &self.pattern[start..self.at];
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Self::fail("invalid character class range", shown);
        }
        let class = match name {
            "Any" => {
                if negated == inverted { "\\x{0}-\\x{10FFFF}" } else { "^\\x{0}-\\x{10FFFF}" }.to_owned()
            }
            _ => format!("\\{}{{{name}}}", if negated == inverted { 'p' } else { 'P' }),
        };
        // Whether there is a class of that name is the other crate's to say.
        if regex::Regex::new(&format!("[{class}]")).is_err() {
            return Self::fail("invalid character class range", shown);
        }
        Ok(if name == "Any" { format!("[{class}]") } else { class })
    }

    /// The character that an escape stands for; `next` is what follows the backslash at `start`.
    fn character(&mut self, start: usize, next: char) -> Result<char, String> {
        let wrong = |at: usize, pattern: &str| {
            let end = pattern[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            Self::fail("invalid escape sequence", &pattern[start..end])
        };
        Ok(match next {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let mut value = next as u32 - '0' as u32;
                // One digit but 0 would be a group's number, which RE2 has none of.
                if next != '0' && !self.rest().starts_with(|c: char| ('0'..='7').contains(&c)) {
                    return Self::fail("invalid escape sequence", &self.pattern[start..self.at]);
                }
                for _ in 0..2 {
                    let digit = self.rest().chars().next().filter(|c| ('0'..='7').contains(c));
                    let Some(digit) = digit else { break };
                    self.at += 1;
                    value = value * 8 + (digit as u32 - '0' as u32);
                }
                char::from_u32(value).unwrap_or('\0')
            }
            'x' => {
                let rest = self.rest();
                let digits = match rest.strip_prefix('{') {
                    Some(inside) => match inside.find('}') {
                        Some(end) => {
                            self.at += end + 2;
                            &inside[..end]
                        }
                        None => return Self::fail("invalid escape sequence", &self.pattern[start..]),
                    },
                    None => {
                        let Some(digits) = rest.get(..2) else { return wrong(self.at, self.pattern) };
                        self.at += 2;
                        digits
                    }
                };
                let hex = digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let value = u32::from_str_radix(digits, 16).ok().filter(|_| hex).and_then(char::from_u32);
                match value {
                    Some(value) => value,
                    None => return Self::fail("invalid escape sequence", &self.pattern[start..self.at]),
                }
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
            _ => return Self::fail("invalid escape sequence", &self.pattern[start..self.at]),
        })
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.at;
        self.at += 1;
        let negated = self.take_if("^");
        let mut out = String::from(if negated { "[^" } else { "[" });
        let mut first = true;
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Self::fail("missing closing ]", &self.pattern[start..]);
            }
            if rest.starts_with(']') && !first {
                self.at += 1;
                break;
            }
            // A hyphen in the middle must be escaped, as POSIX has it; Perl is laxer.
            first = false;
            if let Some(posix) = self.posix()? {
                out.push_str(posix);
                continue;
            }
            if rest.starts_with('\\') {
                let letter = rest.chars().nth(1);
                match letter {
                    Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => {
                        self.at += 2;
                        out.push_str(&nested(perl(letter.unwrap_or('d'))));
                        continue;
                    }
                    Some('p' | 'P') => {
                        self.at += 2;
                        out.push_str(&self.unicode(letter == Some('P'))?);
                        continue;
                    }
                    _ => {}
                }
            }
            let from = self.at;
            let low = self.class_character(start)?;
            let mut high = low;
            let after = self.rest();
            if after.starts_with('-') && !after.starts_with("-]") && after.len() > 1 {
                self.at += 1;
                high = self.class_character(start)?;
                if high < low {
                    return Self::fail("invalid character class range", &self.pattern[from..self.at]);
                }
            }
            let _ = write!(out, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high));
        }
        out.push(']');
        self.out.push_str(&out);
        Ok(())
    }

    fn class_character(&mut self, start: usize) -> Result<char, String> {
        let from = self.at;
        match self.take() {
            None => Self::fail("missing closing ]", &self.pattern[start..]),
            Some('\\') => match self.take() {
                Some(next) => self.character(from, next),
                None => Self::fail("trailing backslash at end of expression", ""),
            },
            Some(c) => Ok(c),
        }
    }

    /// `[:alpha:]` and the like.
    fn posix(&mut self) -> Result<Option<&'p str>, String> {
        let rest = self.rest();
        let Some(end) = rest.strip_prefix("[:").and_then(|inside| inside.find(":]")) else { return Ok(None) };
        let written = &rest[..end + 4];
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        let name = &rest[2..end + 2];
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Self::fail("invalid character class range", written);
        }
        self.at += written.len();
        Ok(Some(written))
    }
}

/// What is in a class of Perl's, without brackets.
fn perl(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        'D' => "^0-9",
        's' => "\\t\\n\\x0C\\r ",
        'S' => "^\\t\\n\\x0C\\r ",
        'w' => "0-9A-Za-z_",
        _ => "^0-9A-Za-z_",
    }
}

fn nested(class: &str) -> String {
    format!("[{class}]")
}
