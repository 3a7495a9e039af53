//! The store's contract, held to by every store there is.

mod memory {
    windlass::store_conformance!(windlass::store::MemoryStore::new(); paused = true);
}

/// Behind the trait, as everybody above the store holds it.
mod shared {
    use std::sync::Arc;

    use windlass::store::{MemoryStore, ObjectStore};

    windlass::store_conformance!(Arc::new(MemoryStore::new()) as Arc<dyn ObjectStore>; paused = true);
}
