//! What a recorded watch must be, given everything that happened: nine checks.
//!
//! They are those of etcd's robustness tests (`tests/robustness/validate/watch.go`, main), which put
//! the promises of etcd's API guarantees into code.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::store::{Event, EventKind, KeyRange, KeyValue, Revision, WatchBatch};

/// One watch, as a client saw it until it ended.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The range.
    pub range: KeyRange,
    /// The first revision asked for; none for what comes from now on.
    pub from: Option<Revision>,
    /// Whether previous values were asked for.
    pub previous: bool,
    /// What came, events and progress alike.
    pub batches: Vec<WatchBatch>,
}

/// A promise that a watch broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An event of a key that was not asked for.
    Filter,
    /// An event of an older revision behind one of a newer.
    Ordered,
    /// An event twice.
    Unique,
    /// One revision in several batches, or several in one.
    Atomic,
    /// Progress that was not true: an event of its revision or an older one came later.
    Bookmarkable,
    /// The first event is not the first one from the revision asked for on.
    Resumable,
    /// An event that says that it creates its key, and the key was there; or the other way round.
    IsCreate,
    /// Something is missing, or there is something that never happened.
    Reliable,
    /// A previous value that the key did not have, or none where there was one.
    PreviousValue,
}

type Check = fn(&Recorded, &Truth) -> bool;

const CHECKS: [(Broken, Check); 9] = [
    (Broken::Filter, filter),
    (Broken::Ordered, ordered),
    (Broken::Unique, unique),
    (Broken::Atomic, atomic),
    (Broken::Bookmarkable, bookmarkable),
    (Broken::Resumable, resumable),
    (Broken::IsCreate, is_create),
    (Broken::Reliable, reliable),
    (Broken::PreviousValue, previous_value),
];

/// Everything that happened to a store.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    batches: Vec<WatchBatch>,
    /// Of each key, what it held from each revision on.
    keys: BTreeMap<Bytes, BTreeMap<Revision, Option<KeyValue>>>,
}

impl Truth {
    /// Of a watch of every key from the first revision on, by somebody whom nothing disturbed.
    #[must_use]
    pub fn new(batches: Vec<WatchBatch>) -> Self {
        let mut keys: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for event in batches.iter().flat_map(|batch| batch.events.iter()) {
            let held = (event.kind == EventKind::Put).then(|| event.kv.clone());
            keys.entry(event.kv.key.clone()).or_default().insert(event.kv.mod_revision, held);
        }
        Self { batches, keys }
    }

    /// The events of each revision.
    #[must_use]
    pub fn batches(&self) -> &[WatchBatch] {
        &self.batches
    }

    fn before(&self, key: &Bytes, revision: Revision) -> Option<&KeyValue> {
        self.keys.get(key)?.range(..revision).next_back()?.1.as_ref()
    }

    /// What concerns a range, from one revision to another, without previous values.
    fn events(&self, range: &KeyRange, from: Revision, to: Revision) -> Vec<Event> {
        let batches = self.batches.iter().filter(|batch| batch.revision >= from && batch.revision <= to);
        let events = batches.flat_map(|batch| batch.events.iter());
        events.filter(|event| range.contains(&event.kv.key)).map(bare).collect()
    }
}

fn bare(event: &Event) -> Event {
    Event { previous: None, ..event.clone() }
}

/// Every promise that a watch broke.
#[must_use]
pub fn broken(watch: &Recorded, truth: &Truth) -> Vec<Broken> {
    CHECKS.into_iter().filter(|(_, check)| !check(watch, truth)).map(|(broken, _)| broken).collect()
}

fn events(watch: &Recorded) -> impl Iterator<Item = &Event> {
    watch.batches.iter().flat_map(|batch| batch.events.iter())
}

fn filter(watch: &Recorded, _: &Truth) -> bool {
    events(watch).all(|event| watch.range.contains(&event.kv.key))
}

fn ordered(watch: &Recorded, _: &Truth) -> bool {
    events(watch).map(|event| event.kv.mod_revision).is_sorted()
}

fn unique(watch: &Recorded, _: &Truth) -> bool {
    let mut seen = BTreeSet::new();
    events(watch).all(|event| seen.insert((event.kv.mod_revision, event.kv.key.clone())))
}

