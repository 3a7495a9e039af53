//! Keys that hold no objects: above a store that seals, and above one that does not.

use futures_util::{FutureExt, StreamExt};

use super::tests::{World, field, labelled, next, on, pod, world, world_with};
use super::*;
use crate::api::selector::FieldSelector;
use crate::store::ObjectStoreExt;

/// A world that seals its values: what lies in the store below unsealed does not open.
#[cfg(feature = "encryption")]
fn sealed() -> World {
    use crate::store::{Encrypted, EncryptionKey, EncryptionKeys};
    let world = world();
    let keys = EncryptionKeys::new(EncryptionKey::new("one", [1; 32]));
    let store = Encrypted::new(Arc::new(world.store.clone()), keys);
    World { cached: Cached::new(Arc::new(store), &Env::simulated(1)), ..world }
}

/// Worlds, and how a value begins to be told as unreadable in each.
fn worlds() -> Vec<(World, &'static str)> {
    vec![
        (world(), "cannot decode the body of a Pod"),
        #[cfg(feature = "encryption")]
        (sealed(), "the value of /registry/pods/"),
    ]
}

impl World {
    /// Writes what cannot be read; where values are sealed, it would be fine if it were.
    async fn spoil(&self, namespace: &str, name: &str) -> Revision {
        let key = format!("/registry/pods/{namespace}/{name}");
        let plain = self.cached.store().open(b"/", &"".into()).is_ok();
        let value = if plain { "{".into() } else { pod(namespace, name).object(&self.row).body().clone() };
        self.store.put(key, value).await.unwrap()
    }

    async fn remove(&self, namespace: &str, name: &str) -> Revision {
        self.store.delete(format!("/registry/pods/{namespace}/{name}")).await.unwrap();
        self.store.revision().await.unwrap()
    }

    /// Another cache of the same store, which has seen nothing of what was.
    fn late(&self) -> World {
        let cached = Cached::new(self.cached.store().clone(), &Env::simulated(2));
        World { store: self.store.clone(), cached, row: self.row.clone() }
    }

    async fn list(&self, query: ListQuery) -> Result<Vec<String>> {
        let page = self.cached.list(&self.row, &query).await?;
        Ok(page.items.iter().map(|object| object.key().to_string()).collect())
    }
}

/// Which objects a failure names: each with its revision.
fn named<T: fmt::Debug>(answer: Result<T>) -> Vec<String> {
    let Err(Error::Unreadable { values, more: false }) = answer else { panic!("{answer:?}") };
    let told = |value: &Arc<Unreadable>| {
        assert_eq!(value.key, format!("/registry/pods/{}", value.object).as_bytes());
        format!("{}@{}", value.object, value.revision)
    };
    values.iter().map(told).collect()
}

/// The failure that ends a watch.
async fn end(watch: &mut ObjectWatch) -> Vec<String> {
    let named = named(watch.next().await.unwrap());
    assert!(watch.next().await.is_none(), "nothing comes behind it");
    named
}

fn within(namespace: &str) -> ListQuery {
    ListQuery { namespace: Some(namespace.into()), ..ListQuery::default() }
}

fn with(fields: FieldSelector) -> ListQuery {
    ListQuery { fields, ..ListQuery::default() }
}

