//! The copy that an informer keeps, and the indexes over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Typed;
use crate::api::{Object, ObjectKey, Revision};

pub(super) type IndexFn<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

pub(super) struct Index<K> {
    pub(super) name: &'static str,
    pub(super) values: IndexFn<K>,
}

pub(super) struct Copy<K> {
    pub(super) entries: BTreeMap<ObjectKey, Entry<K>>,
    pub(super) postings: Vec<BTreeMap<String, BTreeSet<ObjectKey>>>,
    pub(super) revision: Revision,
    pub(super) synced: bool,
}

pub(super) struct Entry<K> {
    pub(super) object: Object,
    pub(super) value: Arc<K>,
}

impl<K: Typed> Copy<K> {
    pub(super) fn repost(&mut self, indexes: &[Index<K>], key: &ObjectKey, old: Option<&K>, new: Option<&K>) {
        for (index, postings) in indexes.iter().zip(&mut self.postings) {
            for value in old.map(&index.values).unwrap_or_default() {
                if let Some(keys) = postings.get_mut(&value) {
                    keys.remove(key);
                    if keys.is_empty() {
                        postings.remove(&value);
                    }
                }
            }
            for value in new.map(&index.values).unwrap_or_default() {
                postings.entry(value).or_default().insert(key.clone());
            }
        }
    }
}
