//! A store on which a commit can be made to come too late, in order and without waiting.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use windlass::env::Env;
use windlass::server::{ApiServer, ApiServerBuilder};
use windlass::store::{
    Committed, KeyRange, KeyValue, Leases, ListOptions, Maintenance, MemoryStore, ObjectStore, Page, Result,
    Revision, Txn, WatchOptions, WatchStream,
};

use super::server_kit::{Kit, kit_with};

type Rival = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A memory store that lets somebody else act between the decision of a commit and the commit.
#[derive(Clone)]
pub(crate) struct RacingStore {
    inner: MemoryStore,
    rivals: Arc<Mutex<VecDeque<Rival>>>,
}

/// Two servers of one store: commits of the first may lose to what the second does.
pub(crate) struct Race {
    pub(crate) kit: Kit,
    /// Its commits go straight to the store.
    pub(crate) rival: Arc<Kit>,
    pub(crate) memory: MemoryStore,
    store: RacingStore,
}

pub(crate) async fn race() -> Race {
    let memory = MemoryStore::new();
    let store = RacingStore { inner: memory.clone(), rivals: Arc::default() };
    let racing = Arc::new(store.clone());
    let kit = kit_with(|builder: ApiServerBuilder| builder.store(racing)).await;
    let server = ApiServer::builder().store(Arc::new(memory.clone())).env(Env::simulated(8));
    let server = server.build().await.unwrap();
    let client = server.client(windlass::client::Identity::admin());
    Race { kit, rival: Arc::new(Kit { server, client }), memory, store }
}

impl Race {
    /// The next commit of the first server that nobody has preceded comes after this.
    pub(crate) fn lose_to<F>(&self, act: impl FnOnce(Arc<Kit>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.store.rivals.lock().unwrap().push_back(Box::pin(act(self.rival.clone())));
    }

    /// Whether everybody who was to be faster has been.
    pub(crate) fn is_over(&self) -> bool {
        self.store.rivals.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl ObjectStore for RacingStore {
    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }
    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.inner.get(key).await
    }
    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.inner.list(range, options).await
    }
    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let rival = self.rivals.lock().unwrap().pop_front();
        if let Some(rival) = rival {
            rival.await;
        }
        self.inner.commit(txn).await
    }
    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.inner.watch(range, options).await
    }
    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.inner.request_progress(range).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }
    async fn is_stale(&self, key: &[u8]) -> Result<bool> {
        self.inner.is_stale(key).await
    }
    fn wants_compaction(&self) -> bool {
        self.inner.wants_compaction()
    }
    fn leases(&self) -> Option<&dyn Leases> {
        ObjectStore::leases(&self.inner)
    }
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        ObjectStore::maintenance(&self.inner)
    }
}
