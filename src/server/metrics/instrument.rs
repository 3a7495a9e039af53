//! What is counted with: counters, gauges, histograms, all without a lock.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// So many threads add to a [`Counter`] without disturbing each other.
const SHARDS: usize = 8;

/// A number that only grows. Threads add in places of their own.
#[derive(Debug, Default)]
pub(crate) struct Counter([Shard; SHARDS]);

/// As far from the next one as a cache may fetch at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(AtomicU64);

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

/// How many values fell below which bounds.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One a bound, and one for what is above the last.
    buckets: Box<[AtomicU64]>,
    /// In units of `unit`.
    sum: AtomicU64,
    unit: f64,
}

/// A histogram as it stood when it was read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) bounds: &'static [f64],
    /// How many values are at or below each bound.
    pub(crate) cumulative: Vec<u64>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0[shard()].0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }
}

/// This thread's shard.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

impl Gauge {
    pub(crate) fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Of durations in seconds.
    pub(crate) fn seconds(bounds: &'static [f64]) -> Self {
        Self::new(bounds, 1e-9)
    }

    /// Of sizes.
    pub(crate) fn sizes(bounds: &'static [f64]) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: &'static [f64], unit: f64) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0), unit }
    }

    pub(crate) fn took(&self, time: Duration) {
        self.put(time.as_secs_f64(), u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn size(&self, bytes: u64) {
        self.put(bytes as f64, bytes);
    }

    fn put(&self, value: f64, units: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(units, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Snapshot {
        let mut count = 0;
        let mut cumulative: Vec<u64> = Vec::with_capacity(self.buckets.len());
        for bucket in &self.buckets {
            count += bucket.load(Ordering::Relaxed);
            cumulative.push(count);
        }
        cumulative.pop();
        let sum = self.sum.load(Ordering::Relaxed) as f64 * self.unit;
        Snapshot { bounds: self.bounds, cumulative, count, sum }
    }
}

impl Snapshot {
    /// Adds another one with the same bounds.
    pub(crate) fn add(&mut self, other: &Self) {
        self.cumulative.iter_mut().zip(&other.cumulative).for_each(|(own, other)| *own += other);
        self.count += other.count;
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let sizes = Histogram::sizes(&[10.0, 100.0]);
        for size in [1, 10, 11, 101] {
            sizes.size(size);
        }
        let read = sizes.read();
        assert_eq!((read.cumulative, read.count, read.sum), (vec![2, 3], 4, 123.0));
    }

    #[test]
    fn threads_add_up() {
        let counter = std::sync::Arc::new(Counter::default());
        let each = |_| {
            let counter = counter.clone();
            crate::env::Worker::start("adder", move || (0..1000).for_each(|_| counter.add(1))).unwrap()
        };
        let workers: Vec<_> = (0..4).map(each).collect();
        workers.into_iter().for_each(crate::env::Worker::join);
        assert_eq!(counter.get(), 4000);
    }
}
