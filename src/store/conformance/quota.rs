//! What happens where there is no more room.

use std::time::Duration;

use super::{Subject, commit, delete, held, list, newest, next, put, watch};
use crate::store::{Error, KeyRange, ListOptions, Op, Txn, WatchOptions};

/// Room for some values, and more than an empty store takes up.
const QUOTA: u64 = 4 << 20;
const VALUE: usize = 64 << 10;
/// A store may notice late that it is full, but not this late.
const AT_MOST: usize = 64 * QUOTA as usize / VALUE;
const LONG: Duration = Duration::from_secs(3600);

/// A store that has just refused a put.
async fn full(subject: Subject) -> Subject {
    let subject = subject.with_quota(QUOTA).await;
    for number in 0..AT_MOST {
        match subject.store.commit(Txn::new().then(Op::put(format!("/a/{number}"), vec![7; VALUE]))).await {
            Ok(_) => {}
            Err(Error::NoSpace) => {
                assert!(number > 0, "an empty store has room");
                return subject;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a quota of {QUOTA} bytes holds {AT_MOST} values of {VALUE} bytes");
}

fn no_space<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::NoSpace)), "{answer:?}");
}

pub(super) async fn what_exceeds_the_quota_is_refused(subject: Subject) {
    let subject = full(subject).await;
    let store = &subject.store;
    let status = subject.maintenance().status().await.unwrap();
    assert!(status.no_space, "{status:?}");
    let before = newest(store).await;
    let first = list(store, KeyRange::all(), ListOptions::default().limit(1)).await.items.remove(0);
    // Once the alarm is raised, everything that may put is refused, however small. (A put in a
    // transaction within another escapes etcd's own count: `costTxn` of its `quota.go`, 3.4 and 3.5.)
    no_space(store.commit(Txn::new().then(Op::put("/small", "x"))).await);
    no_space(
        store.commit(Txn::new().then(Op::delete(KeyRange::all())).or_else(Op::put("/small", "x"))).await,
    );
    assert_eq!(newest(store).await, before);
    // What takes no room goes on.
    let mut seen = watch(store, KeyRange::all(), WatchOptions::default()).await;
    assert_eq!(held(store, "/a/0").await.value.len(), VALUE);
    assert_eq!(commit(store, Txn::new().then(Op::get("/a/0"))).await.revision, before);
    let deleted = commit(store, Txn::new().then(Op::delete(KeyRange::single(first.key.clone())))).await;
    assert_eq!(deleted.revision, before.next());
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, &batch.events[0].kv.key), (deleted.revision, &first.key));
    store.compact(deleted.revision).await.unwrap();
}

pub(super) async fn room_is_made_and_the_alarm_taken_back(subject: Subject) {
    let subject = full(subject).await;
    let (store, upkeep) = (&subject.store, subject.maintenance());
    let count = list(store, KeyRange::all(), ListOptions::default().count_only()).await.count;
    for number in 0..count {
        if number != 1 {
            delete(store, &format!("/a/{number}")).await;
        }
    }
    store.compact(newest(store).await).await.unwrap();
    upkeep.defragment().await.unwrap();
    no_space(store.commit(Txn::new().then(Op::put("/small", "x"))).await);
    upkeep.disarm().await.unwrap();
    let status = upkeep.status().await.unwrap();
    assert!(!status.no_space, "{status:?}");
    put(store, "/small", "x").await;
    commit(store, Txn::new().then(Op::put("/a/0", vec![8; VALUE]))).await;
    assert_eq!(list(store, KeyRange::all(), ListOptions::default()).await.count, 3);
    // The alarm is raised again where it is full again.
    for number in 0..AT_MOST {
        match store.commit(Txn::new().then(Op::put(format!("/b/{number}"), vec![9; VALUE]))).await {
            Ok(_) => {}
            Err(Error::NoSpace) => return assert!(upkeep.status().await.unwrap().no_space),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the quota holds once only");
}

pub(super) async fn no_lease_is_granted_without_room(subject: Subject) {
    let empty = subject.with_quota(QUOTA).await;
    let leases = empty.leases();
    let granted = leases.grant(0, LONG).await.unwrap();
    commit(&empty.store, Txn::new().then(Op::put_leased("/leased", "1", granted.id))).await;
    for number in 0.. {
        assert!(number < AT_MOST, "the quota holds nothing");
        match empty.store.commit(Txn::new().then(Op::put(format!("/a/{number}"), vec![7; VALUE]))).await {
            Ok(_) => {}
            Err(Error::NoSpace) => break,
            Err(error) => panic!("{error}"),
        }
    }
    no_space(leases.grant(0, LONG).await);
    assert_eq!(leases.keep_alive(granted.id).await.unwrap(), granted.ttl);
    leases.revoke(granted.id).await.unwrap();
    assert!(empty.store.get(b"/leased").await.unwrap().is_none());
}
