//! The cache's promises, as stories.

use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::*;
use crate::api::selector::{FieldSelector, FieldTerm, LabelSelector, Operator, Requirement};
use crate::api::{Scope, SelectableField};
use crate::store::{Compare, MemoryOptions, MemoryStore, ObjectStoreExt, Op};

pub(super) fn pods() -> Arc<Resource> {
    let mut row = Resource::new("", "v1", "Pod", "pods", Scope::Namespaced);
    row.selectable =
        vec![SelectableField::new("spec.nodeName").indexed(), SelectableField::new("status.phase")];
    Arc::new(row)
}

/// A pod that can be told how it differs.
#[derive(Clone)]
pub(super) struct Pod(serde_json::Value);

pub(super) fn pod(namespace: &str, name: &str) -> Pod {
    Pod(json!({"metadata": {"namespace": namespace, "name": name}, "spec": {}, "status": {}}))
}

impl Pod {
    pub(super) fn on(mut self, node: &str) -> Self {
        self.0["spec"]["nodeName"] = node.into();
        self
    }

    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    pub(super) fn object(self, row: &Arc<Resource>) -> Object {
        Object::from_tree(row.clone(), Revision::NONE, self.0).unwrap()
    }
}

pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) cached: Arc<Cached>,
    pub(super) row: Arc<Resource>,
}

pub(super) fn world() -> World {
    world_with(CachedOptions::default())
}

pub(super) fn world_with(options: CachedOptions) -> World {
    let store = MemoryStore::new();
    let cached = Cached::with_options(Arc::new(store.clone()), &Env::simulated(1), options);
    World { store, cached, row: pods() }
}

impl World {
    pub(super) async fn create(&self, pod: Pod) -> Revision {
        self.commit(Change::Create(pod.object(&self.row))).await
    }

    pub(super) async fn commit(&self, change: Change) -> Revision {
        match self.cached.commit(vec![change]).await.unwrap() {
            Outcome::Committed(revision) => revision,
            conflict => panic!("{conflict:?}"),
        }
    }

    /// Writes the pod over what is there.
    pub(super) async fn update(&self, pod: Pod) -> Revision {
        let object = pod.object(&self.row);
        let from = self.cached.get(&self.row, object.key()).await.unwrap().unwrap().revision();
        self.commit(Change::Update { object, from }).await
    }

    pub(super) async fn delete(&self, namespace: &str, name: &str) -> Revision {
        let key = ObjectKey::new(namespace, name);
        let object = self.cached.get(&self.row, &key).await.unwrap().unwrap();
        let from = object.revision();
        self.commit(Change::Delete { object, from }).await
    }

    pub(super) async fn watch(&self, query: WatchQuery) -> ObjectWatch {
        self.cached.watch(&self.row, &query).await.unwrap()
    }

    pub(super) async fn names(&self, query: ListQuery) -> Vec<String> {
        let page = self.cached.list(&self.row, &query).await.unwrap();
        page.items.iter().map(|object| object.key().to_string()).collect()
    }
}

pub(super) fn on(node: &str) -> FieldSelector {
    field("spec.nodeName", node)
}

pub(super) fn field(name: &str, value: &str) -> FieldSelector {
    FieldSelector { terms: vec![FieldTerm { field: name.into(), value: value.into(), equal: true }] }
}

pub(super) fn labelled(key: &str, value: &str) -> LabelSelector {
    let operator = Operator::In(vec![value.into()]);
    LabelSelector { requirements: vec![Requirement { key: key.into(), operator }] }
}

/// `A a/x@3` and the like.
pub(super) fn tell(event: &ObjectEvent) -> String {
    let kind = match event {
        ObjectEvent::Added(_) => "A",
        ObjectEvent::Modified(_) => "M",
        ObjectEvent::Deleted(_) => "D",
        ObjectEvent::Bookmark { initial_end: true, .. } => "end",
        ObjectEvent::Bookmark { initial_end: false, .. } => "bookmark",
    };
    match event.object() {
        Some(object) => format!("{kind} {}@{}", object.key(), event.revision()),
        None => format!("{kind} @{}", event.revision()),
    }
}