fn atomic(watch: &Recorded, _: &Truth) -> bool {
    let mut last = None;
    watch.batches.iter().filter(|batch| !batch.events.is_empty()).all(|batch| {
        let goes_on = last.replace(batch.revision) == Some(batch.revision);
        !goes_on && batch.events.iter().all(|event| event.kv.mod_revision == batch.revision)
    })
}

fn bookmarkable(watch: &Recorded, _: &Truth) -> bool {
    let (mut progress, mut newest) = (Revision::NONE, Revision::NONE);
    watch.batches.iter().all(|batch| {
        if batch.events.is_empty() {
            let truthful = batch.revision >= progress && batch.revision >= newest;
            progress = batch.revision;
            return truthful;
        }
        newest = batch.events.iter().map(|event| event.kv.mod_revision).max().unwrap_or(newest);
        batch.events.iter().all(|event| event.kv.mod_revision > progress)
    })
}

fn resumable(watch: &Recorded, truth: &Truth) -> bool {
    let (Some(from), Some(first)) = (watch.from, events(watch).next()) else { return true };
    truth.events(&watch.range, from, Revision(u64::MAX)).first() == Some(&bare(first))
}

fn is_create(watch: &Recorded, truth: &Truth) -> bool {
    events(watch).all(|event| {
        let creates = event.kind == EventKind::Put && event.kv.create_revision == event.kv.mod_revision;
        let was_there = truth.before(&event.kv.key, event.kv.mod_revision).is_some();
        // There is nothing to delete where nothing was.
        creates != was_there
    })
}

fn reliable(watch: &Recorded, truth: &Truth) -> bool {
    let Some(last) = watch.batches.iter().map(|batch| batch.revision).next_back() else { return true };
    let first = match (watch.from, &watch.batches[0]) {
        (Some(from), _) => from,
        (None, batch) if batch.events.is_empty() => batch.revision.next(),
        (None, batch) => batch.revision,
    };
    events(watch).map(bare).eq(truth.events(&watch.range, first, last))
}

