//! Transactions.

use bytes::Bytes;

use super::{Store, at, commit, delete, list, newest, next, put, state, told, watch};
use crate::store::{
    Compare, Condition, Error, KeyRange, ListOptions, Op, OpResult, Page, Relation, Revision, Txn,
    WatchOptions,
};

pub(super) async fn a_commit_makes_one_revision(store: Store) {
    let before = put(&store, "/gone", "1").await;
    let txn = Txn::new()
        .then(Op::put("/b", "1"))
        .then(Op::put("/a", "1"))
        .then(Op::delete(KeyRange::single("/gone")));
    let committed = commit(&store, txn).await;
    assert_eq!((committed.succeeded, committed.revision), (true, before.next()));
    assert_eq!(store.revision().await.unwrap(), before.next());
    let page = list(&store, KeyRange::all(), ListOptions::default()).await;
    assert_eq!(page.items.len(), 2);
    assert!(page.items.iter().all(|kv| kv.mod_revision == before.next()));
}

pub(super) async fn a_commit_that_writes_nothing_makes_none(store: Store) {
    let newest = put(&store, "/a", "1").await;
    let nothing = [
        Txn::new(),
        Txn::new().then(Op::get("/a")),
        Txn::new().then(Op::delete(KeyRange::prefix("/absent"))),
        Txn::new().when(Compare::missing("/a")).then(Op::put("/a", "2")),
        Txn::new().when(Compare::missing("/a")).or_else(Op::get("/a")),
    ];
    for txn in nothing {
        assert_eq!(commit(&store, txn.clone()).await.revision, newest, "{txn:?}");
        assert_eq!(store.revision().await.unwrap(), newest, "{txn:?}");
    }
}

async fn holds(store: &Store, key: &'static str, condition: Condition) -> bool {
    let compare = Compare::key(key, condition);
    commit(store, Txn::new().when(compare)).await.succeeded
}

const RELATIONS: [Relation; 4] = [Relation::Less, Relation::Equal, Relation::Greater, Relation::NotEqual];

pub(super) async fn revisions_are_compared(store: Store) {
    let created = put(&store, "/a", "1").await;
    let changed = put(&store, "/a", "2").await;
    for relation in RELATIONS {
        for than in [0, created.0, changed.0, changed.0 + 1].map(Revision) {
            for (key, of_creation, of_change) in
                [("/a", created, changed), ("/absent", Revision::NONE, Revision::NONE)]
            {
                let by_change = holds(&store, key, Condition::ModRevision(relation, than)).await;
                assert_eq!(by_change, relation.holds(&of_change, &than), "{key} {relation:?} {than}");
                let by_creation = holds(&store, key, Condition::CreateRevision(relation, than)).await;
                assert_eq!(by_creation, relation.holds(&of_creation, &than), "{key} {relation:?} {than}");
            }
        }
    }
}

pub(super) async fn versions_are_compared(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/a", "2").await;
    for relation in RELATIONS {
        for than in 0..4u64 {
            for (key, version) in [("/a", 2u64), ("/absent", 0)] {
                let held = holds(&store, key, Condition::Version(relation, than)).await;
                assert_eq!(held, relation.holds(&version, &than), "{key} {relation:?} {than}");
            }
        }
    }
}

pub(super) async fn values_are_compared(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/empty", "").await;
    for (key, value, expected) in [
        ("/a", "1", true),
        ("/a", "2", false),
        ("/a", "", false),
        ("/a", "11", false),
        ("/empty", "", true),
        ("/absent", "", false),
        ("/absent", "1", false),
    ] {
        let held = holds(&store, key, Condition::Value(Relation::Equal, value.into())).await;
        assert_eq!(held, expected, "{key} {value:?}");
    }
}

pub(super) async fn leases_are_compared(store: Store) {
    put(&store, "/a", "1").await;
    for key in ["/a", "/absent"] {
        assert!(holds(&store, key, Condition::Lease(Relation::Equal, 0)).await);
        assert!(!holds(&store, key, Condition::Lease(Relation::Equal, 1)).await);
    }
}

pub(super) async fn all_comparisons_must_hold(store: Store) {
    put(&store, "/a", "1").await;
    let (yes, no) = (Compare::exists("/a"), Compare::missing("/a"));
    for (compare, expected) in [
        (vec![], true),
        (vec![yes.clone(), yes.clone()], true),
        (vec![yes.clone(), no.clone()], false),
        (vec![no.clone(), yes], false),
        (vec![no.clone(), no], false),
    ] {
        let txn = Txn { compare, ..Txn::default() };
        assert_eq!(commit(&store, txn.clone()).await.succeeded, expected, "{txn:?}");
    }
}

