//! A map that copies share until one of them changes it, an entry at a time.
//!
//! As long as nobody else has it, it is a hash map. Once it is shared, what each of the copies changes lies in a map of
//! its own above the common one, and is looked for there first. Who is alone again puts the two together; and so
//! does who has changed a good part of all there is, in one copy that the changes have paid for.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use crate::env::HashMap;

/// Changes above a shared map are never fewer than this before the map is copied.
const LEAST: usize = 1024;

#[derive(Debug)]
pub(super) struct SharedMap<K, V> {
    common: Arc<HashMap<K, V>>,
    /// What is another than in `common`: a value, or that there is none.
    own: HashMap<K, Option<V>>,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { common: Arc::default(), own: HashMap::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { common: self.common.clone(), own: self.own.clone() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> SharedMap<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        if self.own.is_empty() {
            return self.common.get(key);
        }
        match self.own.get(key) {
            Some(own) => own.as_ref(),
            None => self.common.get(key),
        }
    }

    pub(super) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if self.alone().is_none() && !self.own.contains_key(key) {
            let (key, value) = self.common.get_key_value(key)?;
            self.own.insert(key.clone(), Some(value.clone()));
        }
        // Asked again, since a borrow that is returned from one branch lasts through the others.
        match Arc::get_mut(&mut self.common) {
            Some(common) if self.own.is_empty() => common.get_mut(key),
            _ => self.own.get_mut(key)?.as_mut(),
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.alone() {
            Some(common) => drop(common.insert(key, value)),
            None => drop(self.own.insert(key, Some(value))),
        }
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(common) = self.alone() {
            return common.remove(key);
        }
        match self.common.get_key_value(key) {
            Some((key, value)) => match self.own.insert(key.clone(), None) {
                Some(own) => own,
                None => Some(value.clone()),
            },
            None => self.own.remove(key)?,
        }
    }

    /// The map, if nobody else has it, with all changes in it.
    fn alone(&mut self) -> Option<&mut HashMap<K, V>> {
        if !self.own.is_empty() && self.own.len() > LEAST.max(self.common.len() / 4) {
            Arc::make_mut(&mut self.common);
        }
        let common = Arc::get_mut(&mut self.common)?;
        for (key, own) in self.own.drain() {
            match own {
                Some(value) => drop(common.insert(key, value)),
                None => drop(common.remove(&key)),
            }
        }
        Some(common)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, u8, u32),
        Change(usize, u8),
        Remove(usize, u8),
        Copy(usize),
        Drop(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (any::<usize>(), any::<u8>(), any::<u32>()).prop_map(|(map, key, value)| Step::Insert(map, key % 32, value)),
            2 => (any::<usize>(), any::<u8>()).prop_map(|(map, key)| Step::Change(map, key % 32)),
            2 => (any::<usize>(), any::<u8>()).prop_map(|(map, key)| Step::Remove(map, key % 32)),
            1 => any::<usize>().prop_map(Step::Copy),
            1 => any::<usize>().prop_map(Step::Drop),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However maps were copied and changed, each is what a map of its own would be.
        #[test]
        fn copies_are_maps_of_their_own(steps in steps()) {
            let mut maps = vec![(SharedMap::default(), BTreeMap::new())];
            for step in steps {
                let many = maps.len();
                match step {
                    Step::Insert(at, key, value) => {
                        let (shared, plain) = &mut maps[at % many];
                        shared.insert(key, value);
                        plain.insert(key, value);
                    }
                    Step::Change(at, key) => {
                        let (shared, plain) = &mut maps[at % many];
                        if let Some(value) = shared.get_mut(&key) {
                            *value = value.wrapping_add(1);
                        }
                        if let Some(value) = plain.get_mut(&key) {
                            *value = value.wrapping_add(1);
                        }
                    }
                    Step::Remove(at, key) => {
                        let (shared, plain) = &mut maps[at % many];
                        prop_assert_eq!(shared.remove(&key), plain.remove(&key));
                    }
                    Step::Copy(at) => maps.push(maps[at % many].clone()),
                    Step::Drop(at) if many > 1 => drop(maps.remove(at % many)),
                    Step::Drop(_) => {}
                }
                for (shared, plain) in &maps {
                    for key in 0..32 {
                        prop_assert_eq!(shared.get(&key), plain.get(&key));
                    }
                }
            }
        }
    }

    #[test]
    fn who_changed_a_good_part_has_a_map_of_its_own() {
        let mut origin = SharedMap::default();
        origin.insert(0, 0);
        let mut copy = origin.clone();
        (0..2000).for_each(|key| copy.insert(key, 1));
        assert!(copy.own.len() <= LEAST + 1);
        assert_eq!(
            (origin.get(&0), origin.get(&1), copy.get(&0), copy.get(&1999)),
            (Some(&0), None, Some(&1), Some(&1))
        );
    }
}
