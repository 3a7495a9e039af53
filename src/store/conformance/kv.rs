//! Reads, single writes, and compaction.

use bytes::Bytes;

use super::{Store, at, commit, delete, held, is_there, list, newest, put, state, words};
use crate::store::{Compare, Error, KeyRange, ListOptions, Op, OpResult, Page, Revision, Txn};

pub(super) async fn an_empty_store_is_at_revision_one(store: Store) {
    assert_eq!(store.revision().await.unwrap(), Revision(1));
    let page = list(&store, KeyRange::all(), ListOptions::default()).await;
    assert_eq!((page.revision, page.items.len(), page.more, page.count), (Revision(1), 0, false, 0));
}

pub(super) async fn a_write_is_seen_by_every_later_read(store: Store) {
    for number in 0..20 {
        let revision = put(&store, "/a", &number.to_string()).await;
        assert_eq!(store.revision().await.unwrap(), revision);
        let page = list(&store, KeyRange::single("/a"), ListOptions::default()).await;
        assert_eq!((words(&page), page.revision), (vec![format!("/a={number}")], revision));
    }
}

pub(super) async fn versions_count_the_writes_of_a_key(store: Store) {
    let created = put(&store, "/a", "1").await;
    put(&store, "/b", "1").await;
    let changed = put(&store, "/a", "2").await;
    let page = list(&store, KeyRange::single("/a"), ListOptions::default()).await;
    let kv = &page.items[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (created, changed, 2, 0));
}

pub(super) async fn a_deleted_key_starts_anew(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    let deleted = delete(&store, "/a").await;
    assert_eq!(state(&store, at(deleted)).await, [""; 0]);
    let again = put(&store, "/a", "3").await;
    let page = list(&store, KeyRange::single("/a"), ListOptions::default()).await;
    let kv = &page.items[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (again, again, 1));
    assert_eq!(again, deleted.next());
}

pub(super) async fn keys_are_ordered_bytewise(store: Store) {
    let mut keys: Vec<Bytes> =
        [&b"\0"[..], b"\0\0", b"a", b"a\0", b"a/", b"a0", b"B", b"\x7f", b"\x80\xff", b"\xff", b"\xff\xff"]
            .into_iter()
            .map(Bytes::from_static)
            .collect();
    for key in keys.iter().rev() {
        commit(&store, Txn::new().then(Op::put(key.clone(), "x"))).await;
    }
    keys.sort();
    let page = list(&store, KeyRange::all(), ListOptions::default()).await;
    assert_eq!(page.items.into_iter().map(|kv| kv.key).collect::<Vec<_>>(), keys);
    for key in keys {
        let page = list(&store, KeyRange::single(key.clone()), ListOptions::default()).await;
        assert_eq!((page.items.len(), page.count, &page.items[0].key), (1, 1, &key));
    }
}

pub(super) async fn ranges_hold_what_is_between_their_ends(store: Store) {
    for key in ["/a", "/a/1", "/a/2", "/a0", "/b/1"] {
        put(&store, key, "x").await;
    }
    commit(&store, Txn::new().then(Op::put(vec![0xff, 1], "x"))).await;
    let cases: [(KeyRange, &[&str]); 9] = [
        (KeyRange::single("/a"), &["/a"]),
        (KeyRange::single("/"), &[]),
        (KeyRange::prefix("/a/"), &["/a/1", "/a/2"]),
        (KeyRange::prefix("/a"), &["/a", "/a/1", "/a/2", "/a0"]),
        (KeyRange::between("/a/2", "/b/1"), &["/a/2", "/a0"]),
        (KeyRange::between("/b", "/a"), &[]),
        (KeyRange::between("/a", "/a"), &[]),
        (KeyRange { start: "/b".into(), end: None }, &["/b/1", "\u{fffd}\u{1}"]),
        (KeyRange::prefix(vec![0xff]), &["\u{fffd}\u{1}"]),
    ];
    for (range, expected) in cases {
        let page = list(&store, range.clone(), ListOptions::default()).await;
        let keys: Vec<_> = page.items.iter().map(|kv| String::from_utf8_lossy(&kv.key)).collect();
        assert_eq!(keys, expected, "{range:?}");
        assert_eq!((page.count, page.more), (expected.len(), false), "{range:?}");
    }
}

pub(super) async fn a_limit_tells_how_much_there_is(store: Store) {
    for key in ["/a/1", "/a/2", "/a/3", "/b"] {
        put(&store, key, "x").await;
    }
    let revision = store.revision().await.unwrap();
    for (limit, items, more) in [(0, 3, false), (1, 1, true), (2, 2, true), (3, 3, false), (4, 3, false)] {
        let options = ListOptions { limit, ..ListOptions::default() };
        let page = list(&store, KeyRange::prefix("/a/"), options).await;
        let answer = (page.items.len(), page.more, page.count, page.revision);
        assert_eq!(answer, (items, more, 3, revision), "limit {limit}");
    }
    let options = ListOptions { count_only: true, ..ListOptions::default() };
    let page = list(&store, KeyRange::prefix("/a/"), options).await;
    assert_eq!((page.items.len(), page.count), (0, 3));
}

