//! How a watch begins, what it tells from then on, and when it is refused.
//!
//! The cases are those of the runners of `k8s.io/apiserver/pkg/storage/testing/watcher_tests.go` (1.36).

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use windlass::api::{Object, Revision};
use windlass::client::{ClientExt as _, Error, Identity, ResourceVersionMatch, WatchEvent, WatchOptions};

use super::server_kit::*;

const MAPS: &str = "configmaps";

/// Events as texts: `A name@7`, `end @7`, `bookmark @7`, or what an error says.
fn texts(events: &[Result<WatchEvent, Error>]) -> Vec<String> {
    let shown = |kind: &str, object: &Object| format!("{kind} {}@{}", object.name(), object.revision());
    let text = |event: &Result<WatchEvent, Error>| match event {
        Ok(WatchEvent::Added(object)) => shown("A", object),
        Ok(WatchEvent::Modified(object)) => shown("M", object),
        Ok(WatchEvent::Deleted(object)) => shown("D", object),
        Ok(WatchEvent::Bookmark { revision, initial_events_end: true }) => format!("end @{revision}"),
        Ok(WatchEvent::Bookmark { revision, .. }) => format!("bookmark @{revision}"),
        Ok(other) => panic!("{other:?}"),
        Err(error) => format!("{:?}", said(error)),
    };
    events.iter().map(text).collect()
}

/// Three config maps, which a cache has seen come: the revision before them, and theirs.
async fn three() -> (Kit, Revision, Vec<Revision>) {
    let kit = kit().await;
    kit.names("", MAPS).await;
    let before = kit.revision().await;
    let mut made = Vec::new();
    for name in ["1", "2", "3"] {
        made.push(kit.config_map(name).await);
    }
    kit.names("", MAPS).await;
    (kit, before, made)
}

