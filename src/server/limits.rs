//! How much a server takes on at once, and how long a request may take.
//!
//! Requests over HTTP are limited, on a port and in process alike; a [`Client`](crate::client::Client)
//! in process shares its caller's memory and is not. Long-running requests (watches, logs and streams) are
//! not counted: each has a task of its own and holds one encoded answer at most.
//!
//! Source: `filters/maxinflight.go` of `k8s.io/apiserver/pkg/server` (1.36).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How much a server takes on at once, and how long a request may take.
///
/// The defaults are kube-apiserver's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many reads are served at a time (400); any number where 0.
    pub requests_in_flight: usize,
    /// How many other requests are served at a time (200); any number where 0.
    pub mutating_requests_in_flight: usize,
    /// How long a request may take that is not long-running (60 s); a caller may ask for less (`timeout`).
    pub request_timeout: Duration,
    /// How long a watch lasts at least that says nothing of its length (30 min); it lasts up to twice as
    /// long, so that those which began together do not end together.
    pub min_request_timeout: Duration,
    /// How many bytes a body may have (3 MiB).
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_in_flight: 400,
            mutating_requests_in_flight: 200,
            request_timeout: Duration::from_secs(60),
            min_request_timeout: Duration::from_secs(1800),
            body_bytes: 3 << 20,
        }
    }
}

impl Limits {
    /// These limits with so many reads and so many other requests at a time; any number where 0.
    #[must_use]
    pub fn in_flight(mut self, reads: usize, mutating: usize) -> Self {
        (self.requests_in_flight, self.mutating_requests_in_flight) = (reads, mutating);
        self
    }

    /// These limits with another time for a request.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// These limits with another shortest time for a watch.
    #[must_use]
    pub fn min_request_timeout(mut self, timeout: Duration) -> Self {
        self.min_request_timeout = timeout;
        self
    }

    /// These limits with another size for bodies.
    #[must_use]
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }
}

/// What is being served now.
#[derive(Debug)]
pub(crate) struct InFlight {
    reads: Lane,
    mutating: Lane,
}

#[derive(Debug)]
struct Lane {
    limit: usize,
    open: AtomicUsize,
    /// The most that were open in a second: the second in the upper half, how many in the lower.
    peak: AtomicU64,
}

/// A request's place among those that are served; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Slot {
    all: Arc<InFlight>,
    mutating: bool,
}

impl InFlight {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let lane = |limit| Lane { limit, open: AtomicUsize::new(0), peak: AtomicU64::new(0) };
        let (reads, mutating) = (limits.requests_in_flight, limits.mutating_requests_in_flight);
        Arc::new(Self { reads: lane(reads), mutating: lane(mutating) })
    }

    /// A place for a request that came in this second, if there is room.
    pub(crate) fn admit(self: &Arc<Self>, mutating: bool, second: u32) -> Option<Slot> {
        let lane = self.lane(mutating);
        let room = |open: usize| (lane.limit == 0 || open < lane.limit).then_some(open + 1);
        let before = lane.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        lane.note(before + 1, second);
        Some(Slot { all: self.clone(), mutating })
    }

    /// The most that were served at a time within about the last second: reads, and others.
    pub(crate) fn peaks(&self, second: u32) -> (usize, usize) {
        (self.reads.peak(second), self.mutating.peak(second))
    }

    fn lane(&self, mutating: bool) -> &Lane {
        if mutating { &self.mutating } else { &self.reads }
    }
}

impl Lane {
    fn note(&self, open: usize, second: u32) {
        let now = u64::from(second) << 32 | open as u64;
        // An older second is smaller whatever its count, and a larger count of this second is larger.
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    fn peak(&self, second: u32) -> usize {
        let peak = self.peak.load(Ordering::Relaxed);
        let open = self.open.load(Ordering::Relaxed);
        let recent = (peak >> 32) as u32 >= second.saturating_sub(1);
        if recent { open.max(peak as u32 as usize) } else { open }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.all.lane(self.mutating).open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_have_room_of_their_own() {
        let all = InFlight::new(&Limits::default().in_flight(2, 1));
        let (one, two) = (all.admit(false, 7).unwrap(), all.admit(false, 7).unwrap());
        assert!(all.admit(false, 7).is_none());
        let write = all.admit(true, 7).unwrap();
        assert!(all.admit(true, 7).is_none());
        drop((one, write));
        let third = all.admit(false, 8).unwrap();
        assert!(all.admit(true, 8).is_some());
        drop((two, third));
        assert_eq!(all.peaks(8), (2, 1));
        assert_eq!(all.peaks(10), (0, 0), "two seconds later nothing is left of it");
    }

    #[test]
    fn no_limit_is_no_limit() {
        let all = InFlight::new(&Limits::default().in_flight(0, 0));
        let slots: Vec<_> = (0..1000).map(|_| all.admit(true, 1).unwrap()).collect();
        assert_eq!(all.peaks(1), (0, slots.len()));
    }
}
