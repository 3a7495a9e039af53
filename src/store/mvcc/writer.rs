//! What writers do, under their lock: stage, publish, compact.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::census::Census;
use super::entry::{Entry, Version, own_key};
use super::groups::Groups;
use super::leases::LeaseTable;
use super::log::{Batch, ENTRY_BYTES, Few, cost};
use super::plan::{Plan, Step};
use super::record::{Change, Record, Staged};
use super::{HistoryLimit, Mvcc};
use crate::store::{
    Committed, Error, Event, EventKind, Granted, KeyRange, KeyValue, Op, OpResult, Result, Revision, Txn,
};

/// What only one at a time may touch.
#[derive(Debug)]
pub(super) struct Writer {
    /// The newest revision that has been assigned.
    pub(super) assigned: Revision,
    /// The floor, when all that is staged is published.
    floor: Revision,
    /// How many records have been staged.
    pub(super) staged: u64,
    /// How many have been published.
    pub(super) published: u64,
    /// Those between.
    pending: VecDeque<Pending>,
    stopped: Option<Arc<str>>,
    pub(super) groups: Groups,
    pub(super) leases: LeaseTable,
    /// What keys, values and versions take up.
    pub(super) used_bytes: u64,
    pub(super) no_space: bool,
}

/// A record and the versions that it made.
#[derive(Debug)]
struct Pending {
    record: Record,
    versions: Few<Version>,
    deleted: Vec<Bytes>,
}

/// What a revision has done so far.
#[derive(Debug)]
struct Making {
    at: Revision,
    events: Pile<Event>,
    versions: Few<Version>,
    deleted: Vec<Bytes>,
}

/// What is done once the lock is released: waking and freeing.
#[derive(Debug, Default)]
pub(super) struct Effects {
    wakers: Vec<Waker>,
    batches: Pile<Batch>,
    versions: Pile<Arc<Version>>,
    passed: Vec<Arc<[Event]>>,
}

/// Nearly always no more than one.
#[derive(Debug)]
struct Pile<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Default for Pile<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<T> Pile<T> {
    fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.more.push(item);
        }
    }
}

impl Effects {
    pub(super) fn wake(self) {
        for waker in self.wakers {
            waker.wake();
        }
    }
}

/// Batches compacted, at most, before the lock is released.
const TRIM: usize = 512;

impl Writer {
    pub(super) fn new(revision: Revision, floor: Revision, leases: LeaseTable) -> Self {
        Self {
            assigned: revision,
            floor,
            staged: 0,
            published: 0,
            pending: VecDeque::new(),
            stopped: None,
            groups: Groups::default(),
            leases,
            used_bytes: 0,
            no_space: false,
        }
    }

    /// The store has been read back so far.
    pub(super) fn restored(&mut self, newest: Revision, floor: Revision) {
        self.assigned = newest;
        self.floor = floor;
    }

    fn working(&self) -> Result<()> {
        match &self.stopped {
            Some(why) => Err(Error::Stopped { why: why.clone() }),
            None => Ok(()),
        }
    }
}

impl Mvcc {
    /// Decides a transaction and applies it at the next revision, without letting anybody see it
    /// yet. Where it writes something, `record` is called with what it did, under the writers' lock,
    /// so that records come in the order of their sequence; it should not take long.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::ObjectStore::commit`]; nothing has happened then. Such an answer may know of
    /// anything up to [`Mvcc::staged`].
    pub(in crate::store) fn stage<T>(
        &self,
        txn: Txn,
        record: impl FnOnce(&Record) -> T,
    ) -> Result<Staged<T>> {
        txn.check()?;
        self.approach(&txn);
        let mut writer = self.writer();
        let (answer, pending) = self.apply_txn(&mut writer, txn)?;
        let recorded = pending.map(|pending| {
            let recorded = record(&pending.record);
            writer.pending.push_back(pending);
            recorded
        });
        Ok(Staged { answer, sequence: writer.staged, recorded })
    }

    /// Stages a transaction and publishes it at once.
    pub(in crate::store) fn commit(&self, txn: Txn) -> Result<Committed> {
        txn.check()?;
        self.approach(&txn);
        let mut effects = Effects::default();
        let mut writer = self.writer();
        let (committed, pending) = self.apply_txn(&mut writer, txn)?;
        if let Some(pending) = pending {
            self.publish_one(&mut writer, pending, &mut effects);
        }
        drop(writer);
        effects.wake();
        Ok(committed)
    }

    /// Looks at what a transaction will look at, so that it is in the processor's cache by the time
    /// the lock is held: who waits for memory meanwhile keeps no other writer waiting.
    fn approach(&self, txn: &Txn) {
        for op in &txn.then {
            if let Op::Put { key, .. } = op {
                std::hint::black_box(self.live(key));
            }
        }
    }

