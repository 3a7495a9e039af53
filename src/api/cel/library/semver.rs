//! Semantic versions.
//!
//! Source: `pkg/cel/library/semverlib.go` of `k8s.io/apiserver` (1.36), and `blang/semver` v4, whose errors these are.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::value::{Value, quoted};

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 33, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(
        "semver",
        &[
            ("string_to_semver", "(string) -> kubernetes.Semver"),
            ("string_bool_to_semver", "(string, bool) -> kubernetes.Semver"),
        ],
        |scope, args| match parse(scope, args)? {
            Ok(version) => Ok(Value::Semver(Arc::new(version))),
            Err(why) => Err(Fault::error(why)),
        },
    ),
    row(
        "isSemver",
        &[("is_semver_string", "(string) -> bool"), ("is_semver_string_bool", "(string, bool) -> bool")],
        |scope, args| Ok(Value::Bool(parse(scope, args)?.is_ok())),
    ),
    row(
        "isGreaterThan",
        &[("semver_is_greater_than", "kubernetes.Semver.(kubernetes.Semver) -> bool")],
        |_, args| Ok(Value::Bool(order(args)?.is_gt())),
    ),
    row(
        "isLessThan",
        &[("semver_is_less_than", "kubernetes.Semver.(kubernetes.Semver) -> bool")],
        |_, args| Ok(Value::Bool(order(args)?.is_lt())),
    ),
    row("compareTo", &[("semver_compare_to", "kubernetes.Semver.(kubernetes.Semver) -> int")], |_, args| {
        Ok(Value::Int(order(args)? as i64))
    }),
    row("major", &[("semver_major", "kubernetes.Semver.() -> int")], |_, args| number(args, |it| it.major)),
    row("minor", &[("semver_minor", "kubernetes.Semver.() -> int")], |_, args| number(args, |it| it.minor)),
    row("patch", &[("semver_patch", "kubernetes.Semver.() -> int")], |_, args| number(args, |it| it.patch)),
];

/// A semantic version.
#[derive(Clone, Debug)]
pub struct Semver {
    major: u64,
    minor: u64,
    patch: u64,
    pre: Vec<Identifier>,
    build: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    // Numbers come before words.
    Number(u64),
    Word(String),
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        for (index, identifier) in self.pre.iter().enumerate() {
            f.write_str(if index == 0 { "-" } else { "." })?;
            match identifier {
                Identifier::Number(number) => write!(f, "{number}")?,
                Identifier::Word(word) => f.write_str(word)?,
            }
        }
        if self.build.is_empty() { Ok(()) } else { write!(f, "+{}", self.build) }
    }
}

impl Semver {
    /// The order of two versions; what is behind `+` has no part in it.
    pub(in super::super) fn order(&self, other: &Self) -> Ordering {
        let numbers = |it: &Self| (it.major, it.minor, it.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            // What comes before a version is less than the version.
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        })
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Version string empty".to_owned());
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("No Major.Minor.Patch elements found".to_owned());
        };
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
        let (patch, pre) = rest.split_once('-').map_or((rest, None), |(patch, pre)| (patch, Some(pre)));
        let version = Self {
            major: component("major", "Major", major)?,
            minor: component("minor", "Minor", minor)?,
            patch: component("patch", "Patch", patch)?,
            pre: pre.into_iter().flat_map(|pre| pre.split('.')).map(identifier).collect::<Result<_, _>>()?,
            build: build.unwrap_or_default().to_owned(),
        };
        for part in build.into_iter().flat_map(|build| build.split('.')) {
            if part.is_empty() {
                return Err("Build meta data is empty".to_owned());
            }
            if !is_word(part) {
                return Err(format!("Invalid character(s) found in build meta data {}", quoted(part)));
            }
        }
        Ok(version)
    }

    /// Versions as people write them: `v1.2`, `1.02.3`.
    fn parse_loosely(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
        if parts.len() < 3 {
            if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
                return Err("short version cannot contain PreRelease/Build meta data".to_owned());
            }
            parts.resize(3, "0".to_owned());
        }
        Self::parse(&parts.join("."))
    }
}

fn without_zeros(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let stripped = part.trim_start_matches('0');
    if stripped.starts_with(|c: char| c.is_ascii_digit()) {
        stripped.to_owned()
    } else {
        format!("0{stripped}")
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn component(name: &str, title: &str, text: &str) -> Result<u64, String> {
    if !is_number(text) {
        return Err(format!("Invalid character(s) found in {name} number {}", quoted(text)));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!("{title} number must not contain leading zeroes {}", quoted(text)));
    }
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {}: value out of range", quoted(text)))
}

fn identifier(text: &str) -> Result<Identifier, String> {
    if text.is_empty() {
        return Err("Prerelease is empty".to_owned());
    }
    if is_number(text) {
        if text.len() > 1 && text.starts_with('0') {
            let shown = quoted(text);
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {shown}"));
        }
        let number = text.parse();
        return number
            .map(Identifier::Number)
            .map_err(|_| format!("strconv.ParseUint: parsing {}: value out of range", quoted(text)));
    }
    if is_word(text) {
        Ok(Identifier::Word(text.to_owned()))
    } else {
        Err(format!("Invalid character(s) found in prerelease {}", quoted(text)))
    }
}

fn parse(scope: &mut Scope<'_, '_>, args: &[Value<'_>]) -> Result<Result<Semver, String>, Fault> {
    let (text, loosely) = match args {
        [Value::String(text)] => (text, false),
        [Value::String(text), Value::Bool(loosely)] => (text, *loosely),
        _ => return Err(Fault::no_overload()),
    };
    // Every part of what comes before a version is a string of its own.
    scope.meter.make(text.len().saturating_mul(32))?;
    Ok(if loosely { Semver::parse_loosely(text) } else { Semver::parse(text) })
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Fault> {
    match args {
        [Value::Semver(left), Value::Semver(right)] => Ok(left.order(right)),
        _ => Err(Fault::no_overload()),
    }
}

#[expect(clippy::cast_possible_wrap, reason = "as Go converts")]
fn number<'a>(args: &[Value<'a>], of: fn(&Semver) -> u64) -> Eval<'a> {
    match args {
        [Value::Semver(version)] => Ok(Value::Int(of(version) as i64)),
        _ => Err(Fault::no_overload()),
    }
}
