//! A tree that does not fit its type, told as structured-merge-diff tells it.

use std::fmt;

/// Why a tree does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub(super) Vec<Problem>);

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) path: String,
    pub(super) why: String,
}

impl Problem {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { path: String::new(), why: why.into() }
    }

    pub(super) fn below(mut self, step: &impl fmt::Display) -> Self {
        self.path.insert_str(0, &step.to_string());
        self
    }
}

impl Invalid {
    /// Nothing where there are no problems.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.why),
            path => write!(f, "{path}: {}", self.why),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                f.write_str("errors:")?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for Invalid {}
