//! Status, snapshots, restarts.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::join;

use super::kit::told_between;
use super::{Store, Subject, at, commit, delete, ending, held, list, newest, next, put, state, watch};
use crate::store::{
    Error, KeyRange, ListOptions, Op, Page, Revision, SnapshotStream, Txn, WatchBatch, WatchOptions,
};

const LONG: Duration = Duration::from_secs(3600);

/// What a store answers about everything from a floor on.
async fn answers(store: &Store, floor: Revision) -> (Vec<Page>, Vec<WatchBatch>) {
    let newest = newest(store).await;
    let mut pages = Vec::new();
    for revision in floor.0..=newest.0 {
        pages.push(list(store, KeyRange::all(), at(Revision(revision))).await);
    }
    let mut batches = told_between(store, floor.next(), newest).await;
    for batch in &mut batches {
        // Which previous values come unasked is not promised.
        batch.events = batch
            .events
            .iter()
            .cloned()
            .map(|event| crate::store::Event { previous: None, ..event })
            .collect();
    }
    (pages, batches)
}

/// Writes of every sort, with something compacted; answers the floor.
async fn history(store: &Store) -> Revision {
    for number in 0..10 {
        put(store, &format!("/a/{}", number % 4), &number.to_string()).await;
    }
    delete(store, "/a/3").await;
    let floor = put(store, "/b", "1").await;
    let txn = Txn::new().then(Op::delete(KeyRange::single("/a/2"))).then(Op::put("/c", "1"));
    commit(store, txn).await;
    put(store, "/a/2", "again").await;
    commit(store, Txn::new().then(Op::put("/binary", vec![0, 0xff]))).await;
    put(store, "/last", "").await;
    store.compact(floor).await.unwrap();
    floor
}

async fn read(mut snapshot: SnapshotStream) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(piece) = snapshot.next().await {
        bytes.extend_from_slice(&piece.expect("a piece of the snapshot"));
    }
    bytes.freeze()
}

pub(super) async fn the_status_tells_revision_and_floor(subject: Subject) {
    let store = &subject.store;
    let before = subject.maintenance().status().await.unwrap();
    assert_eq!(before.revision, newest(store).await);
    assert!(before.floor <= before.revision && !before.no_space, "{before:?}");
    let floor = history(store).await;
    let after = subject.maintenance().status().await.unwrap();
    assert_eq!((after.revision, after.floor), (newest(store).await, floor));
    assert!(after.size_bytes > 0 && after.in_use_bytes <= after.size_bytes && !after.no_space, "{after:?}");
}

pub(super) async fn defragmentation_changes_nothing(subject: Subject) {
    let store = &subject.store;
    let floor = history(store).await;
    let before = answers(store, floor).await;
    let mut seen = watch(store, KeyRange::all(), WatchOptions::default()).await;
    subject.maintenance().defragment().await.unwrap();
    assert_eq!(answers(store, floor).await, before);
    let written = put(store, "/after", "1").await;
    assert_eq!(next(&mut seen).await.revision, written);
    assert!(matches!(
        store.list(KeyRange::all(), at(Revision(floor.0 - 1))).await,
        Err(Error::Compacted { .. })
    ));
}

pub(super) async fn a_snapshot_waits_for_nobody(subject: Subject) {
    let store = &subject.store;
    history(store).await;
    let snapshot = subject.maintenance().snapshot().await.unwrap();
    for number in 0..50 {
        let written = put(store, "/meanwhile", &number.to_string()).await;
        assert_eq!(newest(store).await, written);
    }
    assert!(!read(snapshot).await.is_empty());
    drop(subject.maintenance().snapshot().await.unwrap());
    put(store, "/after", "1").await;
}

pub(super) async fn disarming_what_is_not_armed_changes_nothing(subject: Subject) {
    let before = put(&subject.store, "/a", "1").await;
    subject.maintenance().disarm().await.unwrap();
    assert_eq!(newest(&subject.store).await, before);
    assert!(!subject.maintenance().status().await.unwrap().no_space);
    put(&subject.store, "/a", "2").await;
}

pub(super) async fn a_snapshot_is_the_whole_store(subject: Subject) {
    let floor = history(&subject.store).await;
    let expected = answers(&subject.store, floor).await;
    let bytes = read(subject.maintenance().snapshot().await.unwrap()).await;
    let newest = newest(&subject.store).await;
    put(&subject.store, "/later", "1").await;
    let restored = subject.restored(bytes).await;
    let store = &restored.store;
    assert_eq!(answers(store, floor).await, expected);
    let below = store.list(KeyRange::all(), at(Revision(floor.0 - 1))).await;
    assert!(matches!(below, Err(Error::Compacted { .. })), "{below:?}");
    let error = ending(store.watch(KeyRange::all(), WatchOptions::from(Revision(1))).await).await;
    assert!(matches!(error, Error::Compacted { oldest } if oldest == floor), "{error}");
    assert_eq!(put(store, "/on", "1").await, newest.next(), "it goes on where the snapshot ended");
    assert_eq!(list(&subject.store, KeyRange::single("/on"), ListOptions::default()).await.count, 0);
}

