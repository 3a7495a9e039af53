//! Watches.

use super::{Store, at, bare, commit, delete, ending, item, list, next, put, told, watch};
use crate::store::{Error, EventKind, KeyRange, Op, Revision, Txn, WatchOptions};

fn from_now() -> WatchOptions {
    WatchOptions::default()
}

pub(super) async fn a_watch_sees_what_comes(store: Store) {
    put(&store, "/a", "before").await;
    let mut seen = watch(&store, KeyRange::all(), from_now()).await;
    let created = put(&store, "/a", "1").await;
    let deleted = delete(&store, "/a").await;
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, told(&batch)), (created, vec!["/a=1".to_owned()]));
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, told(&batch)), (deleted, vec!["-/a".to_owned()]));
}

pub(super) async fn a_watch_sees_only_its_range(store: Store) {
    let keys = ["/a", "/a/1", "/a/2", "/a0", "/b"];
    let ranges: [(KeyRange, &[&str]); 5] = [
        (KeyRange::single("/a"), &["/a"]),
        (KeyRange::prefix("/a/"), &["/a/1", "/a/2"]),
        (KeyRange::between("/a/2", "/b"), &["/a/2", "/a0"]),
        (KeyRange { start: "/a0".into(), end: None }, &["/a0", "/b"]),
        (KeyRange::all(), &keys),
    ];
    let start = store.revision().await.unwrap().next();
    let mut watches = Vec::new();
    for (range, expected) in &ranges {
        watches.push((watch(&store, range.clone(), from_now()).await, expected));
    }
    for key in keys {
        put(&store, key, "x").await;
    }
    for (range, expected) in &ranges {
        watches.push((watch(&store, range.clone(), WatchOptions::from(start)).await, expected));
    }
    for (seen, expected) in &mut watches {
        for key in **expected {
            assert_eq!(told(&next(seen).await), [format!("{key}=x")], "of {expected:?}");
        }
    }
}

pub(super) async fn a_watch_sees_what_was(store: Store) {
    let mut revisions = Vec::new();
    for number in 0..10 {
        revisions.push(put(&store, "/a", &number.to_string()).await);
    }
    for (start, from) in revisions.iter().enumerate() {
        let mut seen = watch(&store, KeyRange::single("/a"), WatchOptions::from(*from)).await;
        for (number, revision) in revisions.iter().enumerate().skip(start) {
            let batch = next(&mut seen).await;
            assert_eq!((batch.revision, told(&batch)), (*revision, vec![format!("/a={number}")]));
        }
    }
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(Revision(1))).await;
    assert_eq!(next(&mut seen).await.revision, revisions[0]);
}

pub(super) async fn a_revision_is_one_batch(store: Store) {
    put(&store, "/a/gone", "x").await;
    let mut live = watch(&store, KeyRange::prefix("/a/"), from_now()).await;
    let txn = Txn::new()
        .then(Op::put("/a/2", "x"))
        .then(Op::put("/b", "x"))
        .then(Op::put("/a/1", "x"))
        .then(Op::delete(KeyRange::single("/a/gone")));
    let revision = commit(&store, txn).await.revision;
    put(&store, "/a/after", "x").await;
    let mut late = watch(&store, KeyRange::prefix("/a/"), WatchOptions::from(revision)).await;
    for seen in [&mut live, &mut late] {
        let batch = next(seen).await;
        assert_eq!((batch.revision, told(&batch).join(" ")), (revision, "/a/2=x /a/1=x -/a/gone".to_owned()));
        assert_eq!(told(&next(seen).await), ["/a/after=x"]);
    }
}

pub(super) async fn a_deletion_names_its_key(store: Store) {
    put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), from_now()).await;
    let deleted = delete(&store, "/a").await;
    let event = next(&mut seen).await.events[0].clone();
    assert_eq!(
        (event.kind, &event.kv.key[..], event.kv.mod_revision),
        (EventKind::Delete, &b"/a"[..], deleted)
    );
    assert_eq!((event.kv.value.len(), event.kv.create_revision, event.kv.version), (0, Revision::NONE, 0));
}