fn previous_value(watch: &Recorded, truth: &Truth) -> bool {
    !watch.previous
        || events(watch)
            .all(|event| event.previous.as_ref() == truth.before(&event.kv.key, event.kv.mod_revision))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::store::{MemoryStore, ObjectStore, ObjectStoreExt, Op, Txn, WatchOptions};

    const LAST: Revision = Revision(10);

    /// Two keys that are written, deleted and written again, one of them outside of what is watched.
    async fn truth_and_watch() -> (Truth, Recorded) {
        let store = MemoryStore::new();
        for (key, value) in [("/a/1", "1"), ("/b", "1"), ("/a/1", "2"), ("/a/2", "1")] {
            store.put(key, value).await.unwrap();
        }
        let both = Txn::new().then(Op::put("/a/1", "3")).then(Op::put("/a/2", "2")).then(Op::put("/b", "2"));
        store.commit(both).await.unwrap();
        store.delete("/a/1").await.unwrap();
        for (key, value) in [("/a/1", "4"), ("/a/2", "3")] {
            store.put(key, value).await.unwrap();
        }
        assert_eq!(store.put("/a/1", "5").await.unwrap(), LAST);
        let record = async |range: KeyRange, from| {
            let options = WatchOptions::from(Revision(from)).with_previous();
            let mut watch = store.watch(range, options).await.unwrap();
            let mut batches = Vec::new();
            while batches.last().is_none_or(|batch: &WatchBatch| batch.revision < LAST) {
                batches.push(watch.next().await.unwrap().unwrap());
            }
            batches
        };
        let truth = Truth::new(record(KeyRange::all(), 2).await);
        let range = KeyRange::prefix("/a/");
        let batches = record(range.clone(), 4).await;
        let mut watch = Recorded { range, from: Some(Revision(4)), previous: true, batches };
        watch.batches.push(WatchBatch { revision: LAST, events: [].into() });
        (truth, watch)
    }

    fn alter(batch: &mut WatchBatch, change: impl FnOnce(&mut Vec<Event>)) {
        let mut events = batch.events.to_vec();
        change(&mut events);
        batch.events = events.into();
    }

    /// What a wrong watch breaks, where it must break this.
    async fn breaks(promise: Broken, wrong: impl FnOnce(&mut Recorded, &Truth)) -> Vec<Broken> {
        let (truth, mut watch) = truth_and_watch().await;
        assert_eq!(broken(&watch, &truth), [], "the store keeps its promises");
        wrong(&mut watch, &truth);
        let broken = broken(&watch, &truth);
        assert!(broken.contains(&promise), "{promise:?} is not found: {broken:?}");
        broken
    }

    #[tokio::test]
    async fn a_key_that_was_not_asked_for_is_found() {
        breaks(Broken::Filter, |watch, truth| {
            let other = truth.batches()[4].events[2].clone();
            alter(&mut watch.batches[2], |events| events.push(other));
        })
        .await;
    }

    #[tokio::test]
    async fn disorder_is_found() {
        breaks(Broken::Ordered, |watch, _| watch.batches.swap(1, 2)).await;
    }

    #[tokio::test]
    async fn a_repetition_is_found() {
        breaks(Broken::Unique, |watch, _| watch.batches.insert(3, watch.batches[1].clone())).await;
    }

    #[tokio::test]
    async fn a_revision_in_two_parts_is_found() {
        let broken = breaks(Broken::Atomic, |watch, _| {
            let mut rest = watch.batches[2].clone();
            alter(&mut watch.batches[2], |events| events.truncate(1));
            alter(&mut rest, |events| drop(events.remove(0)));
            watch.batches.insert(3, rest);
        })
        .await;
        assert_eq!(broken, [Broken::Atomic], "nothing else is wrong with it");
    }

    #[tokio::test]
    async fn two_revisions_in_one_batch_are_found() {
        let broken = breaks(Broken::Atomic, |watch, _| {
            let next = watch.batches.remove(2);
            watch.batches[1].revision = next.revision;
            alter(&mut watch.batches[1], |events| events.extend(next.events.iter().cloned()));
        })
        .await;
        assert_eq!(broken, [Broken::Atomic]);
    }

    #[tokio::test]
    async fn untrue_progress_is_found() {
        let progress = |revision| WatchBatch { revision, events: [].into() };
        let broken =
            breaks(Broken::Bookmarkable, |watch, _| watch.batches.insert(0, progress(Revision(6)))).await;
        assert_eq!(broken, [Broken::Bookmarkable]);
        breaks(Broken::Bookmarkable, |watch, _| watch.batches.push(progress(Revision(3)))).await;
    }

    #[tokio::test]
    async fn a_lost_beginning_is_found() {
        breaks(Broken::Resumable, |watch, _| drop(watch.batches.remove(0))).await;
    }

    #[tokio::test]
    async fn a_false_creation_is_found() {
        breaks(Broken::IsCreate, |watch, _| {
            alter(&mut watch.batches[0], |events| events[0].kv.create_revision = events[0].kv.mod_revision);
        })
        .await;
        breaks(Broken::IsCreate, |watch, _| {
            alter(&mut watch.batches[4], |events| events[0].kv.create_revision = Revision(2));
        })
        .await;
    }

    #[tokio::test]
    async fn a_gap_is_found() {
        let broken = breaks(Broken::Reliable, |watch, _| drop(watch.batches.remove(2))).await;
        assert_eq!(broken, [Broken::Reliable]);
        // Progress is a promise as well: everything up to it has come.
        let broken = breaks(Broken::Reliable, |watch, _| drop(watch.batches.remove(6))).await;
        assert_eq!(broken, [Broken::Reliable]);
        breaks(Broken::Reliable, |watch, _| {
            alter(&mut watch.batches[3], |events| events[0].kv.version += 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_wrong_previous_value_is_found() {
        for wrong in [
            (|event: &mut Event| event.previous = None) as fn(&mut Event),
            |event| event.previous.as_mut().unwrap().value = "wrong".into(),
            |event| event.previous.as_mut().unwrap().mod_revision = Revision(1),
        ] {
            let broken = breaks(Broken::PreviousValue, |watch, _| {
                alter(&mut watch.batches[2], |events| wrong(&mut events[0]));
            })
            .await;
            assert_eq!(broken, [Broken::PreviousValue]);
        }
    }
}
