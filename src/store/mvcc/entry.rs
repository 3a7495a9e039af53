//! A key and its versions.
//!
//! Versions form a list, newest first, that is only ever extended in front and cut off behind. A
//! deletion is a version that is not live. Example: a key created at 3, written at 5, deleted at 8
//! and created anew at 9 is
//! `[9: v1 of 9] → [8: gone] → [5: v2 of 3] → [3: v1 of 3]`; read at 6 it is what 5 made, read at
//! 8 it is absent. Once the floor has reached 5, nobody sees what 3 made: `5` is cut there. A
//! deletion with nothing before it is dropped with the next version that is cut, or with the key.
//!
//! Readers take the newest version without a lock while a writer puts another in front of it. What they may see of it
//! depends on the published revision alone: a version that is newer is passed over.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;

use crate::store::{KeyValue, Revision};

/// A key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Bytes,
    newest: ArcSwap<Version>,
}

/// What one revision made of a key.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) mod_revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) version: u64,
    pub(super) lease: i64,
    /// Which event of its revision this is.
    pub(super) index: u32,
    /// Length of key and value.
    pub(super) size: u32,
    value: Held,
    /// Locked to follow it and to cut it, for as long as it takes to copy a pointer; a read of the
    /// newest version never does.
    older: Mutex<Option<Arc<Version>>>,
}

/// A value.
#[derive(Debug)]
pub(super) enum Held {
    /// None: the key was deleted.
    Deleted,
    /// In memory for as long as the version is.
    Kept(Bytes),
    /// In memory until a newer version is published, and in the past from then on.
    Passing(ArcSwapOption<Bytes>),
}

/// What a read of one key found.
#[derive(Debug)]
pub(super) enum Found {
    /// There is no such key at that revision.
    Absent,
    /// This is what it holds.
    Value(KeyValue),
    /// The same, but the value is no longer in memory: it is the one of this version.
    Past(KeyValue, u32),
}

impl Entry {
    pub(super) fn new(key: Bytes, first: Arc<Version>) -> Self {
        Self { key, newest: ArcSwap::new(first) }
    }

    /// The newest version, published or not.
    pub(super) fn newest(&self) -> Arc<Version> {
        self.newest.load_full()
    }

    /// The newest value, published or not; only under the writers' lock.
    pub(super) fn live(&self) -> Option<KeyValue> {
        self.newest.load().live(&self.key)
    }

    /// Whether the newest version, published or not, is one that is there.
    pub(super) fn is_live(&self) -> bool {
        self.newest.load().is_live()
    }

    /// Puts a version in front of all others; it has been given them.
    pub(super) fn push(&self, next: Arc<Version>) {
        self.newest.store(next);
    }

    /// What the key holds at `revision`.
    pub(super) fn at(&self, revision: Revision) -> Found {
        self.seen(revision, |version| version.read(&self.key)).unwrap_or(Found::Absent)
    }

    /// Whether the key is there at `revision`.
    pub(super) fn is_live_at(&self, revision: Revision) -> bool {
        self.seen(revision, Version::is_live).unwrap_or(false)
    }

    /// Which revision wrote what the key holds at `revision`.
    #[cfg_attr(not(feature = "disk"), allow(dead_code, reason = "for the store on disk"))]
    pub(super) fn written_at(&self, revision: Revision) -> Option<Revision> {
        self.seen(revision, |version| version.is_live().then_some(version.mod_revision)).flatten()
    }

    /// The version that `revision` sees.
    fn seen<T>(&self, revision: Revision, look: impl FnOnce(&Version) -> T) -> Option<T> {
        let newest = self.newest.load();
        if newest.mod_revision <= revision {
            return Some(look(&newest));
        }
        let mut older = newest.older();
        while let Some(version) = older {
            if version.mod_revision <= revision {
                return Some(look(&version));
            }
            older = version.older();
        }
        None
    }
}

