//! Progress on request: how a watch learns that nothing happened.
//!
//! etcd answers a request for progress for a whole stream, by a revision, and says nothing while any
//! of its watches is behind. Before 3.4.31 and 3.5.13 that answer is not to be trusted or does not
//! come: it overtook events that were still on their way (fixed in 3.4.25 and 3.5.8, etcd's #15220),
//! and none came for a watch that had had no event (fixed in 3.4.31 and 3.5.13, #17507). Kubernetes
//! draws the same line (`staging/src/k8s.io/apiserver/pkg/storage/feature/feature_support_checker.go`).
//!
//! So there is a second way, which needs nothing of the server but what it promises of one watch: an
//! oracle, a watch of every key on the same stream. Every revision has an event there, so it knows by
//! itself how far it is; and it knows the last revision that concerns each watch that asks. One that
//! has been told that revision has seen everything up to where the oracle is:
//!
//! ```text
//! oracle         5 /a/x   6 /b/y   7 /b/z          is at 7; of /a/ the last is 5
//! watch of /a/   5 /a/x                            told 5: has seen all up to 7
//! watch of /b/   6 /b/y                            told 6: waits for 7
//! ```
//!
//! It costs the whole stream of events once more, so it begins with the first request on an old server,
//! or where a newer one leaves some unanswered (a slow watch on the stream keeps it silent), and ends
//! when nobody has asked for a while. A user who may not read every key has no oracle: on an old server
//! progress comes to him when the server says it of its own accord
//! (`--experimental-watch-progress-notify-interval`, 10 minutes).

use std::collections::{BTreeMap, BTreeSet};

use super::hub::Watch;
use crate::store::Revision;

/// Requests that a server may leave unanswered before the oracle is asked.
const PATIENCE: usize = 5;

/// Who is asked for progress, and what is known.
#[derive(Default)]
pub(super) struct Progress {
    /// Whether the member's own progress is to be trusted.
    pub(super) manual: bool,
    /// Requests since the last answer.
    unanswered: usize,
    /// Those that are asked and have not said it.
    pub(super) asking: BTreeSet<u64>,
    oracle: Option<Oracle>,
    /// Every key is not ours to watch.
    pub(super) oracle_denied: bool,
    /// Whether anybody was asked since somebody last looked.
    used: bool,
}

struct Oracle {
    wire: Option<i64>,
    /// The next revision that it will tell of.
    next: Revision,
    /// The watches that it minds, each with the last revision that concerns it, as far as it knows.
    minds: BTreeMap<u64, Revision>,
}

impl Progress {
    /// The stream's watches cannot be asked any more.
    pub(super) fn disconnected(&mut self) {
        self.unanswered = 0;
        self.oracle_denied = false;
        if let Some(oracle) = &mut self.oracle {
            oracle.wire = None;
        }
    }

    pub(super) fn answered(&mut self) {
        self.unanswered = 0;
    }

    pub(super) fn unanswered(&mut self) {
        self.unanswered += 1;
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.asking.remove(&id);
        if let Some(oracle) = &mut self.oracle {
            oracle.minds.remove(&id);
        }
    }

    /// Where an oracle is needed that does not know enough: the revision that it must begin with.
    pub(super) fn wants_oracle(&mut self, watches: &BTreeMap<u64, Watch>) -> Option<Revision> {
        self.used |= !self.asking.is_empty();
        if (self.manual && self.unanswered < PATIENCE) || self.oracle_denied {
            return None;
        }
        let minded = |oracle: &Oracle, id: &u64| oracle.minds.contains_key(id);
        let unminded: Vec<_> = self
            .asking
            .iter()
            .filter(|id| !self.oracle.as_ref().is_some_and(|oracle| minded(oracle, id)))
            .filter_map(|id| Some((*id, watches.get(id)?.next)))
            .collect();
        let lowest = unminded.iter().map(|(_, next)| *next).min()?;
        let oracle =
            self.oracle.get_or_insert_with(|| Oracle { wire: None, next: lowest, minds: BTreeMap::new() });
        oracle.minds.extend(unminded.into_iter().map(|(id, _)| (id, Revision::NONE)));
        (lowest < oracle.next || oracle.wire.is_none()).then_some(lowest.min(oracle.next))
    }

    pub(super) fn oracle_begins(&mut self, from: Revision, wire: i64) {
        if let Some(oracle) = &mut self.oracle {
            (oracle.wire, oracle.next) = (Some(wire), from);
        }
    }

    /// From where the oracle is to be taken up on another stream.
    pub(super) fn oracle_next(&self) -> Option<Revision> {
        self.oracle.as_ref().map(|oracle| oracle.next)
    }

    pub(super) fn oracle_wire(&self) -> Option<i64> {
        self.oracle.as_ref()?.wire
    }

    /// The watches that the oracle minds.
    pub(super) fn minded(&self) -> Vec<u64> {
        self.oracle.iter().flat_map(|oracle| oracle.minds.keys().copied()).collect()
    }

    /// Something happened to a key.
    pub(super) fn relevant(&mut self, watches: &BTreeMap<u64, Watch>, key: &[u8], at: Revision) {
        for (id, last) in self.oracle.iter_mut().flat_map(|oracle| &mut oracle.minds) {
            if watches.get(id).is_some_and(|watch| watch.range.contains(key)) {
                *last = at.max(*last);
            }
        }
    }

    /// The oracle has told everything up to `revision`.
    pub(super) fn oracle_reached(&mut self, revision: Revision) {
        if let Some(oracle) = &mut self.oracle {
            oracle.next = oracle.next.max(revision.next());
        }
    }

    /// Up to where the watch has seen everything, as the oracle knows; `next` is what it is told next.
    pub(super) fn seen_by_oracle(&self, id: u64, next: Revision) -> Option<Revision> {
        let oracle = self.oracle.as_ref()?;
        let last = *oracle.minds.get(&id)?;
        (next > last).then_some(Revision(oracle.next.0.saturating_sub(1)))
    }

    /// The member has ended the oracle; answers the watches that are asked and whose next revision is
    /// below the floor: nobody can tell any more whether they have missed something.
    pub(super) fn oracle_ends(&mut self, watches: &BTreeMap<u64, Watch>, floor: Revision) -> Vec<u64> {
        self.oracle = None;
        let below = |id: &u64| watches.get(id).is_some_and(|watch| watch.next < floor);
        self.asking.iter().copied().filter(below).collect()
    }

    /// Answers the number that the oracle had on the wire.
    pub(super) fn end_oracle(&mut self) -> Option<i64> {
        self.oracle.take()?.wire
    }

    /// Whether nobody has been asked since this was last called.
    pub(super) fn is_unused(&mut self) -> bool {
        self.asking.is_empty() && !std::mem::take(&mut self.used)
    }
}

/// Whether a server of this version is to be trusted with progress.
pub(super) fn is_trusted(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse::<u64>().ok());
    let mut number = || numbers.next().flatten();
    match (number(), number(), number()) {
        (Some(3), Some(4), Some(patch)) => patch >= 31,
        (Some(3), Some(5), Some(patch)) => patch >= 13,
        (Some(major), Some(minor), _) => (major, minor) >= (3, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn old_servers_are_not_trusted() {
        for (version, expected) in [
            ("3.3.27", false),
            ("3.4.23", false),
            ("3.4.31", true),
            ("3.5.0", false),
            ("3.5.13", true),
            ("3.6.0-rc.1", true),
            ("4.0.0", true),
            ("", false),
            ("nightly", false),
        ] {
            assert_eq!(is_trusted(version), expected, "{version}");
        }
    }
}
