//! Leases, as far as no time passes.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::{
    Store, Subject, at, commit, delete, held, is_there, list, newest, next, put, state, told, watch,
};
use crate::store::lease::MAX_LEASE_TTL;
use crate::store::{
    Compare, Condition, Error, KeyRange, ListOptions, Op, OpResult, Relation, Revision, Txn, WatchOptions,
};

/// A time to live that does not end while a case runs.
const LONG: Duration = Duration::from_secs(3600);

async fn grant(subject: &Subject) -> i64 {
    subject.leases().grant(0, LONG).await.expect("a lease").id
}

async fn put_leased(store: &Store, key: &str, value: &str, lease: i64) -> Revision {
    commit(store, Txn::new().then(Op::put_leased(key.to_owned(), value.to_owned(), lease))).await.revision
}

async fn keys(subject: &Subject, lease: i64) -> Vec<String> {
    let status = subject.leases().time_to_live(lease, true).await.expect("a lease that is there");
    status.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

pub(super) async fn a_lease_is_granted(subject: Subject) {
    let leases = subject.leases();
    let before = newest(&subject.store).await;
    let mut last = 0;
    for asked in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(1500), LONG, MAX_LEASE_TTL]
    {
        let granted = leases.grant(0, asked).await.unwrap();
        assert!(granted.id != 0 && granted.id != last, "{granted:?}");
        assert!(granted.ttl >= asked && granted.ttl >= Duration::from_secs(1), "{asked:?}: {granted:?}");
        assert_eq!(granted.ttl.subsec_nanos(), 0, "{granted:?}");
        last = granted.id;
    }
    let granted = leases.grant(0, LONG).await.unwrap();
    let status = leases.time_to_live(granted.id, false).await.unwrap();
    assert_eq!((status.granted, status.keys.len()), (granted.ttl, 0));
    assert!(status.remaining <= granted.ttl && status.remaining > LONG / 2, "{status:?}");
    assert_eq!(leases.keep_alive(granted.id).await.unwrap(), granted.ttl);
    assert_eq!(newest(&subject.store).await, before, "leases make no revisions");
}

pub(super) async fn a_lease_has_the_number_asked_for(subject: Subject) {
    let leases = subject.leases();
    for id in [1, 4711, i64::MAX] {
        assert_eq!(leases.grant(id, LONG).await.unwrap().id, id);
        let again = leases.grant(id, LONG).await;
        assert!(matches!(again, Err(Error::LeaseExists { .. })), "{again:?}");
    }
    leases.revoke(4711).await.unwrap();
    assert_eq!(leases.grant(4711, LONG).await.unwrap().id, 4711, "a number is free once it is revoked");
}

pub(super) async fn a_lease_lives_no_longer_than_forever(subject: Subject) {
    let leases = subject.leases();
    let answer = leases.grant(0, MAX_LEASE_TTL + Duration::from_secs(1)).await;
    assert!(matches!(answer, Err(Error::LeaseTtlTooLarge)), "{answer:?}");
    assert_eq!(leases.leases().await.unwrap(), [0; 0]);
}

pub(super) async fn leases_are_listed(subject: Subject) {
    let leases = subject.leases();
    assert_eq!(leases.leases().await.unwrap(), [0; 0]);
    for id in [30, 10, 20] {
        leases.grant(id, LONG + Duration::from_secs(id as u64)).await.unwrap();
    }
    assert_eq!(leases.leases().await.unwrap(), [10, 20, 30]);
    leases.revoke(20).await.unwrap();
    assert_eq!(leases.leases().await.unwrap(), [10, 30]);
}

pub(super) async fn a_lease_knows_its_keys(subject: Subject) {
    let store = &subject.store;
    let (one, other) = (grant(&subject).await, grant(&subject).await);
    for key in ["/c", "/a", "/b"] {
        put_leased(store, key, "1", one).await;
    }
    put(store, "/free", "1").await;
    put_leased(store, "/other", "1", other).await;
    assert_eq!(keys(&subject, one).await, ["/a", "/b", "/c"]);
    assert_eq!(keys(&subject, other).await, ["/other"]);
    let unasked = subject.leases().time_to_live(one, false).await.unwrap();
    assert!(unasked.keys.is_empty());
}

pub(super) async fn unknown_leases_are_refused(subject: Subject) {
    let leases = subject.leases();
    let gone = grant(&subject).await;
    leases.revoke(gone).await.unwrap();
    for id in [4711, gone] {
        let answer = leases.keep_alive(id).await;
        assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
        let answer = leases.revoke(id).await;
        assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
        for keys in [false, true] {
            let answer = leases.time_to_live(id, keys).await;
            assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
        }
        let answer = subject.store.commit(Txn::new().then(Op::put_leased("/a", "1", id))).await;
        assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
    }
}