pub(super) async fn next(watch: &mut ObjectWatch) -> String {
    match watch.next().await {
        Some(Ok(event)) => tell(&event),
        Some(Err(error)) => error.to_string(),
        None => "ended".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_sees_every_commit_before_it_though_its_resource_is_quiet() {
    let world = world();
    assert_eq!(world.names(ListQuery::default()).await, [""; 0]);
    world.create(pod("b", "y")).await;
    world.create(pod("a", "x")).await;
    let other = world.store.put("/registry/nodes/n", "{}").await.unwrap();
    let page = world.cached.list(&world.row, &ListQuery::default()).await.unwrap();
    assert_eq!(page.revision, other);
    assert_eq!(world.names(ListQuery::default()).await, ["a/x", "b/y"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_ceases_to_match_is_deleted_and_one_that_comes_to_match_is_added() {
    let world = world();
    let mut here = world.watch(WatchQuery { fields: on("n1"), ..WatchQuery::default() }).await;
    let mut blue =
        world.watch(WatchQuery { labels: labelled("color", "blue"), ..WatchQuery::default() }).await;
    let created = world.create(pod("a", "x").label("color", "blue")).await;
    let bound = world.update(pod("a", "x").label("color", "blue").on("n1")).await;
    let red = world.update(pod("a", "x").label("color", "red").on("n1")).await;
    let moved = world.update(pod("a", "x").label("color", "blue").on("n2")).await;
    let deleted = world.delete("a", "x").await;
    let told = [next(&mut here).await, next(&mut here).await, next(&mut here).await];
    assert_eq!(told, [format!("A a/x@{bound}"), format!("M a/x@{red}"), format!("D a/x@{moved}")]);
    for expected in [
        format!("A a/x@{created}"),
        format!("M a/x@{bound}"),
        format!("D a/x@{red}"),
        format!("A a/x@{moved}"),
        format!("D a/x@{deleted}"),
    ] {
        assert_eq!(next(&mut blue).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deleted_object_is_its_last_state_that_matched() {
    let world = world();
    let mut watch = world.watch(WatchQuery { fields: on("n1"), ..WatchQuery::default() }).await;
    world.create(pod("a", "x").on("n1").label("last", "yes")).await;
    let moved = world.update(pod("a", "x").on("n2")).await;
    next(&mut watch).await;
    let Some(Ok(ObjectEvent::Deleted(last))) = watch.next().await else { panic!("not deleted") };
    assert_eq!((&last.labels()["last"], last.revision()), ("yes", moved));
}

#[tokio::test(start_paused = true)]
async fn a_watch_starts_from_any_revision_that_is_kept() {
    let world = world_with(CachedOptions::default().history_bytes(2000));
    world.names(ListQuery::default()).await;
    let mut revisions = Vec::new();
    for number in 0..20 {
        revisions.push(world.create(pod("a", &format!("{number:02}"))).await);
    }
    world.cached.wait(&world.row, revisions[19]).await.unwrap();
    let from = |from| WatchQuery { from: Some(from), ..WatchQuery::default() };
    let mut watch = world.watch(from(revisions[17])).await;
    assert_eq!(next(&mut watch).await, format!("A a/18@{}", revisions[18]));
    assert_eq!(next(&mut watch).await, format!("A a/19@{}", revisions[19]));
    let refused = world.cached.watch(&world.row, &from(revisions[0])).await;
    assert!(matches!(refused, Err(Error::Compacted { oldest }) if oldest > revisions[1]));
}

#[tokio::test(start_paused = true)]
async fn only_what_a_watcher_should_have_seen_expires_it() {
    let world = world_with(CachedOptions::default().history_bytes(2000));
    let mut quiet = world.watch(WatchQuery { fields: on("quiet"), ..WatchQuery::default() }).await;
    let mut busy = world.watch(WatchQuery { fields: on("busy"), ..WatchQuery::default() }).await;
    for number in 0..50 {
        world.create(pod("a", &format!("{number}")).on("busy")).await;
        tokio::task::yield_now().await;
    }
    let last = world.create(pod("a", "last").on("quiet")).await;
    world.cached.wait(&world.row, last).await.unwrap();
    assert_eq!(next(&mut quiet).await, format!("A a/last@{last}"));
    assert!(matches!(busy.next().await, Some(Err(Error::Compacted { .. }))));
    assert_eq!(next(&mut busy).await, "ended");
}

#[tokio::test(start_paused = true)]
async fn the_state_comes_first_where_it_is_asked_for() {
    let world = world();
    world.create(pod("b", "y").on("n1")).await;
    world.create(pod("a", "x").on("n2")).await;
    let second = world.create(pod("a", "w").on("n1")).await;
    let query = WatchQuery { fields: on("n1"), initial: true, ..WatchQuery::default() };
    let mut watch = world.watch(query).await;
    assert_eq!(next(&mut watch).await, format!("A a/w@{second}"));
    assert_eq!(next(&mut watch).await, format!("A b/y@{}", second.0 - 2));
    assert_eq!(next(&mut watch).await, format!("end @{second}"));
    let deleted = world.delete("b", "y").await;
    assert_eq!(next(&mut watch).await, format!("D b/y@{deleted}"));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_is_told_how_far_it_is() {
    let world = world();
    let mut watch = world.watch(WatchQuery { bookmarks: true, ..WatchQuery::default() }).await;
    assert!(watch.next().now_or_never().is_none());
    let other = world.store.put("/registry/nodes/n", "{}").await.unwrap();
    assert_eq!(next(&mut watch).await, format!("bookmark @{other}"));
    let created = world.create(pod("a", "x")).await;
    assert_eq!(next(&mut watch).await, format!("A a/x@{created}"));
    let mut elsewhere =
        world.watch(WatchQuery { bookmarks: true, fields: on("n1"), ..WatchQuery::default() }).await;
    let again = world.update(pod("a", "x").on("n2")).await;
    assert_eq!(next(&mut elsewhere).await, format!("bookmark @{again}"));
}

#[tokio::test(start_paused = true)]
async fn pages_are_of_one_revision_and_count_what_is_left() {
    let world = world();
    for number in 0..10 {
        world.create(pod("a", &format!("{number}")).on(if number % 2 == 0 { "even" } else { "odd" })).await;
    }
    for (fields, expected, counted) in [(FieldSelector::default(), 10, true), (on("even"), 5, false)] {
        let query = ListQuery { fields, limit: Some(2), ..ListQuery::default() };
        let first = world.cached.list(&world.row, &query).await.unwrap();
        assert_eq!((first.items.len(), first.remaining), (2, counted.then_some(expected - 2)));
        world.update(pod("a", "8").on("odd").label("changed", "yes")).await;
        world.delete("a", "4").await;
        let (mut seen, mut page) = (first.items.clone(), first.clone());
        while let Some(start) = page.next {
            let query = ListQuery { at: At::Exact(first.revision), start: Some(start), ..query.clone() };
            page = world.cached.list(&world.row, &query).await.unwrap();
            assert_eq!(
                (page.revision, page.remaining),
                (first.revision, counted.then(|| expected - seen.len() - page.items.len()))
            );
            seen.extend(page.items.clone());
        }
        assert_eq!(seen.len(), expected);
        assert!(seen.iter().all(|object| object.revision() <= first.revision));
        world.create(pod("a", "4").on("even")).await;
        world.update(pod("a", "8").on("even")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_before_the_cache_began_is_read_from_the_store() {
    let world = world();
    let first = world.create(pod("a", "x")).await;
    world.create(pod("a", "y")).await;
    world.names(ListQuery::default()).await;
    assert_eq!(world.names(ListQuery { at: At::Exact(first), ..ListQuery::default() }).await, ["a/x"]);
    world.cached.compact(Revision(first.0 + 1)).await.unwrap();
    let gone =
        world.cached.list(&world.row, &ListQuery { at: At::Exact(first), ..ListQuery::default() }).await;
    assert!(matches!(gone, Err(Error::Compacted { .. })));
    let future = ListQuery { at: At::AtLeast(Revision(99)), ..ListQuery::default() };
    let future = world.cached.list(&world.row, &future).await;
    assert!(matches!(future, Err(Error::FutureRevision { newest: Revision(3) })));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_names_the_change_and_shows_the_object() {
    let world = world();
    let first = world.create(pod("a", "x")).await;
    let second = world.update(pod("a", "x").on("n1")).await;
    let stale = Change::Update { object: pod("a", "x").on("n2").object(&world.row), from: first };
    let fresh = Change::Create(pod("a", "y").object(&world.row));
    let outcome = world.cached.commit(vec![fresh.clone(), stale]).await.unwrap();
    let Outcome::Conflict { index: 1, current: Some(current) } = outcome else { panic!("{outcome:?}") };
    assert_eq!((current.revision(), current.field("spec.nodeName")), (second, Some("n1")));
    assert_eq!(world.names(ListQuery::default()).await, ["a/x"], "all or nothing");

    let again = Change::Create(pod("a", "x").object(&world.row));
    let outcome = world.cached.commit(vec![again]).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { index: 0, current: Some(_) }));

    let gone = Change::Delete { object: pod("a", "z").object(&world.row), from: first };
    let outcome = world.cached.commit(vec![gone]).await.unwrap();
    assert_eq!(outcome, Outcome::Conflict { index: 0, current: None });

    let raw = Change::Raw { compare: vec![Compare::missing("/ip/1")], op: Op::put("/ip/1", "x") };
    let outcome = world.cached.commit(vec![fresh, raw.clone()]).await.unwrap();
    let Outcome::Committed(both) = outcome else { panic!("{outcome:?}") };
    assert_eq!(world.store.get(b"/ip/1").await.unwrap().unwrap().mod_revision, both);
    let outcome = world.cached.commit(vec![raw]).await.unwrap();
    assert_eq!(outcome, Outcome::Conflict { index: 0, current: None });
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_here_is_not_decoded_again() {
    let world = world();
    world.names(ListQuery::default()).await;
    let object = pod("a", "x").object(&world.row);
    let cache = world.cached.peek(&world.row).unwrap();
    let revision = world.commit(Change::Create(object.clone())).await;
    world.cached.wait(&world.row, revision).await.unwrap();
    let held = cache.read().shelf.get(object.key()).cloned().unwrap();
    assert!(std::ptr::eq(held.key(), object.key()), "the head that was read is shared");
    assert!(cache.handover.len() == 0);
    // A commit that fails leaves nothing behind.
    world.cached.commit(vec![Change::Create(object)]).await.unwrap();
    assert!(cache.handover.len() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_has_missed_something_says_so_and_goes_on() {
    let store = MemoryStore::with_options(MemoryOptions::default().history_bytes(2000));
    let cached = Cached::new(Arc::new(store.clone()), &Env::simulated(1));
    let world = World { store, cached, row: pods() };
    let mut watch = world.watch(WatchQuery::default()).await;
    // Nobody else runs while this task writes more than the store keeps.
    for number in 0..100 {
        world.store.put(format!("/registry/pods/a/{number:02}"), pod_body(number)).await.unwrap();
    }
    assert_eq!(world.names(ListQuery::default()).await.len(), 100);
    assert!(matches!(watch.next().await, Some(Err(Error::Compacted { .. }))));
    let mut watch = world.watch(WatchQuery::default()).await;
    let created = world.create(pod("a", "new")).await;
    assert_eq!(next(&mut watch).await, format!("A a/new@{created}"));
}

fn pod_body(number: usize) -> String {
    json!({"metadata": {"namespace": "a", "name": format!("{number:02}")}}).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_no_longer_served_ends_its_watches() {
    let world = world();
    let mut watch = world.watch(WatchQuery::default()).await;
    let created = world.create(pod("a", "x")).await;
    world.cached.wait(&world.row, created).await.unwrap();
    world.cached.forget(&world.row);
    assert_eq!(next(&mut watch).await, format!("A a/x@{created}"));
    assert_eq!(next(&mut watch).await, "ended");
    assert_eq!(world.names(ListQuery::default()).await, ["a/x"], "it may come back");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_tasks_is_the_end_of_the_watches() {
    let env = Env::simulated(1);
    let cached = Cached::new(Arc::new(MemoryStore::new()), &env);
    let mut watch = cached.watch(&pods(), &WatchQuery::default()).await.unwrap();
    env.tasks.shutdown().await;
    assert_eq!(next(&mut watch).await, "ended");
    assert!(matches!(cached.list(&pods(), &ListQuery::default()).await, Err(Error::Unavailable { .. })));
}

#[tokio::test(start_paused = true)]
async fn lists_that_nobody_reads_go_with_their_last_event() {
    let world = world_with(CachedOptions::default().history_bytes(2000));
    for node in 0..100 {
        let query = WatchQuery { fields: on(&format!("n{node}")), ..WatchQuery::default() };
        drop(world.watch(query).await);
    }
    let cache = world.cached.peek(&world.row).unwrap();
    assert_eq!(cache.read().shelf.postings.lists(), 0);
    let mut last = Revision::NONE;
    for number in 0..100 {
        last = world.create(pod(&format!("ns{number}"), "x").on(&format!("n{number}"))).await;
    }
    world.cached.wait(&world.row, last).await.unwrap();
    let lists = cache.read().shelf.postings.lists();
    assert!((3..=30).contains(&lists), "{lists}: three for each event that is kept");
}

#[tokio::test(start_paused = true)]
async fn an_event_wakes_only_those_whose_index_value_it_touches() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let world = world();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut watches = Vec::new();
    for node in 0..1000 {
        let query = WatchQuery { fields: on(&format!("n{node}")), ..WatchQuery::default() };
        let mut watch = world.watch(query).await;
        assert!(watch.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
        watches.push(watch);
    }
    let created = world.create(pod("a", "x").on("n7")).await;
    world.cached.wait(&world.row, created).await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(next(&mut watches[7]).await, format!("A a/x@{created}"));
    assert!(watches[7].poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    let moved = world.update(pod("a", "x").on("n8")).await;
    world.cached.wait(&world.row, moved).await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 3, "where it was, and where it is");
}