/// `RunTestTransformationFailure`.
#[tokio::test(start_paused = true)]
async fn what_needs_it_fails_and_names_it_and_everything_else_goes_on() {
    for (world, why) in worlds() {
        world.create(pod("first", "bar")).await;
        world.names(ListQuery::default()).await;
        world.create(pod("second", "baz").on("n1")).await;
        let sound = world.create(pod("second", "sound").on("n1")).await;
        let spoilt = world.spoil("second", "baz").await;
        for world in [&world, &world.late()] {
            let baz = [format!("second/baz@{spoilt}")];
            assert_eq!(named(world.list(ListQuery::default()).await), baz);
            assert_eq!(named(world.list(within("second")).await), baz);
            // Whether it has this label or field, nobody knows.
            let labels = labelled("color", "red");
            assert_eq!(named(world.list(ListQuery { labels, ..ListQuery::default() }).await), baz);
            assert_eq!(named(world.list(with(on("n2"))).await), baz);
            assert_eq!(named(world.list(with(field("metadata.name", "baz"))).await), baz);
            // That it is called otherwise, its key tells.
            assert_eq!(world.list(within("first")).await.unwrap(), ["first/bar"]);
            assert_eq!(world.list(with(field("metadata.name", "bar"))).await.unwrap(), ["first/bar"]);
            assert_eq!(world.list(with(field("metadata.namespace", "first"))).await.unwrap(), ["first/bar"]);
            let one = ListQuery { fields: field("metadata.name", "sound"), ..within("second") };
            assert_eq!(world.list(one).await.unwrap(), ["second/sound"]);
            // At an earlier revision it was well.
            let at = At::Exact(sound);
            let before = world.list(ListQuery { at, ..ListQuery::default() }).await.unwrap();
            assert_eq!(before, ["first/bar", "second/baz", "second/sound"]);

            let get = async |name| world.cached.get(&world.row, &ObjectKey::new("second", name)).await;
            assert_eq!(named(get("baz").await), baz);
            let Err(error) = get("baz").await else { unreachable!() };
            assert!(
                error.to_string().contains(&format!("/registry/pods/second/baz at revision {spoilt}: {why}"))
            );
            assert_eq!(get("sound").await.unwrap().unwrap().revision(), sound);

            // It is there: nothing is made in its place, and nothing happens to what it is not.
            let object = || pod("second", "baz").object(&world.row);
            let wrong =
                |from| [Change::Update { object: object(), from }, Change::Delete { object: object(), from }];
            for change in [Change::Create(object())].into_iter().chain(wrong(sound)) {
                let outcome = world.cached.commit(vec![change]).await.unwrap();
                assert!(
                    matches!(&outcome, Outcome::Unreadable { index: 0, value } if value.revision == spoilt),
                    "{outcome:?}"
                );
            }
        }
        // Written anew, all is well again.
        let change = Change::Update { object: pod("second", "baz").object(&world.row), from: spoilt };
        world.commit(change).await;
        for world in [&world, &world.late()] {
            assert_eq!(world.names(within("second")).await, ["second/baz", "second/sound"]);
        }
        world.spoil("first", "bar").await;
        assert!(world.list(within("first")).await.is_err());
        world.remove("first", "bar").await;
        for world in [&world, &world.late()] {
            assert!(world.names(within("first")).await.is_empty());
            assert_eq!(world.names(ListQuery::default()).await.len(), 2);
        }
    }
}

/// What a page of keys is, some of which cannot be read: `Err` names those that it would have to hold.
fn page(keys: &[(String, bool)], limit: usize) -> Result<(Vec<String>, usize), Vec<String>> {
    let (mut items, mut unreadable) = (Vec::new(), Vec::new());
    for (key, sound) in keys {
        if limit > 0 && items.len() == limit {
            break;
        }
        let found = if *sound { &mut items } else { &mut unreadable };
        found.push(key.clone());
    }
    let left = keys.len() - items.len();
    if unreadable.is_empty() { Ok((items, left)) } else { Err(unreadable) }
}

#[tokio::test(start_paused = true)]
async fn a_page_fails_where_it_would_hold_it_and_says_that_there_is_more_where_it_is_behind() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let mut failures = 0;
    // Each key is absent, sound, or neither.
    for state in 0..3usize.pow(4) {
        for (world, _) in worlds() {
            world.names(ListQuery::default()).await;
            let mut keys = Vec::new();
            for (index, name) in NAMES.into_iter().enumerate() {
                let kind = state / 3usize.pow(index as u32) % 3;
                match kind {
                    0 => continue,
                    1 => drop(world.create(pod("x", name)).await),
                    _ => drop(world.spoil("x", name).await),
                }
                keys.push((format!("x/{name}"), kind == 1));
            }
            let at = world.store.revision().await.unwrap();
            let mut check = async |world: &World, at| {
                for (after, limit) in (0..=4).flat_map(|after| (0..=4).map(move |limit| (after, limit))) {
                    let after = NAMES.get(after).map(|name| ObjectKey::new("x", *name));
                    let behind = |key: &str| after.as_ref().is_none_or(|after| *key > *after.to_string());
                    let rest: Vec<_> = keys.iter().filter(|(key, _)| behind(key)).cloned().collect();
                    let start = after.map(|after| format!("{after}\0"));
                    let query = ListQuery { at, start, limit: Some(limit), ..within("x") };
                    let listed = world.cached.list(&world.row, &query).await;
                    match page(&rest, limit) {
                        Ok((items, left)) => {
                            let listed = listed.unwrap();
                            let keys = listed.items.iter().map(|object| object.key().to_string());
                            assert_eq!(keys.collect::<Vec<_>>(), items, "{query:?}");
                            assert_eq!(
                                (listed.next.is_some(), listed.remaining),
                                (left > 0, Some(left)),
                                "{query:?}"
                            );
                        }
                        Err(keys) => {
                            let Err(Error::Unreadable { values, .. }) = listed else { panic!("{listed:?}") };
                            let named: Vec<_> = values.iter().map(|value| value.object.to_string()).collect();
                            assert_eq!(named, keys, "{query:?}");
                            failures += 1;
                        }
                    }
                }
            };
            check(&world, At::Newest).await;
            check(&world.late(), At::Newest).await;
            // What was is as it was: from what the shelf remembers, and from the store.
            for name in NAMES {
                world.remove("x", name).await;
            }
            assert!(world.names(ListQuery::default()).await.is_empty());
            check(&world, At::Exact(at)).await;
            let late = world.late();
            late.names(ListQuery::default()).await;
            check(&late, At::Exact(at)).await;
        }
    }
    assert!(failures > 1000, "{failures}");
}

