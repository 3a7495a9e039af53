//! What Kubernetes holds its own storage and cacher to, as far as it concerns the cache.
//!
//! Source: the runners of `staging/src/k8s.io/apiserver/pkg/storage/testing` (1.36), here by name, and
//! where each is held to:
//!
//! | runner | where |
//! |---|---|
//! | `RunTestCreate`, `…CreateWithKeyExist`, `…GuaranteedUpdate`, `…UpdateWithConflict`, `…UpdateWithSuggestionAndConflict` | [`a_write_happens_only_on_the_state_that_it_names`]; retries of one that loses: `tests/it/server_races.rs` |
//! | `RunTestUnconditionalDelete`, `…ConditionalDelete`, `…DeleteWithConflict`, `…DeleteWithSuggestion*`, `…ValidateDeletionWith*`, `…PreconditionalDeleteWith*` | [`a_write_happens_only_on_the_state_that_it_names`]; deletions and preconditions of what changes meanwhile: `tests/it/server_races.rs`; there are no suggestions, for the server reads the store |
//! | `RunTestGuaranteedUpdateChecksStoredData` | [`what_is_stored_is_compared_and_not_what_is_cached`], [`what_is_stored_otherwise_than_it_would_be_is_stale`]; what an update makes of that: `tests/it/server_unchanged.rs` |
//! | `RunTestCreateWithTTL`, `…GuaranteedUpdateWithTTL` | `tests_leases`; events: `tests/it/server_leases.rs`; leases of keys: the store's conformance suite |
//! | `RunTestGet` | [`a_get_sees_every_commit_before_it`]; `resourceVersion`: `a_get_is_not_older_than_it_is_asked_to_be` of `tests/it/server_get.rs` |
//! | `RunTestList` | [`every_list_is_what_its_revision_held`], [`a_revision_that_is_not_there_is_refused`]; options and tokens: `tests/it/server_list.rs`, case by case, on a server that saw it all and on one that comes late; what cannot be read: `tests/it/rest_options.rs` |
//! | `…GetListRecursivePrefix`, `…GetListNonRecursive`, `…ListPaging`, `…ListContinuation`, `…ListContinuationWithFilter`, `…ListPaginationRareObject` | the same here; at the server: `tests/it/server_list_tokens.rs` |
//! | `…NamespaceScopedList` | `lists_hold_what_is_selected` of `tests/it/server_selectors.rs` |
//! | `RunTestListInconsistentContinuation` | [`a_list_goes_on_at_the_newest_revision_where_its_own_is_gone`]; by limits and tokens: `tests/it/server_list_tokens.rs` |
//! | `RunTestListResourceVersionMatch`, `…ConsistentList` | [`a_list_is_as_new_as_it_is_asked_to_be`]; asked again: `a_list_asked_again_at_its_revision_is_the_same` of `tests/it/server_list_tokens.rs` |
//! | `RunTestCompactRevision` | [`compaction_forgets_in_the_cache_what_it_forgets_in_the_store`]; what is compacted by somebody else: `tests_compaction`; compaction by servers: `store::compactor`, `tests/it/server_compaction.rs` |
//! | `RunTestTransformationFailure`, `…WatchError`, `RunWatchErrorIsBlockingFurtherEvents`, `…WatchWithUnsafeDelete` | `tests_unreadable`, by name there, above a store that seals and one that does not; through the API, with deletion: `tests/it/server_broken.rs` |
//! | `RunTestStats`, `…KeySchema` | `stats`; counts of ranges: the store's conformance suite; keys: `api::Resource`, and names that are no part of one: `tests/it/server_get.rs`, `tests/it/server_write.rs` |
//! | `RunTestWatch`, `…DeleteTriggerWatch`, `…WatchFromNonZero`, `…WatchDeleteEventObjectHaveLatestRV` | [`a_watch_tells_what_an_object_came_to_be_for_it`]; at the server: `tests/it/server_watch.rs`, `tests/it/server_selectors.rs` |
//! | `RunTestWatchFromZero`, `RunSendInitialEventsBackwardCompatibility`, `RunWatchSemantics`, `…InitialEventsExtended`, `RunWatchListMatchSingle` | [`a_watch_begins_as_it_is_asked_to`]; what the server makes of its options: `tests/it/server_watch.rs` |
//! | `RunTestDelayedWatchDelivery` | [`a_watch_that_nobody_reads_misses_nothing`] |
//! | `RunTestWatchContextCancel`, `…WatcherTimeout` | [`a_watch_that_is_dropped_leaves_nothing_behind`]; that nobody waits for one that does not read: `who_does_not_read_holds_up_nobody` of `tests/it/server_watch.rs` |
//! | `RunTestWatchInitializationSignal` | `Cached::watch` answers once it has begun |
//! | `RunOptionalTestProgressNotify`, `RunTestWatchDispatchBookmarkEvents`, `…OptionalWatchBookmarksWithCorrectResourceVersion` | [`bookmarks_come_to_those_who_want_them_and_never_run_ahead`] |
//! | `RunTestClusterScopedWatch`, `…NamespaceScopedWatch` | [`a_watch_sees_its_scope_and_nothing_else`]; case by case: `tests/it/server_selectors.rs` |

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt};