    /// Makes all records up to `sequence` visible, and wakes whom that concerns.
    pub(in crate::store) fn publish(&self, sequence: u64) {
        let mut effects = Effects::default();
        let mut writer = self.writer();
        while writer.published < sequence {
            let Some(pending) = writer.pending.pop_front() else { break };
            self.publish_one(&mut writer, pending, &mut effects);
        }
        drop(writer);
        effects.wake();
    }

    /// The sequence of the newest record that has been staged.
    pub(in crate::store) fn staged(&self) -> u64 {
        self.writer().staged
    }

    /// Gives up everything that is staged and not published, for good: from now on all that would
    /// write fails with [`Error::Stopped`], and reads go on at the published revision.
    pub(in crate::store) fn stop(&self, why: impl Into<Arc<str>>) {
        let mut writer = self.writer();
        let why = why.into();
        writer.stopped.get_or_insert(why);
        let given_up = std::mem::take(&mut writer.pending);
        drop(writer);
        drop(given_up);
    }

    /// Stages the grant of a lease.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Leases::grant`].
    pub(in crate::store) fn stage_grant<T>(
        &self,
        id: i64,
        ttl: Duration,
        record: impl FnOnce(&Record) -> T,
    ) -> Result<Staged<T, Granted>> {
        let mut writer = self.writer();
        writer.working()?;
        if writer.no_space {
            return Err(Error::NoSpace);
        }
        let (id, ttl) = writer.leases.choose(id, ttl)?;
        writer.leases.grant(id, ttl);
        let pending = self.other(&mut writer, Change::Grant { id, ttl });
        let recorded = Some(record(&pending.record));
        writer.pending.push_back(pending);
        Ok(Staged { answer: Granted { id, ttl }, sequence: writer.staged, recorded })
    }

    /// Stages the revocation of a lease and the deletion of its keys; with `over`, only if its time
    /// is over by then. The answer is the newest revision afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Leases::revoke`].
    pub(in crate::store) fn stage_revoke<T>(
        &self,
        id: i64,
        over: Option<Instant>,
        record: impl FnOnce(&Record) -> T,
    ) -> Result<Staged<T, Revision>> {
        let mut writer = self.writer();
        writer.working()?;
        let keys = writer.leases.revocable(id, over)?;
        let mut making = Making::new(writer.assigned.next());
        for key in keys {
            self.delete(&mut writer, &KeyRange::single(key), &mut making);
        }
        writer.leases.revoke(id);
        let pending = self.made(&mut writer, making, Change::Revoke { id });
        let recorded = Some(record(&pending.record));
        writer.pending.push_back(pending);
        Ok(Staged { answer: writer.assigned, sequence: writer.staged, recorded })
    }

    /// Stages a compaction.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::ObjectStore::compact`].
    pub(in crate::store) fn stage_compact<T>(
        &self,
        revision: Revision,
        record: impl FnOnce(&Record) -> T,
    ) -> Result<Staged<T, ()>> {
        let mut writer = self.writer();
        writer.working()?;
        let newest = self.published();
        if revision > newest {
            return Err(Error::FutureRevision { newest });
        }
        if revision <= writer.floor {
            return Err(Error::Compacted { oldest: writer.floor });
        }
        writer.floor = revision;
        let pending = self.other(&mut writer, Change::Compact { floor: revision });
        let recorded = Some(record(&pending.record));
        writer.pending.push_back(pending);
        Ok(Staged { answer: (), sequence: writer.staged, recorded })
    }

    /// Frees what compaction has left behind because it was being read, or because it was too much
    /// to do at once.
    pub(in crate::store) fn tidy(&self) {
        loop {
            let mut effects = Effects::default();
            let more = self.trim(&mut self.writer(), &mut effects);
            if !more {
                return;
            }
        }
    }

    fn apply_txn(&self, writer: &mut Writer, txn: Txn) -> Result<(Committed, Option<Pending>)> {
        writer.working()?;
        if self.is_full(writer) && txn.may_put() {
            return Err(self.full(writer));
        }
        let at = writer.assigned.next();
        let mut making = Making::new(at);
        let mut committed = match one_put(txn) {
            Ok((key, value, lease, previous)) => {
                self.check_put(writer, &key, value.is_none(), lease)?;
                let result = self.put(writer, key, value, lease, previous, &mut making);
                Committed { succeeded: true, revision: at, results: vec![result] }
            }
            Err(txn) => {
                let plan = self.plan(writer, txn)?;
                self.run(writer, plan, &mut making)
            }
        };
        if making.is_empty() {
            return Ok((committed, None));
        }
        stamp(&mut committed, at);
        Ok((committed, Some(self.made(writer, making, Change::Commit))))
    }