impl Version {
    /// What a write makes of a key that holds `before`.
    pub(super) fn put(
        key: &Bytes,
        before: Option<Arc<Self>>,
        at: Revision,
        index: u32,
        lease: i64,
        value: &Bytes,
        keep: bool,
    ) -> Self {
        let live = before.as_ref().filter(|before| before.is_live());
        Self {
            mod_revision: at,
            create_revision: live.map_or(at, |live| live.create_revision),
            version: live.map_or(1, |live| live.version + 1),
            lease,
            index,
            size: size(key.len() + value.len()),
            value: if keep {
                Held::Kept(value.clone())
            } else {
                Held::Passing(ArcSwapOption::from_pointee(value.clone()))
            },
            older: Mutex::new(before),
        }
    }

    /// What a deletion makes of a key that holds `before`.
    pub(super) fn deleted(key: &Bytes, before: Arc<Self>, at: Revision, index: u32) -> Self {
        Self {
            mod_revision: at,
            create_revision: Revision::NONE,
            version: 0,
            lease: 0,
            index,
            size: size(key.len()),
            value: Held::Deleted,
            older: Mutex::new(Some(before)),
        }
    }

    /// A version as it was found elsewhere, with what stands before it; a deletion where there is
    /// no value.
    pub(super) fn restored(
        kv: &KeyValue,
        live: bool,
        index: u32,
        before: Option<Arc<Self>>,
        keep: bool,
    ) -> Self {
        let value = match (live, keep) {
            (false, _) => Held::Deleted,
            (true, true) => Held::Kept(kv.value.clone()),
            (true, false) => Held::Passing(ArcSwapOption::from_pointee(kv.value.clone())),
        };
        Self {
            mod_revision: kv.mod_revision,
            create_revision: kv.create_revision,
            version: kv.version,
            lease: kv.lease,
            index,
            size: size(kv.key.len() + kv.value.len()),
            value,
            older: Mutex::new(before),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        !matches!(self.value, Held::Deleted)
    }

    /// What a key of this version, which is the newest, holds.
    pub(super) fn live(&self, key: &Bytes) -> Option<KeyValue> {
        match self.read(key) {
            Found::Value(kv) => Some(kv),
            // The newest value is kept by all means.
            Found::Absent | Found::Past(..) => None,
        }
    }

    /// What a key of this version holds.
    pub(super) fn read(&self, key: &Bytes) -> Found {
        let value = match &self.value {
            Held::Deleted => return Found::Absent,
            Held::Kept(value) => Some(value.clone()),
            Held::Passing(value) => value.load().as_ref().map(|value| Bytes::clone(value)),
        };
        let passed = value.is_none();
        let kv = KeyValue {
            key: key.clone(),
            value: value.unwrap_or_default(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
        };
        if passed { Found::Past(kv, self.index) } else { Found::Value(kv) }
    }

    /// Lets the value before this one go to the past.
    pub(super) fn pass_older(&self) {
        if let Some(older) = self.older()
            && let Held::Passing(value) = &older.value
        {
            value.store(None);
        }
    }

    /// What this version and those before it take up, with so much for each.
    pub(super) fn chain_size(&self, each: u64) -> u64 {
        let mut size = u64::from(self.size) + each;
        let mut older = self.older();
        while let Some(version) = older {
            size += u64::from(version.size) + each;
            older = version.older();
        }
        size
    }

    /// Cuts off what stands before this version.
    pub(super) fn cut(&self) -> Option<Arc<Self>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn older(&self) -> Option<Arc<Self>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_older(&mut self) -> Option<Arc<Self>> {
        self.older.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A list as long as a key was written often must not be dropped by recursion.
impl Drop for Version {
    fn drop(&mut self) {
        let mut older = self.take_older();
        while let Some(mut version) = older.and_then(Arc::into_inner) {
            older = version.take_older();
        }
    }
}

/// A key of a store's own, which holds on to nothing larger that it came in. A short one stands beside
/// its count of references, so that finding it and handing it out touch the same memory.
pub(super) fn own_key(key: &[u8]) -> Bytes {
    fn short<const N: usize>(key: &[u8]) -> Bytes {
        let mut bytes = [0; N];
        bytes[..key.len()].copy_from_slice(key);
        Bytes::from_owner(Short { bytes, length: key.len() as u8 })
    }
    match key.len() {
        0..=23 => short::<23>(key),
        24..=47 => short::<47>(key),
        48..=79 => short::<79>(key),
        80..=127 => short::<127>(key),
        _ => Bytes::copy_from_slice(key),
    }
}

struct Short<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> AsRef<[u8]> for Short<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(entry: &Entry, at: u64, value: &'static str) {
        let value = Bytes::from_static(value.as_bytes());
        entry.push(Arc::new(Version::put(
            &entry.key,
            Some(entry.newest()),
            Revision(at),
            0,
            0,
            &value,
            true,
        )));
    }

    /// The example at the top of this file, and its versions from the oldest on.
    fn example() -> (Entry, Vec<Arc<Version>>) {
        let key = Bytes::from_static(b"k");
        let first = Version::put(&key, None, Revision(3), 0, 0, &Bytes::from_static(b"a"), true);
        let entry = Entry::new(key, Arc::new(first));
        let mut all = vec![entry.newest()];
        put(&entry, 5, "b");
        all.push(entry.newest());
        entry.push(Arc::new(Version::deleted(&entry.key, entry.newest(), Revision(8), 0)));
        all.push(entry.newest());
        put(&entry, 9, "c");
        all.push(entry.newest());
        (entry, all)
    }

    fn seen(entry: &Entry, at: u64) -> Option<(u64, u64, u64)> {
        match entry.at(Revision(at)) {
            Found::Value(kv) => Some((kv.mod_revision.0, kv.create_revision.0, kv.version)),
            _ => None,
        }
    }

    #[test]
    fn each_revision_sees_its_version() {
        let (entry, _) = example();
        let all: Vec<_> = (2..=10).map(|at| seen(&entry, at)).collect();
        let (first, second, last) = (Some((3, 3, 1)), Some((5, 3, 2)), Some((9, 9, 1)));
        assert_eq!(all, [None, first, first, second, second, second, None, last, last]);
    }

    #[test]
    fn cutting_keeps_what_can_still_be_read() {
        for floor in 1..=10 {
            let (whole, (cut, versions)) = (example().0, example());
            for version in versions.iter().filter(|version| version.mod_revision.0 <= floor) {
                version.cut();
            }
            for at in floor..=10 {
                assert_eq!(seen(&whole, at), seen(&cut, at), "floor {floor}, read at {at}");
            }
        }
    }

    #[test]
    fn a_key_of_any_length_is_its_own() {
        for length in 0..300 {
            let key: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            assert_eq!(own_key(&key), key);
        }
    }

    #[test]
    fn a_long_list_is_dropped_without_recursion() {
        let (entry, _) = example();
        for at in 10..200_000 {
            put(&entry, at, "x");
        }
        drop(entry);
    }

    #[test]
    fn a_value_passes_when_it_is_told_to() {
        let key = Bytes::from_static(b"k");
        let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
        let entry = Entry::new(key.clone(), Arc::new(Version::put(&key, None, Revision(2), 7, 0, &a, false)));
        let next = Arc::new(Version::put(&key, Some(entry.newest()), Revision(3), 0, 0, &b, false));
        entry.push(next.clone());
        assert!(matches!(entry.at(Revision(2)), Found::Value(kv) if kv.value == a));
        next.pass_older();
        assert!(matches!(entry.at(Revision(2)), Found::Past(kv, 7) if kv.value.is_empty()));
        assert!(matches!(entry.at(Revision(3)), Found::Value(kv) if kv.value == b));
    }
}
