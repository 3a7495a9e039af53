//! Who watches what.
//!
//! Watchers of one range form a group. A group posts the revisions that touched its range, so that
//! a watcher is only a position in that list: it costs the writer nothing while it is busy, and
//! catching up never looks at what does not concern it. A group is found from a key through hash
//! maps by exact key and by prefix length; only ranges that are neither are tried one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;

use crate::env::HashMap;
use crate::store::{KeyRange, Revision};

/// All groups, found by key.
#[derive(Debug, Default)]
pub(super) struct Groups {
    next_id: u64,
    single: HashMap<Bytes, Arc<Group>>,
    /// By length, then by prefix.
    prefixes: BTreeMap<usize, HashMap<Bytes, Arc<Group>>>,
    other: Vec<Arc<Group>>,
}

/// The watchers of one range.
#[derive(Debug)]
pub(super) struct Group {
    /// Order among groups: who came first.
    id: u64,
    pub(super) range: KeyRange,
    /// Revisions from this one on are posted; those before are found in the log.
    pub(super) since: Revision,
    posted: Mutex<Posted>,
}

#[derive(Debug, Default)]
pub(super) struct Posted {
    /// Revisions that touched the range and are still in the log, oldest first.
    pub(super) revisions: VecDeque<Revision>,
    /// The newest revision that touched the range and is no longer in the log.
    pub(super) trimmed: Revision,
    /// Watchers that have seen less than this shall say how far they are.
    pub(super) progress: Revision,
    /// Watchers that wait, in the order in which they were made.
    pub(super) waiting: BTreeMap<u64, Waker>,
    watchers: usize,
}

impl Group {
    /// Locked only by who holds the store's lock, for reading or writing.
    pub(super) fn posted(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Posted {
    /// Forgets postings that are no longer in the log.
    pub(super) fn trim(&mut self, floor: Revision) {
        while let Some(oldest) = self.revisions.front().copied().filter(|oldest| *oldest < floor) {
            self.trimmed = oldest;
            self.revisions.pop_front();
        }
    }
}

/// The prefix that the range consists of, if it is one.
fn as_prefix(range: &KeyRange) -> Option<&Bytes> {
    (KeyRange::prefix(range.start.clone()).end == range.end).then_some(&range.start)
}

impl Groups {
    /// A number that no watcher or group had before.
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The group of a range, made where there is none; it counts one watcher more.
    pub(super) fn join(&mut self, range: KeyRange, since: Revision) -> Arc<Group> {
        let group = self.find(&range).cloned().unwrap_or_else(|| self.add(range, since));
        group.posted().watchers += 1;
        group
    }

    /// One watcher less.
    pub(super) fn leave(&mut self, group: &Arc<Group>) {
        let left = {
            let mut posted = group.posted();
            posted.watchers -= 1;
            posted.watchers
        };
        if left > 0 {
            return;
        }
        if let Some(key) = group.range.as_single() {
            self.single.remove(key);
        } else if let Some(prefix) = as_prefix(&group.range) {
            if let Some(same_length) = self.prefixes.get_mut(&prefix.len()) {
                same_length.remove(prefix);
                if same_length.is_empty() {
                    self.prefixes.remove(&prefix.len());
                }
            }
        } else {
            self.other.retain(|other| !Arc::ptr_eq(other, group));
        }
    }

    /// The group of exactly this range.
    pub(super) fn find(&self, range: &KeyRange) -> Option<&Arc<Group>> {
        if let Some(key) = range.as_single() {
            self.single.get(key)
        } else if let Some(prefix) = as_prefix(range) {
            self.prefixes.get(&prefix.len())?.get(prefix)
        } else {
            self.other.iter().find(|group| group.range == *range)
        }
    }

    fn add(&mut self, range: KeyRange, since: Revision) -> Arc<Group> {
        let id = self.id();
        let group = Arc::new(Group { id, range: range.clone(), since, posted: Mutex::default() });
        if let Some(key) = range.as_single() {
            self.single.insert(key.clone(), group.clone());
        } else if let Some(prefix) = as_prefix(&range) {
            self.prefixes.entry(prefix.len()).or_default().insert(prefix.clone(), group.clone());
        } else {
            self.other.push(group.clone());
        }
        group
    }

    /// Posts a revision that touched these keys, and takes those who wait for it.
    pub(super) fn post<'a>(
        &self,
        revision: Revision,
        floor: Revision,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<Waker> {
        let mut touched: Vec<&Arc<Group>> = Vec::new();
        for key in keys {
            touched.extend(self.single.get(key));
            let shorter = self.prefixes.range(..=key.len());
            touched.extend(shorter.filter_map(|(length, same_length)| same_length.get(&key[..*length])));
            touched.extend(self.other.iter().filter(|group| group.range.contains(key)));
        }
        touched.sort_unstable_by_key(|group| group.id);
        touched.dedup_by_key(|group| group.id);
        let mut wakers = Vec::new();
        for group in touched {
            let mut posted = group.posted();
            posted.trim(floor);
            posted.revisions.push_back(revision);
            wakers.extend(std::mem::take(&mut posted.waiting).into_values());
        }
        wakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_exactly_the_ranges_that_hold_it() {
        let ranges = [
            KeyRange::all(),
            KeyRange::prefix("/a/"),
            KeyRange::prefix("/a/b"),
            KeyRange::prefix("/b/"),
            KeyRange::single("/a/b"),
            KeyRange::single("/a/c"),
            KeyRange::between("/a/a", "/a/bb"),
            KeyRange::between("/a/c", "/a/d"),
            KeyRange::prefix(vec![0xff]),
        ];
        let mut groups = Groups::default();
        let joined: Vec<_> = ranges.iter().map(|range| groups.join(range.clone(), Revision(1))).collect();
        for (revision, key) in ["/a/b", "/a/c", "/a/bb", "/b/", "/", "\u{ff}"].into_iter().enumerate() {
            let revision = Revision(revision as u64 + 1);
            groups.post(revision, Revision(1), [key.as_bytes()].into_iter());
            for group in &joined {
                let posted = group.posted().revisions.contains(&revision);
                assert_eq!(posted, group.range.contains(key.as_bytes()), "{key} in {:?}", group.range);
            }
        }
        for group in &joined {
            groups.leave(group);
        }
        assert!(groups.single.is_empty() && groups.prefixes.is_empty() && groups.other.is_empty());
    }

    #[test]
    fn a_range_has_one_group_and_a_revision_is_posted_once() {
        let mut groups = Groups::default();
        let first = groups.join(KeyRange::prefix("/a"), Revision(1));
        let second = groups.join(KeyRange::prefix("/a"), Revision(5));
        assert!(Arc::ptr_eq(&first, &second));
        groups.post(Revision(2), Revision(1), [&b"/a1"[..], b"/a2"].into_iter());
        assert_eq!(first.posted().revisions, [Revision(2)]);
        groups.leave(&first);
        assert!(groups.find(&KeyRange::prefix("/a")).is_some());
    }
}
