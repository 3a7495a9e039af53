//! Pods that are being decided or bound, and what happened meanwhile.
//!
//! A pod that is rejected was judged by what was known when it was popped. What happened since then is kept, and is
//! weighed when the pod comes back: otherwise an event that helps could fall between the judgement and the waiting.
//!
//! ```text
//!   a departs  e1  b departs  e2  e3      a lands: e1 to e3 are weighed, and e1 is dropped;
//!                                         b lands: e2 and e3 are weighed, and dropped.
//! ```
//!
//! Source: `inFlightPods` and `inFlightEvents` of `pkg/scheduler/backend/queue/active_queue.go` (1.36).

use std::collections::VecDeque;

use crate::sched::Happening;

/// A pod's flight.
pub(super) type Flight = u64;

/// Flights and events, each in order.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Of each flight since the oldest that has not landed: how many events there were before it, ever.
    under_way: VecDeque<Option<u64>>,
    /// The number of the oldest flight.
    oldest: Flight,
    events: VecDeque<Happening>,
    /// How many events were dropped, ever.
    dropped: u64,
}

impl Flights {
    /// A pod was popped.
    pub(super) fn depart(&mut self) -> Flight {
        self.under_way.push_back(Some(self.dropped + self.events.len() as u64));
        self.oldest + self.under_way.len() as u64 - 1
    }

    /// A pod is back, bound or gone: what only it had yet to weigh is dropped.
    pub(super) fn land(&mut self, flight: Flight) {
        let Some(at) = self.at(flight) else { return };
        self.under_way[at] = None;
        while self.under_way.front().is_some_and(Option::is_none) {
            self.under_way.pop_front();
            self.oldest += 1;
        }
        let needed = match self.under_way.front() {
            Some(Some(before)) => *before - self.dropped,
            _ => self.events.len() as u64,
        };
        self.events.drain(..needed as usize);
        self.dropped += needed;
    }

    /// Something happened.
    pub(super) fn record(&mut self, event: Happening) {
        if !self.under_way.is_empty() {
            self.events.push_back(event);
        }
    }

    /// What happened since a flight departed.
    pub(super) fn since(&self, flight: Flight) -> impl Iterator<Item = &Happening> {
        let before = self.at(flight).and_then(|at| self.under_way[at]);
        let skip = before.map_or(self.events.len(), |before| (before - self.dropped) as usize);
        self.events.range(skip..)
    }

    /// How many events are kept.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    fn at(&self, flight: Flight) -> Option<usize> {
        let at = usize::try_from(flight.checked_sub(self.oldest)?).ok()?;
        (at < self.under_way.len()).then_some(at)
    }
}