pub(super) async fn the_other_branch_runs_otherwise(store: Store) {
    let created = put(&store, "/a", "1").await;
    let swap = |than| {
        Txn::new()
            .when(Compare::unchanged_since("/a", than))
            .then(Op::put("/then", "x"))
            .or_else(Op::put("/else", "x"))
            .or_else(Op::get("/a"))
    };
    let other = commit(&store, swap(created.next())).await;
    assert_eq!((other.succeeded, other.revision, other.results.len()), (false, created.next(), 2));
    assert!(matches!(&other.results[1], OpResult::Range(page) if page.items[0].value == "1"));
    let then = commit(&store, swap(created)).await;
    assert_eq!((then.succeeded, then.results.len()), (true, 1));
    assert_eq!(state(&store, ListOptions::default()).await, ["/a=1", "/else=x", "/then=x"]);
}

pub(super) async fn operations_see_those_before_them(store: Store) {
    put(&store, "/a", "1").await;
    let newest = put(&store, "/c", "1").await;
    let txn = Txn::new()
        .then(Op::Range(KeyRange::all(), ListOptions::default()))
        .then(Op::put("/b", "2"))
        .then(Op::Range(KeyRange::all(), ListOptions::default()))
        .then(Op::delete(KeyRange::single("/a")))
        .then(Op::Range(KeyRange::all(), ListOptions::default()));
    let committed = commit(&store, txn).await;
    let seen: Vec<Vec<_>> = committed
        .results
        .iter()
        .filter_map(|result| match result {
            OpResult::Range(page) => {
                Some(page.items.iter().map(|kv| (&kv.key[..], kv.mod_revision)).collect())
            }
            _ => None,
        })
        .collect();
    let (a, b, c) = ((&b"/a"[..], Revision(newest.0 - 1)), (&b"/b"[..], newest.next()), (&b"/c"[..], newest));
    assert_eq!(seen, [vec![a, c], vec![a, b, c], vec![b, c]]);
}

pub(super) async fn operations_answer_what_they_found(store: Store) {
    put(&store, "/a", "1").await;
    put(&store, "/b", "1").await;
    let before = list(&store, KeyRange::all(), ListOptions::default()).await.items;
    let txn = Txn::new()
        .then(Op::put("/a", "2").with_previous())
        .then(Op::put("/c", "2").with_previous())
        .then(Op::delete(KeyRange::single("/b")).with_previous())
        .then(Op::delete(KeyRange::single("/absent")).with_previous());
    let results = commit(&store, txn).await.results;
    assert_eq!(
        results,
        [
            OpResult::Put(Some(before[0].clone())),
            OpResult::Put(None),
            OpResult::Deleted { count: 1, previous: vec![before[1].clone()] },
            OpResult::Deleted { count: 0, previous: vec![] },
        ]
    );
}

pub(super) async fn a_branch_writes_a_key_once(store: Store) {
    let newest = put(&store, "/a/1", "1").await;
    let twice = [
        vec![Op::put("/a/1", "2"), Op::put("/b", "x"), Op::put("/a/1", "3")],
        vec![Op::put("/a/1", "2"), Op::delete(KeyRange::single("/a/1"))],
        vec![Op::delete(KeyRange::prefix("/a/")), Op::put("/a/2", "x")],
    ];
    for branch in twice {
        for txn in [
            Txn { then: branch.clone(), ..Txn::default() },
            Txn { or_else: branch.clone(), ..Txn::default() },
        ] {
            let answer = store.commit(txn.clone()).await;
            assert!(matches!(answer, Err(Error::DuplicateKey { .. })), "{txn:?}: {answer:?}");
        }
    }
    assert_eq!(store.revision().await.unwrap(), newest);
    assert_eq!(state(&store, ListOptions::default()).await, ["/a/1=1"]);
    // Each branch by itself may write it, and what is gone can be deleted again.
    let once = Txn::new()
        .then(Op::delete(KeyRange::prefix("/a/")))
        .then(Op::delete(KeyRange::single("/a/1")))
        .or_else(Op::put("/a/1", "2"));
    assert_eq!(commit(&store, once).await.revision, newest.next());
}

pub(super) async fn a_range_is_deleted_as_one(store: Store) {
    for key in ["/a/1", "/a/2", "/a/3", "/b"] {
        put(&store, key, "x").await;
    }
    let newest = store.revision().await.unwrap();
    let committed = commit(&store, Txn::new().then(Op::delete(KeyRange::prefix("/a/")))).await;
    assert_eq!(committed.revision, newest.next());
    assert!(matches!(&committed.results[..], [OpResult::Deleted { count: 3, .. }]));
    assert_eq!(state(&store, ListOptions::default()).await, ["/b=x"]);
    assert_eq!(delete(&store, "/a/1").await, newest.next(), "there is nothing left to delete");
}

