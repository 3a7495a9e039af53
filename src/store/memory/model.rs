//! The memory store against a model that is too simple to be wrong: a list of everything that ever
//! happened, from which each answer is worked out anew. Random programs of transactions, reads at
//! past revisions, compactions and watches must be answered alike.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::*;
use crate::store::{
    Compare, Condition, Event, EventKind, KeyValue, Op, OpResult, WatchBatch, WatchOptions, WatchStream,
};

/// What one revision wrote, in order: a value, or a deletion.
type Writes = Vec<(String, Option<String>)>;

/// Everything that ever happened; revision 1 did nothing.
struct Model {
    history: Vec<Writes>,
    floor: u64,
}

impl Model {
    fn newest(&self) -> u64 {
        self.history.len() as u64
    }

    /// The state as of a revision, with the writes of a revision under way.
    fn state(&self, at: u64, under_way: &Writes) -> BTreeMap<String, KeyValue> {
        let mut state: BTreeMap<String, KeyValue> = BTreeMap::new();
        let done = self.history.iter().take(at as usize).enumerate();
        let done = done.map(|(index, writes)| (index as u64 + 1, writes));
        for (revision, writes) in done.chain([(at + 1, under_way)]) {
            for (key, value) in writes {
                let held = state.remove(key);
                if let Some(value) = value {
                    let created = held.as_ref().map_or(Revision(revision), |held| held.create_revision);
                    let kv = KeyValue {
                        key: key.clone().into(),
                        value: value.clone().into(),
                        create_revision: created,
                        mod_revision: Revision(revision),
                        version: held.map_or(1, |held| held.version + 1),
                        lease: 0,
                    };
                    state.insert(key.clone(), kv);
                }
            }
        }
        state
    }

    fn read(&self, range: &KeyRange, at: u64, under_way: &Writes) -> Vec<KeyValue> {
        self.state(at, under_way).into_values().filter(|kv| range.contains(&kv.key)).collect()
    }

    fn commit(&mut self, txn: &Txn) -> Option<Committed> {
        for branch in [&txn.then, &txn.or_else] {
            for (index, op) in branch.iter().enumerate() {
                let Op::Put { key, .. } = op else { continue };
                let again = |other: &Op| match other {
                    Op::Put { key: other, .. } => other == key,
                    Op::Delete { range, .. } => range.contains(key),
                    Op::Range(..) | Op::Txn(_) => false,
                };
                if branch.iter().enumerate().any(|(other, op)| other != index && again(op)) {
                    return None;
                }
            }
        }
        let before = self.state(self.newest(), &Writes::new());
        let held = |compare: &Compare| {
            before.values().filter(|kv| compare.range.contains(&kv.key)).collect::<Vec<_>>()
        };
        let succeeded = txn.compare.iter().all(|compare| compare.holds(held(compare)));
        let mut writes = Writes::new();
        let mut results = Vec::new();
        for op in if succeeded { &txn.then } else { &txn.or_else } {
            match op {
                Op::Range(range, _) => {
                    let items = self.read(range, self.newest(), &writes);
                    let revision = Revision(self.newest() + u64::from(!writes.is_empty()));
                    let count = items.len();
                    results.push(OpResult::Range(Page { revision, items, more: false, count }));
                }
                Op::Txn(_) => unreachable!("the programs have none"),
                Op::Put { key, value, .. } => {
                    let found = self.read(&KeyRange::single(key.clone()), self.newest(), &writes).pop();
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    writes.push((text(key), value.as_ref().map(|value| text(value))));
                    results.push(OpResult::Put(found));
                }
                Op::Delete { range, .. } => {
                    let found = self.read(range, self.newest(), &writes);
                    for kv in &found {
                        writes.push((String::from_utf8(kv.key.to_vec()).unwrap(), None));
                    }
                    results.push(OpResult::Deleted { count: found.len(), previous: found });
                }
            }
        }
        if !writes.is_empty() {
            self.history.push(writes);
        }
        Some(Committed { succeeded, revision: Revision(self.newest()), results })
    }

