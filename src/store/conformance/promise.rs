//! What watches promise, besides what is in `watch`.

use super::{Store, at, commit, delete, ending, held, item, list, newest, next, put, told, watch};
use crate::store::{
    Compare, Error, EventKind, KeyRange, ListOptions, Op, Revision, Txn, WatchBatch, WatchOptions,
};

pub(super) async fn a_creation_says_so(store: Store) {
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::default()).await;
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    delete(&store, "/a").await;
    put(&store, "/a", "3").await;
    let mut created = Vec::new();
    for _ in 0..4 {
        let event = next(&mut seen).await.events[0].clone();
        let is_create = event.kind == EventKind::Put && event.kv.create_revision == event.kv.mod_revision;
        assert_eq!(is_create, event.kv.version == 1);
        created.push(is_create);
    }
    assert_eq!(created, [true, false, false, true]);
}

/// The batch without what comes unasked.
fn bare(batch: &WatchBatch) -> Vec<(EventKind, crate::store::KeyValue)> {
    batch.events.iter().map(|event| (event.kind, event.kv.clone())).collect()
}

pub(super) async fn watches_of_one_range_agree(store: Store) {
    let start = newest(&store).await.next();
    let range = KeyRange::prefix("/a/");
    let from_start = || WatchOptions::from(start);
    let mut watches = vec![
        watch(&store, range.clone(), WatchOptions::default()).await,
        watch(&store, range.clone(), from_start()).await,
        watch(&store, range.clone(), from_start().with_previous()).await,
    ];
    let mut revisions = Vec::new();
    for number in 0..30 {
        let txn = Txn::new()
            .then(Op::put(format!("/a/{}", number % 3), number.to_string()))
            .then(Op::put("/b", number.to_string()))
            .then(Op::delete(KeyRange::single(format!("/a/{}", (number + 1) % 3))));
        revisions.push(commit(&store, txn).await.revision);
        if number == 15 {
            watches.push(watch(&store, range.clone(), from_start()).await);
            watches.push(watch(&store, range.clone(), from_start().with_previous()).await);
        }
    }
    watches.push(watch(&store, range, from_start()).await);
    for revision in revisions {
        let mut first = None;
        for seen in &mut watches {
            let batch = next(seen).await;
            assert_eq!(batch.revision, revision);
            assert_eq!(*first.get_or_insert_with(|| bare(&batch)), bare(&batch));
        }
    }
}

pub(super) async fn a_watch_without_revision_begins_now(store: Store) {
    put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(Revision::NONE)).await;
    let written = put(&store, "/a", "2").await;
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, told(&batch)), (written, vec!["/a=2".to_owned()]));
}

pub(super) async fn many_keys_of_one_revision_come_together(store: Store) {
    let mut whole = watch(&store, KeyRange::all(), WatchOptions::default()).await;
    let mut even = watch(&store, KeyRange::prefix("/0/"), WatchOptions::default()).await;
    let mut one = watch(&store, KeyRange::single("/1/07"), WatchOptions::default()).await;
    let put = |txn: Txn, number| txn.then(Op::put(format!("/{}/{number:02}", number % 2), "x"));
    for _ in 0..3 {
        let revision = commit(&store, (0..100).fold(Txn::new(), put)).await.revision;
        for (seen, count) in [(&mut whole, 100), (&mut even, 50), (&mut one, 1)] {
            let batch = next(seen).await;
            assert_eq!((batch.revision, batch.events.len()), (revision, count));
            assert!(batch.events.iter().all(|event| event.kv.mod_revision == revision));
        }
    }
}

pub(super) async fn nothing_is_told_of_what_did_not_happen(store: Store) {
    put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::default()).await;
    let nothing = [
        Txn::new().then(Op::get("/a")),
        Txn::new().then(Op::delete(KeyRange::single("/absent"))),
        Txn::new().when(Compare::missing("/a")).then(Op::put("/a", "2")),
        Txn::new().then(Op::put("/b", "1")).then(Op::put("/b", "2")),
        Txn::new().then(Op::put("/b", "1")).then(Op::put_leased("/c", "1", 4711)),
    ];
    for txn in nothing {
        drop(store.commit(txn).await);
    }
    let written = put(&store, "/a", "3").await;
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, told(&batch)), (written, vec!["/a=3".to_owned()]));
}

pub(super) async fn a_write_of_the_same_value_is_told(store: Store) {
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::default()).await;
    for version in 1..4 {
        let revision = put(&store, "/a", "same").await;
        let batch = next(&mut seen).await;
        assert_eq!((batch.revision, batch.events[0].kv.version), (revision, version));
    }
}

pub(super) async fn previous_values_are_whole(store: Store) {
    let start = newest(&store).await.next();
    for value in ["1", "2", "3"] {
        put(&store, "/a", value).await;
    }
    delete(&store, "/a").await;
    put(&store, "/a", "4").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(start).with_previous()).await;
    for _ in 0..5 {
        let batch = next(&mut seen).await;
        let before = list(&store, KeyRange::single("/a"), at(Revision(batch.revision.0 - 1))).await;
        assert_eq!(batch.events[0].previous, before.items.first().cloned());
    }
}