#[tokio::test(start_paused = true)]
async fn of_many_so_many_are_named_as_is_of_use() {
    for (world, _) in worlds() {
        world.names(ListQuery::default()).await;
        for number in 0..=Unreadable::MOST {
            world.spoil("a", &format!("{number:03}")).await;
        }
        let at = world.store.revision().await.unwrap();
        let late = world.late();
        // So that the one that came late asks the store about the past.
        world.store.put("/registry/nodes/n", "{}").await.unwrap();
        late.list(ListQuery::default()).await.unwrap_err();
        for (world, at) in [(&world, At::Newest), (&late, At::Newest), (&late, At::Exact(at))] {
            let listed = world.list(ListQuery { at, ..ListQuery::default() }).await;
            let Err(Error::Unreadable { values, more }) = listed else { panic!("{listed:?}") };
            assert_eq!((values.len(), more), (Unreadable::MOST, true));
        }
        let start = Some("a/000\0".into());
        let listed = world.list(ListQuery { start, ..ListQuery::default() }).await;
        assert_eq!(named(listed).len(), Unreadable::MOST);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_no_object_can_have_is_nobodys() {
    let world = world();
    world.create(pod("a", "x")).await;
    for key in ["odd", "/odd", "a/", "a/x/y"] {
        world.store.put(format!("/registry/pods/{key}"), "{").await.unwrap();
    }
    for world in [&world, &world.late()] {
        assert_eq!(world.names(ListQuery::default()).await, ["a/x"]);
    }
    // An object under another's key is nobody's either, and stands in that one's way.
    let body = pod("a", "x").object(&world.row).body().clone();
    let put = world.store.put("/registry/pods/a/y", body).await.unwrap();
    for world in [&world, &world.late()] {
        assert_eq!(named(world.list(ListQuery::default()).await), [format!("a/y@{put}")]);
        let Err(error) = world.list(ListQuery::default()).await else { unreachable!() };
        assert!(error.to_string().ends_with("it is called a/x itself"), "{error}");
    }
}

/// `RunTestWatchError`, `RunWatchErrorIsBlockingFurtherEvents`.
#[tokio::test(start_paused = true)]
async fn a_watch_ends_where_something_that_it_may_select_comes_to_be_unreadable() {
    for (world, _) in worlds() {
        let query = |namespace: &str, fields: FieldSelector| WatchQuery {
            namespace: Some(namespace.into()),
            fields,
            ..WatchQuery::default()
        };
        let ending = [
            WatchQuery::default(),
            query("a", FieldSelector::default()),
            query("a", field("metadata.name", "x")),
            query("", field("metadata.name", "x")),
            query("", on("n1")),
            query("", on("n2")),
            query("a", on("n2")),
            WatchQuery { labels: labelled("color", "red"), ..WatchQuery::default() },
        ];
        let going_on = [
            query("b", FieldSelector::default()),
            query("b", on("n1")),
            query("", field("metadata.name", "later")),
            query("a", field("metadata.name", "later")),
        ];
        world.names(ListQuery::default()).await;
        let start = world.create(pod("b", "y").on("n1")).await;
        let (mut ended, mut others) = (Vec::new(), Vec::new());
        for query in &ending {
            ended.push(world.watch(query.clone()).await);
        }
        for query in &going_on {
            others.push(world.watch(query.clone()).await);
        }
        for watch in ended.iter_mut().chain(&mut others) {
            assert!(watch.next().now_or_never().is_none());
        }
        let spoilt = world.spoil("a", "x").await;
        let later = world.create(pod("a", "later").on("n1")).await;
        let last = world.create(pod("b", "later").on("n1")).await;
        world.cached.wait(&world.row, last).await.unwrap();
        let x = [format!("a/x@{spoilt}")];
        for watch in &mut ended {
            assert_eq!(end(watch).await, x);
        }
        // Whoever begins before it gets as far, and no further; above a cache that knows, too.
        for query in &ending {
            let query = WatchQuery { from: Some(start), ..query.clone() };
            assert_eq!(end(&mut world.watch(query).await).await, x);
        }
        for (watch, seen) in others.iter_mut().zip([vec!["b"], vec!["b"], vec!["a", "b"], vec!["a"]]) {
            for namespace in seen {
                let revision = if namespace == "a" { later } else { last };
                assert_eq!(next(watch).await, format!("A {namespace}/later@{revision}"));
            }
            assert!(watch.next().now_or_never().is_none());
        }
        // What was told before it is told.
        let mut watch = world.watch(WatchQuery { from: Some(Revision(1)), ..WatchQuery::default() }).await;
        assert_eq!(next(&mut watch).await, format!("A b/y@{start}"));
        assert_eq!(end(&mut watch).await, x);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_waits_is_woken_to_hear_of_it() {
    for (world, _) in worlds() {
        let mut watch = world.watch(WatchQuery { fields: on("n1"), ..WatchQuery::default() }).await;
        let (ended, spoilt) = tokio::join!(end(&mut watch), async {
            tokio::task::yield_now().await;
            world.spoil("a", "x").await
        });
        assert_eq!(ended, [format!("a/x@{spoilt}")]);
    }
}

/// How watches go on that have begun when something could not be read: `RunTestWatchWithUnsafeDelete`
/// among them.
#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_behind_it_hears_of_it_when_it_ends() {
    for (world, _) in worlds() {
        world.names(ListQuery::default()).await;
        world.spoil("a", "x").await;
        let selecting = [
            WatchQuery { fields: on("n1"), ..WatchQuery::default() },
            WatchQuery { labels: labelled("color", "red"), ..WatchQuery::default() },
        ];
        let begin = async |query: WatchQuery| world.watch(query).await;
        let mut plain = begin(WatchQuery::default()).await;
        let mut by_name =
            begin(WatchQuery { fields: field("metadata.name", "x"), ..WatchQuery::default() }).await;
        let (mut first, mut second) = (begin(selecting[0].clone()).await, begin(selecting[1].clone()).await);
        let created = world.create(pod("a", "y").on("n1").label("color", "red")).await;
        for watch in [&mut plain, &mut first, &mut second] {
            assert_eq!(next(watch).await, format!("A a/y@{created}"), "it is no hindrance");
        }
        // Written anew it is a modified object, and whoever selects knows not what it was.
        let held = world.cached.get(&world.row, &ObjectKey::new("a", "x")).await;
        let Err(Error::Unreadable { values, .. }) = held else { panic!("{held:?}") };
        let object = pod("a", "x").on("n1").object(&world.row);
        let mended = world.commit(Change::Update { object, from: values[0].revision }).await;
        for watch in [&mut plain, &mut by_name] {
            assert_eq!(next(watch).await, format!("M a/x@{mended}"));
        }
        for watch in [&mut first, &mut second] {
            assert_eq!(end(watch).await, [format!("a/x@{}", values[0].revision)]);
        }
        // Deleted it is a deletion that nobody can tell.
        let spoilt = world.spoil("a", "x").await;
        for watch in [&mut plain, &mut by_name] {
            assert_eq!(end(watch).await, [format!("a/x@{spoilt}")]);
        }
        let mut watches = [
            begin(WatchQuery::default()).await,
            begin(WatchQuery { fields: field("metadata.name", "x"), ..WatchQuery::default() }).await,
            begin(selecting[0].clone()).await,
        ];
        let mut other = begin(WatchQuery { namespace: Some("b".into()), ..WatchQuery::default() }).await;
        let held = world.cached.get(&world.row, &ObjectKey::new("a", "x")).await;
        let Err(Error::Unreadable { values, .. }) = held else { panic!("{held:?}") };
        let deleted = world.commit(Change::Discard(values[0].clone())).await;
        assert_eq!(deleted, spoilt.next());
        let last = world.create(pod("b", "z")).await;
        for watch in &mut watches {
            let end = watch.next().await.unwrap();
            let Err(Error::UnreadableDeleted { value }) = end else { panic!("{end:?}") };
            assert_eq!(value, values[0]);
            assert!(watch.next().await.is_none());
        }
        assert_eq!(next(&mut other).await, format!("A b/z@{last}"));
        // One that was read before it went is told as ever, whatever was in between elsewhere.
        let mut watch = begin(WatchQuery::default()).await;
        let deleted = world.remove("a", "y").await;
        assert_eq!(next(&mut watch).await, format!("D a/y@{deleted}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_with_the_state_gets_as_far_as_it_can_be_read() {
    for (world, _) in worlds() {
        let mut before = Vec::new();
        for number in 0..150 {
            let revision = world.create(pod("a", &format!("{number:03}"))).await;
            before.push(format!("A a/{number:03}@{revision}"));
        }
        let spoilt = world.spoil("a", "150").await;
        world.create(pod("a", "151")).await;
        let last = world.create(pod("b", "x")).await;
        for world in [&world, &world.late()] {
            let mut watch = world.watch(WatchQuery { initial: true, ..WatchQuery::default() }).await;
            for expected in &before {
                assert_eq!(next(&mut watch).await, *expected);
            }
            assert_eq!(end(&mut watch).await, [format!("a/150@{spoilt}")]);
            let query = WatchQuery { initial: true, namespace: Some("b".into()), ..WatchQuery::default() };
            let mut other = world.watch(query).await;
            assert_eq!(next(&mut other).await, format!("A b/x@{last}"));
            assert_eq!(next(&mut other).await, format!("end @{last}"));
        }
        // It is first, or it is all there is.
        world.spoil("a", "000").await;
        let mut watch = world.watch(WatchQuery { initial: true, ..WatchQuery::default() }).await;
        assert_eq!(end(&mut watch).await, [format!("a/000@{}", last.next())]);
        let query =
            WatchQuery { initial: true, fields: field("metadata.name", "150"), ..WatchQuery::default() };
        assert_eq!(end(&mut world.watch(query).await).await, [format!("a/150@{spoilt}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_too_slow_to_hear_of_it_has_missed_something() {
    let world = world_with(CachedOptions::default().history_bytes(4000));
    let namespace = |name: &str| WatchQuery { namespace: Some(name.into()), ..WatchQuery::default() };
    let by_field = || WatchQuery { fields: on("n1"), ..WatchQuery::default() };
    let (mut slow, mut slow_by_field) = (world.watch(namespace("a")).await, world.watch(by_field()).await);
    let (mut quick, mut other) = (world.watch(by_field()).await, world.watch(namespace("b")).await);
    world.spoil("a", "x").await;
    world.remove("a", "x").await;
    assert_eq!(end(&mut quick).await, ["a/x@2"]);
    let mut last = Revision::NONE;
    for number in 0..50 {
        last = world.create(pod("c", &format!("{number}"))).await;
    }
    world.cached.wait(&world.row, last).await.unwrap();
    for slow in [&mut slow, &mut slow_by_field] {
        assert!(matches!(slow.next().await, Some(Err(Error::Compacted { .. }))));
    }
    assert!(other.next().now_or_never().is_none(), "nothing happened to it");
}

#[tokio::test(start_paused = true)]
async fn it_is_discarded_only_as_it_was_found() {
    for (world, _) in worlds() {
        world.spoil("a", "x").await;
        let Err(Error::Unreadable { values, .. }) = world.list(ListQuery::default()).await else { panic!() };
        let discard = async || world.cached.commit(vec![Change::Discard(values[0].clone())]).await.unwrap();
        let object = pod("a", "x").object(&world.row);
        world.commit(Change::Update { object, from: values[0].revision }).await;
        assert_eq!(discard().await, Outcome::Conflict { index: 0, current: None });
        world.spoil("a", "x").await;
        assert_eq!(discard().await, Outcome::Conflict { index: 0, current: None });
        world.remove("a", "x").await;
        assert_eq!(discard().await, Outcome::Conflict { index: 0, current: None });
        assert!(world.names(ListQuery::default()).await.is_empty());
    }
}
