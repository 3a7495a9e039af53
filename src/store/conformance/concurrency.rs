//! Many at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Store, bare, commit, list, next, put, watch};
use crate::store::{Compare, KeyRange, ListOptions, Op, Revision, Txn, WatchOptions};

const WRITERS: usize = 16;
const WRITES: usize = 20;

pub(super) async fn one_of_many_creators_wins(store: Store) {
    for round in 0..10 {
        let key = format!("/a/{round}");
        let creators = (0..WRITERS).map(|writer| {
            let txn =
                Txn::new().when(Compare::missing(key.clone())).then(Op::put(key.clone(), writer.to_string()));
            commit(&store, txn)
        });
        let answers = join_all(creators).await;
        let winners: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.succeeded).collect();
        assert_eq!(winners.len(), 1);
        let page = list(&store, KeyRange::single(key), ListOptions::default()).await;
        assert_eq!(page.items[0].value, winners[0].0.to_string());
        assert_eq!(page.items[0].mod_revision, winners[0].1.revision);
    }
}

pub(super) async fn increments_are_not_lost(store: Store) {
    put(&store, "/count", "0").await;
    let writer = async || {
        for _ in 0..WRITES {
            loop {
                let page = list(&store, KeyRange::single("/count"), ListOptions::default()).await;
                let held = &page.items[0];
                let count: usize = String::from_utf8_lossy(&held.value).parse().expect("a number");
                let txn = Txn::new()
                    .when(Compare::unchanged_since("/count", held.mod_revision))
                    .then(Op::put("/count", (count + 1).to_string()));
                if commit(&store, txn).await.succeeded {
                    break;
                }
            }
        }
    };
    join_all((0..WRITERS).map(|_| writer())).await;
    let page = list(&store, KeyRange::single("/count"), ListOptions::default()).await;
    assert_eq!(page.items[0].value, (WRITERS * WRITES).to_string());
    assert_eq!(page.items[0].version, (WRITERS * WRITES + 1) as u64);
}

/// Every writer writes its own key so often; answers the revisions.
async fn write(store: &Store) -> Vec<Revision> {
    let writer = async |writer: usize| {
        let mut revisions = Vec::new();
        for number in 0..WRITES {
            revisions.push(put(store, &format!("/w/{writer}"), &number.to_string()).await);
        }
        revisions
    };
    let revisions = join_all((0..WRITERS).map(writer)).await;
    assert!(revisions.iter().all(|of_one| of_one.is_sorted()));
    revisions.concat()
}

pub(super) async fn writers_make_distinct_revisions(store: Store) {
    let before = store.revision().await.unwrap();
    let revisions: BTreeSet<_> = write(&store).await.into_iter().collect();
    assert_eq!(revisions.len(), WRITERS * WRITES);
    assert_eq!(revisions.first(), Some(&before.next()));
    assert_eq!(revisions.last(), Some(&store.revision().await.unwrap()));
}

pub(super) async fn every_watch_sees_all_writers_once_and_in_order(store: Store) {
    let start = store.revision().await.unwrap().next();
    let mut watches = Vec::new();
    for _ in 0..8 {
        watches.push(watch(&store, KeyRange::prefix("/w/"), WatchOptions::default()).await);
    }
    let readers = watches.into_iter().map(|mut seen| async move {
        let mut batches = Vec::new();
        for _ in 0..WRITERS * WRITES {
            batches.push(bare(&next(&mut seen).await));
        }
        batches
    });
    let (_, all) = futures_util::future::join(write(&store), join_all(readers)).await;
    for batches in &all {
        let revisions: Vec<_> = batches.iter().map(|(revision, _)| revision.0).collect();
        assert_eq!(revisions, (start.0..start.0 + (WRITERS * WRITES) as u64).collect::<Vec<_>>());
        assert_eq!(batches, &all[0]);
    }
}

pub(super) async fn watches_that_start_amid_writes_miss_nothing(store: Store) {
    let start = store.revision().await.unwrap().next();
    let total = (WRITERS * WRITES) as u64;
    let reader = async |nth: u64| {
        // Begins once the store has come so far, from a revision that is past, present or to come.
        let mut waiting =
            watch(&store, KeyRange::all(), WatchOptions::from(Revision(start.0 + nth * 30))).await;
        let reached = next(&mut waiting).await.revision;
        for from in [start, reached, reached.next(), Revision(reached.0 + 5)] {
            let mut seen = watch(&store, KeyRange::prefix("/w/"), WatchOptions::from(from)).await;
            for revision in from.0..start.0 + total {
                assert_eq!(next(&mut seen).await.revision, Revision(revision));
            }
        }
    };
    futures_util::future::join(write(&store), join_all((0..10).map(reader))).await;
}

pub(super) async fn reads_amid_writes_see_whole_commits(store: Store) {
    let pair = |number: usize| {
        Txn::new().then(Op::put("/x", number.to_string())).then(Op::put("/y", number.to_string()))
    };
    commit(&store, pair(0)).await;
    let writer = async {
        for number in 1..200 {
            commit(&store, pair(number)).await;
            tokio::task::yield_now().await;
        }
    };
    let reader = async || {
        let mut last = Revision::NONE;
        for _ in 0..200 {
            let page = list(&store, KeyRange::all(), ListOptions::default()).await;
            assert_eq!(page.items[0].value, page.items[1].value);
            assert_eq!(page.items[0].mod_revision, page.items[1].mod_revision);
            assert!(page.revision >= last, "reads never go back");
            last = page.revision;
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::join(writer, join_all((0..4).map(|_| reader()))).await;
}
