//! The contract of [`ObjectStore`], as cases that any implementor can run.
//!
//! A case is data: a name, the promise that it holds the store to, and a function that is given an
//! empty store and panics where the promise is broken. [`store_conformance!`](crate::store_conformance)
//! makes each a test of its own:
//!
//! ```no_run
//! mod my_store {
//!     windlass::store_conformance!(windlass::store::MemoryStore::new());
//! }
//! ```

mod concurrency;
mod kv;
mod txn;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;

use super::{
    Committed, Error, KeyRange, ListOptions, ObjectStore, Op, Page, Result, Revision, Txn, WatchBatch,
    WatchOptions, WatchStream,
};
use crate::env::Clock;

/// How long a case waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

type Store = Arc<dyn ObjectStore>;

/// One promise, and how it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the case is called, and the test that the macro makes of it.
    pub name: &'static str,
    /// What the store promises.
    pub promise: &'static str,
    /// Checks it with an empty store of its own; panics where the promise is broken.
    pub run: fn(Arc<dyn ObjectStore>) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($dollar:tt $($module:ident { $($name:ident: $promise:literal,)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            promise: $promise,
            run: |store| Box::pin($module::$name(store)),
        },)*)*];

        /// Makes a test of every case of the store's contract, for the store that the expression
        /// makes. It is evaluated for each test anew, inside an async block, and must make an empty
        /// store.
        #[macro_export]
        macro_rules! store_conformance {
            ($dollar make:expr) => {$($(
                #[test]
                fn $name() {
                    $crate::store::conformance::check(stringify!($name), async { $dollar make });
                }
            )*)*};
        }
    };
}

cases! { $
kv {
    an_empty_store_is_at_revision_one: "The revision of an empty store is 1, and it holds nothing.",
    a_write_is_seen_by_every_later_read: "Once a commit has answered, every later read sees it.",
    versions_count_the_writes_of_a_key: "A version counts writes since the creation, whose revision stays.",
    a_deleted_key_starts_anew: "A key that was deleted and written again is a new one.",
    keys_are_ordered_bytewise: "Keys are any bytes but none, and are ordered bytewise.",
    ranges_hold_what_is_between_their_ends: "A range holds the keys from its start up to its end.",
    a_limit_tells_how_much_there_is: "A page holds at most its limit, and says whether and how much there is more.",
    values_are_any_bytes: "A value may be empty, binary, and a megabyte long.",
    empty_keys_are_refused: "An empty key is refused wherever one key is named.",
    past_revisions_are_read_as_they_were: "Every revision above the floor is read as it was.",
    pages_of_a_past_revision_fit_together: "Pages that are read at one revision together make its state.",
    a_future_revision_is_refused: "A revision that has not happened cannot be read.",
    compaction_forgets_only_what_is_below: "Compaction makes what is below its revision unreadable, and nothing else.",
    compaction_is_refused_below_the_floor: "Compaction at or below the floor, or above the newest revision, is refused.",
}
txn {
    a_commit_makes_one_revision: "A commit makes one revision, however many keys it writes.",
    a_commit_that_writes_nothing_makes_none: "A commit that writes nothing makes no revision.",
    revisions_are_compared: "Revisions of a key compare as less, equal and greater; those of an absent one are 0.",
    versions_are_compared: "Versions of a key compare so too.",
    values_are_compared: "A value compares as equal only where there is one.",
    leases_are_compared: "A key without lease has lease 0.",
    all_comparisons_must_hold: "One comparison that does not hold is enough for the other branch.",
    the_other_branch_runs_otherwise: "Where a comparison does not hold, the other branch happens, and only that.",
    operations_see_those_before_them: "Operations of a branch see each other's effects, at the revision they share.",
    operations_answer_what_they_found: "A write answers what was there before.",
    a_branch_writes_a_key_once: "A branch that writes one key twice is refused, whether or not it would run.",
    a_range_is_deleted_as_one: "A range is deleted in one revision.",
}
watch {
    a_watch_sees_what_comes: "A watch from now sees every later revision of its range, and no earlier one.",
    a_watch_sees_only_its_range: "A watch sees what happens to the keys of its range only.",
    a_watch_sees_what_was: "A watch from a revision begins with it.",
    a_revision_is_one_batch: "All events of one revision come together, in the order of its operations.",
    a_deletion_names_its_key: "A deletion tells its key and revision, and holds no value.",
    events_are_what_was_stored: "An event holds what a read at its revision finds.",
    previous_values_come_where_asked_for: "What a key held before comes where asked for, and only there.",
    a_watch_goes_on_where_another_stopped: "A watch from the revision behind the last one seen misses and repeats nothing.",
    a_watch_below_the_floor_is_refused: "A watch from below the floor fails as compacted; one from the floor does not.",
    a_watch_never_skips_what_is_compacted: "A watch that is overtaken by compaction says so, or misses nothing.",
    compaction_leaves_watches_alone_that_are_up_to_date: "A watch that has seen everything goes on after compaction.",
    a_watch_from_the_future_waits: "A watch from a revision that has not happened begins with it.",
    a_watch_tells_its_progress: "A watch that is asked for progress says that it has seen everything.",
    progress_never_overtakes_events: "Progress is told behind every event that is not newer.",
    a_slow_watch_hinders_nobody: "A watch that nobody reads delays neither writers nor other watches, and loses nothing.",
    a_dropped_watch_is_gone: "Dropping a watch ends it, and nothing else.",
}
concurrency {
    one_of_many_creators_wins: "Of many that create one key, exactly one succeeds.",
    increments_are_not_lost: "Read, compare and write loses no update.",
    writers_make_distinct_revisions: "Of concurrent commits each makes a revision of its own.",
    every_watch_sees_all_writers_once_and_in_order: "Every watch sees the commits of all writers, each once, in one order.",
    watches_that_start_amid_writes_miss_nothing: "A watch that starts while others write misses nothing.",
    reads_amid_writes_see_whole_commits: "A read never sees half of a commit.",
}
}

