//! What the store holds, and what a transaction does to it. Nothing here waits.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::task::Waker;

use bytes::Bytes;

use super::chain::{Chain, Version};
use super::groups::Groups;
use crate::store::{
    Committed, Error, Event, EventKind, KeyRange, KeyValue, ListOptions, Op, OpResult, Page, Result,
    Revision, Txn,
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

    pub(super) fn list(&self, range: &KeyRange, options: ListOptions) -> Result<Page> {
        let revision = self.readable(options.at)?;
        let mut page = Page { revision, ..Page::default() };
        if let Some(key) = range.as_single() {
            if key.is_empty() {
                return Err(Error::EmptyKey);
            }
            let found = self.keys.get_key_value(key).and_then(|(key, chain)| chain.at(revision)?.read(key));
            page.count = usize::from(found.is_some());
            page.items.extend(found.filter(|_| !options.count_only));
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
                page.items.extend(version.read(key));
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
        check(&txn)?;
        let succeeded = txn.compare.iter().all(|compare| compare.holds(self.live(&compare.key).as_ref()));
        let at = self.newest.next();
        let mut events = Vec::new();
        let ops = if succeeded { txn.then } else { txn.or_else };
        let results = ops.into_iter().map(|op| self.apply(op, at, &mut events)).collect();
        if events.is_empty() {
            return Ok((Committed { succeeded, revision: self.newest, results }, Vec::new()));
        }
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
        Ok((Committed { succeeded, revision: at, results }, wakers))
    }

    fn apply(&mut self, op: Op, at: Revision, events: &mut Vec<Event>) -> OpResult {
        match op {
            Op::Range(range) => OpResult::Range(self.live_range(&range)),
            Op::Put { key, value, lease } => {
                let previous = self.live(&key);
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
                OpResult::Put(previous)
            }
            Op::Delete(range) => {
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
                OpResult::Deleted(deleted)
            }
        }
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

/// Refuses what could not be done as a whole, whichever branch will run, as etcd does.
fn check(txn: &Txn) -> Result<()> {
    if txn.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Error::EmptyKey);
    }
    for branch in [&txn.then, &txn.or_else] {
        let mut puts = Vec::new();
        let mut deletes = Vec::new();
        for op in branch {
            match op {
                Op::Put { key, .. } if key.is_empty() => return Err(Error::EmptyKey),
                Op::Put { key, .. } => puts.push(key),
                Op::Range(range) | Op::Delete(range)
                    if range.as_single().is_some_and(|key| key.is_empty()) =>
                {
                    return Err(Error::EmptyKey);
                }
                Op::Delete(range) => deletes.push(range),
                Op::Range(_) => {}
            }
        }
        puts.sort_unstable();
        let twice = puts.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let both = || puts.iter().find(|key| deletes.iter().any(|range| range.contains(key))).copied();
        if let Some(key) = twice.or_else(both) {
            return Err(Error::DuplicateKey { key: key.clone() });
        }
    }
    Ok(())
}
