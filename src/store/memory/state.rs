//! What the store holds, and what a transaction does to it. Nothing here waits.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::task::Waker;

use bytes::Bytes;

use super::chain::{Chain, Version};
use super::groups::Groups;
use crate::store::{
    Committed, Compare, Condition, Error, Event, EventKind, KeyRange, KeyValue, ListOptions, Op, OpResult,
    Page, Relation, Result, Revision, Txn,
};

/// What a log entry costs beside its key and value.
const ENTRY_BYTES: usize = 256;

/// Keys, log and watchers, all under one lock.
#[derive(Debug)]
pub(super) struct State {
    newest: Revision,
    /// The oldest revision that can be read or watched from.
    floor: Revision,
    keys: BTreeMap<Bytes, Chain>,
    /// What each revision from `floor` on did; revision 1, the empty store's, did nothing.
    log: VecDeque<Vec<Event>>,
    log_bytes: usize,
    pub(super) groups: Groups,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            newest: Revision(1),
            floor: Revision(1),
            keys: BTreeMap::new(),
            log: VecDeque::from([Vec::new()]),
            log_bytes: 0,
            groups: Groups::default(),
        }
    }

    pub(super) fn newest(&self) -> Revision {
        self.newest
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    /// What a revision did; nothing for one that is not in the log.
    pub(super) fn events(&self, revision: Revision) -> &[Event] {
        let index = revision.0.checked_sub(self.floor.0);
        index.and_then(|index| self.log.get(index as usize)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        Ok(self.keys.get_key_value(key).and_then(|(key, chain)| chain.live()?.read(key)))
    }

    pub(super) fn list(&self, range: &KeyRange, options: ListOptions) -> Result<Page> {
        self.page(range, self.readable(options.at)?, options)
    }

    fn page(&self, range: &KeyRange, revision: Revision, options: ListOptions) -> Result<Page> {
        let mut page = Page { revision, ..Page::default() };
        let strip = |mut kv: KeyValue| {
            if options.keys_only {
                kv.value = Bytes::new();
            }
            kv
        };
        if let Some(key) = range.as_single() {
            if key.is_empty() {
                return Err(Error::EmptyKey);
            }
            let found = self.keys.get_key_value(key).and_then(|(key, chain)| chain.at(revision)?.read(key));
            page.count = usize::from(found.is_some());
            page.items.extend(found.filter(|_| !options.count_only).map(strip));
            return Ok(page);
        }
        for (key, version) in self.scan(range).filter_map(|(key, chain)| Some((key, chain.at(revision)?))) {
            page.count += 1;
            if options.count_only {
                continue;
            }
            if options.limit != 0 && page.items.len() == options.limit {
                page.more = true;
            } else {
                page.items.extend(version.read(key).map(strip));
            }
        }
        Ok(page)
    }

    fn readable(&self, at: Option<Revision>) -> Result<Revision> {
        match at {
            None | Some(Revision::NONE) => Ok(self.newest),
            Some(at) if at > self.newest => Err(Error::FutureRevision { newest: self.newest }),
            Some(at) if at < self.floor => Err(Error::Compacted { oldest: self.floor }),
            Some(at) => Ok(at),
        }
    }

    fn scan(&self, range: &KeyRange) -> impl Iterator<Item = (&Bytes, &Chain)> {
        // `BTreeMap::range` panics where the end stands before the start.
        let sane = range.end.as_ref().is_none_or(|end| range.start < *end);
        let bounds = (
            Bound::Included(&range.start[..]),
            range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..])),
        );
        sane.then(|| self.keys.range::<[u8], _>(bounds)).into_iter().flatten()
    }

    fn live(&self, key: &Bytes) -> Option<KeyValue> {
        let (key, chain) = self.keys.get_key_value(key)?;
        chain.live()?.read(key)
    }

    fn live_range(&self, range: &KeyRange) -> Vec<KeyValue> {
        match range.as_single() {
            Some(key) => self.live(key).into_iter().collect(),
            None => self.scan(range).filter_map(|(key, chain)| chain.live()?.read(key)).collect(),
        }
    }

    /// Does one transaction; answers also whom to wake, once the lock is released.
    pub(super) fn commit(&mut self, txn: Txn, budget: Option<usize>) -> Result<(Committed, Vec<Waker>)> {
        txn.check()?;
        let (then, path) = self.choose(txn);
        self.precheck(&path)?;
        let at = self.newest.next();
        let mut events = Vec::new();
        let results = path.into_iter().map(|op| self.apply(op, at, &mut events)).collect::<Result<_>>()?;
        let mut committed = Committed { succeeded: then, revision: self.newest, results };
        if events.is_empty() {
            return Ok((committed, Vec::new()));
        }
        stamp(&mut committed, at);
        self.newest = at;
        self.log_bytes += cost(&events);
        self.log.push_back(events);
        if let Some(budget) = budget {
            let mut floor = self.floor;
            let mut left = self.log_bytes;
            while left > budget && floor < self.newest {
                left -= cost(self.events(floor));
                floor = floor.next();
            }
            self.trim(floor);
        }
        let keys = self.log.back().into_iter().flatten().map(|event| &event.kv.key[..]);
        let wakers = self.groups.post(at, self.floor, keys);
        Ok((committed, wakers))
    }

    /// The branch that runs, with every transaction within reduced to the branch that runs there.
    fn choose(&self, txn: Txn) -> (bool, Vec<Op>) {
        let then = txn.compare.iter().all(|compare| compare.holds(&self.live_range(&compare.range)));
        let ops = if then { txn.then } else { txn.or_else };
        let ops = ops.into_iter().map(|op| match op {
            Op::Txn(inner) => {
                let (then, ops) = self.choose(inner);
                let chosen = |on| if on { ops.clone() } else { Vec::new() };
                // What stands for the comparisons: one that holds of every store, or of none.
                let compare = if then { Vec::new() } else { vec![never()] };
                Op::Txn(Txn { compare, then: chosen(then), or_else: chosen(!then) })
            }
            op => op,
        });
        (then, ops.collect())
    }

    /// Refuses what the branch cannot do, before it does anything.
    fn precheck(&self, ops: &[Op]) -> Result<()> {
        for op in ops {
            match op {
                Op::Put { key, value, lease, .. } => {
                    if let Some(id) = lease.filter(|id| *id != 0) {
                        return Err(Error::LeaseNotFound { id });
                    }
                    if (value.is_none() || lease.is_none()) && self.live(key).is_none() {
                        return Err(Error::KeyNotFound);
                    }
                }
                Op::Range(_, options) => drop(self.readable(options.at)?),
                Op::Txn(txn) => {
                    self.precheck(&txn.then)?;
                    self.precheck(&txn.or_else)?;
                }
                Op::Delete { .. } => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, op: Op, at: Revision, events: &mut Vec<Event>) -> Result<OpResult> {
        Ok(match op {
            Op::Range(range, options) => {
                let mut page = match options.at {
                    Some(at) if at != Revision::NONE => self.list(&range, options)?,
                    _ => self.page(&range, Revision(u64::MAX), options)?,
                };
                if page.revision == Revision(u64::MAX) {
                    page.revision = if events.is_empty() { self.newest } else { at };
                }
                OpResult::Range(page)
            }
            Op::Txn(txn) => {
                let succeeded = txn.compare.is_empty();
                let ops = if succeeded { txn.then } else { txn.or_else };
                let results = ops.into_iter().map(|op| self.apply(op, at, events)).collect::<Result<_>>()?;
                OpResult::Txn(Committed { succeeded, revision: self.newest, results })
            }
            Op::Put { key, value, previous: wanted, .. } => {
                let previous = self.live(&key);
                let value = value.or_else(|| Some(previous.as_ref()?.value.clone())).unwrap_or_default();
                let lease = 0;
                let kv = KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: previous.as_ref().map_or(at, |previous| previous.create_revision),
                    mod_revision: at,
                    version: previous.as_ref().map_or(1, |previous| previous.version + 1),
                    lease,
                };
                match self.keys.get_mut(&key) {
                    Some(chain) => chain.put(at, value, lease),
                    None => {
                        self.keys.insert(key, Chain::new(Version::created(at, value, lease)));
                    }
                }
                events.push(Event { kind: EventKind::Put, kv, previous: previous.clone() });
                OpResult::Put(previous.filter(|_| wanted))
            }
            Op::Delete { range, previous: wanted } => {
                let deleted = self.live_range(&range);
                for held in &deleted {
                    if let Some(chain) = self.keys.get_mut(&held.key) {
                        chain.push(Version::deleted(at));
                    }
                    events.push(Event {
                        kind: EventKind::Delete,
                        kv: KeyValue {
                            key: held.key.clone(),
                            value: Bytes::new(),
                            create_revision: Revision::NONE,
                            mod_revision: at,
                            version: 0,
                            lease: 0,
                        },
                        previous: Some(held.clone()),
                    });
                }
                let count = deleted.len();
                OpResult::Deleted { count, previous: if wanted { deleted } else { Vec::new() } }
            }
        })
    }

    pub(super) fn compact(&mut self, revision: Revision) -> Result<()> {
        if revision > self.newest {
            return Err(Error::FutureRevision { newest: self.newest });
        }
        if revision <= self.floor {
            return Err(Error::Compacted { oldest: self.floor });
        }
        self.trim(revision);
        Ok(())
    }

    /// Raises the floor. A version can only have been overtaken by a write between the old floor
    /// and the new one, so the log names every key that may have one to drop.
    fn trim(&mut self, floor: Revision) {
        while self.floor < floor {
            let gone = self.log.pop_front().unwrap_or_default();
            self.log_bytes -= cost(&gone);
            self.floor = self.floor.next();
            let now_oldest = self.log.front().into_iter().flatten();
            for key in now_oldest.map(|event| &event.kv.key) {
                if self.keys.get_mut(key).is_some_and(|chain| chain.compact(self.floor)) {
                    self.keys.remove(key);
                }
            }
        }
    }
}

fn cost(events: &[Event]) -> usize {
    events.iter().map(|event| event.kv.key.len() + event.kv.value.len() + ENTRY_BYTES).sum()
}

/// A comparison that holds of nothing: no revision is less than none.
fn never() -> Compare {
    Compare::key("\0", Condition::ModRevision(Relation::Less, Revision::NONE))
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