/// Runs one case by its name, with the store that the future makes, on a runtime of its own.
///
/// # Panics
///
/// When the store breaks the promise, or there is no such case.
pub fn check<S: ObjectStore>(name: &str, make: impl Future<Output = S>) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tracing::debug!(name, promise = case.promise);
        (case.run)(Arc::new(make.await)).await;
    });
}

/// The next batch that has events.
async fn next(watch: &mut WatchStream) -> WatchBatch {
    loop {
        let batch = item(watch).await.expect("the watch goes on");
        if !batch.events.is_empty() {
            return batch;
        }
    }
}

/// The error that ends a watch that has nothing else to deliver.
async fn ending(watch: Result<WatchStream>) -> Error {
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

async fn item(watch: &mut WatchStream) -> Result<WatchBatch> {
    let item = Clock::system().timeout(PATIENCE, watch.next()).await;
    item.expect("a watch delivers what there is").expect("a watch ends with an error")
}

async fn put(store: &Store, key: &str, value: &str) -> Revision {
    commit(store, Txn::new().then(Op::put(key.to_owned(), value.to_owned()))).await.revision
}

async fn delete(store: &Store, key: &str) -> Revision {
    commit(store, Txn::new().then(Op::delete(KeyRange::single(key.to_owned())))).await.revision
}

async fn commit(store: &Store, txn: Txn) -> Committed {
    store.commit(txn).await.expect("a commit")
}

fn at(revision: Revision) -> ListOptions {
    ListOptions { at: Some(revision), ..ListOptions::default() }
}

async fn list(store: &Store, range: KeyRange, options: ListOptions) -> Page {
    store.list(range, options).await.expect("a list")
}

async fn watch(store: &Store, range: KeyRange, options: WatchOptions) -> WatchStream {
    store.watch(range, options).await.expect("a watch")
}

/// `key=value` of everything, as of a revision.
async fn state(store: &Store, options: ListOptions) -> Vec<String> {
    words(&list(store, KeyRange::all(), options).await)
}

fn words(page: &Page) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    page.items.iter().map(|kv| format!("{}={}", text(&kv.key), text(&kv.value))).collect()
}

/// `key=value`, or `-key`, of each event.
fn told(batch: &WatchBatch) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let word = |event: &super::Event| match event.kind {
        super::EventKind::Put => format!("{}={}", text(&event.kv.key), text(&event.kv.value)),
        super::EventKind::Delete => format!("-{}", text(&event.kv.key)),
    };
    batch.events.iter().map(word).collect()
}
