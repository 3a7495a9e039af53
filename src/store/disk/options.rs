//! How a disk store is opened.

/// How a [`super::DiskStore`] is opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DiskOptions {
    /// How many bytes the store may take up on disk before writes are refused with
    /// [`crate::store::Error::NoSpace`]; none for no bound. 8 GiB by default.
    pub quota_bytes: Option<u64>,
    /// How many bytes one file holds before the next is begun. 64 MiB by default.
    pub segment_bytes: u64,
    /// How many bytes of keys and values of newest events are kept in memory, so that watches that
    /// are only a little behind need not read the disk. 64 MiB by default.
    pub history_bytes: usize,
    /// Who writes and syncs.
    pub syncing: Syncing,
}

/// Who writes and syncs what commits have queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syncing {
    /// A thread of the store's own: commits that come while it syncs make its next batch.
    #[default]
    Thread,
    /// The callers, inside their own polls, and no thread: a commit queues its records, lets the
    /// tasks that are ready run once, and then writes and syncs all that is queued, unless another
    /// caller has done so by then. What happens is a function of the order of polls; for simulation.
    Inline,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            quota_bytes: Some(8 << 30),
            segment_bytes: 64 << 20,
            history_bytes: 64 << 20,
            syncing: Syncing::Thread,
        }
    }
}

impl DiskOptions {
    /// These options with another quota; none for no bound.
    #[must_use]
    pub fn quota_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.quota_bytes = bytes.into();
        self
    }

    /// These options with files of another size.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// These options with another bound on the events in memory.
    #[must_use]
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.history_bytes = bytes;
        self
    }

    /// These options without a thread: callers write and sync, in simulation.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.syncing = Syncing::Inline;
        self
    }
}
