//! The contract of [`ObjectStore`](super::ObjectStore), as cases that any implementor can run.
//!
//! A case is data: a name, the promise that it holds the store to, what it needs of a store besides
//! reads, commits and watches, and a function that is given an empty store and panics where the
//! promise is broken. [`store_conformance!`](crate::store_conformance) makes each a test of its own:
//!
//! ```no_run
//! mod my_store {
//!     windlass::store_conformance!(windlass::store::MemoryStore::new());
//! }
//! ```
//!
//! A store says what it can do by [`leases`](super::ObjectStore::leases) and
//! [`maintenance`](super::ObjectStore::maintenance); what
//! only its maker can do is given to the macro, as calls of [`Suite`]'s methods, and with the
//! store, as a [`Subject`]. A case that needs what is not there is skipped by its name:
//!
//! ```no_run
//! mod my_store {
//!     use windlass::store::conformance::Subject;
//!     # use windlass::store::MemoryStore;
//!     # struct Directory;
//!     # impl Directory { fn new() -> Self { Self } }
//!     # async fn open(_: &Directory) -> MemoryStore { MemoryStore::new() }
//!     windlass::store_conformance!({
//!         let directory = std::rc::Rc::new(Directory::new());
//!         let store = open(&directory).await;
//!         Subject::new(store).reopened_by(move || {
//!             let directory = directory.clone();
//!             async move { open(&directory).await }
//!         })
//!     }; skip = |case, reason| println!("{case} is skipped: {reason}"));
//! }
//! ```
//!
//! Beside the cases stand three things that a case cannot be: [`differential`] plays one program on
//! many stores and a naive [`model`]; [`linear`] decides whether what concurrent clients were answered
//! is what one store could have answered; and [`checks`] holds recorded watches to nine promises.
//!
//! The suite is judged by the original: it runs against a real etcd 3.4 as it does against the
//! stores here. So it waits with patience for what must come, never takes a delivery for immediate,
//! and allows a lease to live longer than was asked for.

pub mod checks;
mod concurrency;
pub mod differential;
mod expiry;
mod keep;
mod kit;
mod kv;
mod lease;
pub mod linear;
pub mod model;
mod nested;
mod promise;
mod quota;
mod subject;
mod suite;
mod txn;
mod upkeep;
mod watch;

use futures_util::future::LocalBoxFuture;

use self::kit::*;
pub use self::subject::{Need, Subject};
pub use self::suite::Suite;

/// One promise, and how it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the case is called, and the test that the macro makes of it.
    pub name: &'static str,
    /// What the store promises.
    pub promise: &'static str,
    /// What the case needs besides.
    pub needs: &'static [Need],
    /// Checks it with an empty store of its own; panics where the promise is broken.
    pub run: fn(Subject) -> LocalBoxFuture<'static, ()>,
}

macro_rules! cases {
    ($dollar:tt $($module:ident $needs:tt { $($name:ident: $promise:literal,)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            promise: $promise,
            needs: {
                #[allow(unused_imports, reason = "most cases need nothing")]
                use Need::*;
                &$needs
            },
            run: |subject| Box::pin($module::$name(subject.into())),
        },)*)*];

        /// Makes a test of every case of the store's contract, for the store that the expression
        /// makes. It is evaluated for each test anew, inside an async block, and must make an empty
        /// store, or a [`Subject`](crate::store::conformance::Subject) that holds one. Behind it may
        /// follow methods of [`Suite`](crate::store::conformance::Suite), as `; name = argument`.
        #[macro_export]
        macro_rules! store_conformance {
            ($dollar make:expr $dollar(; $dollar option:ident = $dollar value:expr)* $dollar(;)?) => {$($(
                #[test]
                fn $name() {
                    $crate::store::conformance::Suite::new(async || $dollar make)
                        $dollar(.$dollar option($dollar value))*
                        .run(stringify!($name));
                }
            )*)*};
        }
    };
}

