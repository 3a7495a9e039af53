//! What an evaluation may cost, and what it has cost.
//!
//! Two counts run. *Cost* is cel-go's, to the unit: it is what a budget is spent with. But cel-go counts one unit
//! for things that can take any time (the size of a string of three megabytes, the comparison of lists within
//! lists), and counts others only when they are done (a list of a million million numbers). So *work* is counted
//! as well: octets looked at or made, before they are. A unit of cost buys [`WORK_PER_UNIT`] of it, which is far
//! more than any honest rule needs, and whoever runs out of either is cancelled in the same words.

use super::Fault;

/// Octets that may be looked at for each unit of cost that the limit allows.
const WORK_PER_UNIT: u64 = 1_000;
/// Work that even the smallest limit allows, so that a rule of few units can look at one object.
const LEAST_WORK: u64 = 16 << 20;
/// What looking at one value counts, however small, in octets.
pub(super) const STEP: usize = 64;
/// What making an octet counts, in octets looked at: memory is dearer than time.
const MAKING: u64 = 4;

/// The counts of one evaluation.
#[derive(Debug)]
pub(super) struct Meter {
    cost: u64,
    limit: u64,
    work: u64,
    most_work: u64,
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        let most_work = limit.saturating_mul(WORK_PER_UNIT).max(LEAST_WORK);
        Self { cost: 0, limit, work: 0, most_work }
    }

    /// What has been spent, at most one step more than the limit.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Spends units of cost.
    pub(super) fn charge(&mut self, units: u64) -> Result<(), Fault> {
        self.cost = self.cost.saturating_add(units);
        if self.cost > self.limit { Err(Fault::CallLimit) } else { Ok(()) }
    }

    /// Whether so many units more would be too many: what is about to be done need not be.
    pub(super) fn affords(&self, units: u64) -> Result<(), Fault> {
        if self.cost.saturating_add(units) > self.limit { Err(Fault::CallLimit) } else { Ok(()) }
    }

    /// Counts octets, or things as small, that are about to be looked at.
    pub(super) fn look(&mut self, octets: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add(octets as u64);
        if self.work > self.most_work { Err(Fault::CallLimit) } else { Ok(()) }
    }

    /// Counts octets that are about to be made.
    pub(super) fn make(&mut self, octets: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add((octets as u64).saturating_mul(MAKING));
        if self.work > self.most_work { Err(Fault::CallLimit) } else { Ok(()) }
    }

    /// Counts values that are about to be put into a list or map.
    pub(super) fn make_values(&mut self, count: usize) -> Result<(), Fault> {
        self.make(count.saturating_mul(size_of::<super::Value<'static>>()))
    }
}
