//! The versions of one key.
//!
//! Versions stand in the order of their revisions. A deletion is a version without a value. Example:
//! a key created at 3, written at 5, deleted at 8 and created anew at 9 is
//! `[3: v1 of 3] [5: v2 of 3] [8: gone] [9: v1 of 9]`; read at 6 it is what 5 made, read at 8 it is
//! absent. Compacting to 6 leaves `[5] [8] [9]`, compacting to 8 leaves `[9]`: no revision that can
//! still be read sees a deletion that nothing stands before.

use bytes::Bytes;

use crate::store::{KeyValue, Revision};

/// The versions of one key, oldest first. Most keys have one, so the newest stands by itself.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    newest: Version,
    older: Vec<Version>,
}

/// What one revision made of a key.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) mod_revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) version: u64,
    pub(super) lease: i64,
    /// None: deleted.
    pub(super) value: Option<Bytes>,
}

impl Version {
    /// The first version of a key since it was last deleted, or never there.
    pub(super) fn created(at: Revision, value: Bytes, lease: i64) -> Self {
        Self { mod_revision: at, create_revision: at, version: 1, lease, value: Some(value) }
    }

    /// What stands after a deletion.
    pub(super) fn deleted(at: Revision) -> Self {
        Self { mod_revision: at, create_revision: Revision::NONE, version: 0, lease: 0, value: None }
    }

    /// What a key of this version holds; nothing where it was deleted.
    pub(super) fn read(&self, key: &Bytes) -> Option<KeyValue> {
        Some(KeyValue {
            key: key.clone(),
            value: self.value.clone()?,
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
        })
    }
}

impl Chain {
    pub(super) fn new(first: Version) -> Self {
        Self { newest: first, older: Vec::new() }
    }

    /// The newest version, unless it is a deletion.
    pub(super) fn live(&self) -> Option<&Version> {
        Some(&self.newest).filter(|version| version.value.is_some())
    }

    /// The version that `revision` sees, unless it is a deletion.
    pub(super) fn at(&self, revision: Revision) -> Option<&Version> {
        let version = if self.newest.mod_revision <= revision {
            &self.newest
        } else {
            let after = self.older.partition_point(|version| version.mod_revision <= revision);
            self.older.get(after.checked_sub(1)?)?
        };
        Some(version).filter(|version| version.value.is_some())
    }

    /// Writes the key at `at`.
    pub(super) fn put(&mut self, at: Revision, value: Bytes, lease: i64) {
        let next = match self.live() {
            Some(live) => Version {
                mod_revision: at,
                create_revision: live.create_revision,
                version: live.version + 1,
                lease,
                value: Some(value),
            },
            None => Version::created(at, value, lease),
        };
        self.push(next);
    }

    /// Puts a version behind the newest.
    pub(super) fn push(&mut self, next: Version) {
        debug_assert!(next.mod_revision > self.newest.mod_revision, "a revision writes a key once");
        self.older.push(std::mem::replace(&mut self.newest, next));
    }

    /// Drops the versions that no revision from `floor` on sees; answers whether none is left.
    pub(super) fn compact(&mut self, floor: Revision) -> bool {
        if self.newest.mod_revision <= floor {
            self.older = Vec::new();
            return self.newest.value.is_none();
        }
        let after = self.older.partition_point(|version| version.mod_revision <= floor);
        if let Some(seen) = after.checked_sub(1) {
            let gone = self.older[seen].value.is_none();
            self.older.drain(..if gone { after } else { seen });
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example at the top of this file.
    fn example() -> Chain {
        let mut chain = Chain::new(Version::created(Revision(3), "a".into(), 0));
        chain.put(Revision(5), "b".into(), 0);
        chain.push(Version::deleted(Revision(8)));
        chain.put(Revision(9), "c".into(), 0);
        chain
    }

    fn seen(chain: &Chain, at: u64) -> Option<(u64, u64, u64)> {
        chain.at(Revision(at)).map(|v| (v.mod_revision.0, v.create_revision.0, v.version))
    }

    #[test]
    fn each_revision_sees_its_version() {
        let chain = example();
        let all: Vec<_> = (2..=10).map(|at| seen(&chain, at)).collect();
        let (first, second, last) = (Some((3, 3, 1)), Some((5, 3, 2)), Some((9, 9, 1)));
        assert_eq!(all, [None, first, first, second, second, second, None, last, last]);
    }

    #[test]
    fn compaction_keeps_what_can_still_be_read() {
        for floor in 1..=10 {
            let (whole, mut compacted) = (example(), example());
            assert!(!compacted.compact(Revision(floor)));
            for at in floor..=10 {
                assert_eq!(seen(&whole, at), seen(&compacted, at), "floor {floor}, read at {at}");
            }
        }
        let mut chain = example();
        chain.compact(Revision(8));
        assert!(chain.older.is_empty());
    }

    #[test]
    fn a_chain_that_ends_in_a_deletion_goes_away_with_it() {
        let mut chain = example();
        chain.push(Version::deleted(Revision(12)));
        assert!(!chain.compact(Revision(11)));
        assert!(chain.compact(Revision(12)));
    }
}
