//! The history of a store: every commit, and a digest of them all.

use std::fmt;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::store::{self, EventKind, KeyRange, ObjectStore, Revision, WatchOptions};

/// Everything that happened to a store from its first revision on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// One line a change: revision, kind of change, key, value.
    pub lines: Vec<String>,
}

impl History {
    /// Reads the history of a store up to now.
    ///
    /// # Errors
    ///
    /// [`store::Error::Compacted`] when part of it is no longer kept.
    pub async fn of(store: &dyn ObjectStore) -> store::Result<Self> {
        let newest = store.revision().await?;
        let mut lines = Vec::new();
        // An empty store is at revision 1; the first commit makes 2.
        if newest > Revision(1) {
            let mut watch = store.watch(KeyRange::all(), WatchOptions::from(Revision(2))).await?;
            while let Some(batch) = watch.next().await {
                let batch = batch?;
                for event in &*batch.events {
                    let kind = match event.kind {
                        EventKind::Put => "put",
                        EventKind::Delete => "delete",
                    };
                    let key = String::from_utf8_lossy(&event.kv.key);
                    let value = String::from_utf8_lossy(&event.kv.value);
                    lines.push(format!("{} {kind} {key} {value}", batch.revision));
                }
                if batch.revision >= newest {
                    break;
                }
            }
        }
        Ok(Self { lines })
    }

    /// SHA-256 over all lines, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for line in &self.lines {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first line in which two histories differ, with its number.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<(usize, String, String)> {
        let line = |history: &Self, at: usize| history.lines.get(at).cloned().unwrap_or_default();
        let length = self.lines.len().max(other.lines.len());
        (0..length)
            .find(|at| self.lines.get(*at) != other.lines.get(*at))
            .map(|at| (at, line(self, at), line(other, at)))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