use super::tests::{Pod, World, field, labelled, next, on, pod, world, world_with};
use super::*;
use crate::api::Scope;
use crate::api::selector::{FieldSelector, FieldTerm};
use crate::store::ObjectStoreExt;

fn not(name: &str, value: &str) -> FieldSelector {
    FieldSelector { terms: vec![FieldTerm { field: name.into(), value: value.into(), equal: false }] }
}

/// What each revision held: names and nodes, in the store's order.
type States = BTreeMap<u64, BTreeMap<String, String>>;

/// The history that `RunTestList` begins with, and some objects whose namespace begins another's.
async fn seeded() -> (World, States) {
    let world = world();
    let (mut states, mut state) = (States::new(), BTreeMap::new());
    for (namespace, name) in [
        ("first", "bar"),
        ("second", "bar"),
        ("second", "foo"),
        ("third", "barfoo"),
        ("third", "foo"),
        ("second", "baz"),
        ("second-too", "foo"),
    ] {
        let revision = world.create(pod(namespace, name)).await;
        state.insert(format!("{namespace}/{name}"), String::new());
        states.insert(revision.0, state.clone());
    }
    let revision = world.update(pod("first", "bar").on("fakeNode")).await;
    state.insert("first/bar".into(), "fakeNode".into());
    states.insert(revision.0, state.clone());
    let revision = world.delete("second", "baz").await;
    state.remove("second/baz");
    states.insert(revision.0, state);
    (world, states)
}

