//! Objects in the order of their keys in the store, in chunks that are shared.
//!
//! Cloning costs one count, whatever the size, and the clone stands still: a long list is read from
//! one while writers go on. A writer copies the chunk that it changes only where somebody still
//! reads it. What stands before an object is counted by chunks, so that a page can say what is left.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::api::{Object, ObjectKey};

/// Objects in a chunk, at most.
const CHUNK: usize = 512;

type Chunk = Arc<Vec<Object>>;

/// Objects in order. No chunk is empty.
#[derive(Clone, Default)]
pub(super) struct Sorted(Arc<Vec<Chunk>>);

/// A place before an object, or behind all: which chunk, and where in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    chunk: usize,
    index: usize,
}

/// How the store orders the keys of one resource: by `namespace/name`, bytewise. `a-b/x` stands before
/// `a/x`.
pub(super) fn order(one: &ObjectKey, other: &ObjectKey) -> Ordering {
    let (short, long) = (one.namespace.as_bytes(), other.namespace.as_bytes());
    if short == long {
        return one.name.cmp(&other.name);
    }
    if short.len() > long.len() {
        return order(other, one).reverse();
    }
    // Where one namespace begins with the other, a slash meets the next byte.
    short.cmp(&long[..short.len()]).then_with(|| b'/'.cmp(&long[short.len()]))
}

/// How a key stands to a text that need be none, in the same order.
pub(super) fn order_text(key: &ObjectKey, text: &str) -> Ordering {
    let slash = if key.namespace.is_empty() { "" } else { "/" };
    let parts = [&key.namespace, slash, &key.name];
    parts.into_iter().flat_map(str::bytes).cmp(text.bytes())
}

