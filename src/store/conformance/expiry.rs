//! Leases, when time passes.
//!
//! Nothing here depends on how fast the machine is: what must not have happened yet is asserted only
//! where the clock, read behind the answer, says that it was too early.

use std::time::Duration;

use super::kit::PATIENCE;
use super::{Store, Subject, commit, held, is_there, newest, next, put, state, told, watch};
use crate::env::Clock;
use crate::store::{Error, KeyRange, ListOptions, Op, Txn, WatchOptions};

/// The shortest time to live that there is; a store may make it longer.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3600);
/// How often a case looks.
const LOOK: Duration = Duration::from_millis(100);

async fn put_leased(store: &Store, key: &'static str, lease: i64) {
    commit(store, Txn::new().then(Op::put_leased(key, "1", lease))).await;
}

/// Waits until a key is gone.
async fn gone(store: &Store, key: &str, ttl: Duration) {
    let clock = Clock::system();
    let end = clock.instant() + ttl + PATIENCE;
    while is_there(store, key).await {
        assert!(clock.instant() < end, "{key} outlives its lease");
        clock.sleep(LOOK).await;
    }
}

pub(super) async fn a_lease_expires(subject: Subject) {
    let store = &subject.store;
    let granted = subject.leases().grant(0, SHORT).await.unwrap();
    let txn = ["/c", "/a", "/b"]
        .into_iter()
        .fold(Txn::new(), |txn, key| txn.then(Op::put_leased(key, "1", granted.id)));
    commit(store, txn).await;
    let before = put(store, "/free", "1").await;
    let mut seen = watch(store, KeyRange::all(), WatchOptions::from(before.next()).with_previous()).await;
    let batch = next(&mut seen).await;
    let mut words = told(&batch);
    words.sort();
    assert_eq!((batch.revision, words.join(" ")), (before.next(), "-/a -/b -/c".to_owned()));
    assert!(
        batch.events.iter().all(|event| event.previous.as_ref().is_some_and(|kv| kv.lease == granted.id))
    );
    assert_eq!(state(store, ListOptions::default()).await, ["/free=1"]);
    assert_eq!(newest(store).await, before.next());
    // The lease itself may be taken off a list a moment later.
    let clock = Clock::system();
    let end = clock.instant() + PATIENCE;
    while !subject.leases().leases().await.unwrap().is_empty() {
        assert!(clock.instant() < end, "an expired lease is listed for ever");
        clock.sleep(LOOK).await;
    }
    let answer = subject.leases().keep_alive(granted.id).await;
    assert!(matches!(answer, Err(Error::LeaseNotFound { .. })), "{answer:?}");
}

pub(super) async fn a_lease_does_not_expire_before_its_time(subject: Subject) {
    let clock = Clock::system();
    let store = &subject.store;
    let before = clock.instant();
    let granted = subject.leases().grant(0, 2 * SHORT).await.unwrap();
    if store.commit(Txn::new().then(Op::put_leased("/a", "1", granted.id))).await.is_err() {
        assert!(clock.instant() >= before + granted.ttl, "the lease ended before its time");
        return;
    }
    loop {
        let there = is_there(store, "/a").await;
        let now = clock.instant();
        assert!(there || now >= before + granted.ttl, "gone after {:?} of {:?}", now - before, granted.ttl);
        assert!(now < before + granted.ttl + PATIENCE, "it does not expire");
        if !there {
            return;
        }
        clock.sleep(LOOK).await;
    }
}

pub(super) async fn a_lease_that_is_kept_alive_stays(subject: Subject) {
    let clock = Clock::system();
    let (store, leases) = (&subject.store, subject.leases());
    let mut renewed = clock.instant();
    let granted = leases.grant(0, 3 * SHORT).await.unwrap();
    if store.commit(Txn::new().then(Op::put_leased("/a", "1", granted.id))).await.is_err() {
        assert!(clock.instant() >= renewed + granted.ttl, "the lease ended before its time");
        return;
    }
    for _ in 0..4 {
        clock.sleep(granted.ttl / 2).await;
        let asked = clock.instant();
        match leases.keep_alive(granted.id).await {
            Ok(ttl) => assert_eq!(ttl, granted.ttl),
            Err(Error::LeaseNotFound { .. }) => {
                assert!(clock.instant() >= renewed + granted.ttl, "the lease ended before its time");
                return;
            }
            Err(error) => panic!("{error}"),
        }
        renewed = asked;
        let there = is_there(store, "/a").await;
        assert!(there || clock.instant() >= renewed + granted.ttl, "gone though kept alive");
    }
    gone(store, "/a", granted.ttl).await;
    assert!(clock.instant() >= renewed + granted.ttl, "the lease ended before its time");
}

pub(super) async fn only_the_expired_lease_ends(subject: Subject) {
    let (store, leases) = (&subject.store, subject.leases());
    let short = leases.grant(0, 2 * SHORT).await.unwrap();
    let long = leases.grant(0, LONG).await.unwrap();
    put_leased(store, "/long", long.id).await;
    put(store, "/free", "1").await;
    // On a machine that is too slow for this the lease is over already, which proves nothing.
    let txn = ["/moved", "/detached", "/short"]
        .into_iter()
        .fold(Txn::new(), |txn, key| txn.then(Op::put_leased(key, "1", short.id)));
    if store.commit(txn).await.is_err() {
        return;
    }
    put_leased(store, "/moved", long.id).await;
    put(store, "/detached", "1").await;
    gone(store, "/short", short.ttl).await;
    assert_eq!(state(store, ListOptions::default()).await, ["/detached=1", "/free=1", "/long=1", "/moved=1"]);
    assert_eq!((held(store, "/moved").await.lease, held(store, "/detached").await.lease), (long.id, 0));
    assert!(leases.time_to_live(long.id, false).await.is_ok());
}

pub(super) async fn the_time_that_is_left_shrinks(subject: Subject) {
    let (clock, leases) = (Clock::system(), subject.leases());
    let granted = leases.grant(0, LONG).await.unwrap();
    let first = leases.time_to_live(granted.id, false).await.unwrap();
    clock.sleep(2 * SHORT).await;
    let second = leases.time_to_live(granted.id, false).await.unwrap();
    assert_eq!((first.granted, second.granted), (granted.ttl, granted.ttl));
    assert!(first.remaining <= granted.ttl && second.remaining < first.remaining, "{first:?} {second:?}");
    leases.keep_alive(granted.id).await.unwrap();
    let renewed = leases.time_to_live(granted.id, false).await.unwrap();
    assert!(renewed.remaining <= granted.ttl, "{renewed:?}");
}
