//! Transactions.

use super::{Store, commit, delete, list, put, state};
use crate::store::{Compare, Condition, Error, KeyRange, ListOptions, Op, OpResult, Relation, Revision, Txn};

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
