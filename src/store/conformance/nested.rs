//! Transactions within transactions.

use super::{Store, commit, held, newest, next, put, state, told, watch};
use crate::store::{Compare, Error, KeyRange, ListOptions, Op, OpResult, Relation, Txn, WatchOptions};

fn within(txn: Txn) -> Op {
    Op::Txn(txn)
}

pub(super) async fn a_transaction_within_shares_the_revision(store: Store) {
    let before = put(&store, "/gone", "1").await;
    let mut seen = watch(&store, KeyRange::all(), WatchOptions::default()).await;
    let innermost = Txn::new().then(Op::put("/c", "1")).then(Op::delete(KeyRange::single("/gone")));
    let inner = Txn::new().then(Op::put("/b", "1")).then(within(innermost));
    let committed =
        commit(&store, Txn::new().then(Op::put("/a", "1")).then(within(inner)).then(Op::put("/d", "1")))
            .await;
    let revision = before.next();
    assert_eq!((committed.revision, newest(&store).await), (revision, revision));
    let OpResult::Txn(inner) = &committed.results[1] else { panic!("{committed:?}") };
    assert_eq!((inner.succeeded, inner.revision, inner.results.len()), (true, revision, 2));
    let OpResult::Txn(innermost) = &inner.results[1] else { panic!("{committed:?}") };
    assert_eq!((innermost.succeeded, innermost.revision), (true, revision));
    assert!(matches!(innermost.results[..], [OpResult::Put(None), OpResult::Deleted { count: 1, .. }]));
    for key in ["/a", "/b", "/c", "/d"] {
        assert_eq!(held(&store, key).await.mod_revision, revision);
    }
    let batch = next(&mut seen).await;
    assert_eq!(told(&batch).join(" "), "/a=1 /b=1 /c=1 -/gone /d=1", "in the order of the operations");
}

pub(super) async fn a_transaction_within_compares_the_state_before(store: Store) {
    put(&store, "/a", "1").await;
    let asks = |compare| Txn::new().when(compare).then(Op::get("/a")).or_else(Op::get("/a"));
    let value = |value: &'static str| {
        Compare::key("/a", crate::store::Condition::Value(Relation::Equal, value.into()))
    };
    let txn = Txn::new()
        .then(Op::put("/a", "2"))
        .then(Op::put("/b", "2"))
        .then(within(asks(value("1"))))
        .then(within(asks(value("2"))))
        .then(within(asks(Compare::missing("/b"))));
    let results = commit(&store, txn).await.results;
    let chosen: Vec<_> = results
        .iter()
        .filter_map(|result| match result {
            OpResult::Txn(inner) => Some(inner.succeeded),
            _ => None,
        })
        .collect();
    assert_eq!(chosen, [true, false, true], "it compares what was, whatever was written before it");
}

pub(super) async fn a_transaction_within_sees_writes_before_it(store: Store) {
    put(&store, "/a", "1").await;
    let read = || Txn::new().then(Op::Range(KeyRange::all(), ListOptions::default()));
    let txn = Txn::new()
        .then(within(read()))
        .then(Op::put("/b", "2"))
        .then(within(read()))
        .then(within(Txn::new().then(Op::delete(KeyRange::single("/a")))))
        .then(within(Txn::new().then(within(read()))));
    let committed = commit(&store, txn).await;
    fn words(result: &OpResult) -> String {
        match result {
            OpResult::Txn(inner) => inner.results.iter().map(words).collect(),
            OpResult::Range(page) => super::words(page).join(" "),
            _ => String::new(),
        }
    }
    let seen: Vec<_> = committed.results.iter().map(words).collect();
    assert_eq!(seen, ["/a=1", "", "/a=1 /b=2", "", "/b=2"]);
}