impl Sorted {
    /// Of objects that are in order.
    pub(super) fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut objects = objects.into_iter();
        let chunks = std::iter::from_fn(|| {
            // Room for some more, so that the first insertion does not double it.
            let mut chunk = Vec::with_capacity(objects.size_hint().0.min(CHUNK));
            chunk.extend(objects.by_ref().take(CHUNK * 3 / 4));
            (!chunk.is_empty()).then(|| Arc::new(chunk))
        });
        Self(Arc::new(chunks.collect()))
    }

    /// The first place whose object is not `before`, as all behind it are not.
    pub(super) fn place(&self, before: impl Fn(&ObjectKey) -> bool) -> Place {
        let chunk = self.0.partition_point(|chunk| chunk.last().is_some_and(|last| before(last.key())));
        let index = self.0.get(chunk).map_or(0, |chunk| chunk.partition_point(|object| before(object.key())));
        Place { chunk, index }
    }

    /// The first place behind a key.
    pub(super) fn behind(&self, key: &ObjectKey) -> Place {
        self.place(|held| order(held, key).is_le())
    }

    fn find(&self, key: &ObjectKey) -> (Place, bool) {
        let place = self.place(|held| order(held, key).is_lt());
        (place, self.at(place).is_some_and(|held| held.key() == key))
    }

    /// What stands at a place.
    pub(super) fn at(&self, place: Place) -> Option<&Object> {
        self.0.get(place.chunk)?.get(place.index)
    }

    /// The next place, behind one that holds something.
    pub(super) fn next(&self, place: Place) -> Place {
        match self.0.get(place.chunk) {
            Some(chunk) if place.index + 1 < chunk.len() => Place { index: place.index + 1, ..place },
            _ => Place { chunk: place.chunk + 1, index: 0 },
        }
    }

    /// How many stand before a place.
    pub(super) fn rank(&self, place: Place) -> usize {
        self.0[..place.chunk.min(self.0.len())].iter().map(|chunk| chunk.len()).sum::<usize>() + place.index
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        let (place, found) = self.find(key);
        self.at(place).filter(|_| found)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.iter().flat_map(|chunk| chunk.iter())
    }

    /// Puts an object where its key belongs; answers the one that stood there.
    pub(super) fn insert(&mut self, object: Object) -> Option<Object> {
        let (mut place, found) = self.find(object.key());
        let chunks = Arc::make_mut(&mut self.0);
        if found {
            return Some(std::mem::replace(
                &mut Arc::make_mut(&mut chunks[place.chunk])[place.index],
                object,
            ));
        }
        if place.chunk == chunks.len() {
            // Behind all: at the end of the last chunk, or of a new one; what is filled in order ends
            // up in full chunks.
            match chunks.last() {
                Some(last) if last.len() < CHUNK => {
                    place = Place { chunk: chunks.len() - 1, index: last.len() };
                }
                _ => {
                    chunks.push(Arc::new(vec![object]));
                    return None;
                }
            }
        } else if chunks[place.chunk].len() == CHUNK {
            let mut behind = Vec::with_capacity(CHUNK);
            let chunk = Arc::make_mut(&mut chunks[place.chunk]);
            behind.extend(chunk.drain(CHUNK / 2..));
            chunks.insert(place.chunk + 1, Arc::new(behind));
            if place.index > CHUNK / 2 {
                place = Place { chunk: place.chunk + 1, index: place.index - CHUNK / 2 };
            }
        }
        Arc::make_mut(&mut chunks[place.chunk]).insert(place.index, object);
        None
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Object> {
        let (place, found) = self.find(key);
        if !found {
            return None;
        }
        let chunks = Arc::make_mut(&mut self.0);
        let chunk = Arc::make_mut(&mut chunks[place.chunk]);
        let removed = chunk.remove(place.index);
        if chunk.is_empty() {
            chunks.remove(place.chunk);
        } else if let Some([left, right]) = chunks.get_mut(place.chunk..place.chunk + 2)
            && left.len() + right.len() <= CHUNK / 2
        {
            Arc::make_mut(left).extend(right.iter().cloned());
            chunks.remove(place.chunk + 1);
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::tests::{pod, pods};
    use super::*;

    fn object(namespace: &str, name: &str) -> Object {
        pod(namespace, name).object(&pods())
    }

    #[test]
    fn keys_are_ordered_as_the_store_orders_them() {
        let mut keys = Vec::new();
        for namespace in ["a", "a-b", "ab", "a.c", "b"] {
            for name in ["x", "x-y", "y"] {
                keys.push(ObjectKey::new(namespace, name));
            }
        }
        for one in &keys {
            for other in &keys {
                let expected = one.to_string().cmp(&other.to_string());
                assert_eq!(order(one, other), expected, "{one} and {other}");
                assert_eq!(order_text(one, &other.to_string()), expected, "{one} and {other}");
                let behind = format!("{other}\0");
                assert_eq!(
                    order_text(one, &behind),
                    one.to_string().cmp(&behind),
                    "{one} and behind {other}"
                );
            }
        }
    }

    #[test]
    fn a_clone_stands_still_and_shares_what_did_not_change() {
        let mut sorted = Sorted::of((0..2000).map(|number| object("a", &format!("{number:04}"))));
        let before = sorted.clone();
        sorted.remove(&ObjectKey::new("a", "0000"));
        sorted.insert(object("a", "0001x"));
        assert_eq!(before.iter().count(), 2000);
        assert!(before.get(&ObjectKey::new("a", "0001x")).is_none());
        let shared = sorted.0.iter().filter(|chunk| before.0.iter().any(|held| Arc::ptr_eq(held, chunk)));
        assert_eq!(shared.count(), sorted.0.len() - 1, "one chunk was copied");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_holds_what_a_map_would(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0..4000u32), 3000..6000)
        ) {
            let (mut sorted, mut map) = (Sorted::default(), BTreeMap::new());
            for (in_order, insert, number) in steps {
                let number = if in_order { 2000 + map.len() as u32 } else { number };
                let name = format!("{number:06}");
                let key = ObjectKey::new("a", &name);
                let (ours, theirs) = if insert || in_order {
                    let object = object("a", &name);
                    (sorted.insert(object.clone()), map.insert(name, object))
                } else {
                    (sorted.remove(&key), map.remove(&name))
                };
                prop_assert_eq!(ours.is_some(), theirs.is_some());
            }
            prop_assert!(sorted.0.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            prop_assert!(sorted.iter().eq(map.values()));
            for (rank, (name, held)) in map.iter().enumerate() {
                let key = ObjectKey::new("a", name);
                prop_assert_eq!(sorted.get(&key), Some(held));
                prop_assert_eq!(sorted.rank(sorted.behind(&key)), rank + 1);
            }
            let mut place = Place::default();
            for held in map.values() {
                prop_assert_eq!(sorted.at(place), Some(held));
                place = sorted.next(place);
            }
            prop_assert_eq!(sorted.at(place), None);
        }
    }
}