pub(super) async fn progress_is_a_bookmark(store: Store) {
    let range = KeyRange::prefix("/a/");
    let mut seen = watch(&store, range.clone(), WatchOptions::default()).await;
    for number in 0..20 {
        let written = put(&store, if number % 4 == 0 { "/a/x" } else { "/b" }, &number.to_string()).await;
        store.request_progress(range.clone()).await.unwrap();
        let mut reached = Revision::NONE;
        while reached < written {
            reached = item(&mut seen).await.unwrap().revision;
        }
        let mut resumed = watch(&store, range.clone(), WatchOptions::from(reached.next())).await;
        let again = put(&store, "/a/y", &number.to_string()).await;
        let batch = next(&mut resumed).await;
        assert_eq!((batch.revision, told(&batch)), (again, vec![format!("/a/y={number}")]));
        while next(&mut seen).await.revision < again {}
    }
}

pub(super) async fn progress_waits_for_what_is_behind(store: Store) {
    let range = KeyRange::prefix("/a/");
    let mut expected = newest(&store).await.next();
    for number in 0..50 {
        put(&store, "/a/x", &number.to_string()).await;
    }
    let newest = newest(&store).await;
    let mut seen = watch(&store, range.clone(), WatchOptions::from(expected)).await;
    store.request_progress(range).await.unwrap();
    while expected <= newest {
        let batch = item(&mut seen).await.unwrap();
        if batch.events.is_empty() {
            assert!(batch.revision < expected, "{batch:?} overtakes {expected}");
        } else {
            assert_eq!(batch.revision, expected);
            expected = expected.next();
        }
    }
}

pub(super) async fn progress_of_others_is_not_asked_for(store: Store) {
    store.request_progress(KeyRange::prefix("/nobody/")).await.unwrap();
    let gone = watch(&store, KeyRange::prefix("/gone/"), WatchOptions::default()).await;
    drop(gone);
    store.request_progress(KeyRange::prefix("/gone/")).await.unwrap();
    put(&store, "/gone/a", "1").await;
}

pub(super) async fn a_watch_that_is_compacted_says_where_it_can_go_on(store: Store) {
    let start = newest(&store).await.next();
    for number in 0..20 {
        put(&store, "/a", &number.to_string()).await;
    }
    let floor = Revision(start.0 + 10);
    store.compact(floor).await.unwrap();
    let error = ending(store.watch(KeyRange::all(), WatchOptions::from(start)).await).await;
    let Error::Compacted { oldest } = error else { panic!("{error}") };
    assert_eq!(oldest, floor);
    let page = list(&store, KeyRange::all(), at(oldest)).await;
    assert_eq!(page.items[0].value, "10");
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(oldest)).await;
    for number in 10..20 {
        assert_eq!(told(&next(&mut seen).await), [format!("/a={number}")]);
    }
}

pub(super) async fn a_list_and_a_watch_fit_together(store: Store) {
    let writer = async {
        for number in 0..100 {
            put(&store, &format!("/a/{}", number % 7), &number.to_string()).await;
            tokio::task::yield_now().await;
        }
        put(&store, "/a/end", "").await
    };
    let reader = async || {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let page = list(&store, KeyRange::prefix("/a/"), ListOptions::default()).await;
        let mut held: std::collections::BTreeMap<_, _> =
            page.items.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        let mut seen = watch(&store, KeyRange::prefix("/a/"), WatchOptions::from(page.revision.next())).await;
        while !held.contains_key(&b"/a/end"[..]) {
            for event in next(&mut seen).await.events.iter() {
                let before = held.insert(event.kv.key.clone(), event.kv.clone());
                assert_eq!(event.kv.version, before.map_or(1, |kv| kv.version + 1), "missed or told twice");
            }
        }
        held
    };
    let (last, copies) =
        futures_util::future::join(writer, futures_util::future::join_all((0..5).map(|_| reader()))).await;
    let page = list(&store, KeyRange::prefix("/a/"), at(last)).await;
    for copy in copies {
        assert_eq!(copy.into_values().collect::<Vec<_>>(), page.items);
    }
}

pub(super) async fn an_answered_write_reaches_every_watch(store: Store) {
    let mut watches = Vec::new();
    for _ in 0..50 {
        watches.push(watch(&store, KeyRange::prefix("/a/"), WatchOptions::default()).await);
        watches.push(watch(&store, KeyRange::single("/a/1"), WatchOptions::default()).await);
    }
    for number in 0..5 {
        let written = put(&store, "/a/1", &number.to_string()).await;
        for seen in &mut watches {
            assert_eq!(next(seen).await.revision, written);
        }
    }
}

pub(super) async fn a_watch_below_an_absent_floor_waits_for_nothing(store: Store) {
    let first = put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(Revision(1))).await;
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, &batch.events[0].kv), (first, &held(&store, "/a").await));
}