pub(super) async fn values_are_any_bytes(store: Store) {
    let big: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    for (key, value) in [("/empty", Vec::new()), ("/binary", vec![0, 0xff, b'\n', 0]), ("/big", big)] {
        commit(&store, Txn::new().then(Op::put(key, value.clone()))).await;
        let page = list(&store, KeyRange::single(key), ListOptions::default()).await;
        assert!(page.items[0].value == value, "{key}");
    }
}

pub(super) async fn empty_keys_are_refused(store: Store) {
    let before = newest(&store).await;
    let refused = [
        Txn::new().then(Op::put("", "x")),
        Txn::new().or_else(Op::put("", "x")),
        Txn::new().then(Op::get("")),
        Txn::new().then(Op::delete(KeyRange::single(""))),
        Txn::new().when(Compare::missing("")),
    ];
    for txn in refused {
        let answer = store.commit(txn.clone()).await;
        assert!(matches!(answer, Err(Error::EmptyKey)), "{txn:?}: {answer:?}");
    }
    let answer = store.list(KeyRange::single(""), ListOptions::default()).await;
    assert!(matches!(answer, Err(Error::EmptyKey)), "{answer:?}");
    let answer = store.get(b"").await;
    assert!(matches!(answer, Err(Error::EmptyKey)), "{answer:?}");
    assert_eq!(newest(&store).await, before);
}

/// Writes and deletes, and the state that each revision made.
async fn history(store: &Store) -> Vec<(Revision, Vec<&'static str>)> {
    let first = store.revision().await.unwrap();
    vec![
        (first, vec![]),
        (put(store, "/a", "1").await, vec!["/a=1"]),
        (put(store, "/b", "1").await, vec!["/a=1", "/b=1"]),
        (put(store, "/a", "2").await, vec!["/a=2", "/b=1"]),
        (delete(store, "/a").await, vec!["/b=1"]),
        (put(store, "/b", "2").await, vec!["/b=2"]),
        (put(store, "/a", "3").await, vec!["/a=3", "/b=2"]),
        (delete(store, "/b").await, vec!["/a=3"]),
    ]
}

pub(super) async fn past_revisions_are_read_as_they_were(store: Store) {
    for (revision, expected) in history(&store).await {
        let page = list(&store, KeyRange::all(), at(revision)).await;
        assert_eq!(
            (words(&page), page.count, page.revision),
            (expected.iter().map(|s| s.to_string()).collect(), expected.len(), revision)
        );
    }
}

pub(super) async fn pages_of_a_past_revision_fit_together(store: Store) {
    for number in 0..10 {
        put(&store, &format!("/a/{number}"), "old").await;
    }
    let revision = store.revision().await.unwrap();
    let (mut seen, mut start) = (Vec::new(), Bytes::from_static(b"/a/"));
    loop {
        let range = KeyRange { start, end: KeyRange::prefix("/a/").end };
        let page = list(&store, range, ListOptions { limit: 3, ..at(revision) }).await;
        assert_eq!(page.count, 10 - seen.len());
        seen.extend(words(&page));
        if !page.more {
            break;
        }
        let last = &page.items[page.items.len() - 1].key;
        start = Bytes::from([&last[..], &[0]].concat());
        delete(&store, &format!("/a/{}", seen.len())).await;
        put(&store, &format!("/a/{}", seen.len() + 1), "new").await;
        put(&store, &format!("/a/{}+", seen.len()), "new").await;
    }
    assert_eq!(seen, (0..10).map(|number| format!("/a/{number}=old")).collect::<Vec<_>>());
}

pub(super) async fn a_future_revision_is_refused(store: Store) {
    let newest = put(&store, "/a", "1").await;
    let answer = store.list(KeyRange::all(), at(newest.next())).await;
    assert!(matches!(answer, Err(Error::FutureRevision { .. })), "{answer:?}");
}

pub(super) async fn compaction_forgets_only_what_is_below(store: Store) {
    let history = history(&store).await;
    for (floor, _) in &history[1..] {
        store.compact(*floor).await.unwrap();
        for (revision, expected) in &history {
            let answer = store.list(KeyRange::all(), at(*revision)).await;
            if revision < floor {
                assert!(
                    matches!(answer, Err(Error::Compacted { .. })),
                    "{revision} below {floor}: {answer:?}"
                );
            } else {
                assert_eq!(words(&answer.unwrap()), *expected, "{revision} with floor {floor}");
            }
        }
        assert_eq!(store.revision().await.unwrap(), history[history.len() - 1].0);
    }
}

