//! Compaction that the cache is not told of.
//!
//! Source: `RunTestCompactRevision` of `k8s.io/apiserver/pkg/storage/testing` (1.36). Kubernetes' cacher
//! drops the snapshots from which it answers exact lists once it hears of a compaction, within 15 seconds,
//! and goes on to serve watches from all that it holds; so does this one.

use super::kept::ASK_AGAIN;
use super::tests::{World, next, pod, pods, world};
use super::*;
use crate::store::{Maintenance, MemoryOptions, MemoryStore, ObjectStoreExt};

#[tokio::test(start_paused = true)]
async fn what_somebody_else_compacts_in_the_store_is_not_listed_and_can_still_be_watched() {
    let world = world();
    world.names(ListQuery::default()).await;
    let mut newest = Revision::NONE;
    for number in 0..6 {
        newest = world.create(pod("a", &number.to_string())).await;
    }
    // The first pod was made at revision 2.
    let count = |at: u64| at as usize - 1;
    let floor = Revision(newest.0 - 2);
    world.names(ListQuery::default()).await;
    let exact = |at| ListQuery { at: At::Exact(at), ..ListQuery::default() };
    let before = Revision(floor.0 - 1);
    assert_eq!(world.names(exact(before)).await.len(), count(before.0));
    // Another process, which the cache does not hear of.
    world.store.compact(floor).await.unwrap();
    assert_eq!(world.names(exact(before)).await.len(), count(before.0), "it is not asked each time");
    tokio::time::advance(ASK_AGAIN).await;
    let refused = world.cached.list(&world.row, &exact(before)).await;
    assert!(matches!(refused, Err(Error::Compacted { oldest }) if oldest == floor));
    for at in floor.0..=newest.0 {
        assert_eq!(world.names(exact(Revision(at))).await.len(), count(at));
    }
    // Whoever goes on watching has missed nothing: the cache still holds what the store does not.
    let mut watch = world.watch(WatchQuery { from: Some(Revision(2)), ..WatchQuery::default() }).await;
    for revision in 3..=newest.0 {
        assert!(next(&mut watch).await.ends_with(&format!("@{revision}")));
    }
    // The store compacts even what the cache took for the newest.
    let later = world.store.put("/registry/nodes/n", "{}").await.unwrap();
    world.store.compact(later).await.unwrap();
    tokio::time::advance(ASK_AGAIN).await;
    let refused = world.cached.list(&world.row, &exact(newest)).await;
    assert!(matches!(refused, Err(Error::Compacted { oldest }) if oldest == later));
    assert_eq!(world.names(ListQuery::default()).await.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_compacts_by_itself_is_not_listed() {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(4_000));
    let cached = Cached::new(Arc::new(store.clone()), &Env::simulated(1));
    let world = World { store, cached, row: pods() };
    let mut revisions = Vec::new();
    world.names(ListQuery::default()).await;
    for number in 0..100 {
        revisions.push(world.create(pod("a", &number.to_string())).await);
    }
    let floor = Maintenance::status(&world.store).await.unwrap().floor;
    assert!(floor > revisions[10]);
    world.names(ListQuery::default()).await;
    tokio::time::advance(ASK_AGAIN).await;
    for (number, at) in revisions.iter().enumerate() {
        let query = ListQuery { at: At::Exact(*at), ..ListQuery::default() };
        match world.cached.list(&world.row, &query).await {
            Ok(page) => assert!(*at >= floor && page.items.len() == number + 1),
            Err(error) => assert!(*at < floor && matches!(error, Error::Compacted { .. })),
        }
    }
}
