//! What is asked of the store: how often, how long. Under the names that kube-apiserver gives to its etcd,
//! which dashboards know.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use scc::{Equivalent, HashIndex};

use super::instrument::{Counter, Histogram};
use super::text::{Kind, Page};
use crate::api::{Revision, Scheme};
use crate::env::Clock;
use crate::store::{
    Committed, Condition, KeyRange, KeyValue, Leases, ListOptions, Maintenance, ObjectStore, Op,
    Page as StorePage, Relation, Result, Txn, WatchOptions, WatchStream,
};

/// Buckets of how long calls take, in seconds.
const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];

/// Calls of a store, by what is done and what the keys are of.
#[derive(Debug, Default)]
pub(crate) struct Calls(HashIndex<Key, Arc<Series>, rustc_hash::FxBuildHasher>);

/// Fields as in [`Asked`], in the same order, since both must hash alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    operation: &'static str,
    storage: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Asked<'a> {
    operation: &'static str,
    storage: &'a [u8],
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.operation == key.operation && self.storage == &*key.storage
    }
}

#[derive(Debug)]
struct Series {
    took: Histogram,
    failed: Counter,
}

/// A store whose calls are measured.
pub(crate) struct Measured {
    store: Arc<dyn ObjectStore>,
    calls: Arc<Calls>,
    clock: Clock,
}

impl Measured {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, calls: Arc<Calls>, clock: Clock) -> Self {
        Self { store, calls, clock }
    }

    async fn measure<T>(
        &self,
        operation: &'static str,
        key: &[u8],
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let start = self.clock.instant();
        let answer = call.await;
        let series = self.calls.series(Asked { operation, storage: storage(key) });
        series.took.took(self.clock.instant() - start);
        if answer.is_err() {
            series.failed.add(1);
        }
        answer
    }
}

#[async_trait]
impl ObjectStore for Measured {
    async fn revision(&self) -> Result<Revision> {
        self.store.revision().await
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.measure("get", key, self.store.get(key)).await
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<StorePage> {
        // Counts are taken for the metrics themselves.
        if options.count_only {
            return self.store.list(range, options).await;
        }
        let start = range.start.clone();
        self.measure("list", &start, self.store.list(range, options)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let (operation, key) = told(&txn);
        self.measure(operation, &key, self.store.commit(txn)).await
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.store.watch(range, options).await
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        self.store.request_progress(range).await
    }

    fn open(&self, key: &[u8], sealed: &Bytes) -> Result<Bytes> {
        self.store.open(key, sealed)
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.store.compact(revision).await
    }

    async fn is_stale(&self, key: &[u8]) -> Result<bool> {
        self.store.is_stale(key).await
    }

    fn wants_compaction(&self) -> bool {
        self.store.wants_compaction()
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.store.leases()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance()
    }
}

/// What a transaction does, by its first write, and to which key.
fn told(txn: &Txn) -> (&'static str, Bytes) {
    let first = txn.then.iter().find_map(|op| match op {
        Op::Put { key, .. } => Some((if creates(txn) { "create" } else { "update" }, key.clone())),
        Op::Delete { range, .. } => Some(("delete", range.start.clone())),
        _ => None,
    });
    first.unwrap_or(("get", Bytes::new()))
}

/// Whether a transaction only happens where a key is absent.
fn creates(txn: &Txn) -> bool {
    txn.compare.iter().any(|compare| match compare.condition {
        Condition::ModRevision(Relation::Equal, revision)
        | Condition::CreateRevision(Relation::Equal, revision) => revision == Revision::NONE,
        Condition::Version(Relation::Equal, version) => version == 0,
        _ => false,
    })
}

/// The part of a key that says what it is of: `pods` of `/registry/pods/default/web`. Where the first step is
/// a group, or shared as `services` is, the second belongs to it.
fn storage(key: &[u8]) -> &[u8] {
    let Some(rest) = key.strip_prefix(b"/registry/") else { return b"" };
    let step = |from: usize| rest[from..].iter().position(|byte| *byte == b'/').map(|at| from + at);
    let Some(first) = step(0) else { return b"" };
    if rest[..first].contains(&b'.') || &rest[..first] == b"services" {
        return step(first + 1).map_or(b"", |second| &rest[..second]);
    }
    &rest[..first]
}

impl Calls {
    fn series(&self, asked: Asked<'_>) -> Arc<Series> {
        if let Some(known) = self.0.peek_with(&asked, |_, series| series.clone()) {
            return known;
        }
        let key = Key { operation: asked.operation, storage: asked.storage.into() };
        let new = || Arc::new(Series { took: Histogram::seconds(SECONDS), failed: Counter::default() });
        self.0.entry_sync(key).or_insert_with(new).get().clone()
    }

    pub(super) fn write(&self, page: &mut Page, scheme: &Scheme) {
        let mut all = Vec::new();
        self.0.iter_sync(|key, series| {
            all.push((key.clone(), series.clone()));
            true
        });
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let rows: Vec<_> = scheme.iter().collect();
        let labelled: Vec<_> = all
            .iter()
            .map(|(key, series)| {
                let storage = String::from_utf8_lossy(&key.storage).into_owned();
                let row = rows.iter().find(|row| *row.storage == *storage);
                let (group, resource) = row
                    .map_or((String::new(), storage), |row| (row.group.to_string(), row.plural.to_string()));
                let labels =
                    [("group", group), ("operation", key.operation.to_owned()), ("resource", resource)];
                (labels, series)
            })
            .collect();
        let help = "[ALPHA] Etcd request latency in seconds for each operation and object type.";
        page.family("etcd_request_duration_seconds", Kind::Histogram, help);
        for (labels, series) in &labelled {
            page.histogram(labels, &series.took.read());
        }
        let help = "[ALPHA] Etcd request counts for each operation and object type.";
        page.family("etcd_requests_total", Kind::Counter, help);
        for (labels, series) in &labelled {
            page.count(labels, series.took.read().count);
        }
        let help = "[ALPHA] Etcd failed request counts for each operation and object type.";
        page.family("etcd_request_errors_total", Kind::Counter, help);
        for (labels, series) in labelled.iter().filter(|(_, series)| series.failed.get() > 0) {
            page.count(labels, series.failed.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Compare;

    #[test]
    fn a_key_says_what_it_is_of() {
        for (key, of) in [
            ("/registry/pods/default/web", "pods"),
            ("/registry/pods/", "pods"),
            ("/registry/services/specs/default/web", "services/specs"),
            ("/registry/example.com/widgets/default/one", "example.com/widgets"),
            ("/registry/example.com", ""),
            ("compact_rev_key", ""),
        ] {
            assert_eq!(storage(key.as_bytes()), of.as_bytes(), "{key}");
        }
    }

    #[test]
    fn a_transaction_is_what_its_first_write_does() {
        let put = |txn: Txn| txn.then(Op::put("/registry/pods/a", "1"));
        assert_eq!(told(&put(Txn::new().when(Compare::missing("/registry/pods/a")))).0, "create");
        assert_eq!(told(&put(Txn::new())).0, "update");
        let delete = Txn::new().then(Op::delete(KeyRange::single("/registry/pods/a")));
        assert_eq!(told(&delete), ("delete", Bytes::from("/registry/pods/a")));
    }
}