pub(super) async fn events_are_what_was_stored(store: Store) {
    let mut seen = watch(&store, KeyRange::all(), from_now()).await;
    for (key, value) in [("/a", "1"), ("/b", "1"), ("/a", "2"), ("/a", "3")] {
        put(&store, key, value).await;
    }
    for _ in 0..4 {
        let batch = next(&mut seen).await;
        let kv = &batch.events[0].kv;
        let page = list(&store, KeyRange::single(kv.key.clone()), at(batch.revision)).await;
        assert_eq!(page.items.iter().collect::<Vec<_>>(), [kv]);
    }
}

pub(super) async fn previous_values_come_where_asked_for(store: Store) {
    put(&store, "/a", "1").await;
    let mut plain = watch(&store, KeyRange::all(), from_now()).await;
    let mut asked = watch(&store, KeyRange::all(), from_now().with_previous()).await;
    let start = put(&store, "/a", "2").await;
    delete(&store, "/a").await;
    put(&store, "/a", "3").await;
    let mut late = watch(&store, KeyRange::all(), WatchOptions::from(start).with_previous()).await;
    for expected in [Some("1"), Some("2"), None] {
        next(&mut plain).await;
        for seen in [&mut asked, &mut late] {
            let batch = next(seen).await;
            let previous = batch.events[0].previous.as_ref();
            assert_eq!(previous.map(|kv| &kv.value[..]), expected.map(str::as_bytes));
            assert!(previous.is_none_or(|kv| kv.mod_revision < batch.revision));
        }
    }
}

pub(super) async fn a_watch_goes_on_where_another_stopped(store: Store) {
    let start = store.revision().await.unwrap().next();
    for number in 0..30 {
        put(&store, if number % 3 == 0 { "/b" } else { "/a" }, &number.to_string()).await;
    }
    let range = KeyRange::single("/a");
    let mut whole = watch(&store, range.clone(), WatchOptions::from(start)).await;
    let mut from = start;
    for _ in 0..20 {
        let mut part = watch(&store, range.clone(), WatchOptions::from(from)).await;
        let batch = next(&mut part).await;
        assert_eq!(bare(&batch), bare(&next(&mut whole).await));
        from = batch.revision.next();
    }
    let last = put(&store, "/a", "last").await;
    assert_eq!(next(&mut whole).await.revision, last);
}

pub(super) async fn a_watch_below_the_floor_is_refused(store: Store) {
    let first = put(&store, "/a", "1").await;
    let second = put(&store, "/a", "2").await;
    let third = put(&store, "/a", "3").await;
    store.compact(second).await.unwrap();
    for from in [Revision(1), first] {
        let error = ending(store.watch(KeyRange::all(), WatchOptions::from(from)).await).await;
        assert!(matches!(error, Error::Compacted { oldest } if oldest == second), "{error}");
    }
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(second)).await;
    assert_eq!(next(&mut seen).await.revision, second);
    assert_eq!(next(&mut seen).await.revision, third);
}

pub(super) async fn a_watch_never_skips_what_is_compacted(store: Store) {
    let start = store.revision().await.unwrap().next();
    let mut slow = watch(&store, KeyRange::all(), WatchOptions::from(start)).await;
    for number in 0..1000 {
        put(&store, "/a", &number.to_string()).await;
    }
    let newest = store.revision().await.unwrap();
    store.compact(newest).await.unwrap();
    let mut expected = start;
    while expected <= newest {
        match item(&mut slow).await {
            Ok(batch) if batch.events.is_empty() => {}
            Ok(batch) => {
                assert_eq!(batch.revision, expected);
                expected = expected.next();
            }
            Err(Error::Compacted { oldest }) => {
                assert!(oldest > expected);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) async fn compaction_leaves_watches_alone_that_are_up_to_date(store: Store) {
    let mut busy = watch(&store, KeyRange::single("/busy"), from_now()).await;
    let mut quiet = watch(&store, KeyRange::single("/quiet"), from_now()).await;
    for number in 0..10 {
        put(&store, "/busy", &number.to_string()).await;
        next(&mut busy).await;
    }
    store.compact(store.revision().await.unwrap()).await.unwrap();
    let written = put(&store, "/busy", "x").await;
    assert_eq!(next(&mut busy).await.revision, written);
    store.compact(written).await.unwrap();
    let written = put(&store, "/quiet", "x").await;
    assert_eq!(next(&mut quiet).await.revision, written);
}

pub(super) async fn a_watch_from_the_future_waits(store: Store) {
    let newest = put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::from(Revision(newest.0 + 3))).await;
    for number in 2..6 {
        put(&store, "/a", &number.to_string()).await;
    }
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, told(&batch)), (Revision(newest.0 + 3), vec!["/a=4".to_owned()]));
}

