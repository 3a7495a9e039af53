//! What the store should hold: every state that there has been, one for each thing that was done, in
//! order. What is there after a crash must be one of them, not older than the newest that was
//! acknowledged or seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windlass::store::{Committed, Error, Event, EventKind, KeyRange, KeyValue, Op, OpResult, Revision, Txn};

/// The keys as of a revision.
pub(super) type Keys = Arc<BTreeMap<Bytes, KeyValue>>;

/// The store after some prefix of what was done.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) revision: u64,
    pub(super) floor: u64,
    pub(super) leases: BTreeMap<i64, Duration>,
}

/// What a step was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    LeaseNotFound,
    LeaseExists,
}

/// Everything that was done, and how much of it must survive.
#[derive(Clone, Debug)]
pub(super) struct Model {
    worlds: Vec<World>,
    /// What each revision holds, from 1 on.
    keys: Vec<Keys>,
    /// What each revision did, from 1 on.
    events: Vec<Vec<Event>>,
    /// How many of the things done must survive.
    acked: usize,
    /// The same before the newest step that was acknowledged.
    before: usize,
}

impl Refusal {
    pub(super) fn is(self, error: &Error) -> bool {
        match self {
            Self::LeaseNotFound => matches!(error, Error::LeaseNotFound { .. }),
            Self::LeaseExists => matches!(error, Error::LeaseExists { .. }),
        }
    }
}

impl Model {
    pub(super) fn new() -> Self {
        let empty = World { revision: 1, floor: 1, leases: BTreeMap::new() };
        Self { worlds: vec![empty], keys: vec![Keys::default()], events: vec![vec![]], acked: 0, before: 0 }
    }

    /// How many things have been done.
    pub(super) fn done(&self) -> usize {
        self.worlds.len() - 1
    }

    pub(super) fn acked(&self) -> usize {
        self.acked
    }

    pub(super) fn before(&self) -> usize {
        self.before
    }

    pub(super) fn world(&self, done: usize) -> &World {
        &self.worlds[done]
    }

    pub(super) fn newest(&self) -> &World {
        self.world(self.done())
    }

    pub(super) fn keys(&self, revision: u64) -> &Keys {
        &self.keys[revision as usize - 1]
    }

    pub(super) fn events(&self, revision: u64) -> &[Event] {
        &self.events[revision as usize - 1]
    }

    /// So much was acknowledged.
    pub(super) fn acknowledge(&mut self, done: usize) {
        self.acked = self.acked.max(done);
    }

    /// This revision was seen, so what made it must survive.
    pub(super) fn saw(&mut self, revision: u64) {
        let made = self.worlds.iter().position(|world| world.revision == revision);
        self.acknowledge(made.unwrap_or_default());
    }

    /// Only so much had been acknowledged before the newest step that was.
    pub(super) fn superseded(&mut self, done: usize) {
        self.before = done;
    }

    /// The prefix that shows itself so, of those from `least` on.
    pub(super) fn find(&self, least: usize, revision: u64, floor: u64, leases: &[i64]) -> Option<usize> {
        (least..=self.done()).find(|done| {
            let world = self.world(*done);
            world.revision == revision && world.floor == floor && world.leases.keys().eq(leases)
        })
    }

    /// Only this much has happened.
    pub(super) fn settle(&mut self, done: usize) {
        self.worlds.truncate(done + 1);
        let revision = self.newest().revision as usize;
        self.keys.truncate(revision);
        self.events.truncate(revision);
        self.acked = done;
        self.before = self.before.min(done);
    }

    fn push(&mut self, change: impl FnOnce(&mut World)) -> usize {
        let mut world = self.newest().clone();
        change(&mut world);
        self.worlds.push(world);
        self.done()
    }

    fn write(&mut self, keys: BTreeMap<Bytes, KeyValue>, events: Vec<Event>) {
        self.keys.push(Arc::new(keys));
        self.events.push(events);
    }

