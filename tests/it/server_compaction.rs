//! History that goes: by the server's own compaction, and by somebody else's.

use std::sync::Arc;
use std::time::Duration;

use windlass::client::ResourceVersionMatch;
use windlass::env::Env;
use windlass::server::{ApiServer, ApiServerBuilder};
use windlass::store::{
    Error, HistoryFull, KeyRange, ListOptions, MemoryOptions, MemoryStore, ObjectStore, ObjectStoreExt,
    Revision,
};

use super::server_kit::*;

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &[u8] = b"compact_rev_key";

async fn reads(store: &MemoryStore, at: Revision) -> bool {
    match store.list(KeyRange::single("/a"), ListOptions::default().at(at)).await {
        Ok(_) => true,
        Err(Error::Compacted { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn server(store: &MemoryStore, more: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder) -> ApiServer {
    let builder = ApiServer::builder().store(Arc::new(store.clone())).env(Env::simulated(7));
    more(builder).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn history_is_compacted_where_the_store_wants_it_or_the_server_is_told() {
    let keeps = || MemoryOptions::default().history_full(HistoryFull::NoSpace);
    let own = MemoryOptions::default;
    let everything = || MemoryOptions::default().history_bytes(None);
    // The store, what the server is told, and after how many minutes a revision has gone.
    for (options, told, gone) in [
        (keeps(), None, Some(10)),
        (keeps(), Some(MINUTE), Some(2)),
        (keeps(), Some(Duration::ZERO), None),
        (own(), None, None),
        (own(), Some(MINUTE), Some(2)),
        (everything(), None, None),
    ] {
        let store = MemoryStore::with_options(options);
        let server = server(&store, |builder| match told {
            Some(interval) => builder.compaction_interval(interval),
            None => builder,
        })
        .await;
        let written = store.put("/a", "1").await.unwrap();
        store.put("/a", "2").await.unwrap();
        let clock = server.env().clock.clone();
        clock.sleep(Duration::from_secs(1)).await;
        for minute in 1..=30 {
            clock.sleep(MINUTE).await;
            assert_eq!(
                reads(&store, written).await,
                gone.is_none_or(|gone| minute < gone),
                "{told:?} {minute}"
            );
        }
        assert_eq!(store.get(KEY).await.unwrap().is_some(), gone.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn two_servers_of_one_store_compact_it_once_and_the_one_that_is_left_goes_on() {
    let store = MemoryStore::new();
    let one = server(&store, |builder| builder.compaction_interval(5 * MINUTE)).await;
    let two = server(&store, |builder| builder.compaction_interval(5 * MINUTE)).await;
    let clock = one.env().clock.clone();
    let rounds = async || store.get(KEY).await.unwrap().map_or(0, |kv| kv.version);
    clock.sleep(31 * MINUTE).await;
    assert_eq!(rounds().await, 6);
    one.shutdown().await;
    clock.sleep(30 * MINUTE).await;
    assert!((11..=12).contains(&rounds().await), "{}", rounds().await);
    // A server that nobody holds any more compacts no more.
    drop((one, two));
    let last = rounds().await;
    clock.sleep(30 * MINUTE).await;
    assert_eq!(rounds().await, last);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_compacts_is_too_old_to_list() {
    let memory = MemoryStore::new();
    let store = Arc::new(memory.clone());
    let kit = kit_with(|builder| builder.store(store)).await;
    for name in ["a", "b", "c"] {
        kit.create("default", "configmaps", config_map(name)).await.unwrap();
    }
    let first =
        kit.list("default", "configmaps", list_options(|options| options.limit = Some(1))).await.unwrap();
    let exact = |revision: Revision| {
        list_options(|options| {
            options.resource_version = Some(revision);
            options.resource_version_match = Some(ResourceVersionMatch::Exact);
        })
    };
    assert_eq!(kit.list("default", "configmaps", exact(first.revision)).await.unwrap().items.len(), 3);
    memory.put("/elsewhere", "1").await.unwrap();
    let newest = memory.revision().await.unwrap();
    memory.compact(newest).await.unwrap();
    // For so long the cache takes it for granted that nothing was.
    tokio::time::advance(Duration::from_secs(15)).await;
    let gone = status_of(kit.list("default", "configmaps", exact(first.revision)).await);
    assert_eq!((gone.code, gone.reason.as_str()), (410, "Expired"));
    assert_eq!(gone.message, "The resourceVersion for the provided list is too old.");
    let next = list_options(|options| options.continue_token = first.continue_token.clone());
    let gone = status_of(kit.list("default", "configmaps", next).await);
    assert_eq!((gone.code, gone.reason.as_str()), (410, "Expired"));
    assert!(gone.message.contains("continue"), "{gone}");
    assert_eq!(kit.names("default", "configmaps").await, ["a", "b", "c"]);
}