pub(super) async fn a_watch_tells_its_progress(store: Store) {
    let range = KeyRange::prefix("/quiet/");
    let mut quiet = watch(&store, range.clone(), from_now()).await;
    for number in 0..3 {
        let newest = put(&store, "/busy", &number.to_string()).await;
        store.request_progress(range.clone()).await.unwrap();
        loop {
            let batch = item(&mut quiet).await.unwrap();
            assert!(batch.events.is_empty() && batch.revision <= newest, "{batch:?}");
            if batch.revision == newest {
                break;
            }
        }
    }
}

pub(super) async fn progress_never_overtakes_events(store: Store) {
    let range = KeyRange::prefix("/a/");
    let start = store.revision().await.unwrap().next();
    let mut seen = watch(&store, range.clone(), WatchOptions::from(start)).await;
    for number in 0..100 {
        put(&store, &format!("/a/{number}"), "x").await;
        store.request_progress(range.clone()).await.unwrap();
    }
    let newest = store.revision().await.unwrap();
    let (mut told_up_to, mut events) = (Revision(start.0 - 1), 0);
    while told_up_to < newest {
        let batch = item(&mut seen).await.unwrap();
        if !batch.events.is_empty() {
            assert!(batch.revision > told_up_to, "told twice or out of order: {batch:?}");
            events += 1;
        }
        assert!(batch.revision >= told_up_to);
        assert_eq!(batch.revision.0 - (start.0 - 1), events, "{batch:?} before what is older");
        told_up_to = batch.revision;
    }
}

pub(super) async fn a_slow_watch_hinders_nobody(store: Store) {
    let start = store.revision().await.unwrap().next();
    let mut slow = watch(&store, KeyRange::all(), WatchOptions::from(start)).await;
    let mut fast = watch(&store, KeyRange::all(), WatchOptions::from(start)).await;
    for number in 0..500 {
        let written = put(&store, "/a", &number.to_string()).await;
        assert_eq!(next(&mut fast).await.revision, written);
    }
    for number in 0..500 {
        assert_eq!(next(&mut slow).await.revision, Revision(start.0 + number));
    }
}

pub(super) async fn a_dropped_watch_is_gone(store: Store) {
    let mut stays = watch(&store, KeyRange::prefix("/a"), from_now()).await;
    for number in 0..100 {
        let goes = watch(&store, KeyRange::prefix("/a"), from_now()).await;
        let written = put(&store, "/a", &number.to_string()).await;
        drop(goes);
        assert_eq!(next(&mut stays).await.revision, written);
    }
    drop(stays);
    let newest = put(&store, "/a", "x").await;
    assert_eq!(store.revision().await.unwrap(), newest);
}

pub(super) async fn what_is_watched_sealed_opens(store: Store) {
    let start = put(&store, "/a", "1").await;
    let mut sealed = vec![watch(&store, KeyRange::all(), from_now().sealed()).await];
    let mut plain = watch(&store, KeyRange::all(), WatchOptions::from(start)).await;
    commit(&store, Txn::new().then(Op::put("/a", "2")).then(Op::put("/b", ""))).await;
    let last = delete(&store, "/b").await;
    let seen = WatchOptions::from(start).sealed();
    sealed.push(watch(&store, KeyRange::all(), seen).await);
    let mut expected = Vec::new();
    while expected.last().is_none_or(|(revision, _)| *revision < last) {
        expected.push(bare(&next(&mut plain).await));
    }
    for (watch, skipped) in sealed.iter_mut().zip([1, 0]) {
        for expected in &expected[skipped..] {
            let (revision, mut events) = bare(&next(watch).await);
            for (kind, kv) in &mut events {
                if *kind == EventKind::Put {
                    kv.value = store.open(&kv.key, &kv.value).expect("what was put opens");
                }
            }
            assert_eq!((revision, events), *expected);
        }
    }
}