    pub(super) fn commit(&mut self, txn: &Txn) -> Result<Committed, Refusal> {
        let before = self.newest().clone();
        let mut keys = self.keys(before.revision).as_ref().clone();
        let succeeded = txn.compare.iter().all(|compare| {
            compare.holds(keys.values().filter(|kv| compare.range.contains(&kv.key)).collect::<Vec<_>>())
        });
        let branch = if succeeded { &txn.then } else { &txn.or_else };
        let revision = Revision(before.revision + 1);
        let (mut events, mut results) = (Vec::new(), Vec::new());
        for op in branch {
            match op {
                Op::Put { key, value, lease, previous } => {
                    let lease = lease.unwrap_or_default();
                    if lease != 0 && !before.leases.contains_key(&lease) {
                        return Err(Refusal::LeaseNotFound);
                    }
                    let held = keys.get(key).cloned();
                    let kv = KeyValue {
                        key: key.clone(),
                        value: value.clone().unwrap_or_default(),
                        create_revision: held.as_ref().map_or(revision, |held| held.create_revision),
                        mod_revision: revision,
                        version: held.as_ref().map_or(1, |held| held.version + 1),
                        lease,
                    };
                    keys.insert(key.clone(), kv.clone());
                    results.push(OpResult::Put(held.clone().filter(|_| *previous)));
                    events.push(Event { kind: EventKind::Put, kv, previous: held });
                }
                Op::Delete { range, previous } => {
                    let gone = delete(&mut keys, |kv| range.contains(&kv.key), revision, &mut events);
                    let count = gone.len();
                    let previous = if *previous { gone } else { Vec::new() };
                    results.push(OpResult::Deleted { count, previous });
                }
                other => unreachable!("programs have no {other:?}"),
            }
        }
        if events.is_empty() {
            return Ok(Committed { succeeded, revision: Revision(before.revision), results });
        }
        self.write(keys, events);
        self.push(|world| world.revision += 1);
        Ok(Committed { succeeded, revision, results })
    }

    pub(super) fn grant(&mut self, id: i64, ttl: Duration) -> Result<(), Refusal> {
        if self.newest().leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        self.push(|world| {
            world.leases.insert(id, ttl);
        });
        Ok(())
    }

    pub(super) fn revoke(&mut self, id: i64) -> Result<(), Refusal> {
        let before = self.newest().clone();
        if !before.leases.contains_key(&id) {
            return Err(Refusal::LeaseNotFound);
        }
        let mut keys = self.keys(before.revision).as_ref().clone();
        let mut events = Vec::new();
        delete(&mut keys, |kv| kv.lease == id, Revision(before.revision + 1), &mut events);
        let writes = !events.is_empty();
        if writes {
            self.write(keys, events);
        }
        self.push(|world| {
            world.leases.remove(&id);
            world.revision += u64::from(writes);
        });
        Ok(())
    }

    pub(super) fn compact(&mut self, floor: u64) {
        self.push(|world| world.floor = floor);
    }

    /// What a range holds at a revision.
    pub(super) fn read(&self, range: &KeyRange, revision: u64) -> Vec<KeyValue> {
        self.keys(revision).values().filter(|kv| range.contains(&kv.key)).cloned().collect()
    }
}

/// Deletes what is asked for, in order of keys; answers what it was.
fn delete(
    keys: &mut BTreeMap<Bytes, KeyValue>,
    which: impl Fn(&KeyValue) -> bool,
    revision: Revision,
    events: &mut Vec<Event>,
) -> Vec<KeyValue> {
    let gone: Vec<_> = keys.values().filter(|kv| which(kv)).cloned().collect();
    for held in &gone {
        keys.remove(&held.key);
        let kv = KeyValue {
            key: held.key.clone(),
            value: Bytes::new(),
            create_revision: Revision(0),
            mod_revision: revision,
            version: 0,
            lease: 0,
        };
        events.push(Event { kind: EventKind::Delete, kv, previous: Some(held.clone()) });
    }
    gone
}
