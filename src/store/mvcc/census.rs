//! How many keys a range holds, without looking at each.
//!
//! Keys that are there at the newest published revision, in order, cut into chunks: what stands before
//! a key is the length of the chunks before its own, and its place therein. The changes of the last
//! revisions are remembered, so that a count at one of those is the newest one with the changes behind
//! it taken back; a count further back looks at the keys.
//!
//! An update changes nothing here. A key that comes or goes costs a search and the move of half a chunk.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::store::{Event, EventKind, KeyRange, Revision};

/// Keys of a chunk, at most.
const CHUNK: usize = 512;
/// Changes that are remembered.
const RECENT: usize = 4096;

/// The keys that are there.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// None of them is empty.
    chunks: Vec<Vec<Bytes>>,
    /// The last changes, oldest first.
    recent: VecDeque<Change>,
    /// The newest revision whose changes are no longer remembered.
    forgotten: Revision,
}

#[derive(Debug)]
struct Change {
    revision: Revision,
    key: Bytes,
    came: bool,
}

impl Census {
    /// What the keys, in order, were at a revision.
    pub(super) fn of(keys: impl Iterator<Item = Bytes>, at: Revision) -> Self {
        let mut census = Self { forgotten: at, ..Self::default() };
        for key in keys {
            match census.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => chunk.push(key),
                _ => census.chunks.push(vec![key]),
            }
        }
        census
    }

    /// Whether events make keys come or go.
    pub(super) fn concerns(events: &[Event]) -> bool {
        events.iter().any(|event| came(event).is_some())
    }

    /// What a revision did, before it can be seen.
    pub(super) fn apply(&mut self, revision: Revision, events: &[Event]) {
        for event in events {
            let Some(came) = came(event) else { continue };
            if came {
                self.insert(event.kv.key.clone());
            } else {
                self.remove(&event.kv.key);
            }
            self.recent.push_back(Change { revision, key: event.kv.key.clone(), came });
        }
        while self.recent.len() > RECENT {
            if let Some(change) = self.recent.pop_front() {
                self.forgotten = change.revision;
            }
        }
    }

    /// How many keys of a range were there at a revision; none when that is too far back.
    pub(super) fn count(&self, range: &KeyRange, at: Revision) -> Option<usize> {
        if at < self.forgotten {
            return None;
        }
        let end =
            range.end.as_ref().map_or_else(|| self.before_chunk(self.chunks.len()), |end| self.before(end));
        let mut count = end.saturating_sub(self.before(&range.start));
        for change in self.recent.iter().rev().take_while(|change| change.revision > at) {
            match (range.contains(&change.key), change.came) {
                (true, true) => count -= 1,
                (true, false) => count += 1,
                (false, _) => {}
            }
        }
        Some(count)
    }

    /// How many keys stand before one.
    fn before(&self, key: &[u8]) -> usize {
        let chunk = self.chunk(key);
        let within = self.chunks.get(chunk).map_or(0, |keys| keys.partition_point(|held| held[..] < *key));
        self.before_chunk(chunk) + within
    }

    fn before_chunk(&self, chunk: usize) -> usize {
        self.chunks[..chunk].iter().map(Vec::len).sum()
    }

    /// The chunk where a key is, or would be.
    fn chunk(&self, key: &[u8]) -> usize {
        self.chunks.partition_point(|chunk| chunk[0][..] <= *key).saturating_sub(1)
    }

    fn insert(&mut self, key: Bytes) {
        let place = self.chunk(&key);
        let Some(chunk) = self.chunks.get_mut(place) else {
            self.chunks.push(vec![key]);
            return;
        };
        let within = chunk.partition_point(|held| *held < key);
        if chunk.len() < CHUNK {
            chunk.insert(within, key);
            return;
        }
        // Keys mostly come in order: then the chunk that is full stays full.
        let mut rest = chunk.split_off(if within == CHUNK { CHUNK } else { CHUNK / 2 });
        match within.checked_sub(chunk.len()) {
            Some(within) => rest.insert(within, key),
            None => chunk.insert(within, key),
        }
        self.chunks.insert(place + 1, rest);
    }

    fn remove(&mut self, key: &[u8]) {
        let place = self.chunk(key);
        let Some(chunk) = self.chunks.get_mut(place) else { return };
        let within = chunk.partition_point(|held| held[..] < *key);
        debug_assert!(chunk.get(within).is_some_and(|held| held[..] == *key), "a key that goes was there");
        if chunk.get(within).is_some_and(|held| held[..] == *key) {
            chunk.remove(within);
        }
        if chunk.is_empty() {
            self.chunks.remove(place);
        }
    }
}

