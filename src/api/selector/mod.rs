//! Label and field selectors: what they are, how they are written, what they match.

mod field;
mod label;
mod parse;

pub use field::{FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement};

/// A selector that cannot be read. The message is the one Kubernetes gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    message: String,
}

impl SelectorError {
    fn new(message: String) -> Self {
        Self { message }
    }
}

/// A JSON number in decimal, as Go's `strconv.ParseInt` reads it.
fn integer(value: &str) -> Option<i64> {
    value.parse().ok()
}
