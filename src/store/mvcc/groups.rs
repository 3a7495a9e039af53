//! Who watches what.
//!
//! Watchers of one range form a group. A group is posted the batches that touched its range, so that
//! a watcher is only a position in that list: it costs the writer nothing while it is busy, and
//! catching up never looks at what does not concern it. All watchers of a group are given the very
//! same events; a batch that reaches out of the range is picked over once, for all of them. A group
//! is found from a key through hash maps by exact key and by prefix length; only ranges that are
//! neither are tried one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;

use crate::env::HashMap;
use crate::store::{Event, KeyRange, Revision};

/// All groups, found by key; only under the writers' lock.
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
    /// Revisions that touched the range and have not been compacted, oldest first.
    revisions: VecDeque<Revision>,
    /// What the last of them did to the range, as far as it is in memory.
    batches: VecDeque<Arc<[Event]>>,
    /// The newest revision that touched the range and has been compacted.
    pub(super) trimmed: Revision,
    /// Watchers that have seen less than this shall say how far they are.
    pub(super) progress: Revision,
    /// Watchers that wait; those that went are empty places.
    waiting: Vec<(u64, Option<Waker>)>,
    /// How often the waiting have been woken.
    round: u64,
    watchers: usize,
}

/// A watcher's place among the waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    round: u64,
    index: usize,
}

impl Group {
    pub(super) fn posted(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a batch did to the range.
    pub(super) fn pick(&self, events: &Arc<[Event]>) -> Arc<[Event]> {
        if events.iter().all(|event| self.range.contains(&event.kv.key)) {
            return events.clone();
        }
        events.iter().filter(|event| self.range.contains(&event.kv.key)).cloned().collect()
    }
}

impl Posted {
    /// The postings from `from` on: their revisions, and what they did where that is in memory.
    pub(super) fn from(&self, from: Revision) -> impl Iterator<Item = (Revision, Option<&Arc<[Event]>>)> {
        let start = self.revisions.partition_point(|revision| *revision < from);
        let cold = self.revisions.len() - self.batches.len();
        let revisions = self.revisions.range(start..).copied().enumerate();
        revisions.map(move |(index, revision)| {
            let warm = (start + index).checked_sub(cold);
            (revision, warm.and_then(|warm| self.batches.get(warm)))
        })
    }

    /// Forgets a posting that has been compacted, if it is there; answers what goes.
    pub(super) fn trim(&mut self, compacted: Revision) -> Option<Arc<[Event]>> {
        if self.revisions.front() != Some(&compacted) {
            return None;
        }
        self.trimmed = compacted;
        let batch = if self.batches.len() == self.revisions.len() { self.batches.pop_front() } else { None };
        self.revisions.pop_front();
        batch
    }

    /// Lets the oldest posting that is in memory, if it is this one, go to the past.
    pub(super) fn cool(&mut self, revision: Revision) -> Option<Arc<[Event]>> {
        let cold = self.revisions.len() - self.batches.len();
        if self.revisions.get(cold) == Some(&revision) { self.batches.pop_front() } else { None }
    }

    /// Waits for the next posting, in the place that the watcher may have already; answers that, and
    /// the waker that was there.
    pub(super) fn wait(&mut self, id: u64, place: Option<Place>, waker: &Waker) -> (Place, Option<Waker>) {
        if let Some(place) = place.filter(|place| place.round == self.round) {
            let slot = &mut self.waiting[place.index].1;
            let same = slot.as_ref().is_some_and(|held| held.will_wake(waker));
            return (place, if same { None } else { slot.replace(waker.clone()) });
        }
        self.waiting.push((id, Some(waker.clone())));
        (Place { round: self.round, index: self.waiting.len() - 1 }, None)
    }

    /// Gives up waiting.
    pub(super) fn leave(&mut self, place: Option<Place>) -> Option<Waker> {
        let place = place.filter(|place| place.round == self.round)?;
        self.waiting[place.index].1.take()
    }

