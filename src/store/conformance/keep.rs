//! Puts that keep what is there, and answers of what was there before.

use super::{Store, at, commit, delete, held, list, newest, next, put, state, watch};
use crate::store::{Error, KeyRange, ListOptions, Op, OpResult, Txn, WatchOptions};

fn keep_value(key: &'static str) -> Op {
    Op::Put { key: key.into(), value: None, lease: Some(0), previous: true }
}

fn keep_both(key: &'static str) -> Op {
    Op::Put { key: key.into(), value: None, lease: None, previous: true }
}

pub(super) async fn a_put_may_keep_the_value(store: Store) {
    let created = put(&store, "/a", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::default().with_previous()).await;
    let mut before = held(&store, "/a").await;
    for (version, op) in [(2, keep_value("/a")), (3, keep_both("/a"))] {
        let committed = commit(&store, Txn::new().then(op)).await;
        assert_eq!(committed.results, [OpResult::Put(Some(before.clone()))]);
        let now = held(&store, "/a").await;
        assert_eq!((&now.value[..], now.version, now.create_revision), (&b"1"[..], version, created));
        assert_eq!(now.mod_revision, committed.revision);
        let batch = next(&mut seen).await;
        assert_eq!((&batch.events[0].kv, batch.events[0].previous.as_ref()), (&now, Some(&before)));
        before = now;
    }
    let keep_lease = Op::Put { key: "/a".into(), value: Some("2".into()), lease: None, previous: false };
    commit(&store, Txn::new().then(keep_lease)).await;
    assert_eq!(held(&store, "/a").await.value, "2");
}

pub(super) async fn a_put_that_keeps_wants_its_key(store: Store) {
    put(&store, "/gone", "1").await;
    let before = delete(&store, "/gone").await;
    let keep_lease = |key: &'static str| Op::Put {
        key: key.into(),
        value: Some("1".into()),
        lease: None,
        previous: false,
    };
    for key in ["/absent", "/gone"] {
        for op in [keep_value(key), keep_both(key), keep_lease(key)] {
            for txn in [Txn::new().then(op.clone()), Txn::new().then(Op::put("/b", "1")).then(op.clone())] {
                let answer = store.commit(txn.clone()).await;
                assert!(matches!(answer, Err(Error::KeyNotFound)), "{txn:?}: {answer:?}");
            }
        }
    }
    assert_eq!(newest(&store).await, before);
    assert_eq!(state(&store, ListOptions::default()).await, [""; 0]);
}

pub(super) async fn previous_values_are_answered_whole(store: Store) {
    for value in ["1", "2", "3"] {
        put(&store, "/a/1", value).await;
        put(&store, "/a/2", value).await;
    }
    put(&store, "/b", "1").await;
    let past = newest(&store).await;
    let before = list(&store, KeyRange::all(), at(past)).await.items;
    let txn = Txn::new()
        .then(Op::put("/b", "2").with_previous())
        .then(Op::put("/c", "1").with_previous())
        .then(Op::delete(KeyRange::prefix("/a/")).with_previous())
        .then(Op::put("/d", "1"))
        .then(Op::delete(KeyRange::single("/absent")).with_previous());
    let results = commit(&store, txn).await.results;
    let expected = [
        OpResult::Put(Some(before[2].clone())),
        OpResult::Put(None),
        OpResult::Deleted { count: 2, previous: before[..2].to_vec() },
        OpResult::Put(None),
        OpResult::Deleted { count: 0, previous: vec![] },
    ];
    assert_eq!(results, expected);
    // Nothing is answered that was not asked for.
    let quiet = Txn::new().then(Op::put("/b", "3")).then(Op::delete(KeyRange::single("/c")));
    let expected = [OpResult::Put(None), OpResult::Deleted { count: 1, previous: vec![] }];
    assert_eq!(commit(&store, quiet).await.results, expected);
}
