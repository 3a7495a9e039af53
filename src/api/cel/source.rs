//! The text of an expression, places in it, and what is wrong there.
//!
//! Issues are shown as cel-go shows them: `ERROR: <input>:1:5: message`, the line, and a line of dots with a
//! caret below the place; sorted by place, a hundred at most. Source: `common/error.go` and
//! `common/errors.go` of `cel-go` v0.26, as Kubernetes 1.36 links it.

use std::fmt::Write;

/// The most issues that are shown.
const SHOWN: usize = 100;
/// A line longer than this, in bytes, is not shown below its issue.
const LONGEST_LINE: usize = 16_384;

/// The text of an expression, addressed by code points.
pub(super) struct Source<'t> {
    text: &'t str,
    /// The code point that begins each line.
    lines: Vec<u32>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks = text.chars().zip(1u32..).filter(|(c, _)| *c == '\n').map(|(_, next)| next);
        Self { text, lines: std::iter::once(0).chain(breaks).collect() }
    }

    /// Line, from 1, and column, from 0, of a code point.
    fn place(&self, at: u32) -> (usize, u32) {
        let line = self.lines.partition_point(|start| *start <= at);
        (line, at - self.lines[line - 1])
    }

    fn line(&self, number: usize) -> &'t str {
        self.text.split('\n').nth(number - 1).unwrap_or_default()
    }
}

/// What is wrong with an expression, and where.
pub(super) struct Issues<'t> {
    source: Source<'t>,
    found: Vec<(Place, String)>,
    left_out: usize,
}

/// Where an issue is: at a code point, or nowhere in particular.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Nowhere,
    At(u32),
}

impl<'t> Issues<'t> {
    pub(super) fn new(source: Source<'t>) -> Self {
        Self { source, found: Vec::new(), left_out: 0 }
    }

    pub(super) fn report(&mut self, at: u32, message: impl Into<String>) {
        self.report_at(Place::At(at), message);
    }

    pub(super) fn report_at(&mut self, place: Place, message: impl Into<String>) {
        if self.found.len() < SHOWN {
            self.found.push((place, message.into()));
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in cel-go's form.
    pub(super) fn display(mut self) -> String {
        self.found.sort_by_key(|(place, _)| *place);
        let mut text = String::new();
        for (place, message) in &self.found {
            if !text.is_empty() {
                text.push('\n');
            }
            self.display_one(&mut text, *place, message);
        }
        if self.left_out > 0 {
            let _ = write!(text, "\n{} more errors were truncated", self.left_out);
        }
        text
    }

    fn display_one(&self, text: &mut String, place: Place, message: &str) {
        let Place::At(at) = place else {
            let _ = write!(text, "ERROR: <input>:-1:0: {message}");
            return;
        };
        let (number, column) = self.source.place(at);
        // An empty input has no line, and its end no column.
        if self.source.text.is_empty() {
            let _ = write!(text, "ERROR: <input>:1:0: {message}");
            return;
        }
        let _ = write!(text, "ERROR: <input>:{number}:{}: {message}", column + 1);
        let line = self.source.line(number);
        if line.len() > LONGEST_LINE {
            return;
        }
        let _ = write!(text, "\n | {}\n | ", line.replace('\t', " "));
        let mut rest = line.chars();
        // Full-width marks stand below characters of more than one byte.
        for c in rest.by_ref().take(column as usize) {
            text.push(if c.is_ascii() { '.' } else { '\u{ff0e}' });
        }
        text.push(if rest.next().is_none_or(|c| c.is_ascii()) { '^' } else { '\u{ff3e}' });
    }
}