    /// Takes those who wait, in the order in which they were made.
    pub(super) fn wake(&mut self, wakers: &mut Vec<Waker>) {
        self.round += 1;
        // Those who were woken together mostly wait again in the same order.
        if !self.waiting.is_sorted_by_key(|(id, _)| *id) {
            self.waiting.sort_unstable_by_key(|(id, _)| *id);
        }
        wakers.extend(self.waiting.drain(..).filter_map(|(_, waker)| waker));
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
        // The log may know the group for a while yet.
        let mut posted = group.posted();
        posted.revisions = VecDeque::new();
        posted.batches = VecDeque::new();
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

    /// Posts what a revision did, takes those who wait for it, and names the groups that it touched.
    pub(super) fn post(
        &self,
        revision: Revision,
        events: &Arc<[Event]>,
        wakers: &mut Vec<Waker>,
        mut touched: impl FnMut(&Arc<Group>),
    ) {
        let mut tell = |group: &Arc<Group>, events: Arc<[Event]>| {
            let mut posted = group.posted();
            posted.revisions.push_back(revision);
            posted.batches.push_back(events);
            posted.wake(wakers);
            drop(posted);
            touched(group);
        };
        if self.single.is_empty() && self.prefixes.is_empty() && self.other.is_empty() {
            return;
        }
        let mut found: Vec<&Arc<Group>> = Vec::new();
        for event in &**events {
            self.holding(&event.kv.key, &mut found);
        }
        if found.len() > 1 {
            found.sort_unstable_by_key(|group| group.id);
            found.dedup_by_key(|group| group.id);
        }
        for group in found {
            tell(group, if events.len() == 1 { events.clone() } else { group.pick(events) });
        }
    }

    /// The groups whose range holds a key.
    fn holding<'a>(&'a self, key: &[u8], found: &mut Vec<&'a Arc<Group>>) {
        if !self.single.is_empty() {
            found.extend(self.single.get(key));
        }
        let shorter = self.prefixes.range(..=key.len());
        found.extend(shorter.filter_map(|(length, same_length)| same_length.get(&key[..*length])));
        found.extend(self.other.iter().filter(|group| group.range.contains(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EventKind, KeyValue};

    fn events(keys: &[&str]) -> Arc<[Event]> {
        let event = |key: &&str| Event {
            kind: EventKind::Put,
            kv: KeyValue {
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: Bytes::new(),
                create_revision: Revision(1),
                mod_revision: Revision(1),
                version: 1,
                lease: 0,
            },
            previous: None,
        };
        keys.iter().map(event).collect()
    }

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
            groups.post(revision, &events(&[key]), &mut Vec::new(), |_| {});
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
        groups.post(Revision(2), &events(&["/a1", "/a2", "/b"]), &mut Vec::new(), |_| {});
        let posted = first.posted();
        assert_eq!(posted.revisions, [Revision(2)]);
        assert_eq!(posted.batches[0].len(), 2, "only what lies in the range");
        drop(posted);
        groups.leave(&first);
        assert!(groups.find(&KeyRange::prefix("/a")).is_some());
    }

    #[test]
    fn what_has_cooled_is_still_posted() {
        let mut groups = Groups::default();
        let group = groups.join(KeyRange::all(), Revision(1));
        for revision in 2..5 {
            groups.post(Revision(revision), &events(&["/a"]), &mut Vec::new(), |_| {});
        }
        let mut posted = group.posted();
        assert!(posted.cool(Revision(3)).is_none() && posted.cool(Revision(2)).is_some());
        let warm: Vec<_> = posted.from(Revision(2)).map(|(at, events)| (at.0, events.is_some())).collect();
        assert_eq!(warm, [(2, false), (3, true), (4, true)]);
        assert!(posted.trim(Revision(2)).is_none() && posted.trim(Revision(3)).is_some());
        let left: Vec<_> = posted.from(Revision(2)).map(|(at, events)| (at.0, events.is_some())).collect();
        assert_eq!((left, posted.trimmed), (vec![(4, true)], Revision(3)));
    }

    #[test]
    fn the_waiting_are_woken_in_the_order_in_which_they_were_made() {
        use std::sync::Mutex;
        use std::task::Wake;
        struct Tell(u64, Arc<Mutex<Vec<u64>>>);
        impl Wake for Tell {
            fn wake(self: Arc<Self>) {
                self.1.lock().unwrap().push(self.0);
            }
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let waker = |id| Waker::from(Arc::new(Tell(id, told.clone())));
        let mut posted = Posted::default();
        let (place, _) = posted.wait(3, None, &waker(3));
        posted.wait(1, None, &waker(1));
        let (gone, _) = posted.wait(2, None, &waker(2));
        posted.wait(3, Some(place), &waker(3));
        posted.leave(Some(gone));
        let mut wakers = Vec::new();
        posted.wake(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        assert_eq!(*told.lock().unwrap(), [1, 3]);
        assert!(posted.leave(Some(place)).is_none(), "the place is of an earlier round");
    }
}
