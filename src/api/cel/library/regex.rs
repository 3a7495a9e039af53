//! Regular expressions: `matches`, `find` and `findAll`.
//!
//! They are RE2's and match in linear time, by the crate `regex`, to whose syntax [`regexp`](super::regexp)
//! translates them. Source: `pkg/cel/library/regex.go` of `k8s.io/apiserver` (1.36), and `common/types/string.go` of
//! `cel-go` v0.26.

use std::collections::VecDeque;
use std::sync::Arc;

use regex::RegexBuilder;

use super::super::Fault;
use super::super::eval::{Eval, Scope};
use super::super::functions::Function;
use super::super::meter::Meter;
use super::super::value::{List, Value};
use super::regexp;

type Run = for<'a> fn(&mut Scope<'a, '_>, &[Value<'a>]) -> Eval<'a>;

const fn row(name: &'static str, overloads: &'static [(&'static str, &'static str)], run: Run) -> Function {
    Function { name, since: 0, overloads, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(
        "matches",
        &[("matches", "(string, string) -> bool"), ("matches_string", "string.(string) -> bool")],
        matches,
    ),
    row("find", &[("string_find_string", "string.(string) -> string")], find),
    row(
        "findAll",
        &[
            ("string_find_all_string", "string.(string) -> list(string)"),
            ("string_find_all_string_int", "string.(string, int) -> list(string)"),
        ],
        find_all,
    ),
];

/// A compiled regular expression.
pub(in super::super) struct Regex {
    compiled: regex::Regex,
    /// The limit under which it could be compiled, in octets: about what it takes.
    size: usize,
}

/// Octets that a compiled expression may take, tried one after the other, so that it is known what it takes.
const SIZES: [usize; 4] = [16 << 10, 128 << 10, 1 << 20, 8 << 20];
/// What compiling to an octet counts, in octets looked at.
const COMPILING: usize = 16;
/// A state of a compiled expression, in octets. An octet of text may be looked at in as many states as there are,
/// but hardly ever is in more than a few.
const STATES: usize = 512;

impl Regex {
    /// Compiles a pattern that is written out in an expression, once for all.
    pub(in super::super) fn written(pattern: &str) -> Result<Self, Fault> {
        Self::compile(pattern, |_| Ok(()))
    }

    fn compile(pattern: &str, mut charge: impl FnMut(usize) -> Result<(), Fault>) -> Result<Self, Fault> {
        charge(pattern.len())?;
        let translated = regexp::translate(pattern).map_err(Fault::error)?;
        for size in SIZES {
            charge(size.saturating_mul(COMPILING))?;
            let compiled = RegexBuilder::new(&translated).size_limit(size).dfa_size_limit(1 << 20).build();
            match compiled {
                Ok(compiled) => return Ok(Self { compiled, size }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => {
                    return Err(Fault::error(format!(
                        "error parsing regexp: invalid or unsupported Perl syntax: `{pattern}`"
                    )));
                }
            }
        }
        Err(Fault::error(format!("error parsing regexp: expression too large: `{pattern}`")))
    }

    /// Counts a search through a text.
    fn search(&self, text: &str, meter: &mut Meter) -> Result<(), Fault> {
        meter.look(text.len().saturating_add(1).saturating_mul(1 + self.size / STATES / 16))
    }
}

/// The expressions that an evaluation has compiled last.
#[derive(Default)]
pub(in super::super) struct Regexes(VecDeque<(Arc<str>, Arc<Regex>)>);

/// How many of them are kept.
const KEPT: usize = 16;

impl Regexes {
    pub(in super::super) fn get(&mut self, pattern: &str, meter: &mut Meter) -> Result<Arc<Regex>, Fault> {
        meter.look(pattern.len())?;
        if let Some((_, regex)) = self.0.iter().find(|(known, _)| &**known == pattern) {
            return Ok(regex.clone());
        }
        let regex = Arc::new(Regex::compile(pattern, |octets| meter.look(octets))?);
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((pattern.into(), regex.clone()));
        Ok(regex)
    }
}

fn matches<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::String(pattern)] = args else { return Err(Fault::no_overload()) };
    scope.with_regex(pattern, |regex, meter| {
        regex.search(text, meter)?;
        Ok(Value::Bool(regex.compiled.is_match(text)))
    })
}

/// An error of a pattern that was not written out, as `find` tells it.
fn illegal(fault: Fault) -> Fault {
    match fault {
        Fault::Error(why) => Fault::error(format!("Illegal regex: {why}")),
        other => other,
    }
}

fn find<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let [Value::String(text), Value::String(pattern)] = args else { return Err(Fault::no_overload()) };
    let found = scope.with_regex(pattern, |regex, meter| {
        regex.search(text, meter)?;
        let range = regex.compiled.find(text).map_or(0..0, |found| found.range());
        meter.make(range.len())?;
        Ok(Value::String(text.part(range)))
    });
    found.map_err(illegal)
}

fn find_all<'a>(scope: &mut Scope<'a, '_>, args: &[Value<'a>]) -> Eval<'a> {
    let (text, pattern, most) = match args {
        [Value::String(text), Value::String(pattern)] => (text, pattern, -1),
        [Value::String(text), Value::String(pattern), Value::Int(most)] => (text, pattern, *most),
        _ => return Err(Fault::no_overload()),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = scope.with_regex(pattern, |regex, meter| {
        regex.search(text, meter)?;
        let mut parts = Vec::new();
        for found in regex.compiled.find_iter(text).take(most) {
            meter.make_values(1)?;
            meter.make(found.len())?;
            parts.push(Value::String(text.part(found.range())));
        }
        Ok(Value::List(List::of(parts)))
    });
    found.map_err(illegal)
}