pub(super) async fn values_are_ordered_bytewise(store: Store) {
    put(&store, "/a", "m").await;
    commit(&store, Txn::new().then(Op::put("/binary", vec![0x80, 0]))).await;
    type Others = &'static [&'static [u8]];
    let values: [(&str, &'static [u8], Others); 3] = [
        ("/a", b"m", &[b"", b"M", b"l\xff", b"m", b"m\0", b"n", b"\xff"]),
        ("/binary", b"\x80\0", &[b"", b"\x7f\xff", b"\x80", b"\x80\0", b"\x80\0\0", b"\xff"]),
        ("/absent", b"", &[b"", b"\0", b"m"]),
    ];
    for (key, value, others) in values {
        for relation in RELATIONS {
            for than in others {
                let than = Bytes::from_static(than);
                let expected = key != "/absent" && relation.holds(&Bytes::from_static(value), &than);
                let held = holds(&store, key, Condition::Value(relation, than.clone())).await;
                assert_eq!(held, expected, "{key} {relation:?} {than:?}");
            }
        }
    }
}

pub(super) async fn comparisons_of_a_range_must_hold_of_all(store: Store) {
    let first = put(&store, "/a/1", "x").await;
    put(&store, "/a/2", "x").await;
    let third = put(&store, "/a/3", "y").await;
    let value = |relation, value: &'static str| Condition::Value(relation, value.into());
    let cases = [
        (KeyRange::prefix("/a/"), Condition::ModRevision(Relation::Less, third.next()), true),
        (KeyRange::prefix("/a/"), Condition::ModRevision(Relation::Less, third), false),
        (KeyRange::prefix("/a/"), Condition::CreateRevision(Relation::Greater, first), false),
        (KeyRange::prefix("/a/"), Condition::CreateRevision(Relation::NotEqual, Revision::NONE), true),
        (KeyRange::prefix("/a/"), Condition::Version(Relation::Equal, 1), true),
        (KeyRange::prefix("/a/"), value(Relation::Equal, "x"), false),
        (KeyRange::prefix("/a/"), value(Relation::NotEqual, "x"), false),
        (KeyRange::prefix("/a/"), value(Relation::NotEqual, "z"), true),
        (KeyRange::between("/a/1", "/a/3"), value(Relation::Equal, "x"), true),
        (KeyRange { start: "/a/3".into(), end: None }, value(Relation::Equal, "y"), true),
        (KeyRange::all(), value(Relation::Greater, "w"), true),
        (KeyRange::prefix("/b/"), Condition::CreateRevision(Relation::Equal, Revision::NONE), true),
        (KeyRange::prefix("/b/"), Condition::ModRevision(Relation::Greater, Revision::NONE), false),
        (KeyRange::prefix("/b/"), Condition::Version(Relation::Less, 1), true),
        (KeyRange::prefix("/b/"), value(Relation::Equal, ""), false),
        (KeyRange::prefix("/b/"), value(Relation::NotEqual, "x"), false),
        (KeyRange::prefix("/b/"), Condition::Lease(Relation::Equal, 0), true),
    ];
    for (range, condition, expected) in cases {
        let compare = Compare { range, condition };
        let txn = Txn::new().when(compare.clone());
        assert_eq!(commit(&store, txn).await.succeeded, expected, "{compare:?}");
    }
}

pub(super) async fn comparisons_see_the_state_before(store: Store) {
    let created = put(&store, "/a", "1").await;
    let txn = || {
        Txn::new()
            .when(Compare::unchanged_since("/a", created))
            .when(Compare::missing("/b"))
            .then(Op::put("/a", "2"))
            .then(Op::put("/b", "2"))
    };
    assert!(commit(&store, txn()).await.succeeded);
    assert!(!commit(&store, txn()).await.succeeded);
}

