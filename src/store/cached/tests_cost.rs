//! What things cost, counted: wake-ups, lists touched, requests to the store, bytes held twice.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Wake, Waker};

use futures_util::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1;

use super::failing::shaky_world;
use super::tests::{labelled, next, on, pod, world, world_with};
use super::*;
use crate::store::ObjectStoreExt;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn waits(watch: &mut ObjectWatch, waker: &Waker) -> bool {
    watch.poll_next_unpin(&mut Context::from_waker(waker)).is_pending()
}

#[tokio::test(start_paused = true)]
async fn an_update_wakes_one_watcher_of_thousands_and_two_where_the_field_changes() {
    const COUNT: usize = 2_000;
    let world = world();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut watches = Vec::new();
    for number in 0..COUNT {
        world.create(pod("a", &format!("{number}")).on(&format!("n{number}"))).await;
        let query = WatchQuery { fields: on(&format!("n{number}")), ..WatchQuery::default() };
        watches.push(world.watch(query).await);
    }
    watches.iter_mut().for_each(|watch| assert!(waits(watch, &waker)));
    for number in (0..COUNT).step_by(97) {
        let (before, there) = (count.0.load(Relaxed), (number + 1) % COUNT);
        let name = number.to_string();
        let here = world.update(pod("a", &name).on(&format!("n{number}")).label("a", "b")).await;
        world.cached.wait(&world.row, here).await.unwrap();
        assert_eq!(count.0.load(Relaxed), before + 1);
        assert_eq!(next(&mut watches[number]).await, format!("M a/{name}@{here}"));
        assert!(waits(&mut watches[number], &waker));
        let moved = world.update(pod("a", &name).on(&format!("n{there}"))).await;
        world.cached.wait(&world.row, moved).await.unwrap();
        assert_eq!(count.0.load(Relaxed), before + 3);
        assert_eq!(next(&mut watches[number]).await, format!("D a/{name}@{moved}"));
        assert_eq!(next(&mut watches[there]).await, format!("A a/{name}@{moved}"));
        assert!(waits(&mut watches[number], &waker) && waits(&mut watches[there], &waker));
    }
}

