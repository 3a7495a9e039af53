//! Boards: what every node is worth to a class of pods, kept from one pod to the next.
//!
//! Equal pods ask equal questions, and between two of them little has changed. So the answers of a class are kept
//! on a board: the nodes that will do, grouped by the raw scores that are [normalised](super::Normalize), and inside
//! a group by the sum of the others. Before it is asked again, a board looks at those nodes alone that have changed
//! since; the best node is then a maximum over groups.
//!
//! A board never changes an answer: what it says is what [`decide`](super::decide()) says of the same snapshot, node
//! by node. It is made when a class comes a second time, and forgotten when others need its room.

mod board;
mod class;
mod lanes;
#[cfg(test)]
mod tests;

use board::Board;
pub use class::{ClassKey, Classed, Domains};

use super::decide::{Decision, decide};
use super::framework::{Cycle, Profile};
use super::{PodInfo, Snapshot};
use crate::env::{HashMap, HashSet, Stream};

/// How many bytes boards may take together, unless they are told otherwise.
const BUDGET: usize = 512 << 20;

/// How many classes are remembered that came once.
const SEEN: usize = 4096;

/// Decides over a snapshot, one pod after the other, and remembers what it can use again.
///
/// It belongs to one snapshot and one profile: given others, its answers are none.
#[derive(Debug)]
pub struct Boards {
    boards: HashMap<ClassKey, Board>,
    seen: HashSet<ClassKey>,
    bytes: usize,
    budget: usize,
    /// Ticks with every pod.
    clock: u64,
    /// The key of the pod at hand, kept for its room.
    key: ClassKey,
}

impl Default for Boards {
    fn default() -> Self {
        Self::with_budget(BUDGET)
    }
}

impl Boards {
    /// Boards that may take so many bytes together. With none, every pod is decided by looking at every node.
    #[must_use]
    pub fn with_budget(bytes: usize) -> Self {
        Self {
            boards: HashMap::default(),
            seen: HashSet::default(),
            bytes: 0,
            budget: bytes,
            clock: 0,
            key: ClassKey::new(),
        }
    }

    /// How many boards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.boards.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boards.is_empty()
    }

    /// Decides where a pod goes; as [`decide`](super::decide()), but that equal pods share the work. `draw` chooses
    /// among nodes of the same score.
    pub fn decide(
        &mut self,
        profile: &Profile,
        snapshot: &Snapshot,
        pod: &PodInfo,
        draw: &Stream,
    ) -> Decision {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let shares = self.budget > 0 && profile.class_key(pod, snapshot, &mut key);
        let decision = if shares { self.shared(profile, snapshot, pod, &key, draw) } else { None };
        self.key = key;
        // Who fits nowhere is told why, and that takes a look at every node.
        decision.unwrap_or_else(|| decide(profile, &mut Cycle::new(pod, snapshot), draw))
    }

    /// What the board of a class says; nothing where there is none, or where it knows no node.
    fn shared(
        &mut self,
        profile: &Profile,
        snapshot: &Snapshot,
        pod: &PodInfo,
        key: &ClassKey,
        draw: &Stream,
    ) -> Option<Decision> {
        if !self.boards.contains_key(key) {
            if !self.seen.remove(key) {
                if self.seen.len() == SEEN {
                    self.seen.clear();
                }
                self.seen.insert(key.clone());
                return None;
            }
            let board = self.boards.entry(key.clone()).or_default();
            self.bytes += board.bytes();
        }
        self.clock += 1;
        let board = self.boards.get_mut(key)?;
        self.bytes -= board.bytes();
        let decision = board.decide(profile, snapshot, pod, draw, self.clock);
        self.bytes += board.bytes();
        self.make_room();
        decision
    }

    /// Forgets the boards that were used longest ago, until the others fit.
    fn make_room(&mut self) {
        while self.bytes > self.budget {
            let oldest = self.boards.iter().min_by_key(|(_, board)| board.used());
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some(board) = self.boards.remove(&oldest) {
                self.bytes -= board.bytes();
            }
        }
    }
}