    fn run(&self, writer: &mut Writer, plan: Plan, making: &mut Making) -> Committed {
        let results = plan.steps.into_iter().map(|step| match step {
            Step::Put { key, value, lease, previous } => {
                self.put(writer, key, value, lease, previous, making)
            }
            Step::Delete { range, previous } => {
                let from = making.len();
                self.delete(writer, &range, making);
                let held = making.from(from).filter_map(|event| event.previous.clone());
                let previous = if previous { held.collect() } else { Vec::new() };
                OpResult::Deleted { count: making.len() - from, previous }
            }
            Step::Range(range, options) => {
                let mut page = self.page_newest(&range, options);
                page.revision = if making.is_empty() { writer.assigned } else { making.at };
                OpResult::Range(page)
            }
            Step::Ready(result) => result,
            Step::Txn(plan) => OpResult::Txn(self.run(writer, plan, making)),
        });
        let results = results.collect();
        Committed { succeeded: plan.succeeded, revision: writer.assigned, results }
    }

    fn put(
        &self,
        writer: &mut Writer,
        key: Bytes,
        value: Option<Bytes>,
        lease: Option<i64>,
        previous: bool,
        making: &mut Making,
    ) -> OpResult {
        let index = making.len() as u32;
        let keep = self.past.is_none();
        let entry = self.index.with(&key, Arc::clone);
        let before = entry.as_ref().map(|entry| entry.newest());
        let held = entry.as_ref().zip(before.as_ref()).and_then(|(entry, before)| before.live(&entry.key));
        let value = value.or_else(|| Some(held.as_ref()?.value.clone())).unwrap_or_default();
        let lease = lease.or_else(|| Some(held.as_ref()?.lease)).unwrap_or_default();
        let stored = entry.as_ref().map_or_else(|| own_key(&key), |entry| entry.key.clone());
        let version = Version::put(&stored, before, making.at, index, lease, &value, keep);
        let version = Arc::new(version);
        match &entry {
            Some(entry) => entry.push(version.clone()),
            None => self.index.insert(Entry::new(stored.clone(), version.clone())),
        }
        writer.used_bytes += u64::from(version.size) + ENTRY_BYTES;
        writer.leases.attach(&stored, held.as_ref().map_or(0, |held| held.lease), version.lease);
        let answer = if previous { held.clone() } else { None };
        let kv = KeyValue {
            key: stored,
            value,
            create_revision: version.create_revision,
            mod_revision: making.at,
            version: version.version,
            lease: version.lease,
        };
        making.events.push(Event { kind: EventKind::Put, kv, previous: held });
        making.versions.push(version);
        OpResult::Put(answer)
    }

    /// Deletes what a range holds; what that was is in the events.
    fn delete(&self, writer: &mut Writer, range: &KeyRange, making: &mut Making) {
        for held in self.live_range(range) {
            let index = making.len() as u32;
            let version = self.index.with(&held.key, |entry| {
                let version = Arc::new(Version::deleted(&entry.key, entry.newest(), making.at, index));
                entry.push(version.clone());
                version
            });
            let Some(version) = version else { continue };
            writer.used_bytes += u64::from(version.size) + ENTRY_BYTES;
            writer.leases.attach(&held.key, held.lease, 0);
            making.versions.push(version);
            making.deleted.push(held.key.clone());
            let kv = KeyValue {
                key: held.key.clone(),
                value: Bytes::new(),
                create_revision: Revision::NONE,
                mod_revision: making.at,
                version: 0,
                lease: 0,
            };
            making.events.push(Event { kind: EventKind::Delete, kv, previous: Some(held) });
        }
    }

    /// The record of what has been made.
    fn made(&self, writer: &mut Writer, making: Making, change: Change) -> Pending {
        if !making.is_empty() {
            writer.assigned = making.at;
        }
        writer.staged += 1;
        let record = Record {
            sequence: writer.staged,
            revision: writer.assigned,
            events: one_or_all(making.events),
            change,
        };
        Pending { record, versions: making.versions, deleted: making.deleted }
    }

    /// A record that makes no revision.
    fn other(&self, writer: &mut Writer, change: Change) -> Pending {
        self.made(writer, Making::new(writer.assigned.next()), change)
    }

