//! What cases are written with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::env::Clock;
use crate::store::{
    Committed, Error, Event, EventKind, KeyRange, KeyValue, ListOptions, ObjectStore, Op, Page, Result,
    Revision, Txn, WatchBatch, WatchOptions, WatchStream,
};

/// How long a case waits for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Store = Arc<dyn ObjectStore>;

/// The next batch that has events.
pub(super) async fn next(watch: &mut WatchStream) -> WatchBatch {
    loop {
        let batch = item(watch).await.expect("the watch goes on");
        if !batch.events.is_empty() {
            return batch;
        }
    }
}

/// The error that ends a watch that has nothing else to deliver.
pub(super) async fn ending(watch: Result<WatchStream>) -> Error {
    match watch {
        Err(error) => error,
        Ok(mut watch) => loop {
            match item(&mut watch).await {
                Err(error) => return error,
                Ok(batch) => assert!(batch.events.is_empty(), "{batch:?}"),
            }
        },
    }
}

pub(super) async fn item(watch: &mut WatchStream) -> Result<WatchBatch> {
    let item = Clock::system().timeout(PATIENCE, watch.next()).await;
    item.expect("a watch delivers what there is").expect("a watch ends with an error")
}

pub(super) async fn put(store: &Store, key: &str, value: &str) -> Revision {
    commit(store, Txn::new().then(Op::put(key.to_owned(), value.to_owned()))).await.revision
}

pub(super) async fn delete(store: &Store, key: &str) -> Revision {
    commit(store, Txn::new().then(Op::delete(KeyRange::single(key.to_owned())))).await.revision
}

pub(super) async fn commit(store: &Store, txn: Txn) -> Committed {
    store.commit(txn).await.expect("a commit")
}

pub(super) fn at(revision: Revision) -> ListOptions {
    ListOptions { at: Some(revision), ..ListOptions::default() }
}

pub(super) async fn list(store: &Store, range: KeyRange, options: ListOptions) -> Page {
    store.list(range, options).await.expect("a list")
}

pub(super) async fn watch(store: &Store, range: KeyRange, options: WatchOptions) -> WatchStream {
    store.watch(range, options).await.expect("a watch")
}

/// `key=value` of everything, as of a revision.
pub(super) async fn state(store: &Store, options: ListOptions) -> Vec<String> {
    words(&list(store, KeyRange::all(), options).await)
}

pub(super) fn words(page: &Page) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    page.items.iter().map(|kv| format!("{}={}", text(&kv.key), text(&kv.value))).collect()
}

/// `key=value`, or `-key`, of each event.
pub(super) fn told(batch: &WatchBatch) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let word = |event: &Event| match event.kind {
        EventKind::Put => format!("{}={}", text(&event.kv.key), text(&event.kv.value)),
        EventKind::Delete => format!("-{}", text(&event.kv.key)),
    };
    batch.events.iter().map(word).collect()
}

/// A batch without what keys held before, which a store may tell unasked.
pub(super) fn bare(batch: &WatchBatch) -> (Revision, Vec<(EventKind, KeyValue)>) {
    (batch.revision, batch.events.iter().map(|event| (event.kind, event.kv.clone())).collect())
}

/// What a key holds, which must be there.
pub(super) async fn held(store: &Store, key: &str) -> KeyValue {
    store.get(key.as_bytes()).await.expect("a read").unwrap_or_else(|| panic!("{key} is there"))
}

/// Whether a key is there.
pub(super) async fn is_there(store: &Store, key: &str) -> bool {
    store.get(key.as_bytes()).await.expect("a read").is_some()
}

/// The newest revision.
pub(super) async fn newest(store: &Store) -> Revision {
    store.revision().await.expect("a revision")
}

/// Every revision from one to another, as far as a watch of everything tells them.
pub(super) async fn told_between(store: &Store, from: Revision, to: Revision) -> Vec<WatchBatch> {
    let mut batches = Vec::new();
    if from > to {
        return batches;
    }
    let mut seen = watch(store, KeyRange::all(), WatchOptions::from(from)).await;
    loop {
        let batch = next(&mut seen).await;
        let last = batch.revision >= to;
        batches.push(batch);
        if last {
            return batches;
        }
    }
}