pub(super) async fn past_revisions_are_read_within(store: Store) {
    let first = put(&store, "/a", "1").await;
    let second = put(&store, "/a", "2").await;
    put(&store, "/b", "1").await;
    let txn = Txn::new()
        .then(Op::put("/c", "1"))
        .then(Op::Range(KeyRange::all(), at(first)))
        .then(Op::Range(KeyRange::all(), at(second).count_only()))
        .then(Op::Range(KeyRange::all(), ListOptions::default().keys_only()));
    let committed = commit(&store, txn).await;
    let pages: Vec<&Page> = committed
        .results
        .iter()
        .filter_map(|result| match result {
            OpResult::Range(page) => Some(page),
            _ => None,
        })
        .collect();
    assert_eq!((&pages[0].items[0].value[..], pages[0].revision, pages[0].count), (&b"1"[..], first, 1));
    assert_eq!((pages[1].items.len(), pages[1].revision, pages[1].count), (0, second, 1));
    assert_eq!((pages[2].items.len(), pages[2].revision), (3, committed.revision));
    let newest = newest(&store).await;
    store.compact(second).await.unwrap();
    for (revision, future) in [(first, false), (newest.next(), true)] {
        let txn = Txn::new().then(Op::put("/d", "1")).then(Op::Range(KeyRange::all(), at(revision)));
        let answer = store.commit(txn).await;
        match future {
            true => assert!(matches!(answer, Err(Error::FutureRevision { .. })), "{answer:?}"),
            false => assert!(matches!(answer, Err(Error::Compacted { .. })), "{answer:?}"),
        }
    }
    assert_eq!(state(&store, ListOptions::default()).await, ["/a=2", "/b=1", "/c=1"]);
    assert_eq!(super::newest(&store).await, newest);
}

pub(super) async fn reads_within_count_and_cut(store: Store) {
    for key in ["/a/1", "/a/2", "/a/3"] {
        put(&store, key, "x").await;
    }
    let range = KeyRange::prefix("/a/");
    let read = |options| Op::Range(range.clone(), options);
    let txn = Txn::new()
        .then(read(ListOptions::default().limit(2)))
        .then(Op::delete(KeyRange::single("/a/1")))
        .then(read(ListOptions::default().limit(2)))
        .then(read(ListOptions::default().count_only()))
        .then(read(ListOptions::default().limit(1).keys_only()));
    let results = commit(&store, txn).await.results;
    let seen: Vec<_> = results
        .iter()
        .filter_map(|result| match result {
            OpResult::Range(page) => Some((super::words(page).join(" "), page.more, page.count)),
            _ => None,
        })
        .collect();
    let expected =
        [("/a/1=x /a/2=x", true, 3), ("/a/2=x /a/3=x", false, 2), ("", false, 2), ("/a/2=", true, 2)];
    assert_eq!(seen, expected.map(|(words, more, count)| (words.to_owned(), more, count)));
}

pub(super) async fn the_branch_that_does_not_run_is_not_asked(store: Store) {
    let newest = put(&store, "/a", "1").await;
    let impossible = || {
        vec![
            Op::Put { key: "/absent".into(), value: None, lease: Some(0), previous: false },
            Op::put_leased("/b", "1", 4711),
            Op::Range(KeyRange::all(), at(Revision(newest.0 + 100))),
        ]
    };
    let possible = || vec![Op::put("/c", "1")];
    let txn = Txn { compare: vec![Compare::exists("/a")], then: possible(), or_else: impossible() };
    assert_eq!(commit(&store, txn).await.revision, newest.next());
    let txn = Txn { compare: vec![Compare::missing("/a")], then: impossible(), or_else: possible() };
    assert_eq!(commit(&store, txn).await.revision, newest.next().next());
    // And within.
    let inner = Txn { compare: vec![Compare::missing("/a")], then: impossible(), or_else: possible() };
    assert_eq!(commit(&store, Txn::new().then(Op::Txn(inner))).await.revision.0, newest.0 + 3);
    assert_eq!(state(&store, ListOptions::default()).await, ["/a=1", "/c=1"]);
}

pub(super) async fn large_ranges_are_deleted_as_one(store: Store) {
    const KEYS: usize = 1000;
    for first in (0..KEYS).step_by(100) {
        let put = |txn: Txn, number| txn.then(Op::put(format!("/a/{number:04}"), "x"));
        commit(&store, (first..first + 100).fold(Txn::new(), put)).await;
    }
    let before = newest(&store).await;
    let mut live = watch(&store, KeyRange::prefix("/a/"), WatchOptions::default().with_previous()).await;
    let committed =
        commit(&store, Txn::new().then(Op::delete(KeyRange::prefix("/a/")).with_previous())).await;
    assert_eq!(committed.revision, before.next());
    let [OpResult::Deleted { count: KEYS, previous }] = &committed.results[..] else {
        panic!("{:?}", committed.results);
    };
    let mut late = watch(&store, KeyRange::all(), WatchOptions::from(before.next())).await;
    let expected: Vec<_> = (0..KEYS).map(|number| format!("-/a/{number:04}")).collect();
    for seen in [&mut live, &mut late] {
        let batch = next(seen).await;
        assert_eq!((batch.revision, told(&batch)), (committed.revision, expected.clone()));
    }
    assert_eq!(previous.len(), KEYS);
    assert!(previous.iter().zip(0..).all(|(kv, number)| kv.key == format!("/a/{number:04}")));
}
