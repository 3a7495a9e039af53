//! What changed in a snapshot, in order, so that what was worked out from it can catch up.

use std::collections::VecDeque;

use super::NodeIndex;
use super::column::Column;

/// A node that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub node: NodeIndex,
    /// Whether the node itself is another since then, or came or went; else only the pods on it changed.
    pub object: bool,
    /// Whether it has not changed since.
    pub is_last: bool,
}

/// The newest changes. Who has not followed for longer begins anew, which costs no more than to look at so many.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    log: VecDeque<NodeIndex>,
    /// The position of the oldest that is kept.
    first: u64,
    /// By node: the position behind its last change, and behind the last one of the node itself.
    last: Column<(u64, u64)>,
}

/// Changes are kept for at least so many positions, however few nodes there are.
const LEAST: usize = 1024;

impl Changes {
    /// The position of the next change.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// Whether all changes from a position on are still known.
    #[must_use]
    pub fn reach(&self, position: u64) -> bool {
        position >= self.first
    }

    /// The changes from a position on, which must be in [reach](Self::reach).
    pub fn since(&self, position: u64) -> impl Iterator<Item = Change> {
        let skipped = usize::try_from(position - self.first).unwrap_or(usize::MAX).min(self.log.len());
        let newer = self.log.range(skipped..).zip(position + 1..);
        newer.map(move |(node, behind)| {
            let (last, last_object) = self.last[node.number()];
            Change { node: *node, object: last_object > position, is_last: last == behind }
        })
    }

    /// The position behind the last change of a node.
    pub(super) fn of(&self, node: NodeIndex) -> u64 {
        self.last.get(node.number()).map_or(0, |(last, _)| *last)
    }

    /// Everything may be another now: whoever follows begins anew.
    pub(super) fn forget(&mut self) {
        // One position more, so that who is up to date is not in reach either.
        self.first = self.end() + 1;
        self.log.clear();
    }

    pub(super) fn push(&mut self, node: NodeIndex, object: bool) {
        self.last.grow(node.number() + 1);
        if self.log.len() >= self.last.len().max(LEAST) {
            self.log.pop_front();
            self.first += 1;
        }
        self.log.push_back(node);
        let end = self.end();
        let (last, last_object) = &mut self.last[node.number()];
        *last = end;
        if object {
            *last_object = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_follows_sees_every_change_and_which_is_the_last_of_its_node() {
        let mut changes = Changes::default();
        let node = NodeIndex::of;
        for (number, object) in [(0, true), (1, true), (0, false)] {
            changes.push(node(number), object);
        }
        let seen =
            |since| changes.since(since).map(|one| (one.node, one.object, one.is_last)).collect::<Vec<_>>();
        assert_eq!(seen(0), [(node(0), true, false), (node(1), true, true), (node(0), true, true)]);
        assert_eq!(seen(1), [(node(1), true, true), (node(0), false, true)]);
        assert_eq!(seen(2), [(node(0), false, true)]);
        assert_eq!(seen(3), []);
        assert_eq!(changes.of(node(0)), 3);
    }

    #[test]
    fn what_is_too_long_ago_is_out_of_reach() {
        let mut changes = Changes::default();
        for _ in 0..LEAST + 1 {
            changes.push(NodeIndex::of(0), false);
        }
        assert!(!changes.reach(0) && changes.reach(1));
        assert_eq!(changes.since(1).count(), LEAST);
        assert_eq!(changes.since(changes.end()).count(), 0);
    }
}