pub(super) async fn an_unknown_lease_leaves_nothing_behind(subject: Subject) {
    let store = &subject.store;
    let lease = grant(&subject).await;
    let before = put(store, "/a", "1").await;
    let leased = |lease| Op::put_leased("/leased", "1", lease);
    for ops in [
        vec![Op::put("/a", "2"), Op::put_leased("/b", "1", 4711)],
        vec![leased(lease), Op::delete(KeyRange::single("/a")), Op::put_leased("/b", "1", 4711)],
        vec![Op::put_leased("/b", "1", 4711), Op::put("/a", "2")],
        vec![Op::Put { key: "/a".into(), value: None, lease: Some(4711), previous: false }],
    ] {
        let answer = store.commit(Txn { then: ops, ..Txn::default() }).await;
        assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
    }
    assert_eq!(newest(store).await, before);
    assert_eq!(state(store, ListOptions::default()).await, ["/a=1"]);
    assert_eq!(keys(&subject, lease).await, [""; 0]);
}

pub(super) async fn a_key_tells_its_lease(subject: Subject) {
    let store = &subject.store;
    let lease = grant(&subject).await;
    let mut seen = watch(store, KeyRange::all(), WatchOptions::default().with_previous()).await;
    put_leased(store, "/a", "1", lease).await;
    assert_eq!(held(store, "/a").await.lease, lease);
    let again = Txn::new().then(Op::put_leased("/a", "2", lease).with_previous());
    let results = commit(store, again).await.results;
    assert!(matches!(&results[..], [OpResult::Put(Some(kv))] if kv.lease == lease), "{results:?}");
    delete(store, "/a").await;
    let events: Vec<_> = [next(&mut seen).await, next(&mut seen).await, next(&mut seen).await]
        .iter()
        .map(|batch| (batch.events[0].kv.lease, batch.events[0].previous.as_ref().map(|kv| kv.lease)))
        .collect();
    assert_eq!(events, [(lease, None), (lease, Some(lease)), (0, Some(lease))]);
}

pub(super) async fn a_lease_is_revoked_with_its_keys(subject: Subject) {
    let store = &subject.store;
    let lease = grant(&subject).await;
    for key in ["/c", "/a", "/b"] {
        put_leased(store, key, "1", lease).await;
    }
    let before = put(store, "/free", "1").await;
    let mut live = watch(store, KeyRange::all(), WatchOptions::default().with_previous()).await;
    let mut one = watch(store, KeyRange::single("/b"), WatchOptions::default()).await;
    let revoked = subject.leases().revoke(lease).await.unwrap();
    assert_eq!((revoked, newest(store).await), (before.next(), before.next()));
    assert_eq!(state(store, ListOptions::default()).await, ["/free=1"]);
    assert_eq!(list(store, KeyRange::all(), at(before)).await.count, 4, "the past is as it was");
    let batch = next(&mut live).await;
    let mut words = told(&batch);
    words.sort();
    assert_eq!((batch.revision, words.join(" ")), (revoked, "-/a -/b -/c".to_owned()));
    assert!(batch.events.iter().all(|event| event.previous.as_ref().is_some_and(|kv| kv.lease == lease)));
    assert_eq!(told(&next(&mut one).await), ["-/b"]);
    let mut late = watch(store, KeyRange::all(), WatchOptions::from(revoked)).await;
    assert_eq!(next(&mut late).await.events.len(), 3);
}

pub(super) async fn a_lease_without_keys_is_revoked_quietly(subject: Subject) {
    let before = put(&subject.store, "/a", "1").await;
    let lease = grant(&subject).await;
    assert_eq!(subject.leases().revoke(lease).await.unwrap(), before);
    assert_eq!(newest(&subject.store).await, before);
    assert!(is_there(&subject.store, "/a").await);
}

pub(super) async fn a_key_moves_between_leases(subject: Subject) {
    let store = &subject.store;
    let (one, other) = (grant(&subject).await, grant(&subject).await);
    put_leased(store, "/a", "1", one).await;
    put_leased(store, "/b", "1", one).await;
    put_leased(store, "/a", "2", other).await;
    assert_eq!(
        (keys(&subject, one).await, keys(&subject, other).await),
        (vec!["/b".into()], vec!["/a".into()])
    );
    subject.leases().revoke(one).await.unwrap();
    assert_eq!(state(store, ListOptions::default()).await, ["/a=2"]);
    subject.leases().revoke(other).await.unwrap();
    assert_eq!(state(store, ListOptions::default()).await, [""; 0]);
}

pub(super) async fn a_put_without_lease_detaches(subject: Subject) {
    let store = &subject.store;
    let lease = grant(&subject).await;
    put_leased(store, "/a", "1", lease).await;
    put_leased(store, "/b", "1", lease).await;
    put(store, "/a", "2").await;
    let detach = Op::Put { key: "/b".into(), value: None, lease: Some(0), previous: false };
    let newest = commit(store, Txn::new().then(detach)).await.revision;
    assert_eq!((held(store, "/a").await.lease, held(store, "/b").await.lease), (0, 0));
    assert_eq!(keys(&subject, lease).await, [""; 0]);
    assert_eq!(subject.leases().revoke(lease).await.unwrap(), newest);
    assert_eq!(state(store, ListOptions::default()).await, ["/a=2", "/b=1"]);
}