cases! { $
kv [] {
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
    pages_of_the_past_count_and_cut: "A page of a past revision counts, cuts and leaves out values as one of the newest.",
    values_are_left_out_where_asked_for: "A list of keys only holds everything but the values.",
    revision_none_means_the_newest: "To read at revision 0 is to read the newest.",
    a_read_of_one_key_is_a_list_of_one: "Reading one key answers what a list of it holds, and nothing of an absent one.",
    compaction_keeps_what_is_live: "What is live at the floor stays, however long ago it was written.",
    what_is_read_sealed_opens: "A value that is read sealed, and opened, is what is read otherwise.",
    compaction_is_refused_below_the_floor: "Compaction at or below the floor, or above the newest revision, is refused.",
}
txn [] {
    a_commit_makes_one_revision: "A commit makes one revision, however many keys it writes.",
    a_commit_that_writes_nothing_makes_none: "A commit that writes nothing makes no revision.",
    revisions_are_compared: "Revisions of a key compare as less, equal and greater; those of an absent one are 0.",
    versions_are_compared: "Versions of a key compare so too.",
    values_are_compared: "A value compares as equal only where there is one.",
    values_are_ordered_bytewise: "Values compare bytewise, and no comparison of a value holds of an absent key.",
    comparisons_of_a_range_must_hold_of_all: "A comparison of a range holds where it holds of each of its keys; of an empty range, as of an absent key.",
    comparisons_see_the_state_before: "What a transaction compares is what was there before it, whatever it writes.",
    leases_are_compared: "A key without lease has lease 0.",
    all_comparisons_must_hold: "One comparison that does not hold is enough for the other branch.",
    the_other_branch_runs_otherwise: "Where a comparison does not hold, the other branch happens, and only that.",
    operations_see_those_before_them: "Operations of a branch see each other's effects, at the revision they share.",
    operations_answer_what_they_found: "A write answers what was there before.",
    past_revisions_are_read_within: "A transaction reads past revisions; one that it cannot read refuses the whole.",
    reads_within_count_and_cut: "A read within a transaction has limits, counts and keys only, as any other.",
    the_branch_that_does_not_run_is_not_asked: "What the other branch could not do refuses nothing.",
    a_branch_writes_a_key_once: "A branch that writes one key twice is refused, whether or not it would run.",
    a_range_is_deleted_as_one: "A range is deleted in one revision.",
    large_ranges_are_deleted_as_one: "A range of many keys is deleted in one revision, and told in one batch.",
}
nested [] {
    a_transaction_within_shares_the_revision: "A transaction within writes at the revision of the outermost one.",
    a_transaction_within_compares_the_state_before: "What a transaction within compares is the state before the outermost one.",
    a_transaction_within_sees_writes_before_it: "What a transaction within reads is what the operations before it left.",
    branches_within_are_chosen_by_themselves: "Each transaction within chooses its own branch, at any depth.",
    a_key_is_written_once_through_all_depths: "A key written twice is refused through all depths; the two branches of one transaction may both write it.",
    a_failure_within_leaves_nothing_behind: "What a transaction within cannot do refuses the whole.",
    nothing_written_within_makes_no_revision: "Transactions within that write nothing make no revision.",
}
keep [] {
    a_put_may_keep_the_value: "A put without value keeps the one that is there, and is a write all the same.",
    a_put_that_keeps_wants_its_key: "A put that keeps what an absent key has is refused, with everything beside it.",
    previous_values_are_answered_whole: "What a write answers of before is what a read found, with history.",
}
lease [Leases] {
    a_lease_is_granted: "A lease has a number and a time to live in whole seconds, not shorter than asked for.",
    a_lease_has_the_number_asked_for: "A lease has the number asked for, once.",
    a_lease_lives_no_longer_than_forever: "A time to live above the longest is refused.",
    leases_are_listed: "The leases are listed in order until they are revoked.",
    a_lease_knows_its_keys: "A lease answers its keys in order, where asked for.",
    unknown_leases_are_refused: "To keep alive, revoke, ask for, or attach to a lease that is not there is refused.",
    an_unknown_lease_leaves_nothing_behind: "A commit that names an unknown lease does nothing at all.",
    a_key_tells_its_lease: "Reads, events and previous values tell the lease of a key.",
    a_lease_is_revoked_with_its_keys: "To revoke a lease deletes its keys in one revision, which watches see in one batch.",
    a_lease_without_keys_is_revoked_quietly: "To revoke a lease without keys makes no revision.",
    a_key_moves_between_leases: "A key belongs to the lease that its last write named.",
    a_put_without_lease_detaches: "A key that is written without a lease belongs to none.",
    a_put_may_keep_the_lease: "A put that keeps the lease keeps it; one that keeps the value may change the lease.",
    a_deleted_key_leaves_its_lease: "A key that was deleted belongs to no lease, even when it is written again.",
    leases_of_keys_are_compared: "The lease of a key compares as any number.",
    the_past_remembers_leases: "A read of the past tells the lease that a key had then.",
    keys_that_a_transaction_moves_are_attached: "A transaction attaches its keys to different leases at once.",
    no_key_outlives_its_lease_amid_writes: "Whatever is written while a lease is revoked, no key of it stays.",
}
expiry [Leases] {
    a_lease_expires: "A lease that nobody keeps alive ends, and its keys with it, in one revision.",
    a_lease_does_not_expire_before_its_time: "No key of a lease goes away before its time.",
    a_lease_that_is_kept_alive_stays: "A lease that is kept alive stays, and ends when it no longer is.",
    only_the_expired_lease_ends: "A lease that expires takes no key of another with it, and none that left it.",
    the_time_that_is_left_shrinks: "The time that is left is never more than was granted, and shrinks.",
}
upkeep [Maintenance] {
    the_status_tells_revision_and_floor: "The status tells the newest revision, the floor, and sizes that make sense.",
    defragmentation_changes_nothing: "Defragmentation changes no answer, past or present, and no watch.",
    a_snapshot_waits_for_nobody: "A snapshot that nobody reads delays no writer, and can be read to its end.",
    disarming_what_is_not_armed_changes_nothing: "To take back an alarm that is not raised is no error.",
}
upkeep [Maintenance, Restore] {
    a_snapshot_is_the_whole_store: "A restored snapshot answers as the store did, from the floor on.",
    a_snapshot_is_one_revision: "A snapshot holds whole commits up to one revision, whatever is written meanwhile.",
}
upkeep [Maintenance, Restore, Leases] {
    a_snapshot_holds_the_leases: "A restored snapshot has the leases, and their keys.",
}
upkeep [Reopen] {
    what_was_acknowledged_is_there_again: "A store that is opened again answers as it did, the past and the floor included.",
    watches_go_on_behind_a_restart: "A watch from a revision before a restart misses nothing.",
}
upkeep [Reopen, Leases] {
    leases_outlive_a_restart: "Leases and their keys are there after a restart, with their time before them again.",
}
quota [Maintenance, Quota] {
    what_exceeds_the_quota_is_refused: "Where there is no more room, puts are refused, and reads, watches, deletions and compaction are not.",
    room_is_made_and_the_alarm_taken_back: "Once room has been made and the alarm is taken back, puts succeed.",
}
quota [Maintenance, Quota, Leases] {
    no_lease_is_granted_without_room: "While the alarm is raised, no lease is granted, and those that are can be kept alive and revoked.",
}
watch [] {
    a_watch_sees_what_comes: "A watch from now sees every later revision of its range, and no earlier one.",
    a_watch_sees_only_its_range: "A watch sees what happens to the keys of its range only.",
    a_watch_sees_what_was: "A watch from a revision begins with it.",
    a_revision_is_one_batch: "All events of one revision come together, in the order of its operations.",
    what_is_watched_sealed_opens: "A value that is watched sealed, and opened, is what is watched otherwise.",
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
promise [] {
    a_creation_says_so: "An event tells whether it created its key: by version 1, and equal revisions.",
    watches_of_one_range_agree: "Watches of one range tell the same, whenever they began and whatever they asked for.",
    a_watch_without_revision_begins_now: "A watch from revision 0 begins with what comes next.",
    many_keys_of_one_revision_come_together: "A revision of many keys is one batch, for each range what it holds of it.",
    nothing_is_told_of_what_did_not_happen: "Commits that fail, or write nothing, tell nothing.",
    a_write_of_the_same_value_is_told: "A write of the value that is there is an event like any other.",
    previous_values_are_whole: "A previous value comes with its revisions and version.",
    progress_is_a_bookmark: "A watch from behind the progress that was told misses nothing.",
    progress_waits_for_what_is_behind: "A watch that is behind says its progress behind what it has to tell.",
    progress_of_others_is_not_asked_for: "To ask for the progress of a range that nobody watches is no error.",
    a_watch_that_is_compacted_says_where_it_can_go_on: "The compaction revision that a cancelled watch tells can be listed and watched from.",
    a_list_and_a_watch_fit_together: "A list, and a watch from the revision behind it, miss nothing and repeat nothing.",
    an_answered_write_reaches_every_watch: "What has been answered reaches a watch that began before, soon.",
    a_watch_below_an_absent_floor_waits_for_nothing: "A watch from revision 1 of a store that has forgotten nothing tells everything.",
}
concurrency [] {
    one_of_many_creators_wins: "Of many that create one key, exactly one succeeds.",
    increments_are_not_lost: "Read, compare and write loses no update.",
    writers_make_distinct_revisions: "Of concurrent commits each makes a revision of its own.",
    every_watch_sees_all_writers_once_and_in_order: "Every watch sees the commits of all writers, each once, in one order.",
    watches_that_start_amid_writes_miss_nothing: "A watch that starts while others write misses nothing.",
    reads_amid_writes_see_whole_commits: "A read never sees half of a commit.",
}
}