#[tokio::test(start_paused = true)]
async fn dispatching_an_event_looks_at_the_same_few_lists_whoever_watches_other_values() {
    let touched = async |watchers: usize| {
        let world = world();
        world.names(ListQuery::default()).await;
        let mut watches = Vec::new();
        for number in 0..watchers {
            let query = WatchQuery { fields: on(&format!("n{number}")), ..WatchQuery::default() };
            watches.push(world.watch(query).await);
            let query = WatchQuery { namespace: Some(format!("ns{number}")), ..WatchQuery::default() };
            watches.push(world.watch(query).await);
        }
        world.create(pod("a", "x").on("here")).await;
        let moved = world.update(pod("a", "x").on("there")).await;
        world.cached.wait(&world.row, moved).await.unwrap();
        let touched = world.cached.cache(&world.row).read().shelf.postings.touched;
        drop(watches);
        touched
    };
    // All, the namespace, the name and the node; and once more for the node that it left.
    assert_eq!(touched(0).await, 4 + 5);
    assert_eq!(touched(1_000).await, 4 + 5);
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_for_a_quiet_resource_share_one_request_for_progress() {
    let (shaky, world) = shaky_world();
    world.names(ListQuery::default()).await;
    assert_eq!(shaky.progress.load(Relaxed), 0, "nothing was missing");
    for round in 1..=3 {
        world.store.put("/registry/nodes/n", "{}").await.unwrap();
        let query = ListQuery::default();
        let lists = (0..100).map(|_| world.cached.list(&world.row, &query));
        for listed in futures_util::future::join_all(lists).await {
            assert_eq!(listed.unwrap().revision, Revision(1 + round));
        }
        assert_eq!(shaky.progress.load(Relaxed) as u64, round);
    }
    let before = shaky.progress.load(Relaxed);
    world.names(ListQuery::default()).await;
    world.create(pod("a", "x")).await;
    assert_eq!(world.names(ListQuery::default()).await, ["a/x"]);
    assert_eq!(shaky.progress.load(Relaxed), before, "the event itself brought it there");
    assert_eq!((shaky.lists.load(Relaxed), shaky.watches.load(Relaxed)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn progress_that_is_not_told_is_asked_for_again() {
    let (shaky, world) = shaky_world();
    world.names(ListQuery::default()).await;
    shaky.mute.store(true, Relaxed);
    world.store.put("/registry/nodes/n", "{}").await.unwrap();
    let heard = async {
        while shaky.progress.load(Relaxed) < 5 {
            tokio::task::yield_now().await;
        }
        shaky.mute.store(false, Relaxed);
    };
    // Paused time goes on by itself only where nobody is busy, so it is moved along here.
    let time = async {
        for _ in 0..10 {
            tokio::time::advance(std::time::Duration::from_millis(100)).await;
        }
    };
    let query = ListQuery::default();
    let (listed, (), ()) = tokio::join!(world.cached.list(&world.row, &query), heard, time);
    assert_eq!(listed.unwrap().revision, Revision(2));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_progress_once_nobody_waits_for_it() {
    let (shaky, world) = shaky_world();
    world.names(ListQuery::default()).await;
    assert!(world.cached.wait(&world.row, Revision(1_000)).now_or_never().is_none());
    let given_up = std::time::Duration::from_secs(1);
    let clock = Env::simulated(1).clock;
    assert!(clock.timeout(given_up, world.cached.wait(&world.row, Revision(1_000))).await.is_err());
    let asked = shaky.progress.load(Relaxed);
    assert!((5..=12).contains(&asked), "{asked}: ten times a second");
    clock.sleep(std::time::Duration::from_secs(60)).await;
    assert!(shaky.progress.load(Relaxed) <= asked + 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_is_not_decoded_again_though_the_answer_was_lost() {
    let (shaky, world) = shaky_world();
    world.names(ListQuery::default()).await;
    let cache = world.cached.peek(&world.row).unwrap();
    let object = pod("a", "x").object(&world.row);
    shaky.lost.store(1, Relaxed);
    let lost = world.cached.commit(vec![Change::Create(object.clone())]).await;
    assert!(matches!(lost, Err(Error::Unavailable { .. })));
    assert_eq!(world.names(ListQuery::default()).await, ["a/x"]);
    let held = cache.read().shelf.get(object.key()).cloned().unwrap();
    assert!(std::ptr::eq(held.key(), object.key()), "the very head that the committer made");

    // So it is where nobody waited for the answer; and what never happened is forgotten in the end.
    let object = pod("a", "y").object(&world.row);
    assert!(world.cached.commit(vec![Change::Create(object.clone())]).now_or_never().is_some());
    for number in 0..1_000 {
        let object = pod("b", &format!("{number}")).object(&world.row);
        drop(cache.handover.leave(change::storage_key(&object), object));
    }
    assert!(cache.handover.len() <= 257);
}

#[tokio::test(start_paused = true)]
async fn an_object_shares_its_bytes_with_the_store() {
    let world = world();
    let key = "/registry/pods/a/x";
    let body = pod("a", "x").label("app", "web").object(&world.row).body().clone();
    world.store.put(key, bytes::Bytes::from(body.to_vec())).await.unwrap();
    let stored = world.store.get(key.as_bytes()).await.unwrap().unwrap().value;
    let page = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    assert_eq!(page.items[0].body().as_ptr(), stored.as_ptr(), "as it was filled");
    let got = world.cached.get(&world.row, page.items[0].key()).await.unwrap().unwrap();
    assert!(std::ptr::eq(got.key(), page.items[0].key()), "as it is held");

    world.store.put(key, bytes::Bytes::from(body.to_vec())).await.unwrap();
    let stored = world.store.get(key.as_bytes()).await.unwrap().unwrap().value;
    let page = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    assert_eq!(page.items[0].body().as_ptr(), stored.as_ptr(), "as it was followed");
}

#[tokio::test(start_paused = true)]
async fn a_typed_view_is_shared_while_somebody_holds_it_and_dropped_when_nobody_does() {
    let world = world();
    let mut watch = world.watch(WatchQuery::default()).await;
    let mut other = world.watch(WatchQuery::default()).await;
    world.create(pod("a", "x").on("n1")).await;
    let Some(Ok(ObjectEvent::Added(seen))) = watch.next().await else { panic!("not added") };
    let Some(Ok(ObjectEvent::Added(also))) = other.next().await else { panic!("not added") };
    let view = seen.view::<v1::Pod>().unwrap();
    assert!(Arc::ptr_eq(&view, &also.view::<v1::Pod>().unwrap()), "decoded once for all watchers");
    let listed = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    assert!(Arc::ptr_eq(&view, &listed.items[0].view::<v1::Pod>().unwrap()), "and for all lists");
    let (held, tree) = (Arc::downgrade(&view), Arc::downgrade(&seen.tree()));
    drop(view);
    assert!(held.upgrade().is_none(), "the cache, two watchers and a list hold the object, and no Pod");
    assert!(tree.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_filling_anew_takes_over_what_it_knows() {
    let (shaky, world) = shaky_world();
    for number in 0..10 {
        world.create(pod("a", &format!("{number}"))).await;
    }
    let before = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    world.update(pod("a", "3").label("changed", "yes")).await;
    world.delete("a", "4").await;
    let newest = world.store.put("/registry/nodes/n", "{}").await.unwrap();
    // The feeder has seen nothing of this yet, and what it would have seen is compacted.
    world.store.compact(newest).await.unwrap();
    let after = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    assert_eq!(shaky.lists.load(Relaxed), 2, "it was filled anew");
    assert_eq!(after.items.len(), 9);
    for held in &after.items {
        let known = before.items.iter().any(|known| std::ptr::eq(known.key(), held.key()));
        assert_eq!(known, held.name() != "3", "{held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filling_reads_page_by_page_at_one_revision() {
    const COUNT: usize = 20_001;
    let (shaky, world) = shaky_world();
    for number in 0..COUNT {
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{number:05}","namespace":"a"}}}}"#
        );
        world.store.put(format!("/registry/pods/a/{number:05}"), body).await.unwrap();
    }
    let page =
        world.cached.list(&world.row, &ListQuery { limit: Some(2), ..ListQuery::default() }).await.unwrap();
    assert_eq!((page.revision.0, page.remaining), (1 + COUNT as u64, Some(COUNT - 2)));
    assert_eq!(shaky.lists.load(Relaxed), 3);
    assert_eq!(world.names(ListQuery::default()).await.len(), COUNT);
}

#[tokio::test(start_paused = true)]
async fn a_past_revision_is_read_from_the_store_no_further_than_asked() {
    let (shaky, world) = shaky_world();
    for number in 0..300 {
        world
            .create(pod("a", &format!("{number:03}")).label("rare", if number == 250 { "yes" } else { "no" }))
            .await;
    }
    let past = world.store.revision().await.unwrap();
    world.create(pod("a", "later")).await;
    world.names(ListQuery::default()).await;
    let filled = shaky.lists.load(Relaxed);
    let query = ListQuery { at: At::Exact(past), limit: Some(10), ..ListQuery::default() };
    let page = world.cached.list(&world.row, &query).await.unwrap();
    assert_eq!((page.items.len(), page.next.as_deref(), page.remaining), (10, Some("a/009\0"), Some(290)));
    assert_eq!(shaky.lists.load(Relaxed), filled + 1);
    let behind = ListQuery { start: Some("a/294\0".into()), ..query.clone() };
    let page = world.cached.list(&world.row, &behind).await.unwrap();
    assert_eq!((page.items.len(), page.next, page.remaining), (5, None, Some(0)));
    let rare = ListQuery { labels: labelled("rare", "yes"), limit: Some(1), ..query };
    let page = world.cached.list(&world.row, &rare).await.unwrap();
    assert_eq!(page.items[0].name(), "250");
    assert!(shaky.lists.load(Relaxed) < filled + 12, "pages grow where little is found");
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_revision_that_is_kept_ask_the_store_nothing() {
    let (shaky, world) = shaky_world();
    for number in 0..10 {
        world.create(pod("a", &format!("{number}"))).await;
    }
    let mut query = ListQuery { limit: Some(3), ..ListQuery::default() };
    let mut page = world.cached.list(&world.row, &query).await.unwrap();
    world.update(pod("a", "5").on("n1")).await;
    let deleted = world.delete("a", "7").await;
    world.cached.wait(&world.row, deleted).await.unwrap();
    let asked =
        || [&shaky.lists, &shaky.watches, &shaky.revisions, &shaky.progress].map(|count| count.load(Relaxed));
    let before = asked();
    query.at = At::Exact(page.revision);
    let mut seen = page.items.clone();
    while let Some(start) = page.next.take() {
        query.start = Some(start);
        page = world.cached.list(&world.row, &query).await.unwrap();
        seen.extend(page.items.clone());
    }
    assert_eq!((seen.len(), asked()), (10, before));
    assert!(seen.iter().all(|object| object.field("spec.nodeName") == Some("")));
}

#[tokio::test(start_paused = true)]
async fn a_long_list_stands_still_while_the_feeder_goes_on() {
    let world = world();
    for number in 0..25_000 {
        world.create(pod("a", &format!("{number:05}"))).await;
    }
    let before = world.names(ListQuery { limit: Some(1), ..ListQuery::default() }).await;
    assert_eq!(before, ["a/00000"]);
    let query = ListQuery::default();
    let mut listing = Box::pin(world.cached.list(&world.row, &query));
    // It gives way before it is through, and holds no lock then.
    assert!(listing.as_mut().now_or_never().is_none());
    let deleted = world.delete("a", "24999").await;
    let changed = world.update(pod("a", "24998").label("changed", "yes")).await;
    world.create(pod("a", "99999")).await;
    world.cached.wait(&world.row, changed).await.unwrap();
    let page = listing.await.unwrap();
    assert_eq!((page.items.len(), page.revision), (25_000, Revision(deleted.0 - 1)));
    assert!(page.items.iter().all(|object| object.revision() <= page.revision));
    assert_eq!(world.names(query).await.len(), 25_000);
}

#[tokio::test(start_paused = true)]
async fn a_watch_reads_its_initial_state_from_what_stood_when_it_began() {
    let world = world_with(CachedOptions::default().history_bytes(2000));
    for number in 0..200 {
        world.create(pod("a", &format!("{number:03}"))).await;
    }
    let mut watch = world.watch(WatchQuery { initial: true, ..WatchQuery::default() }).await;
    assert_eq!(next(&mut watch).await, "A a/000@2");
    let deleted = world.delete("a", "199").await;
    world.cached.wait(&world.row, deleted).await.unwrap();
    for number in 1..200 {
        assert_eq!(next(&mut watch).await, format!("A a/{number:03}@{}", number + 2));
    }
    assert_eq!(next(&mut watch).await, "end @201");
    assert_eq!(next(&mut watch).await, format!("D a/199@{deleted}"));
}