fn initial(change: impl FnOnce(&mut WatchOptions)) -> WatchOptions {
    watch_options(|options| {
        options.send_initial_events = Some(true);
        options.resource_version_match = Some(ResourceVersionMatch::NotOlderThan);
        options.bookmarks = true;
        change(options);
    })
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_as_its_options_say() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum From {
        Unset,
        Zero,
        Before,
        Current,
    }
    let mut rows = 0;
    for from in [From::Unset, From::Zero, From::Before, From::Current] {
        for send in [None, Some(false), Some(true)] {
            for bookmarks in [false, true] {
                let story = format!("RV={from:?}, sendInitialEvents={send:?}, bookmarks={bookmarks}");
                let (kit, before, made) = three().await;
                let options = watch_options(|options| {
                    options.bookmarks = bookmarks;
                    options.send_initial_events = send;
                    options.resource_version_match = send.map(|_| ResourceVersionMatch::NotOlderThan);
                    options.resource_version = match from {
                        From::Unset => None,
                        From::Zero => Some(Revision::NONE),
                        From::Before => Some(before),
                        From::Current => Some(made[2]),
                    };
                });
                let mut watch = kit.watch("default", MAPS, options).await.unwrap();
                // Of old, a watch from nothing in particular begins with the state. Since 1.34 that is
                // taken for a wish of initial events, and they end with a bookmark for who wants those.
                let state = send.unwrap_or(matches!(from, From::Unset | From::Zero));
                let missed = send != Some(true) && from == From::Before;
                let mut expected = Vec::new();
                if state || missed {
                    expected.extend((1..4).zip(&made).map(|(name, at)| format!("A {name}@{at}")));
                }
                if state && bookmarks {
                    expected.push(format!("end @{}", made[2]));
                }
                assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), expected, "{story}");
                let later = [kit.config_map("4").await, kit.config_map("5").await];
                let expected = [format!("A 4@{}", later[0]), format!("A 5@{}", later[1])];
                assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), expected, "{story}");
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 24, "Kubernetes' 18, and more without sendInitialEvents");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_state_is_at_the_revision_of_all_resources() {
    let (kit, _, made) = three().await;
    // What moves it: another namespace, another resource, an object that is not selected.
    kit.create("", "namespaces", json!({"metadata": {"name": "other"}})).await.unwrap();
    let other = kit.put("other", "configmaps/1", config_map("1")).await.revision();
    let mut watch = kit.watch("default", MAPS, initial(|_| {})).await.unwrap();
    let state = (1..4).zip(&made).map(|(name, at)| format!("A {name}@{at}"));
    let expected: Vec<_> = state.chain([format!("end @{other}")]).collect();
    assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), expected);

    let newest = kit.config_map("4").await;
    let single = || initial(|options| options.fields = "metadata.name=3".parse().unwrap());
    for namespace in ["", "default"] {
        let mut watch = kit.watch(namespace, MAPS, single()).await.unwrap();
        let expected = [format!("A 3@{}", made[2]), format!("end @{newest}")];
        assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), expected, "one name in {namespace:?}");
    }
    let nodes = kit.watch("", "nodes", initial(|_| {})).await.unwrap().next().await;
    assert_eq!(texts(&[nodes.unwrap()]), [format!("end @{newest}")], "a resource without objects");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_or_has_not_happened_is_told_by_an_event() {
    let (kit, before, made) = three().await;
    let from = |revision: u64| watch_options(|options| options.resource_version = Some(Revision(revision)));
    let mut gone = kit.watch("default", MAPS, from(0)).await.unwrap();
    let updated = kit.merge("default", "configmaps/1", json!({"data": {"k": "w"}})).await.unwrap();
    let newest: u64 = updated["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert_eq!(told(&kit, MAPS, &mut gone).await.len(), 4);
    kit.server.compact(Revision(newest)).await.unwrap();

    // What is kept is no older than the newest event that compaction left.
    let floor = newest - 1;
    let state = vec![format!("A 1@{newest}"), format!("A 2@{}", made[1]), format!("A 3@{}", made[2])];
    let too_old = |revision: u64| {
        format!("{:?}", (410, "Expired", format!("too old resource version: {revision} ({floor})")))
    };
    let rows = [
        ("from 0 there is always a state", from(0), state.clone()),
        ("from what is kept", from(floor), vec![format!("M 1@{newest}")]),
        ("from what is newest", from(newest), vec![]),
        ("from what was compacted", from(made[2].0 - 1), vec![too_old(made[2].0 - 1)]),
        ("from long ago", from(before.0), vec![too_old(before.0)]),
        (
            "a state not older than what was compacted",
            initial(|options| options.resource_version = Some(before)),
            state.into_iter().chain([format!("end @{newest}")]).collect(),
        ),
        (
            "a state that is to come",
            initial(|options| options.resource_version = Some(Revision(newest + 9))),
            vec![format!(
                "{:?}",
                (
                    504,
                    "Timeout",
                    format!("Timeout: Too large resource version: {}, current: {newest}", newest + 9)
                )
            )],
        ),
    ];
    for (story, options, expected) in rows {
        let mut watch = kit.watch("default", MAPS, options).await.unwrap();
        let events = told(&kit, MAPS, &mut watch).await;
        assert_eq!(texts(&events), expected, "{story}");
        if let Some(Err(error)) = events.last() {
            assert!(watch.next().await.is_none(), "{story}: an error ends it");
            let causes = error.status().unwrap().details.clone().map(|details| details.causes);
            let too_large =
                causes.into_iter().flatten().any(|cause| cause.reason == "ResourceVersionTooLarge");
            assert_eq!(too_large, matches!(said(error), (504, ..)), "{story}");
        }
    }

    // Without a state, a watch may begin at what has not happened, and tells what happens behind it.
    let mut ahead = kit.watch("default", MAPS, from(newest + 1)).await.unwrap();
    kit.config_map("4").await;
    let fifth = kit.config_map("5").await;
    assert_eq!(texts(&told(&kit, MAPS, &mut ahead).await), [format!("A 5@{fifth}")]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_holds_up_nobody() {
    let (kit, before, made) = three().await;
    let options = || watch_options(|options| options.resource_version = Some(before));
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(kit.watch("default", MAPS, options()).await.unwrap());
    }
    let mut watch = kit.watch("default", MAPS, options()).await.unwrap();
    let mut all: Vec<_> = (1..4).zip(made).map(|(name, at)| format!("A {name}@{at}")).collect();
    assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), all);
    for number in 0..100 {
        let name = format!("foo-{number}");
        let added = format!("A {name}@{}", kit.config_map(&name).await);
        all.push(added);
        assert_eq!(texts(&told(&kit, MAPS, &mut watch).await), all[all.len() - 1..]);
    }
    for watch in &mut idle {
        assert_eq!(texts(&told(&kit, MAPS, watch).await), all, "and misses nothing itself");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_shown_as_it_was_at_the_revision_at_which_it_went() {
    let kit = placed_kit(&[]).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    let rows =
        [("configmaps", config_map("a")), ("pods", pod("a")), ("slots", placed("a", "n")), ("slots", held)];
    for (plural, tree) in rows {
        let path = format!("{plural}/{}", tree["metadata"]["name"].as_str().unwrap());
        let mut before = kit.put("default", &path, tree).await;
        let from = watch_options(|options| options.resource_version = Some(before.revision()));
        let mut watch = kit.watch("default", plural, from).await.unwrap();
        let mut answer = kit.client.delete(kit.at("default", &path), delete_options(|_| {})).await.unwrap();
        if path == "slots/held" {
            // It waits, and each write on its way is one more revision.
            assert!(answer.unwrap().revision() > before.revision());
            let [Ok(WatchEvent::Modified(marked))] = &told(&kit, plural, &mut watch).await[..] else {
                panic!("{path}: it is marked")
            };
            before = marked.clone();
            kit.merge("default", &path, json!({"metadata": {"finalizers": null}})).await.unwrap();
            answer = None;
        }
        let gone = kit.revision().await;
        assert!(gone > before.revision(), "{path}");
        if let Some(answer) = answer {
            assert_eq!(answer, before.at(gone), "{path}: the answer");
        }
        let events = told(&kit, plural, &mut watch).await;
        let [Ok(WatchEvent::Deleted(last))] = &events[..] else { panic!("{path}: {events:?}") };
        assert_eq!((last.revision(), last.uid()), (gone, before.uid()), "{path}");
        if path != "slots/held" {
            assert_eq!(*last, before.at(gone), "{path}");
        }
    }
}

/// The lines of a watch over HTTP that are there by now.
async fn lines(kit: &Kit, query: &str) -> Vec<Value> {
    let request = http::Request::get(format!("/api/v1/namespaces/default/configmaps?watch=1&{query}"));
    let request = request.body(http_body_util::Full::new(bytes::Bytes::new())).unwrap();
    let response =
        tower_service::Service::call(&mut kit.server.service(Identity::admin()), request).await.unwrap();
    assert_eq!(response.status(), 200, "{query}");
    let mut pieces = http_body_util::BodyStream::new(response.into_body());
    kit.names("default", MAPS).await;
    let mut lines = Vec::new();
    while let Some(Some(piece)) = pieces.next().now_or_never() {
        lines.push(serde_json::from_slice(&piece.unwrap().into_data().unwrap()).unwrap());
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn over_http_bookmarks_and_errors_are_lines() {
    let (kit, _, made) = three().await;
    let newest = made[2].0;
    let all = "allowWatchBookmarks=true&labelSelector=none";
    let bookmark = |end: bool| {
        let mut metadata = json!({"resourceVersion": newest.to_string()});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        json!({"type": "BOOKMARK", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}})
    };
    let with = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    assert_eq!(lines(&kit, &format!("{all}&{with}")).await, [bookmark(true)]);
    assert_eq!(lines(&kit, &format!("{all}&resourceVersion=0")).await, [bookmark(true)]);
    assert_eq!(lines(&kit, &format!("{all}&resourceVersion={newest}")).await, [json!(null); 0]);
    kit.server.compact(Revision(newest)).await.unwrap();
    let error = lines(&kit, &format!("{all}&resourceVersion={}", newest - 2)).await;
    let message = format!("too old resource version: {} ({})", newest - 2, newest - 1);
    let [error] = &error[..] else { panic!("{error:?}") };
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(
        (&error["object"]["reason"], &error["object"]["message"]),
        (&json!("Expired"), &json!(message))
    );
}