pub(super) async fn a_put_may_keep_the_lease(subject: Subject) {
    let store = &subject.store;
    let (one, other) = (grant(&subject).await, grant(&subject).await);
    put_leased(store, "/a", "1", one).await;
    put_leased(store, "/b", "1", one).await;
    let keep = |key: &'static str, value: Option<&'static str>, lease| Op::Put {
        key: key.into(),
        value: value.map(Into::into),
        lease,
        previous: false,
    };
    commit(store, Txn::new().then(keep("/a", Some("2"), None)).then(keep("/b", None, Some(other)))).await;
    let (a, b) = (held(store, "/a").await, held(store, "/b").await);
    assert_eq!((&a.value[..], a.lease, &b.value[..], b.lease), (&b"2"[..], one, &b"1"[..], other));
    commit(store, Txn::new().then(keep("/a", None, None))).await;
    let a = held(store, "/a").await;
    assert_eq!((&a.value[..], a.lease, a.version), (&b"2"[..], one, 3));
    assert_eq!(
        (keys(&subject, one).await, keys(&subject, other).await),
        (vec!["/a".into()], vec!["/b".into()])
    );
    subject.leases().revoke(one).await.unwrap();
    assert_eq!(state(store, ListOptions::default()).await, ["/b=1"]);
}

pub(super) async fn a_deleted_key_leaves_its_lease(subject: Subject) {
    let store = &subject.store;
    let lease = grant(&subject).await;
    for key in ["/a", "/b", "/c"] {
        put_leased(store, key, "1", lease).await;
    }
    delete(store, "/a").await;
    delete(store, "/b").await;
    put(store, "/b", "2").await;
    assert_eq!(keys(&subject, lease).await, ["/c"]);
    subject.leases().revoke(lease).await.unwrap();
    assert_eq!(state(store, ListOptions::default()).await, ["/b=2"]);
}

pub(super) async fn leases_of_keys_are_compared(subject: Subject) {
    let store = &subject.store;
    let lease = subject.leases().grant(100, LONG).await.unwrap().id;
    put_leased(store, "/a", "1", lease).await;
    put(store, "/b", "1").await;
    for relation in [Relation::Less, Relation::Equal, Relation::Greater, Relation::NotEqual] {
        for than in [0, 99, 100, 101] {
            for (key, of) in [("/a", 100), ("/b", 0), ("/absent", 0)] {
                let compare = Compare::key(key, Condition::Lease(relation, than));
                let succeeded = commit(store, Txn::new().when(compare)).await.succeeded;
                assert_eq!(succeeded, relation.holds(&of, &than), "{key} {relation:?} {than}");
            }
        }
    }
}

pub(super) async fn the_past_remembers_leases(subject: Subject) {
    let store = &subject.store;
    let (one, other) = (grant(&subject).await, grant(&subject).await);
    let first = put_leased(store, "/a", "1", one).await;
    let second = put_leased(store, "/a", "2", other).await;
    let third = put(store, "/a", "3").await;
    subject.leases().revoke(one).await.unwrap();
    for (revision, lease) in [(first, one), (second, other), (third, 0)] {
        assert_eq!(list(store, KeyRange::all(), at(revision)).await.items[0].lease, lease);
    }
}

pub(super) async fn keys_that_a_transaction_moves_are_attached(subject: Subject) {
    let store = &subject.store;
    let (one, other) = (grant(&subject).await, grant(&subject).await);
    put_leased(store, "/c", "1", one).await;
    put_leased(store, "/d", "1", one).await;
    let inner = Txn::new().then(Op::put_leased("/b", "1", other)).then(Op::delete(KeyRange::single("/d")));
    let txn = Txn::new()
        .then(Op::put_leased("/a", "1", one))
        .then(Op::Txn(inner))
        .then(Op::put_leased("/c", "1", other));
    commit(store, txn).await;
    assert_eq!(keys(&subject, one).await, ["/a"]);
    assert_eq!(keys(&subject, other).await, ["/b", "/c"]);
}

pub(super) async fn no_key_outlives_its_lease_amid_writes(subject: Subject) {
    let store = &subject.store;
    for round in 0..5 {
        let lease = grant(&subject).await;
        let writer = async |writer: usize| {
            for number in 0..40 {
                let op = Op::put_leased(format!("/{round}/{writer}/{number}"), "x", lease);
                match store.commit(Txn::new().then(op)).await {
                    Ok(_) => {}
                    Err(Error::LeaseNotFound { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
                tokio::task::yield_now().await;
            }
        };
        let revoker = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            subject.leases().revoke(lease).await.unwrap()
        };
        join(revoker, join_all((0..8).map(writer))).await;
        assert_eq!(list(store, KeyRange::all(), ListOptions::default()).await.count, 0);
    }
}