    fn publish_one(&self, writer: &mut Writer, pending: Pending, effects: &mut Effects) {
        let Pending { record, versions, deleted } = pending;
        writer.published = record.sequence;
        match record.change {
            Change::Commit => {}
            Change::Grant { id, .. } => {
                if writer.leases.stand(id, self.env.clock.instant()) {
                    self.due_changed.notify_one();
                }
            }
            Change::Revoke { id } => writer.leases.forget(id),
            Change::Compact { floor } => self.raise(writer, floor, effects),
        }
        if record.events.is_empty() {
            return;
        }
        let revision = record.revision;
        if Census::concerns(&record.events) {
            self.census().apply(revision, &record.events);
        }
        self.set_published(revision);
        if self.past.is_some() {
            versions.as_slice().iter().for_each(|version| version.pass_older());
        }
        let mut groups = Few::None;
        writer.groups.post(revision, &record.events, &mut effects.wakers, |group| groups.push(group.clone()));
        let cost = cost(&record.events);
        let mut log = self.log();
        log.push(Batch { events: record.events, versions, deleted, groups, cost });
        if self.past.is_some() {
            while log.warm_bytes > self.warm_bytes && log.warm() < revision {
                let cooling = log.warm();
                let Some((events, groups)) = log.cool() else { break };
                effects.passed.push(events);
                effects.passed.extend(groups.iter().filter_map(|group| group.posted().cool(cooling)));
            }
        }
        let mut raised = self.floor();
        if let Some(HistoryLimit::Compact(limit)) = self.history
            && log.kept_bytes > limit
        {
            let mut left = log.kept_bytes;
            while left > limit && raised < revision {
                left -= log.get(raised).map_or(0, |batch| batch.cost);
                raised = raised.next();
            }
        }
        let behind = log.first() < raised;
        drop(log);
        if raised > writer.floor {
            writer.floor = raised;
            self.raise(writer, raised, effects);
        } else if behind {
            self.trim(writer, effects);
        }
    }

    fn raise(&self, writer: &mut Writer, floor: Revision, effects: &mut Effects) {
        let before = self.floor();
        if floor > before {
            self.log().release(before, floor);
            self.set_floor(floor);
            self.trim(writer, effects);
        }
    }

    /// Frees what no revision from the floor on sees, unless it is being read; answers whether it
    /// has left something to do. A version can only have been overtaken by a write between the old
    /// floor and the new one, so the log knows every version that may have one to cut.
    fn trim(&self, writer: &mut Writer, effects: &mut Effects) -> bool {
        let floor = self.floor();
        let safe = self.pins.oldest().map_or(floor, |pinned| pinned.min(floor));
        let mut log = self.log();
        for _ in 0..TRIM {
            let oldest = log.first();
            if oldest >= safe {
                return false;
            }
            let Some(batch) = log.pop() else { return false };
            let groups = batch.groups.as_slice().iter();
            effects.passed.extend(groups.filter_map(|group| group.posted().trim(oldest)));
            effects.batches.push(batch);
            let now_oldest = log.first();
            let Some(batch) = log.get(now_oldest) else { return false };
            for cut in batch.versions.as_slice().iter().filter_map(|version| version.cut()) {
                writer.used_bytes -= cut.chain_size(ENTRY_BYTES);
                effects.versions.push(cut);
            }
            for key in &batch.deleted {
                let gone = self.index.with(key, |entry| {
                    let newest = entry.newest();
                    (newest.mod_revision == now_oldest).then(|| u64::from(newest.size) + ENTRY_BYTES)
                });
                if let Some(size) = gone.flatten() {
                    writer.used_bytes -= size;
                    self.index.remove(key);
                }
            }
        }
        log.first() < safe
    }

    /// Whether nothing more may be put.
    fn is_full(&self, writer: &Writer) -> bool {
        writer.no_space
            || self.quota_bytes.is_some_and(|quota| writer.used_bytes > quota)
            || matches!(self.history, Some(HistoryLimit::NoSpace(limit)) if self.log().kept_bytes > limit)
    }

    fn full(&self, writer: &mut Writer) -> Error {
        if self.quota_bytes.is_some_and(|quota| writer.used_bytes > quota) {
            writer.no_space = true;
        }
        Error::NoSpace
    }
}

impl Making {
    fn new(at: Revision) -> Self {
        Self { at, events: Pile::default(), versions: Few::None, deleted: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.events.first.is_none()
    }

    fn len(&self) -> usize {
        usize::from(!self.is_empty()) + self.events.more.len()
    }

    /// The events from a place on.
    fn from(&self, place: usize) -> impl Iterator<Item = &Event> {
        self.events.first.iter().chain(&self.events.more).skip(place)
    }
}

/// The one put that a transaction consists of, as nearly all do.
#[allow(clippy::type_complexity, reason = "the parts of one variant")]
fn one_put(txn: Txn) -> Result<(Bytes, Option<Bytes>, Option<i64>, bool), Txn> {
    if !(txn.compare.is_empty() && matches!(txn.then[..], [Op::Put { .. }])) {
        return Err(txn);
    }
    let Txn { compare, mut then, or_else } = txn;
    match then.pop() {
        Some(Op::Put { key, value, lease, previous }) => Ok((key, value, lease, previous)),
        op => Err(Txn { compare, then: op.into_iter().collect(), or_else }),
    }
}

fn one_or_all(events: Pile<Event>) -> Arc<[Event]> {
    match events.first {
        Some(event) if events.more.is_empty() => Arc::new([event]),
        first => first.into_iter().chain(events.more).collect(),
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
