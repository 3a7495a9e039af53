//! What evaluations may cost together, and what can go wrong with one.

use std::fmt;
use std::sync::Arc;

use super::PER_CALL_LIMIT;

/// What the evaluations for one object may cost together. Nothing is evaluated without one.
#[derive(Debug)]
pub struct Budget {
    remaining: u64,
    per_call: u64,
}

impl Budget {
    /// A budget of so many units, of which one call may take [`PER_CALL_LIMIT`].
    #[must_use]
    pub fn new(units: u64) -> Self {
        Self::with_call_limit(units, PER_CALL_LIMIT)
    }

    /// A budget of so many units, of which one call may take `per_call`.
    #[must_use]
    pub fn with_call_limit(units: u64, per_call: u64) -> Self {
        Self { remaining: units, per_call }
    }

    /// Units that are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.remaining == 0
    }

    /// What the next call may cost.
    pub(super) fn limit(&self) -> u64 {
        self.per_call.min(self.remaining)
    }

    /// Takes what a call has cost. One that was cancelled because too little was left takes all that was.
    pub(super) fn spend(&mut self, units: u64, cancelled: bool) -> Result<(), Fault> {
        let too_little = self.remaining < self.per_call && cancelled;
        if units > self.remaining || too_little {
            self.remaining = 0;
            return Err(Fault::OutOfBudget);
        }
        self.remaining -= units;
        Ok(())
    }
}

/// Why an evaluation has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The expression fails on this data: `no such key: a`, `integer overflow`.
    Error(Arc<str>),
    /// It costs more than one call may.
    CallLimit,
    /// It costs more than is left of the budget.
    OutOfBudget,
}

impl Fault {
    pub(super) fn error(text: impl Into<Arc<str>>) -> Self {
        Self::Error(text.into())
    }

    /// That a function has no overload for the types of its arguments.
    pub(super) fn no_overload() -> Self {
        Self::error("no such overload")
    }

    /// Whether it is the expression's own, which `&&` and `||` may absorb.
    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => f.write_str(text),
            Self::CallLimit | Self::OutOfBudget => {
                f.write_str("operation cancelled: actual cost limit exceeded")
            }
        }
    }
}

impl std::error::Error for Fault {}
