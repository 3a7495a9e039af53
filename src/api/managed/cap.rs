//! A bound on the entries of an object: the oldest updates are kept together.

use std::collections::BTreeMap;

use super::entries::{ManagedFields, Manager, Operation, seconds};

const BUCKET: &str = "ancient-changes";

impl ManagedFields {
    /// Merges the oldest entries of updates until there are no more than `most`, one bucket a version.
    #[must_use]
    pub(super) fn capped(mut self, most: usize) -> Self {
        let updates = |(manager, _): &(&Manager, _)| manager.operation == Operation::Update;
        let mut oldest: Vec<_> = self
            .entries
            .iter()
            .filter(updates)
            .map(|(manager, owned)| (seconds(owned.time), manager.clone()))
            .collect();
        oldest.sort();
        let mut left = oldest.len();
        let mut firsts: BTreeMap<String, Manager> = BTreeMap::new();
        for (_, manager) in oldest {
            if left <= most {
                break;
            }
            let Some(version) = self.entries.get(&manager).map(|owned| owned.api_version.clone()) else {
                continue;
            };
            let bucket = Manager::new(BUCKET, Operation::Update, &version, "");
            // An entry that is alone in its version keeps its name.
            let Some(first) = firsts.get(&version) else {
                firsts.insert(version, manager);
                continue;
            };
            if !self.entries.contains_key(&bucket)
                && let Some(owned) = self.entries.remove(first)
            {
                self.entries.insert(bucket.clone(), owned);
            }
            if manager == bucket {
                continue;
            }
            if let Some(owned) = self.entries.remove(&manager) {
                if let Some(all) = self.entries.get_mut(&bucket) {
                    all.fields = all.fields.union(&owned.fields);
                    all.time = owned.time;
                }
                left -= 1;
            }
        }
        self
    }
}
