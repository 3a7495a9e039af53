//! The contract of [`Client`], as cases that any implementation can run.
//!
//! A case is data: a name, the promise that it holds the client to, and a function that is given a client of
//! a control plane and panics where the promise is broken. [`client_conformance!`](crate::client_conformance)
//! makes each a test of its own:
//!
//! ```no_run
//! # #[cfg(feature = "server")]
//! mod my_client {
//!     use std::sync::Arc;
//!     use windlass::client::Identity;
//!     use windlass::server::ApiServer;
//!     use windlass::store::MemoryStore;
//!
//!     windlass::client_conformance!({
//!         let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).build().await.unwrap();
//!         server.client(Identity::admin())
//!     });
//! }
//! ```
//!
//! The client must be an administrator's. Each case works in a namespace of its own, which it deletes at its
//! end, so that the suite runs against a cluster that others use, too: it needs nothing but an API server.
//! What must come is waited for; what must not come is told by something later that has come.

mod read;
mod watch;
mod world;
mod write;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::Client;
use crate::env::Env;
use world::World;

/// How long a case may take, in seconds: far more than any needs.
const PATIENCE_SECONDS: u64 = 60;

/// One promise, and how it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the case is called, and the test that the macro makes of it.
    pub name: &'static str,
    /// What the client promises.
    pub promise: &'static str,
    /// Checks it; panics where the promise is broken.
    run: fn(World) -> LocalBoxFuture<'static, ()>,
}

/// The client that is held to its contract, and what ends when a case has ended.
pub struct Subject {
    client: Arc<dyn Client>,
    end: Option<Box<dyn FnOnce() -> LocalBoxFuture<'static, ()>>>,
}

impl Subject {
    /// This client.
    #[must_use]
    pub fn new(client: Arc<dyn Client>) -> Self {
        Self { client, end: None }
    }

    /// The same, and this is done when the case has ended well.
    #[must_use]
    pub fn ended_by<F: Future<Output = ()> + 'static>(mut self, end: impl FnOnce() -> F + 'static) -> Self {
        self.end = Some(Box::new(move || Box::pin(end())));
        self
    }
}

impl From<Arc<dyn Client>> for Subject {
    fn from(client: Arc<dyn Client>) -> Self {
        Self::new(client)
    }
}

/// Runs the case of this name with the client that `make` makes.
///
/// # Panics
///
/// Where the promise is broken, where it takes longer than a minute to find out, and where there is no such
/// case.
pub fn run<M: Into<Subject>>(name: &str, make: impl AsyncFnOnce() -> M) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    runtime.block_on(async {
        let Subject { client, end } = make().await.into();
        let patience = std::time::Duration::from_secs(PATIENCE_SECONDS);
        let checked = async {
            let world = World::new(client).await;
            let left = world.clone();
            (case.run)(world).await;
            left.end().await;
        };
        let clock = Env::system().clock;
        assert!(
            clock.timeout(patience, checked).await.is_ok(),
            "{}: nothing came of it in a minute",
            case.promise
        );
        if let Some(end) = end {
            end().await;
        }
    });
}

macro_rules! cases {
    ($dollar:tt $($module:ident { $($name:ident: $promise:literal,)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            promise: $promise,
            run: |world| Box::pin($module::$name(world)),
        },)*)*];

        /// Makes a test of every case of a client's contract, for the client that the expression makes. It is
        /// evaluated for each test anew, inside an async block, and must make an administrator's client, as
        /// `Arc<dyn Client>`, or a [`Subject`](crate::client::conformance::Subject) that holds one.
        #[macro_export]
        macro_rules! client_conformance {
            ($dollar make:expr) => {$($(
                #[test]
                fn $name() {
                    $crate::client::conformance::run(stringify!($name), async || $dollar make);
                }
            )*)*};
        }
    };
}

cases! { $
write {
    what_is_made_is_there: "What a creation answers is what a read finds, with a uid and a revision.",
    a_name_is_taken_once: "A second object of a name is refused as existing already.",
    a_name_is_generated: "An object without a name gets one that begins as it says.",
    what_is_not_there_is_not_found: "Reads, updates, patches and deletions of nothing say that it is not found.",
    an_update_is_from_a_revision: "An update from a revision that is no longer the object's is a conflict, and changes nothing.",
    a_patch_changes_what_it_says: "JSON patches, merge patches and strategic merge patches change what they say and no more.",
    what_is_invalid_is_told: "An invalid object is refused with the fields that are wrong.",
    unknown_fields_are_refused_where_asked: "Strict field validation refuses fields that the kind does not have; else they are dropped.",
    a_dry_run_changes_nothing: "A dry run answers as the write would, and nothing of it stays.",
    a_deletion_says_whether_it_is_over: "A deletion answers the object while it lives on, and nothing once it is gone.",
    a_deletion_may_insist: "A deletion that insists on another uid or revision is a conflict, and deletes nothing.",
    a_deletion_needs_a_name: "A deletion without a name is refused, and is never that of all.",
    a_collection_has_no_name: "A deletion of many that names one is refused, and deletes nothing.",
    many_are_deleted_at_once: "A deletion of many deletes what is selected, and answers it.",
    one_of_many_wins: "Of many who update one revision at once, one wins.",
    a_status_is_written_by_itself: "A status is written by its subresource, and by nothing else.",
    a_scale_is_a_kind_of_its_own: "An object's Scale is read and written as a Scale, at the object's revision.",
}
read {
    what_is_written_is_listed: "A write that was answered is in every later list.",
    lists_are_in_order_and_of_one_revision: "Lists are sorted by namespace and name, and say their revision.",
    a_name_selects_one: "A list or watch whose target has a name is of that object alone.",
    selectors_select: "Lists hold what their label and field selectors select.",
    pages_make_the_whole: "Pages of a list are of one revision, and together they are the whole.",
    an_exact_revision_is_read_as_it_was: "A list at an exact revision shows what was there.",
    unknown_resources_are_not_found: "A resource that is not served is not found.",
    raw_requests_are_passed_on: "A raw request is answered as it is, be it a refusal.",
}
watch {
    a_watch_goes_on_from_a_revision: "A watch delivers what happened behind its revision, in order, each once.",
    a_watch_shows_what_comes_and_goes: "What comes to match is added, and what no longer does is deleted.",
    a_watch_begins_with_what_is_there: "A watch without a revision begins with what is there.",
    initial_events_have_an_end: "Initial events that were asked for end with a bookmark that says so.",
    a_watch_ends_in_its_time: "A watch ends without an error once its time is over.",
    a_deletion_is_told_with_the_last_state: "A deletion's event holds the last state, at the deletion's revision.",
}
}