/// Whether an event made its key come, or go; none for an update.
fn came(event: &Event) -> Option<bool> {
    match event.kind {
        EventKind::Put if event.previous.is_none() => Some(true),
        EventKind::Put => None,
        EventKind::Delete => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::store::KeyValue;

    fn event(key: &Bytes, kind: EventKind, there: bool) -> Event {
        let kv = KeyValue {
            key: key.clone(),
            value: Bytes::new(),
            create_revision: Revision(2),
            mod_revision: Revision(2),
            version: 1,
            lease: 0,
        };
        Event { kind, kv: kv.clone(), previous: there.then_some(kv) }
    }

    fn key(number: u16) -> Bytes {
        Bytes::from(format!("{number:05}"))
    }

    fn toggle(keys: &mut BTreeSet<Bytes>, key: &Bytes) -> Event {
        if keys.remove(key) {
            return event(key, EventKind::Delete, true);
        }
        keys.insert(key.clone());
        event(key, EventKind::Put, false)
    }

    proptest! {
        #[test]
        fn it_counts_as_a_set_does(
            first in 0..3000u16,
            toggles in prop::collection::vec(prop::collection::vec(0..3000u16, 1..4), 0..300),
            asked in prop::collection::vec((0..3000u16, 0..3000u16, 0..300usize), 1..20),
        ) {
            let mut keys: BTreeSet<_> = (0..first).map(key).collect();
            let mut census = Census::of(keys.iter().cloned(), Revision(1));
            let mut history = vec![keys.clone()];
            for (revision, numbers) in (2..).zip(toggles) {
                let events: Vec<_> = numbers.iter().map(|number| toggle(&mut keys, &key(*number))).collect();
                census.apply(Revision(revision), &events);
                history.push(keys.clone());
            }
            for (start, end, back) in asked {
                let back = back.min(history.len() - 1);
                let at = history.len() - 1 - back;
                let (start, end) = (key(start), key(end));
                for range in [
                    KeyRange { start: start.clone(), end: Some(end) },
                    KeyRange { start, end: None },
                ] {
                    let held = history[at].iter().filter(|key| range.contains(key)).count();
                    prop_assert_eq!(census.count(&range, Revision(at as u64 + 1)), Some(held));
                }
            }
        }
    }

    #[test]
    fn what_is_too_far_back_is_not_counted() {
        let (mut census, mut keys) = (Census::default(), BTreeSet::new());
        for number in 0..RECENT as u16 + 10 {
            census.apply(Revision(u64::from(number) + 2), &[toggle(&mut keys, &key(number))]);
        }
        assert_eq!(census.count(&KeyRange::all(), Revision(10)), None);
        assert_eq!(census.count(&KeyRange::all(), Revision(11)), Some(10));
        let update = event(&key(3), EventKind::Put, true);
        assert!(!Census::concerns(&[update]) && Census::concerns(&[toggle(&mut keys, &key(3))]));
    }

    #[test]
    fn keys_that_come_in_order_fill_their_chunks() {
        let mut census = Census::default();
        let mut keys = BTreeSet::new();
        for number in 0..10_000 {
            census.apply(Revision(2), &[toggle(&mut keys, &key(number))]);
        }
        assert_eq!(census.chunks.len(), 10_000usize.div_ceil(CHUNK));
        for number in 0..10_000 {
            census.apply(Revision(3), &[toggle(&mut keys, &key(number))]);
        }
        assert!(census.chunks.is_empty());
    }
}
