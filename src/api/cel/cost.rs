//! Units of cost, and ranges of them and of sizes.
//!
//! Source: `common/cost.go` and `checker/cost.go` of `cel-go` v0.26. No sum or product overflows: it stays at the
//! largest number.

/// What it costs to look at a variable or to select.
pub(super) const SELECT: u64 = 1;
/// What it costs to make a list.
pub(super) const NEW_LIST: u64 = 10;
/// What it costs to make a map.
pub(super) const NEW_MAP: u64 = 30;
/// What it costs to make an object.
pub(super) const NEW_OBJECT: u64 = 40;
/// What a character of a string costs, each time that it is looked at.
pub(super) const PER_CHARACTER: f64 = 0.1;
/// What a character of a regular expression costs for each unit that the string costs.
pub(super) const PER_REGEX_CHARACTER: f64 = 0.25;

/// Units for so many things, rounded up.
pub(super) fn scaled(count: u64, factor: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "as cel-go counts")]
    let product = (count as f64 * factor).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    {
        product as u64
    }
}

/// The least and the most that something may be: units of cost, or a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Estimate {
    pub(super) const UNKNOWN: Self = Self { min: 0, max: u64::MAX };
    /// The empty union.
    pub(super) const NONE: Self = Self { min: u64::MAX, max: 0 };

    pub(super) const fn fixed(count: u64) -> Self {
        Self { min: count, max: count }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    pub(super) fn scaled(self, factor: f64) -> Self {
        Self { min: scaled(self.min, factor), max: scaled(self.max, factor) }
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}