pub(super) async fn compaction_is_refused_below_the_floor(store: Store) {
    let first = put(&store, "/a", "1").await;
    let second = put(&store, "/a", "2").await;
    let newest = put(&store, "/a", "3").await;
    store.compact(second).await.unwrap();
    for again in [first, second] {
        let answer = store.compact(again).await;
        assert!(matches!(answer, Err(Error::Compacted { .. })), "{answer:?}");
    }
    let answer = store.compact(newest.next()).await;
    assert!(matches!(answer, Err(Error::FutureRevision { .. })), "{answer:?}");
    store.compact(newest).await.unwrap();
}

pub(super) async fn pages_of_the_past_count_and_cut(store: Store) {
    for key in ["/a/1", "/a/2", "/a/3"] {
        put(&store, key, "old").await;
    }
    let past = newest(&store).await;
    put(&store, "/a/2", "new").await;
    delete(&store, "/a/3").await;
    put(&store, "/a/4", "new").await;
    put(&store, "/a/5", "new").await;
    let range = KeyRange::prefix("/a/");
    let page = list(&store, range.clone(), at(past).limit(2)).await;
    let answer = (words(&page), page.more, page.count, page.revision);
    assert_eq!(answer, (vec!["/a/1=old".to_owned(), "/a/2=old".to_owned()], true, 3, past));
    let page = list(&store, range.clone(), at(past).count_only()).await;
    assert_eq!((page.items.len(), page.count, page.revision), (0, 3, past));
    let page = list(&store, range.clone(), at(past).keys_only().limit(3)).await;
    assert_eq!((words(&page).join(" "), page.more), ("/a/1= /a/2= /a/3=".to_owned(), false));
    let page = list(&store, range, ListOptions::default().limit(3)).await;
    assert_eq!((page.count, page.more), (4, true));
}

pub(super) async fn values_are_left_out_where_asked_for(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    put(&store, "/b", "1").await;
    let whole = list(&store, KeyRange::all(), ListOptions::default()).await;
    let keys = list(&store, KeyRange::all(), ListOptions::default().keys_only()).await;
    let mut expected = whole.clone();
    for kv in &mut expected.items {
        kv.value = Bytes::new();
    }
    assert_eq!(keys, expected);
    let one = list(&store, KeyRange::single("/a"), ListOptions::default().keys_only()).await;
    assert_eq!(one.items, expected.items[..1]);
}

pub(super) async fn revision_none_means_the_newest(store: Store) {
    put(&store, "/a", "1").await;
    let newest = put(&store, "/a", "2").await;
    let page = list(&store, KeyRange::all(), at(Revision::NONE)).await;
    assert_eq!((words(&page), page.revision), (vec!["/a=2".to_owned()], newest));
}

pub(super) async fn a_read_of_one_key_is_a_list_of_one(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/a/b", "1").await;
    put(&store, "/a", "2").await;
    let page = list(&store, KeyRange::single("/a"), ListOptions::default()).await;
    assert_eq!(page.items, [held(&store, "/a").await]);
    for absent in ["/", "/a/", "/a/b/", "/b"] {
        assert!(!is_there(&store, absent).await, "{absent}");
    }
    delete(&store, "/a").await;
    assert!(!is_there(&store, "/a").await);
}

pub(super) async fn compaction_keeps_what_is_live(store: Store) {
    let old = put(&store, "/old", "1").await;
    put(&store, "/gone", "1").await;
    for number in 0..20 {
        put(&store, "/busy", &number.to_string()).await;
    }
    delete(&store, "/gone").await;
    let floor = put(&store, "/last", "1").await;
    let before = list(&store, KeyRange::all(), ListOptions::default()).await;
    store.compact(floor).await.unwrap();
    assert_eq!(list(&store, KeyRange::all(), ListOptions::default()).await, before);
    assert_eq!(list(&store, KeyRange::all(), at(floor)).await, before);
    assert_eq!(held(&store, "/old").await.mod_revision, old);
    // What was deleted below the floor begins anew.
    let again = put(&store, "/gone", "2").await;
    let kv = held(&store, "/gone").await;
    assert_eq!((kv.create_revision, kv.version), (again, 1));
}

pub(super) async fn what_is_read_sealed_opens(store: Store) {
    let opened = |mut page: Page| {
        for kv in &mut page.items {
            kv.value = store.open(&kv.key, &kv.value).expect("what was put opens");
        }
        page
    };
    put(&store, "/a", "1").await;
    put(&store, "/b", "").await;
    let past = at(newest(&store).await);
    put(&store, "/a", "2").await;
    for options in [ListOptions::default(), ListOptions::default().limit(1), past] {
        let page = list(&store, KeyRange::all(), options).await;
        let sealed = list(&store, KeyRange::all(), options.sealed()).await;
        assert_eq!(opened(sealed), page);
        let read = Txn::new().then(Op::Range(KeyRange::all(), options.sealed()));
        let Some(OpResult::Range(sealed)) = commit(&store, read).await.results.pop() else {
            panic!("a page")
        };
        assert_eq!(words(&opened(sealed)), words(&page));
    }
    let keys = ListOptions::default().keys_only();
    let page = list(&store, KeyRange::all(), keys.sealed()).await;
    assert_eq!(page, list(&store, KeyRange::all(), keys).await);
}
