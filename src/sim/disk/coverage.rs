//! Which sync covered which bytes of a file.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges of bytes, each with the number of the sync that last covered it.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage(BTreeMap<u64, (u64, u64)>);

impl Coverage {
    /// This sync covers these bytes.
    pub(super) fn cover(&mut self, range: Range<u64>, sync: u64) {
        self.clear(&range);
        if !range.is_empty() {
            self.0.insert(range.start, (range.end, sync));
        }
    }

    /// Nothing is known of these bytes any more.
    pub(super) fn clear(&mut self, range: &Range<u64>) {
        let touched: Vec<_> = self
            .0
            .range(..range.end)
            .rev()
            .take_while(|(_, (end, _))| *end > range.start)
            .map(|(start, (end, sync))| (*start, *end, *sync))
            .collect();
        for (start, end, sync) in touched {
            self.0.remove(&start);
            if start < range.start {
                self.0.insert(start, (range.start, sync));
            }
            if end > range.end {
                self.0.insert(range.end, (end, sync));
            }
        }
    }

    /// All ranges, in order, with their syncs.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        self.0.iter().map(|(start, (end, sync))| (*start..*end, *sync))
    }

    /// The ranges below `length` that no sync covered, in order.
    pub(super) fn gaps(&self, length: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for (range, _) in self.ranges() {
            gaps.push(at..range.start.min(length));
            at = range.end;
        }
        gaps.push(at..length);
        gaps.retain(|gap| gap.start < gap.end);
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_syncs_cut_into_earlier_ones() {
        let mut coverage = Coverage::default();
        coverage.cover(10..100, 1);
        coverage.cover(20..30, 2);
        coverage.cover(25..40, 3);
        let ranges: Vec<_> = coverage.ranges().collect();
        assert_eq!(ranges, [(10..20, 1), (20..25, 2), (25..40, 3), (40..100, 1)]);
        assert_eq!(coverage.gaps(120), [0..10, 100..120]);
        assert_eq!(coverage.gaps(5), vec![0..5]);
    }
}
