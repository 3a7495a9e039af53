//! The store's contract, held to by every store there is.

use bytes::Bytes;
use windlass::store::{MemoryOptions, MemoryStore, SnapshotStream};

fn stream(snapshot: Bytes) -> SnapshotStream {
    Box::pin(futures_util::stream::iter([Ok(snapshot)]))
}

async fn restored(snapshot: Bytes) -> MemoryStore {
    MemoryStore::restore(MemoryOptions::default(), stream(snapshot)).await.expect("a snapshot")
}

fn with_quota(bytes: u64) -> MemoryStore {
    MemoryStore::with_options(MemoryOptions::default().quota_bytes(bytes))
}

mod memory {
    use windlass::store::MemoryStore;

    windlass::store_conformance!(
        MemoryStore::new();
        paused = true;
        quota = async |bytes| super::with_quota(bytes);
        restore = super::restored
    );
}

/// Behind the trait, as everybody above the store holds it.
mod shared {
    use std::sync::Arc;

    use windlass::store::{MemoryStore, ObjectStore};

    windlass::store_conformance!(Arc::new(MemoryStore::new()) as Arc<dyn ObjectStore>; paused = true);
}

/// A wrapper with nothing to go wrong is the store that it wraps.
mod faultless {
    use std::sync::Arc;

    use windlass::env::Env;
    use windlass::store::{Faults, Faulty, MemoryStore};

    windlass::store_conformance!(
        Faulty::new(Arc::new(MemoryStore::new()), &Env::simulated(1), "suite", Faults::default());
        paused = true
    );
}

/// However late answers and batches come, they are right.
mod late {
    use std::sync::Arc;
    use std::time::Duration;

    use windlass::env::Env;
    use windlass::store::{Faults, Faulty, MemoryStore};

    windlass::store_conformance!({
        let late = Faults::default().delayed(0.3, Duration::from_millis(5));
        Faulty::new(Arc::new(MemoryStore::new()), &Env::simulated(1), "suite", late)
    }; paused = true);
}

mod encrypted {
    use std::sync::Arc;

    use windlass::store::conformance::Subject;
    use windlass::store::{Encrypted, EncryptionKey, EncryptionKeys, MemoryStore};

    fn over(below: MemoryStore) -> Encrypted {
        Encrypted::new(Arc::new(below), EncryptionKeys::new(EncryptionKey::new("first", [1; 32])))
    }

    /// Whoever opens the store again seals with another salt, and opens what was sealed before.
    fn subject(below: MemoryStore) -> Subject {
        Subject::new(over(below.clone())).reopened_by(move || {
            let below = below.clone();
            async move { over(below) }
        })
    }

    windlass::store_conformance!(
        subject(MemoryStore::new());
        paused = true;
        all = true;
        quota = async |bytes| over(super::with_quota(bytes));
        restore = async |snapshot| over(super::restored(snapshot).await)
    );
}

/// With a thread, syncs and the machine's time, as it is used; and inline, as it is simulated.
#[cfg(feature = "disk")]
mod disk {
    use std::path::Path;

    use bytes::Bytes;
    use futures_util::StreamExt;
    use windlass::store::conformance::Subject;
    use windlass::store::disk::{DiskOptions, DiskStore};

    fn subject(directory: tempfile::TempDir, options: DiskOptions) -> Subject {
        let path = directory.path().to_path_buf();
        let open = move |path: &Path| DiskStore::open(path, options).expect("the store opens");
        Subject::new(open(&path)).holding(directory).reopened_by(move || {
            let store = open(&path);
            async move { store }
        })
    }

    fn empty(options: DiskOptions) -> Subject {
        subject(tempfile::tempdir().expect("a temporary directory"), options)
    }

    async fn restored(snapshot: Bytes, options: DiskOptions) -> Subject {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let snapshot = futures_util::stream::iter([Ok(snapshot)]).boxed();
        DiskStore::restore(directory.path(), snapshot).await.expect("a store of the snapshot");
        subject(directory, options)
    }

    /// Small files and no events in memory, so that there are several files and the past is read.
    fn options() -> DiskOptions {
        DiskOptions::default().segment_bytes(64 << 10).history_bytes(0)
    }

    windlass::store_conformance!(empty(options());
        quota = async |bytes| empty(options().quota_bytes(bytes));
        restore = async |snapshot| restored(snapshot, options()).await;
        all = true);

    mod inline {
        use super::*;

        windlass::store_conformance!(empty(options().inline());
            quota = async |bytes| empty(options().inline().quota_bytes(bytes));
            restore = async |snapshot| restored(snapshot, options().inline()).await;
            paused = true;
            all = true);
    }
}
