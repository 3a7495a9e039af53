//! Where a key's entry is found: by the key, and in order.
//!
//! Two indexes over the same entries, both read without a lock: a hash table for one key, a B+ tree
//! for ranges. Only a new key and one that is gone for good change them; a write to a key that is
//! there changes its entry alone. All changes are made under the writers' lock.
//!
//! A scan sees every key that was there when it began and is not removed meanwhile. That is all it
//! needs: a key that comes later belongs to a revision that the scan does not look at, and one that
//! goes is absent at every revision that can still be read.

use std::hash::{Hash, Hasher};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use scc::{Comparable, Equivalent, Guard, HashIndex, TreeIndex};

use super::entry::Entry;
use crate::store::KeyRange;

pub(super) struct Index {
    by_key: HashIndex<ByKey, (), FxBuildHasher>,
    /// Below all keys stands the empty one, which is nobody's: the tree walks through all its leaves when it
    /// is to begin at a key with none below.
    in_order: TreeIndex<InOrder, Option<Arc<Entry>>>,
}

impl Default for Index {
    fn default() -> Self {
        let in_order = TreeIndex::default();
        let first = in_order.insert_sync(InOrder(Bytes::new()), None);
        debug_assert!(first.is_ok(), "the tree was empty");
        Self { by_key: HashIndex::default(), in_order }
    }
}

/// An entry, which is what its key is.
#[derive(Clone)]
struct ByKey(Arc<Entry>);

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Key(&self.0.key).hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

/// A key that is looked for.
struct Key<'a>(&'a [u8]);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

impl Equivalent<ByKey> for Key<'_> {
    fn equivalent(&self, key: &ByKey) -> bool {
        *self.0 == *key.0.key
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct InOrder(Bytes);

impl Equivalent<InOrder> for [u8] {
    fn equivalent(&self, key: &InOrder) -> bool {
        *self == *key.0
    }
}

impl Comparable<InOrder> for [u8] {
    fn compare(&self, key: &InOrder) -> std::cmp::Ordering {
        self.cmp(&key.0)
    }
}

impl Index {
    /// Looks at the entry of a key.
    pub(super) fn with<T>(&self, key: &[u8], look: impl FnOnce(&Arc<Entry>) -> T) -> Option<T> {
        self.by_key.peek_with(&Key(key), |entry, ()| look(&entry.0))
    }

    /// Looks at the entries of a range, in order, until told to stop.
    pub(super) fn scan(&self, range: &KeyRange, mut look: impl FnMut(&Arc<Entry>) -> ControlFlow<()>) {
        if range.end.as_ref().is_some_and(|end| range.start >= *end) {
            return;
        }
        let bounds = (
            Bound::Included(&range.start[..]),
            range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..])),
        );
        let guard = Guard::new();
        for entry in self.in_order.range::<[u8], _>(bounds, &guard).filter_map(|(_, entry)| entry.as_ref()) {
            if look(entry).is_break() {
                return;
            }
        }
    }

    /// Adds the entry of a key that has none; only under the writers' lock.
    pub(super) fn insert(&self, entry: Entry) {
        let entry = Arc::new(entry);
        let tree = self.in_order.insert_sync(InOrder(entry.key.clone()), Some(entry.clone()));
        let hash = self.by_key.insert_sync(ByKey(entry), ());
        debug_assert!(tree.is_ok() && hash.is_ok(), "the key had no entry");
    }

    /// Removes the entry of a key; only under the writers' lock.
    pub(super) fn remove(&self, key: &[u8]) {
        self.by_key.remove_sync(&Key(key));
        self.in_order.remove_sync(key);
    }

    /// How many keys have an entry.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let guard = Guard::new();
        assert_eq!(self.by_key.len(), self.in_order.iter(&guard).flat_map(|(_, entry)| entry).count());
        self.by_key.len()
    }
}