pub(super) async fn branches_within_are_chosen_by_themselves(store: Store) {
    put(&store, "/a", "1").await;
    let (yes, no) = (Compare::exists("/a"), Compare::missing("/a"));
    let mark = |compare: &Compare, name: &str| {
        Txn::new()
            .when(compare.clone())
            .then(Op::put(format!("/{name}/then"), "x"))
            .or_else(Op::put(format!("/{name}/else"), "x"))
    };
    let deep = Txn::new().when(no.clone()).then(within(mark(&yes, "4"))).or_else(within(mark(&yes, "3")));
    let txn = Txn::new()
        .when(yes.clone())
        .then(within(mark(&yes, "1")))
        .then(within(mark(&no, "2")))
        .then(within(deep))
        .or_else(within(mark(&yes, "5")));
    let committed = commit(&store, txn).await;
    assert!(committed.succeeded);
    let succeeded: Vec<_> = committed
        .results
        .iter()
        .map(|result| matches!(result, OpResult::Txn(inner) if inner.succeeded))
        .collect();
    assert_eq!(succeeded, [true, false, false]);
    let expected = ["/1/then=x", "/2/else=x", "/3/then=x", "/a=1"];
    assert_eq!(state(&store, ListOptions::default()).await, expected);
}

pub(super) async fn a_key_is_written_once_through_all_depths(store: Store) {
    let before = put(&store, "/a", "1").await;
    let put = || Op::put("/a", "2");
    let inner = |ops: Vec<Op>| within(Txn { then: ops, ..Txn::default() });
    let other = |ops: Vec<Op>| within(Txn { or_else: ops, ..Txn::default() });
    let twice = [
        vec![put(), inner(vec![put()])],
        vec![inner(vec![put()]), put()],
        vec![inner(vec![put()]), inner(vec![put()])],
        vec![put(), other(vec![put()])],
        vec![inner(vec![inner(vec![put()])]), inner(vec![other(vec![put()])])],
        vec![inner(vec![Op::delete(KeyRange::prefix("/"))]), put()],
        vec![put(), inner(vec![Op::delete(KeyRange::single("/a"))])],
        vec![inner(vec![put(), put()])],
    ];
    for then in twice {
        let txn = Txn { then, ..Txn::default() };
        let answer = store.commit(txn.clone()).await;
        assert!(matches!(answer, Err(Error::DuplicateKey { .. })), "{txn:?}: {answer:?}");
    }
    assert_eq!(newest(&store).await, before);
    let either = Txn { then: vec![put()], or_else: vec![put()], ..Txn::default() };
    assert_eq!(commit(&store, Txn::new().then(within(either))).await.revision, before.next());
}

pub(super) async fn a_failure_within_leaves_nothing_behind(store: Store) {
    let before = put(&store, "/a", "1").await;
    let future = ListOptions::default().at(crate::store::Revision(before.0 + 100));
    let keep = Op::Put { key: "/absent".into(), value: None, lease: Some(0), previous: false };
    for (failing, error) in [
        (Op::Range(KeyRange::all(), future), "FutureRevision"),
        (keep, "KeyNotFound"),
        (Op::put_leased("/c", "1", 4711), "LeaseNotFound"),
        (Op::put("", "1"), "EmptyKey"),
    ] {
        let inner = Txn::new().then(Op::put("/b", "1")).then(failing);
        let answer = store.commit(Txn::new().then(Op::put("/a", "2")).then(within(inner))).await;
        let name = answer.as_ref().map_err(|error| format!("{error:?}")).unwrap_err();
        assert!(name.starts_with(error), "{error}: {answer:?}");
    }
    assert_eq!(newest(&store).await, before);
    assert_eq!(state(&store, ListOptions::default()).await, ["/a=1"]);
}

pub(super) async fn nothing_written_within_makes_no_revision(store: Store) {
    let before = put(&store, "/a", "1").await;
    for inner in [
        Txn::new(),
        Txn::new().then(Op::get("/a")),
        Txn::new().when(Compare::missing("/a")).then(Op::put("/a", "2")),
        Txn::new().then(Op::delete(KeyRange::prefix("/absent"))),
        Txn::new().then(within(Txn::new())),
    ] {
        let committed = commit(&store, Txn::new().then(within(inner.clone()))).await;
        assert_eq!(committed.revision, before, "{inner:?}");
        assert!(matches!(&committed.results[..], [OpResult::Txn(inner)] if inner.revision == before));
    }
    assert_eq!(newest(&store).await, before);
}