pub(super) async fn a_snapshot_is_one_revision(subject: Subject) {
    let store = &subject.store;
    let pair = |number: usize| {
        Txn::new().then(Op::put("/x", number.to_string())).then(Op::put("/y", number.to_string()))
    };
    commit(store, pair(0)).await;
    let before = newest(store).await;
    let writer = async {
        for number in 1..100 {
            commit(store, pair(number)).await;
            tokio::task::yield_now().await;
        }
    };
    let reader = async {
        tokio::task::yield_now().await;
        read(subject.maintenance().snapshot().await.unwrap()).await
    };
    let ((), bytes) = join(writer, reader).await;
    let restored = subject.restored(bytes).await;
    let page = list(&restored.store, KeyRange::all(), ListOptions::default()).await;
    assert!(page.revision >= before && page.items.len() == 2, "{page:?}");
    assert_eq!(page.items[0].value, page.items[1].value);
    assert_eq!(page.items[0].mod_revision, page.items[1].mod_revision);
    assert_eq!(page.items[0].mod_revision, page.revision, "it ends with a whole commit");
}

pub(super) async fn a_snapshot_holds_the_leases(subject: Subject) {
    let granted = subject.leases().grant(4711, LONG).await.unwrap();
    commit(&subject.store, Txn::new().then(Op::put_leased("/a", "1", 4711))).await;
    put(&subject.store, "/free", "1").await;
    let bytes = read(subject.maintenance().snapshot().await.unwrap()).await;
    let restored = subject.restored(bytes).await;
    let status = restored.leases().time_to_live(4711, true).await.unwrap();
    assert_eq!((status.granted, status.keys), (granted.ttl, vec![Bytes::from("/a")]));
    assert_eq!(held(&restored.store, "/a").await.lease, 4711);
    restored.leases().revoke(4711).await.unwrap();
    assert_eq!(state(&restored.store, ListOptions::default()).await, ["/free=1"]);
}

pub(super) async fn what_was_acknowledged_is_there_again(subject: Subject) {
    let floor = history(&subject.store).await;
    let expected = answers(&subject.store, floor).await;
    let newest = newest(&subject.store).await;
    let mut subject = subject.reopen().await;
    for round in 1..4 {
        if round == 1 {
            assert_eq!(answers(&subject.store, floor).await, expected);
        }
        let below = subject.store.list(KeyRange::all(), at(Revision(floor.0 - 1))).await;
        assert!(matches!(below, Err(Error::Compacted { .. })), "{below:?}");
        let written = put(&subject.store, "/again", &round.to_string()).await;
        assert_eq!(written.0, newest.0 + round, "revisions go on");
        subject = subject.reopen().await;
        assert_eq!(held(&subject.store, "/again").await.version, round);
    }
}

pub(super) async fn watches_go_on_behind_a_restart(subject: Subject) {
    let first = put(&subject.store, "/a", "1").await;
    put(&subject.store, "/a", "2").await;
    let deleted = delete(&subject.store, "/a").await;
    let subject = subject.reopen().await;
    let mut seen = watch(&subject.store, KeyRange::all(), WatchOptions::from(first).with_previous()).await;
    let written = put(&subject.store, "/b", "1").await;
    let told: Vec<_> =
        [next(&mut seen).await, next(&mut seen).await, next(&mut seen).await, next(&mut seen).await]
            .iter()
            .map(|batch| (super::told(batch).join(" "), batch.revision))
            .collect();
    let expected = [("/a=1", first), ("/a=2", first.next()), ("-/a", deleted), ("/b=1", written)];
    assert_eq!(told, expected.map(|(word, revision)| (word.to_owned(), revision)));
}

pub(super) async fn leases_outlive_a_restart(subject: Subject) {
    let granted = subject.leases().grant(4711, LONG).await.unwrap();
    let gone = subject.leases().grant(0, LONG).await.unwrap();
    commit(&subject.store, Txn::new().then(Op::put_leased("/a", "1", 4711))).await;
    commit(&subject.store, Txn::new().then(Op::put_leased("/b", "1", 4711))).await;
    put(&subject.store, "/b", "free").await;
    subject.leases().revoke(gone.id).await.unwrap();
    let subject = subject.reopen().await;
    assert_eq!(subject.leases().leases().await.unwrap(), [4711]);
    let status = subject.leases().time_to_live(4711, true).await.unwrap();
    assert_eq!((status.granted, status.keys), (granted.ttl, vec![Bytes::from("/a")]));
    assert!(status.remaining > LONG / 2, "{:?}", status.remaining);
    assert_eq!(held(&subject.store, "/a").await.lease, 4711);
    subject.leases().revoke(4711).await.unwrap();
    assert_eq!(state(&subject.store, ListOptions::default()).await, ["/b=free"]);
    // A number that was given before is not given again while it is in use.
    assert_eq!(subject.leases().grant(4711, LONG).await.unwrap().id, 4711);
    let fresh = subject.leases().grant(0, LONG).await.unwrap();
    assert_ne!(fresh.id, 4711);
}
