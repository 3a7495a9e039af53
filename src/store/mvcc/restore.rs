//! A store from what was written down.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::census::Census;
use super::entry::{Entry, Version, own_key};
use super::log::{Batch, ENTRY_BYTES, cost};
use super::{Mvcc, MvccOptions};
use crate::store::{Event, EventKind, KeyRange, KeyValue, Revision};

/// A store that is being read back. What is told comes in the order of revisions, and within one in
/// that of its events; the versions below or at the floor need not be in any order, so long as each
/// key has one of them at most.
#[derive(Debug)]
pub(in crate::store) struct Restore {
    mvcc: Mvcc,
    floor: Revision,
    newest: Revision,
}

/// What is told of one version of a key.
#[derive(Debug)]
pub(in crate::store) struct Restored {
    /// What the key held; of a deletion its name and `mod_revision`.
    pub(in crate::store) kv: KeyValue,
    /// Whether it was put or deleted.
    pub(in crate::store) kind: EventKind,
    /// Which event of its revision this was.
    pub(in crate::store) index: u32,
}

impl Restore {
    /// Begins with an empty store whose floor is `floor`.
    pub(in crate::store) fn new(options: MvccOptions, floor: Revision) -> Self {
        Self { mvcc: Mvcc::starting(options, floor), floor, newest: floor }
    }

    /// A lease, before any key that is attached to it.
    pub(in crate::store) fn lease(&mut self, id: i64, ttl: Duration) {
        let now = self.mvcc.env.clock.instant();
        let mut writer = self.mvcc.writer();
        writer.leases.grant(id, ttl);
        writer.leases.stand(id, now);
    }

    /// The version of a key that the floor sees, which is not a deletion.
    pub(in crate::store) fn at_floor(&mut self, kv: KeyValue, index: u32) {
        self.version(&Restored { kv, kind: EventKind::Put, index }, &mut Batch::default());
    }

    /// What the floor's own revision did, where that is known and not in the past.
    pub(in crate::store) fn floor_events(&mut self, events: Vec<Event>) {
        let mut log = self.mvcc.log();
        let cost = cost(&events);
        log.replace_first(Batch { events: events.into(), cost, ..Batch::default() });
    }

    /// What the next revision above the floor did. Where there is no past, watches are told this.
    pub(in crate::store) fn batch(&mut self, revision: Revision, versions: Vec<Restored>) {
        let mut batch = Batch::default();
        let keep = self.mvcc.past.is_none();
        let mut events = Vec::new();
        for restored in versions {
            let previous = self.version(&restored, &mut batch);
            let Restored { kv, kind, .. } = restored;
            batch.cost += (kv.key.len() + kv.value.len()) as u64 + ENTRY_BYTES;
            if keep {
                events.push(Event { kind, kv, previous });
            }
        }
        batch.events = events.into();
        let mut log = self.mvcc.log();
        // A store on disk has every revision, but one that did nothing is told nothing of.
        while log.next() < revision {
            log.push(Batch::default());
        }
        log.push(batch);
        drop(log);
        self.newest = revision;
    }

    /// The store, at `revision` or the newest that was told of.
    pub(in crate::store) fn finish(self, revision: Revision) -> Mvcc {
        let Self { mvcc, floor, newest } = self;
        let newest = newest.max(revision);
        {
            let mut log = mvcc.log();
            while log.next() <= newest {
                log.push(Batch::default());
            }
            if mvcc.past.is_some() {
                log.cool_all();
            }
        }
        let mut keys = Vec::new();
        mvcc.index.scan(&KeyRange::all(), |entry| {
            keys.extend(entry.is_live().then(|| entry.key.clone()));
            ControlFlow::Continue(())
        });
        *mvcc.census() = Census::of(keys.into_iter(), newest);
        mvcc.writer().restored(newest, floor);
        mvcc.set_published(newest);
        mvcc
    }

    /// Adds a version; answers what the key held before.
    fn version(&self, restored: &Restored, batch: &mut Batch) -> Option<KeyValue> {
        let mut writer = self.mvcc.writer();
        let Restored { kv, kind, index } = restored;
        let live = *kind == EventKind::Put;
        let keep = self.mvcc.past.is_none();
        let found = self.mvcc.index.with(&kv.key, |entry| {
            let previous = entry.live();
            let version = Version::restored(kv, live, *index, Some(entry.newest()), keep);
            let version = Arc::new(version);
            entry.push(version.clone());
            version.pass_older();
            (entry.key.clone(), version, previous)
        });
        let (key, version, previous) = found.unwrap_or_else(|| {
            let key = own_key(&kv.key);
            let version = Arc::new(Version::restored(kv, live, *index, None, keep));
            self.mvcc.index.insert(Entry::new(key.clone(), version.clone()));
            (key, version, None)
        });
        writer.used_bytes += u64::from(version.size) + ENTRY_BYTES;
        writer.leases.attach(&key, previous.as_ref().map_or(0, |held| held.lease), version.lease);
        if !live {
            batch.deleted.push(key);
        }
        batch.versions.push(version);
        previous
    }
}
