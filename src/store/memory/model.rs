//! The memory store against a model that is too simple to be wrong: a list of everything that ever
//! happened, from which each answer is worked out anew. Random programs of transactions, reads at
//! past revisions, leases, compactions and watches must be answered alike, whether what is written is
//! published at once or some time later.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::*;
use crate::store::{
    Compare, Condition, Event, EventKind, KeyValue, Op, OpResult, WatchBatch, WatchOptions, WatchStream,
};

/// What one revision wrote, in order: a value and a lease, or a deletion.
type Writes = Vec<(String, Option<(String, i64)>)>;

/// Everything that ever happened; revision 1 did nothing.
struct Model {
    history: Vec<Writes>,
    /// How much of it everybody sees; transactions see all of it.
    published: u64,
    floor: u64,
    /// The numbers of the leases that there are.
    leases: BTreeSet<i64>,
}

/// What a transaction does, once its branches have been chosen.
enum Chosen {
    Op(Op),
    Txn(bool, Vec<Chosen>),
}

/// What the branches of a transaction may write, by operation.
#[derive(Default)]
struct MayWrite {
    puts: Vec<Bytes>,
    deletes: Vec<KeyRange>,
}

impl MayWrite {
    /// None where one branch writes a key twice.
    fn of(txn: &Txn) -> Option<Self> {
        let mut all = Self::default();
        for branch in [&txn.then, &txn.or_else] {
            let mut by_op = Vec::new();
            for op in branch {
                by_op.push(match op {
                    Op::Put { key, .. } => Self { puts: vec![key.clone()], deletes: vec![] },
                    Op::Delete { range, .. } => Self { puts: vec![], deletes: vec![range.clone()] },
                    Op::Range(..) => Self::default(),
                    Op::Txn(inner) => Self::of(inner)?,
                });
            }
            for (index, one) in by_op.iter().enumerate() {
                for (other, another) in by_op.iter().enumerate() {
                    let twice = |put: &Bytes| {
                        another.puts.contains(put) || another.deletes.iter().any(|range| range.contains(put))
                    };
                    if index != other && one.puts.iter().any(twice) {
                        return None;
                    }
                }
            }
            for one in by_op {
                all.puts.extend(one.puts);
                all.deletes.extend(one.deletes);
            }
        }
        Some(all)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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
                if let Some((value, lease)) = value {
                    let created = held.as_ref().map_or(Revision(revision), |held| held.create_revision);
                    let kv = KeyValue {
                        key: key.clone().into(),
                        value: value.clone().into(),
                        create_revision: created,
                        mod_revision: Revision(revision),
                        version: held.map_or(1, |held| held.version + 1),
                        lease: *lease,
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

    /// What a transaction answers, or the name of the error.
    fn commit(&mut self, txn: &Txn) -> Result<Committed, &'static str> {
        MayWrite::of(txn).ok_or("duplicate")?;
        let (succeeded, ops) = self.choose(txn);
        self.refuse(&ops)?;
        let mut writes = Writes::new();
        let mut committed = self.run(succeeded, &ops, &mut writes);
        if !writes.is_empty() {
            self.history.push(writes);
        }
        stamp(&mut committed, Revision(self.newest()));
        Ok(committed)
    }

    fn choose(&self, txn: &Txn) -> (bool, Vec<Chosen>) {
        let before = self.state(self.newest(), &Writes::new());
        let held = |compare: &Compare| {
            before.values().filter(|kv| compare.range.contains(&kv.key)).collect::<Vec<_>>()
        };
        let succeeded = txn.compare.iter().all(|compare| compare.holds(held(compare)));
        let branch = if succeeded { &txn.then } else { &txn.or_else };
        let chosen = branch.iter().map(|op| match op {
            Op::Txn(inner) => {
                let (succeeded, ops) = self.choose(inner);
                Chosen::Txn(succeeded, ops)
            }
            op => Chosen::Op(op.clone()),
        });
        (succeeded, chosen.collect())
    }

    fn refuse(&self, ops: &[Chosen]) -> Result<(), &'static str> {
        for op in ops {
            match op {
                Chosen::Txn(_, ops) => self.refuse(ops)?,
                Chosen::Op(Op::Put { key, value, lease, .. }) => {
                    if lease.is_some_and(|id| id != 0 && !self.leases.contains(&id)) {
                        return Err("no lease");
                    }
                    let absent = !self.state(self.newest(), &Writes::new()).contains_key(&text(key));
                    if absent && (value.is_none() || lease.is_none()) {
                        return Err("no key");
                    }
                }
                Chosen::Op(Op::Range(_, options)) => {
                    let at = options.at.unwrap_or_default().0;
                    if at > self.newest() {
                        return Err("future");
                    }
                    if at != 0 && at < self.floor {
                        return Err("compacted");
                    }
                }
                Chosen::Op(_) => {}
            }
        }
        Ok(())
    }

    fn run(&self, succeeded: bool, ops: &[Chosen], writes: &mut Writes) -> Committed {
        let mut results = Vec::new();
        for op in ops {
            results.push(match op {
                Chosen::Txn(succeeded, ops) => OpResult::Txn(self.run(*succeeded, ops, writes)),
                Chosen::Op(Op::Range(range, options)) => {
                    let past = options.at.filter(|at| *at != Revision::NONE);
                    let (items, revision) = match past {
                        Some(at) => (self.read(range, at.0, &Writes::new()), at),
                        None => {
                            let revision = Revision(self.newest() + u64::from(!writes.is_empty()));
                            (self.read(range, self.newest(), writes), revision)
                        }
                    };
                    let count = items.len();
                    OpResult::Range(Page { revision, items, more: false, count })
                }
                Chosen::Op(Op::Put { key, value, lease, previous }) => {
                    let found = self.read(&KeyRange::single(key.clone()), self.newest(), writes).pop();
                    let value = value.as_ref().or(found.as_ref().map(|kv| &kv.value));
                    let lease = lease.or(found.as_ref().map(|kv| kv.lease));
                    writes.push((text(key), Some((text(value.unwrap()), lease.unwrap()))));
                    OpResult::Put(found.filter(|_| *previous))
                }
                Chosen::Op(Op::Delete { range, previous }) => {
                    let found = self.read(range, self.newest(), writes);
                    writes.extend(found.iter().map(|kv| (text(&kv.key), None)));
                    let count = found.len();
                    OpResult::Deleted { count, previous: if *previous { found } else { Vec::new() } }
                }
                Chosen::Op(Op::Txn(_)) => unreachable!("its branch has been chosen"),
            });
        }
        Committed { succeeded, revision: Revision(self.newest()), results }
    }

    /// Ends a lease, if there is such.
    fn revoke(&mut self, id: i64) -> Option<Revision> {
        self.leases.remove(&id).then_some(())?;
        let state = self.state(self.newest(), &Writes::new());
        let attached = state.into_values().filter(|kv| kv.lease == id);
        let writes: Writes = attached.map(|kv| (text(&kv.key), None)).collect();
        if !writes.is_empty() {
            self.history.push(writes);
        }
        Some(Revision(self.newest()))
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

/// Gives a transaction, and those within, the revision that they made.
fn stamp(committed: &mut Committed, at: Revision) {
    committed.revision = at;
    for result in &mut committed.results {
        if let OpResult::Txn(inner) = result {
            stamp(inner, at);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Txn),
    Grant(i64),
    Revoke(i64),
    /// Publishes what is staged.
    Publish,
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

/// One operation; transactions within so deep.
fn op(depth: u32) -> BoxedStrategy<Op> {
    let value = || prop::option::weighted(0.9, (0..4u8).prop_map(|value| Bytes::from(value.to_string())));
    let lease = || prop::option::weighted(0.9, prop::sample::select(vec![0, 0, 0, 1, 2]));
    let put = (key(), value(), lease(), any::<bool>()).prop_map(|(key, value, lease, previous)| Op::Put {
        key: key.into(),
        value,
        lease,
        previous,
    });
    let read = (range(), prop::option::weighted(0.3, 0..12u64)).prop_map(|(range, at)| {
        Op::Range(range, ListOptions { at: at.map(Revision), ..ListOptions::default() })
    });
    let flat = prop_oneof![
        4 => put,
        1 => read,
        1 => (range(), any::<bool>()).prop_map(|(range, previous)| Op::Delete { range, previous }),
        1 => key().prop_map(|key| Op::delete(KeyRange::single(key)).with_previous()),
    ];
    if depth == 0 {
        return flat.boxed();
    }
    prop_oneof![7 => flat, 1 => txn(depth - 1).prop_map(Op::Txn)].boxed()
}

fn txn(depth: u32) -> BoxedStrategy<Txn> {
    let ops = move || prop::collection::vec(op(depth), 0..4);
    (prop::collection::vec(compare(), 0..3), ops(), ops())
        .prop_map(|(compare, then, or_else)| Txn { compare, then, or_else })
        .boxed()
}

fn compare() -> impl Strategy<Value = Compare> {
    use crate::store::Relation::{Equal, Greater, Less, NotEqual};
    let order = || prop::sample::select(vec![Less, Equal, Greater, NotEqual]);
    let condition = prop_oneof![
        (order(), 0..20u64).prop_map(|(order, than)| Condition::ModRevision(order, Revision(than))),
        (order(), 0..20u64).prop_map(|(order, than)| Condition::CreateRevision(order, Revision(than))),
        (order(), 0..3u64).prop_map(|(order, than)| Condition::Version(order, than)),
        (order(), 0..4u8).prop_map(|(order, value)| Condition::Value(order, value.to_string().into())),
        (order(), 0..3i64).prop_map(|(order, lease)| Condition::Lease(order, lease)),
    ];
    (range(), condition).prop_map(|(range, condition)| Compare { range, condition })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => txn(2).prop_map(Step::Commit),
        1 => (1..3i64).prop_map(Step::Grant),
        1 => (1..3i64).prop_map(Step::Revoke),
        4 => Just(Step::Publish),
        8 => op(1).prop_map(|op| Step::Commit(Txn::new().then(op))),
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
        let due = (watched.next..=model.published)
            .find_map(|revision| model.batch(&watched.range, revision, watched.previous));
        match watched.stream.next().now_or_never() {
            Some(Some(Ok(batch))) if batch.events.is_empty() => {
                // Progress comes behind everything that is due.
                assert!(due.is_none() && batch.revision.0 <= model.published);
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

/// The name of the error that a transaction is refused with.
fn name(error: &Error) -> &'static str {
    match error {
        Error::DuplicateKey { .. } => "duplicate",
        Error::LeaseNotFound { .. } => "no lease",
        Error::KeyNotFound => "no key",
        Error::FutureRevision { .. } => "future",
        Error::Compacted { .. } => "compacted",
        other => panic!("{other}"),
    }
}

/// Runs a program; with `hold`, what is staged is not published until a step says so.
fn run(steps: Vec<Step>, hold: bool) {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(None));
    let mvcc = store.mvcc();
    let mut model = Model { history: vec![Writes::new()], published: 1, floor: 1, leases: BTreeSet::new() };
    let mut watches: Vec<Watched> = Vec::new();
    let now = |result: Option<_>| result.expect("the memory store never waits");
    let publish = |model: &mut Model| {
        mvcc.publish(mvcc.staged());
        model.published = model.newest();
    };
    for step in steps {
        match step {
            Step::Commit(txn) => match (model.commit(&txn), mvcc.stage(txn, |record| record.clone())) {
                (Ok(expected), Ok(staged)) => {
                    assert_eq!(staged.answer, expected);
                    let told = staged.recorded.map(|record| (record.revision, record.sequence));
                    let made = told.is_some();
                    let expected = (expected.revision, staged.sequence);
                    assert!(
                        told.is_none_or(|told| told == expected)
                            && (made || staged.sequence == mvcc.staged())
                    );
                }
                (Err(expected), Err(error)) => assert_eq!(name(&error), expected),
                other => panic!("{other:?}"),
            },
            Step::Grant(id) => {
                let ttl = Duration::from_secs(1_000_000);
                let granted = mvcc.stage_grant(id, ttl, |_| ());
                assert!(granted.is_ok() || model.leases.contains(&id) || hold);
                if granted.is_ok() {
                    assert!(model.leases.insert(id));
                }
            }
            Step::Revoke(id) => {
                // Nobody can know of a lease whose grant has not been published.
                if hold {
                    publish(&mut model);
                }
                let revoked = mvcc.stage_revoke(id, None, |_| ()).ok().map(|staged| staged.answer);
                assert_eq!(revoked, model.revoke(id));
            }
            Step::Publish => publish(&mut model),
            Step::Read(range, ago, limit) => {
                let at = (model.published as i64 - ago).max(1) as u64;
                let options = ListOptions::default().at(Revision(at)).limit(limit);
                match now(store.list(range.clone(), options).now_or_never()) {
                    Ok(page) => {
                        assert!(at >= model.floor && at <= model.published);
                        let all = model.read(&range, at, &Writes::new());
                        let wanted = if limit == 0 { all.len() } else { limit.min(all.len()) };
                        assert_eq!((page.count, page.more), (all.len(), wanted < all.len()));
                        assert_eq!((page.revision.0, &page.items[..]), (at, &all[..wanted]));
                    }
                    Err(Error::Compacted { oldest }) => {
                        assert!(at < model.floor && oldest.0 == model.floor);
                    }
                    Err(Error::FutureRevision { newest }) => {
                        assert!(at > model.published && newest.0 == model.published);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Compact(ago) => {
                publish(&mut model);
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
                let from = (model.published as i64 - ago).max(1) as u64;
                let options =
                    WatchOptions { from: Some(Revision(from)), previous, ..WatchOptions::default() };
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
        if !hold {
            publish(&mut model);
        }
        assert_eq!(store.revision().now_or_never().unwrap().unwrap().0, model.published);
    }
    for mut watched in watches {
        take(&mut watched, &model, usize::MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_program_is_answered_as_by_the_model(steps in prop::collection::vec(step(), 1..80)) {
        run(steps, false);
    }

    #[test]
    fn so_is_every_program_whose_writes_are_published_later(steps in prop::collection::vec(step(), 1..80)) {
        run(steps, true);
    }
}