    /// What a revision did to a range.
    fn batch(&self, range: &KeyRange, revision: u64, previous: bool) -> Option<WatchBatch> {
        let writes = self.history.get(revision as usize - 1)?;
        let before = self.state(revision - 1, &Writes::new());
        let after = self.state(revision, &Writes::new());
        let events = writes.iter().filter(|(key, _)| range.contains(key.as_bytes())).map(|(key, value)| {
            let gone = || KeyValue {
                key: key.clone().into(),
                value: Bytes::new(),
                create_revision: Revision::NONE,
                mod_revision: Revision(revision),
                version: 0,
                lease: 0,
            };
            Event {
                kind: if value.is_some() { EventKind::Put } else { EventKind::Delete },
                kv: after.get(key).cloned().unwrap_or_else(gone),
                previous: before.get(key).cloned().filter(|_| previous),
            }
        });
        let events: Arc<[Event]> = events.collect();
        (!events.is_empty()).then_some(WatchBatch { revision: Revision(revision), events })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Txn),
    /// Reads a range so many revisions from the newest; above it where negative.
    Read(KeyRange, i64, usize),
    /// Compacts to so many revisions from the newest.
    Compact(i64),
    /// Watches from so many revisions from the newest.
    Watch(KeyRange, i64, bool),
    /// Takes so many batches from one of the watches.
    Take(usize, usize),
    Drop(usize),
    Progress(KeyRange),
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/a", "/a/1", "/a/2", "/a0", "/b", "\u{7f}"]).prop_map(str::to_owned)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::single),
        key().prop_map(KeyRange::prefix),
        (key(), key()).prop_map(|(start, end)| KeyRange::between(start, end)),
        key().prop_map(|start| KeyRange { start: start.into(), end: None }),
        Just(KeyRange::all()),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (key(), 0..4u8).prop_map(|(key, value)| Op::put(key, value.to_string()).with_previous()),
        1 => range().prop_map(|range| Op::Range(range, ListOptions::default())),
        1 => range().prop_map(|range| Op::delete(range).with_previous()),
        1 => key().prop_map(|key| Op::delete(KeyRange::single(key)).with_previous()),
    ]
}

fn compare() -> impl Strategy<Value = Compare> {
    use crate::store::Relation::{Equal, Greater, Less, NotEqual};
    let order = || prop::sample::select(vec![Less, Equal, Greater, NotEqual]);
    let condition = prop_oneof![
        (order(), 0..20u64).prop_map(|(order, than)| Condition::ModRevision(order, Revision(than))),
        (order(), 0..20u64).prop_map(|(order, than)| Condition::CreateRevision(order, Revision(than))),
        (order(), 0..3u64).prop_map(|(order, than)| Condition::Version(order, than)),
        (order(), 0..4u8).prop_map(|(order, value)| Condition::Value(order, value.to_string().into())),
    ];
    (range(), condition).prop_map(|(range, condition)| Compare { range, condition })
}

fn step() -> impl Strategy<Value = Step> {
    let ops = || prop::collection::vec(op(), 0..4);
    let txn = (prop::collection::vec(compare(), 0..3), ops(), ops())
        .prop_map(|(compare, then, or_else)| Txn { compare, then, or_else });
    prop_oneof![
        4 => txn.prop_map(Step::Commit),
        8 => op().prop_map(|op| Step::Commit(Txn::new().then(op))),
        4 => (range(), -1..12i64, 0..4usize).prop_map(|(range, ago, limit)| Step::Read(range, ago, limit)),
        1 => (-1..8i64).prop_map(Step::Compact),
        3 => (range(), -3..12i64, any::<bool>())
            .prop_map(|(range, ago, previous)| Step::Watch(range, ago, previous)),
        6 => (0..8usize, 1..6usize).prop_map(|(which, count)| Step::Take(which, count)),
        1 => (0..8usize).prop_map(Step::Drop),
        1 => range().prop_map(Step::Progress),
    ]
}

struct Watched {
    stream: WatchStream,
    range: KeyRange,
    previous: bool,
    /// The first revision that it has not told.
    next: u64,
}