#[tokio::test(start_paused = true)]
async fn every_list_is_what_its_revision_held() {
    let (world, states) = seeded().await;
    let late = Cached::new(world.cached.store().clone(), &Env::simulated(2));
    let selectors = [
        (FieldSelector::default(), (|_, _| true) as fn(&str, &str) -> bool),
        (field("metadata.name", "foo"), |key, _| key.ends_with("/foo")),
        (not("metadata.name", "bar"), |key, _| !key.ends_with("/bar")),
        (on("fakeNode"), |_, node| node == "fakeNode"),
        (on(""), |_, node| node.is_empty()),
    ];
    let mut lists = 0;
    // One cache has seen it all, and one comes so late that it asks the store about the past.
    for cached in [&world.cached, &late] {
        cached.list(&world.row, &ListQuery::default()).await.unwrap();
        for (revision, state) in &states {
            for namespace in [None, Some("first"), Some("second"), Some("third"), Some("none")] {
                for (fields, selects) in &selectors {
                    let within = |key: &str| namespace.is_none_or(|it| key.split('/').next() == Some(it));
                    let selected = state.iter().filter(|(key, node)| within(key) && selects(key, node));
                    let expected: Vec<_> = selected.map(|(key, _)| key.clone()).collect();
                    for limit in [0, 1, 2, 3, 100] {
                        let mut query = ListQuery {
                            namespace: namespace.map(str::to_owned),
                            fields: fields.clone(),
                            at: At::Exact(Revision(*revision)),
                            limit: Some(limit),
                            ..ListQuery::default()
                        };
                        let mut seen = Vec::new();
                        loop {
                            let page = cached.list(&world.row, &query).await.unwrap();
                            lists += 1;
                            assert_eq!(page.revision.0, *revision);
                            assert!(limit == 0 || page.items.len() <= limit);
                            seen.extend(page.items.iter().map(|object| object.key().to_string()));
                            // What is left is said by both caches alike, whether it is selected or not.
                            let last = page.items.last().filter(|_| page.items.len() == limit);
                            let behind = |last: &Object| {
                                let last = last.key().to_string();
                                state.keys().filter(|key| within(key) && **key > last).count()
                            };
                            let single = namespace.is_some() && fields.required("metadata.name").is_some();
                            let left = last.filter(|_| !single).map_or(0, behind);
                            assert_eq!(page.next.is_some(), left > 0, "{query:?}");
                            assert_eq!(page.remaining, fields.is_empty().then_some(left), "{query:?}");
                            if page.next.is_none() {
                                break;
                            }
                            query.start = page.next;
                        }
                        assert_eq!(seen, expected, "{query:?}");
                    }
                }
            }
        }
    }
    assert!(lists > 2 * 9 * 5 * 5 * 5, "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_not_there_is_refused() {
    let (world, states) = seeded().await;
    let newest = *states.keys().last().unwrap();
    for at in [At::Exact(Revision(newest + 1)), At::AtLeast(Revision(newest + 1))] {
        let refused = world.cached.list(&world.row, &ListQuery { at, ..ListQuery::default() }).await;
        assert!(matches!(refused, Err(Error::FutureRevision { newest: Revision(now) }) if now == newest));
    }
    world.cached.compact(Revision(newest)).await.unwrap();
    let at = At::Exact(Revision(newest - 1));
    let refused = world.cached.list(&world.row, &ListQuery { at, ..ListQuery::default() }).await;
    assert!(matches!(refused, Err(Error::Compacted { .. })));
    let query = WatchQuery { from: Some(Revision(2)), ..WatchQuery::default() };
    let refused = world.cached.watch(&world.row, &query);
    assert!(matches!(refused.await, Err(Error::Compacted { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_as_new_as_it_is_asked_to_be() {
    let (world, states) = seeded().await;
    let written = *states.keys().last().unwrap();
    let list = async |at| {
        let query = ListQuery { namespace: Some("none".into()), at, ..ListQuery::default() };
        world.cached.list(&world.row, &query).await.unwrap().revision.0
    };
    let other = async || world.store.put("/registry/nodes/n", "{}").await.unwrap().0;
    assert_eq!(list(At::Newest).await, written);
    let mut newest = other().await;
    assert!((written..=newest).contains(&list(At::AtLeast(Revision::NONE)).await), "any will do");
    assert_eq!(list(At::Newest).await, newest, "though nothing happened to this resource");
    newest = other().await;
    assert!(list(At::AtLeast(Revision(newest))).await >= newest);
    assert_eq!(list(At::Exact(Revision(written))).await, written);
    newest = other().await;
    let (one, two) = tokio::join!(list(At::Newest), list(At::AtLeast(Revision(newest))));
    assert_eq!((one, two), (newest, newest));
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_at_the_newest_revision_where_its_own_is_gone() {
    let (world, _) = seeded().await;
    let query = ListQuery { limit: Some(2), ..ListQuery::default() };
    let first = world.cached.list(&world.row, &query).await.unwrap();
    let start = first.next;
    let newest = world.create(pod("first", "zzz")).await;
    let created = world.create(pod("zzz", "new")).await;
    world.cached.compact(created).await.unwrap();
    let exact = ListQuery { at: At::Exact(first.revision), start: start.clone(), ..query.clone() };
    let gone = world.cached.list(&world.row, &exact).await;
    assert!(matches!(gone, Err(Error::Compacted { .. })));
    let rest = ListQuery { start, limit: None, ..query };
    let rest = world.cached.list(&world.row, &rest).await.unwrap();
    assert!(rest.revision > newest);
    let names: Vec<_> = rest.items.iter().map(|object| object.key().to_string()).collect();
    assert_eq!(names, ["second/bar", "second/foo", "third/barfoo", "third/foo", "zzz/new"]);
}

#[tokio::test(start_paused = true)]
async fn compaction_forgets_in_the_cache_what_it_forgets_in_the_store() {
    let (world, states) = seeded().await;
    let newest = Revision(*states.keys().last().unwrap());
    world.names(ListQuery::default()).await;
    world.cached.compact(newest).await.unwrap();
    let again = world.cached.compact(newest).await;
    assert!(matches!(again, Err(Error::Compacted { oldest }) if oldest == newest));
    let ahead = world.cached.compact(newest.next()).await;
    assert!(matches!(ahead, Err(Error::FutureRevision { .. })));
    let at = At::Exact(newest);
    assert_eq!(world.names(ListQuery { at, ..ListQuery::default() }).await.len(), 6);
    // The state before is gone; what happened to it at the revision itself is not.
    let created = world.create(pod("third", "new")).await;
    world.cached.compact(created).await.unwrap();
    let query = ListQuery { at: At::Exact(newest), ..ListQuery::default() };
    assert!(matches!(world.cached.list(&world.row, &query).await, Err(Error::Compacted { .. })));
    let mut watch = world.watch(WatchQuery { from: Some(newest), ..WatchQuery::default() }).await;
    assert_eq!(next(&mut watch).await, format!("A third/new@{created}"));
}

#[tokio::test(start_paused = true)]
async fn a_get_sees_every_commit_before_it() {
    let world = world();
    let key = ObjectKey::new("a", "x");
    assert!(world.cached.get(&world.row, &key).await.unwrap().is_none());
    world.names(ListQuery::default()).await;
    let created = world.create(pod("a", "x")).await;
    assert_eq!(world.cached.get(&world.row, &key).await.unwrap().unwrap().revision(), created);
    let updated = world.update(pod("a", "x").on("n1")).await;
    let got = world.cached.get(&world.row, &key).await.unwrap().unwrap();
    assert_eq!((got.revision(), got.field("spec.nodeName")), (updated, Some("n1")));
    world.delete("a", "x").await;
    assert!(world.cached.get(&world.row, &key).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_write_happens_only_on_the_state_that_it_names() {
    let world = world();
    let object = |node: &str| pod("a", "x").on(node).object(&world.row);
    let create = || Change::Create(object(""));
    let update = |from| Change::Update { object: object("n2"), from };
    let delete = |from| Change::Delete { object: object(""), from };
    let commit = async |change| world.cached.commit(vec![change]).await.unwrap();
    // Of an absent object there is no state to name, whatever the cache's own.
    for change in [update(Revision(1)), delete(Revision(1))] {
        assert_eq!(commit(change).await, Outcome::Conflict { index: 0, current: None });
    }
    let Outcome::Committed(first) = commit(create()).await else { panic!("refused") };
    let Outcome::Committed(second) = commit(update(first)).await else { panic!("refused") };
    for change in [create(), update(first), delete(first), delete(Revision(99))] {
        let outcome = commit(change).await;
        let Outcome::Conflict { index: 0, current: Some(current) } = outcome else { panic!("{outcome:?}") };
        assert_eq!((current.revision(), current.field("spec.nodeName")), (second, Some("n2")));
    }
    let Outcome::Committed(deleted) = commit(delete(second)).await else { panic!("refused") };
    assert!(deleted > second);
    for change in [update(second), delete(second)] {
        assert_eq!(commit(change).await, Outcome::Conflict { index: 0, current: None });
    }
    assert!(matches!(commit(create()).await, Outcome::Committed(_)), "it may come again");
    assert_eq!(world.store.revision().await.unwrap().0, deleted.0 + 1, "what was refused made no revision");
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_compared_and_not_what_is_cached() {
    let world = world();
    let created = world.create(pod("a", "x")).await;
    world.names(ListQuery::default()).await;
    // Somebody else writes the same value, and the cache has not heard of it.
    let body = pod("a", "x").object(&world.row).body().clone();
    let rewritten = world.store.put("/registry/pods/a/x", body).await.unwrap();
    let change = |from| Change::Update { object: pod("a", "x").on("n1").object(&world.row), from };
    let outcome = world.cached.commit(vec![change(created)]).await.unwrap();
    assert!(
        matches!(outcome, Outcome::Conflict { current: Some(current), .. } if current.revision() == rewritten)
    );
    assert!(matches!(world.cached.commit(vec![change(rewritten)]).await.unwrap(), Outcome::Committed(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_otherwise_than_it_would_be_is_stale() {
    let world = world();
    let key = ObjectKey::new("a", "x");
    let get = async || world.cached.get(&world.row, &key).await.unwrap().unwrap();
    let is_stale = async |object: &Object| world.cached.is_stale(object).await.unwrap();
    world.create(pod("a", "x")).await;
    let first = get().await;
    assert!(!is_stale(&first).await);
    // The same object with a space before it.
    let oddly = [b" ", &first.body()[..]].concat();
    world.store.put("/registry/pods/a/x", oddly).await.unwrap();
    assert!(!is_stale(&first).await, "it has been written anew, whatever it is now");
    let odd = get().await;
    assert_eq!(odd.field("spec.nodeName"), first.field("spec.nodeName"));
    assert!(is_stale(&odd).await);
    world.commit(Change::Update { object: odd.clone(), from: odd.revision() }).await;
    assert!(!is_stale(&get().await).await);
    world.delete("a", "x").await;
    assert!(!is_stale(&odd).await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_an_object_came_to_be_for_it() {
    let base = || pod("test", "foo");
    let selected = |pod: Pod| pod.label("select", "true");
    let everything = WatchQuery::default;
    /// What happens to the object, and what the watch tells of it.
    type Steps = Vec<(Option<Pod>, &'static str)>;
    let cases: Vec<(&str, WatchQuery, Steps)> = vec![
        ("create a key", everything(), vec![(Some(base()), "A")]),
        (
            "key updated to match",
            WatchQuery { fields: on("bar"), ..everything() },
            vec![(Some(base()), ""), (Some(base().on("bar")), "A")],
        ),
        ("update", everything(), vec![(Some(base()), "A"), (Some(base().on("bar")), "M")]),
        (
            "deleted because it is filtered",
            WatchQuery { fields: not("spec.nodeName", "bar"), ..everything() },
            vec![(Some(base()), "A"), (Some(base().on("bar")), "D")],
        ),
        (
            "filtering",
            WatchQuery { labels: labelled("select", "true"), ..everything() },
            vec![
                (Some(selected(base())), "A"),
                (Some(base()), "D"),
                (Some(selected(base())), "A"),
                (Some(selected(base()).on("bar")), "M"),
                (None, "D"),
            ],
        ),
    ];
    for (story, query, steps) in cases {
        for name in [None, Some("foo")] {
            let world = world();
            let from = world.cached.list(&world.row, &ListQuery::default()).await.unwrap().revision;
            let mut query = WatchQuery { namespace: Some("test".into()), from: Some(from), ..query.clone() };
            if let Some(name) = name {
                query.fields.terms.extend(field("metadata.name", name).terms);
            }
            let mut watch = world.watch(query).await;
            world.create(pod("test-bad", "foo")).await;
            let mut last = None;
            for (object, expected) in &steps {
                let revision = match (object.clone(), &last) {
                    (Some(object), None) => world.create(object).await,
                    (Some(object), Some(_)) => world.update(object).await,
                    (None, _) => world.delete("test", "foo").await,
                };
                world.cached.wait(&world.row, revision).await.unwrap();
                match watch.next().now_or_never() {
                    None => assert_eq!(*expected, "", "{story}"),
                    Some(Some(Ok(event))) => {
                        assert_eq!(
                            super::tests::tell(&event),
                            format!("{expected} test/foo@{revision}"),
                            "{story}"
                        );
                        // What is gone is shown as it was last, at the revision at which it went.
                        let shown = event.object().unwrap().clone();
                        let state = if *expected == "D" { &last } else { object };
                        assert_eq!(
                            *shown.body(),
                            state.clone().unwrap().object(&world.row).body(),
                            "{story}"
                        );
                    }
                    other => panic!("{story}: {other:?}"),
                }
                last = object.clone();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_as_it_is_asked_to() {
    for bookmarks in [false, true] {
        for initial in [false, true] {
            for from in [None, Some(Revision(1)), Some(Revision(2))] {
                let world = world();
                world.names(ListQuery::default()).await;
                for name in ["1", "2", "3"] {
                    world.create(pod("ns", name)).await;
                }
                let other = world.create(pod("other", "1")).await;
                let namespace = Some("ns".to_owned());
                let query = WatchQuery { namespace, initial, bookmarks, from, ..WatchQuery::default() };
                let mut watch = world.watch(query.clone()).await;
                let first = match (initial, from) {
                    (true, Some(Revision(1..))) => {
                        world.cached.list(&world.row, &ListQuery::default()).await.unwrap().revision
                    }
                    _ => other,
                };
                let mut told = Vec::new();
                let after = world.create(pod("ns", "4")).await;
                world.cached.wait(&world.row, after).await.unwrap();
                while let Some(Some(event)) = watch.next().now_or_never() {
                    told.push(super::tests::tell(&event.unwrap()));
                }
                let state = ["A ns/1@2", "A ns/2@3", "A ns/3@4"].map(str::to_owned).to_vec();
                let fourth = format!("A ns/4@{after}");
                let story = format!("{query:?}: {told:?}");
                if initial {
                    // A state not older than was asked for, its end, and what came behind it.
                    let end = told.iter().position(|told| told.starts_with("end @")).expect(&story);
                    let at: u64 = told[end]["end @".len()..].parse().unwrap();
                    assert!(at >= from.unwrap_or(first).0, "{story}");
                    let mut all = told.clone();
                    all.remove(end);
                    assert_eq!(all, [state, vec![fourth]].concat(), "{story}");
                } else {
                    let missed = match from {
                        None => Vec::new(),
                        Some(from) => state.into_iter().skip(from.0.saturating_sub(1) as usize).collect(),
                    };
                    assert_eq!(told, [missed, vec![fourth]].concat(), "{story}");
                }
            }
        }
    }
    let world = world();
    for name in ["1", "2", "3"] {
        world.create(pod("ns", name)).await;
    }
    let single = WatchQuery { fields: field("metadata.name", "1"), initial: true, ..WatchQuery::default() };
    let mut watch = world.watch(single).await;
    assert_eq!((next(&mut watch).await, next(&mut watch).await), ("A ns/1@2".into(), "end @4".into()));
    assert!(watch.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_reads_misses_nothing() {
    let world = world();
    let mut watch = world.watch(WatchQuery::default()).await;
    let mut expected = Vec::new();
    for number in 0..1_000 {
        let name = format!("{number}");
        let created = world.create(pod("a", &name)).await;
        let deleted = world.delete("a", &name).await;
        expected.extend([format!("A a/{name}@{created}"), format!("D a/{name}@{deleted}")]);
    }
    for expected in expected {
        assert_eq!(next(&mut watch).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_dropped_leaves_nothing_behind() {
    let world = world();
    let mut watches = Vec::new();
    for number in 0..50 {
        for bookmarks in [false, true] {
            let query = WatchQuery { fields: on(&format!("n{number}")), bookmarks, ..WatchQuery::default() };
            let mut watch = world.watch(query).await;
            assert!(watch.next().now_or_never().is_none());
            watches.push(watch);
        }
    }
    let cache = world.cached.cache(&world.row);
    assert_eq!((cache.read().shelf.postings.lists(), cache.bookmarkers().len()), (50, 50));
    drop(watches);
    assert_eq!((cache.read().shelf.postings.lists(), cache.bookmarkers().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_to_those_who_want_them_and_never_run_ahead() {
    let world = world();
    let start = world.create(pod("a", "foo")).await;
    let query = |bookmarks| WatchQuery {
        fields: field("metadata.name", "foo"),
        namespace: Some("a".into()),
        from: Some(start),
        bookmarks,
        ..WatchQuery::default()
    };
    let (mut old, mut told) = (world.watch(query(false)).await, world.watch(query(true)).await);
    let other = world.create(pod("b", "foo")).await;
    assert_eq!(next(&mut told).await, format!("bookmark @{other}"));
    assert!(old.next().now_or_never().is_none(), "who did not ask for bookmarks gets none");

    // Between events they never run ahead of what is still to be delivered, nor back.
    let world = world_with(CachedOptions::default().bookmark_interval(Duration::from_millis(30)));
    let mut watch = world.watch(WatchQuery { bookmarks: true, ..WatchQuery::default() }).await;
    let clock = Env::simulated(1).clock;
    let write = async {
        for number in 0..100 {
            world.create(pod("a", &format!("{number}"))).await;
            world.store.put("/registry/nodes/n", "{}").await.unwrap();
            clock.sleep(Duration::from_millis(10)).await;
        }
    };
    let read = async {
        let (mut last, mut events, mut bookmarks) = (Revision::NONE, 0, 0);
        while events < 100 {
            let event = watch.next().await.unwrap().unwrap();
            if event.object().is_some() {
                assert!(event.revision() > last, "it was bookmarked already");
                events += 1;
            } else {
                assert!(event.revision() >= last);
                bookmarks += 1;
            }
            last = event.revision();
        }
        bookmarks
    };
    let ((), bookmarks) = tokio::join!(write, read);
    assert!(bookmarks > 10, "{bookmarks}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_its_scope_and_nothing_else() {
    // Cluster scope: by name, by field, by both, by neither.
    let mut row = Resource::new("", "v1", "Node", "nodes", Scope::Cluster);
    row.selectable = vec![SelectableField::new("spec.nodeName").indexed()];
    let cluster = World { row: Arc::new(row), ..world() };
    let one = || pod("", "t1-foo1");
    let selectors = [
        (FieldSelector::default(), [true, true, true, true]),
        (field("metadata.name", "t1-foo1"), [true, false, true, false]),
        (on("bar"), [false, true, true, true]),
        (on("bar").and("metadata.name", "t1-foo1"), [false, false, true, false]),
    ];
    let mut watches = Vec::new();
    for (fields, seen) in selectors {
        watches.push((cluster.watch(WatchQuery { fields, ..WatchQuery::default() }).await, seen));
    }
    cluster.create(one()).await;
    cluster.create(pod("", "t1-foo2").on("bar")).await;
    cluster.update(one().on("bar")).await;
    let last = cluster.delete("", "t1-foo2").await;
    cluster.cached.wait(&cluster.row, last).await.unwrap();
    let names = ["t1-foo1@2", "t1-foo2@3", "t1-foo1@4", "t1-foo2@5"];
    for (watch, seen) in &mut watches {
        for (name, _) in names.iter().zip(seen).filter(|(_, seen)| **seen) {
            assert!(next(watch).await.ends_with(name));
        }
        assert!(watch.next().now_or_never().is_none());
    }

    // Namespaces, where one name begins another.
    let world = world();
    let everywhere = ["t1", "t1-t", "t"];
    let mut watches = Vec::new();
    for namespace in everywhere {
        let name = || field("metadata.name", "foo");
        for (fields, node) in [(FieldSelector::default(), false), (name(), false), (on("bar"), true)] {
            let query = WatchQuery { namespace: Some(namespace.into()), fields, ..WatchQuery::default() };
            watches.push((world.watch(query).await, namespace, node));
        }
        let by_selector = || field("metadata.namespace", namespace);
        for (fields, node) in [
            (by_selector(), false),
            (by_selector().and("metadata.name", "foo"), false),
            (by_selector().and("spec.nodeName", "bar"), true),
        ] {
            let query = WatchQuery { fields, ..WatchQuery::default() };
            watches.push((world.watch(query).await, namespace, node));
        }
    }
    let mut happened = Vec::new();
    for namespace in everywhere {
        let added = world.create(pod(namespace, "foo").on("bar")).await;
        let moved = world.update(pod(namespace, "foo").on("baz")).await;
        let deleted = world.delete(namespace, "foo").await;
        world.cached.wait(&world.row, deleted).await.unwrap();
        happened.push((namespace, added, moved, deleted));
    }
    for (watch, namespace, node) in &mut watches {
        let (_, added, moved, deleted) = happened.iter().find(|(of, ..)| of == namespace).unwrap();
        let kinds = if *node {
            vec![("A", added), ("D", moved)]
        } else {
            vec![("A", added), ("M", moved), ("D", deleted)]
        };
        for (kind, revision) in kinds {
            assert_eq!(next(watch).await, format!("{kind} {namespace}/foo@{revision}"));
        }
        assert!(watch.next().now_or_never().is_none());
    }
}