/// Takes what a watch has, at most so much, and compares it with what should have come.
fn take(watched: &mut Watched, model: &Model, at_most: usize) -> bool {
    for _ in 0..at_most {
        let due = (watched.next..=model.newest())
            .find_map(|revision| model.batch(&watched.range, revision, watched.previous));
        match watched.stream.next().now_or_never() {
            Some(Some(Ok(batch))) if batch.events.is_empty() => {
                // Progress comes behind everything that is due.
                assert!(due.is_none() && batch.revision.0 <= model.newest());
            }
            Some(Some(Ok(mut batch))) => {
                if !watched.previous {
                    // It may come unasked.
                    let bare = batch.events.iter().map(|event| Event { previous: None, ..event.clone() });
                    batch.events = bare.collect();
                }
                assert_eq!(Some(&batch), due.as_ref());
                watched.next = batch.revision.0 + 1;
            }
            Some(Some(Err(Error::Compacted { oldest }))) => {
                assert_eq!(oldest.0, model.floor);
                assert!(watched.next < model.floor, "nothing that it had to tell was compacted");
                return false;
            }
            Some(other) => panic!("{other:?}"),
            None => {
                assert_eq!(due, None, "it waits though something happened");
                return true;
            }
        }
    }
    true
}

fn run(steps: Vec<Step>) {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(None));
    let mut model = Model { history: vec![Writes::new()], floor: 1 };
    let mut watches: Vec<Watched> = Vec::new();
    let now = |result: Option<_>| result.expect("the memory store never waits");
    for step in steps {
        match step {
            Step::Commit(txn) => {
                let answer = store.commit(txn.clone()).now_or_never().unwrap();
                match (model.commit(&txn), answer) {
                    (Some(expected), Ok(committed)) => assert_eq!(committed, expected),
                    (None, Err(Error::DuplicateKey { .. })) => {}
                    other => panic!("{other:?}"),
                }
            }
            Step::Read(range, ago, limit) => {
                let at = (model.newest() as i64 - ago).max(1) as u64;
                let options = ListOptions::default().at(Revision(at)).limit(limit);
                match now(store.list(range.clone(), options).now_or_never()) {
                    Ok(page) => {
                        assert!(at >= model.floor && at <= model.newest());
                        let all = model.read(&range, at, &Writes::new());
                        let wanted = if limit == 0 { all.len() } else { limit.min(all.len()) };
                        assert_eq!((page.count, page.more), (all.len(), wanted < all.len()));
                        assert_eq!((page.revision.0, &page.items[..]), (at, &all[..wanted]));
                    }
                    Err(Error::Compacted { oldest }) => {
                        assert!(at < model.floor && oldest.0 == model.floor);
                    }
                    Err(Error::FutureRevision { newest }) => {
                        assert!(at > model.newest() && newest.0 == model.newest());
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Compact(ago) => {
                let to = (model.newest() as i64 - ago).max(1) as u64;
                match store.compact(Revision(to)).now_or_never().unwrap() {
                    Ok(()) => {
                        assert!(to > model.floor && to <= model.newest());
                        model.floor = to;
                    }
                    Err(Error::Compacted { .. }) => assert!(to <= model.floor),
                    Err(Error::FutureRevision { .. }) => assert!(to > model.newest()),
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Watch(range, ago, previous) => {
                let from = (model.newest() as i64 - ago).max(1) as u64;
                let options = WatchOptions { from: Some(Revision(from)), previous };
                match store.watch(range.clone(), options).now_or_never().unwrap() {
                    Ok(stream) => {
                        assert!(from >= model.floor);
                        watches.push(Watched { stream, range, previous, next: from });
                    }
                    Err(Error::Compacted { .. }) => assert!(from < model.floor),
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Take(which, count) => {
                let ended = watches.get_mut(which).is_some_and(|watched| !take(watched, &model, count));
                if ended {
                    watches.remove(which);
                }
            }
            Step::Drop(which) if which < watches.len() => drop(watches.remove(which)),
            Step::Drop(_) => {}
            Step::Progress(range) => store.request_progress(range).now_or_never().unwrap().unwrap(),
        }
        assert_eq!(store.revision().now_or_never().unwrap().unwrap().0, model.newest());
    }
    for mut watched in watches {
        take(&mut watched, &model, usize::MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_program_is_answered_as_by_the_model(steps in prop::collection::vec(step(), 1..80)) {
        run(steps);
    }
}
