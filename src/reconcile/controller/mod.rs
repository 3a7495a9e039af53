//! The controller runtime: informers -> keys -> queue -> workers.
//!
//! ```text
//! informer --change--> mapping --keys--> queue --key--> worker: reconcile(key)
//!     ^                                    ^                |
//!     |                                    +-- again, later-+
//!     +---------- has it seen what the run wrote? ----------+
//! ```

mod builder;
pub mod map;
mod run;
mod source;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use builder::ControllerBuilder;

use super::Error;
use super::queue::Queue;
use crate::api::ObjectKey;
use crate::env::{Env, Task};

/// Brings one object, or all that hangs on it, to what it should be.
///
/// # Contract
///
/// - Level triggered: the key says *what* to look at, never what happened. A run reads the state
///   as it is and does what is missing. Nothing may depend on being called once for each event.
/// - A key whose object is gone is reconciled like any other.
///
/// # Ordering
///
/// One run a key at a time; runs of different keys may overlap. A run starts after the informers
/// of its controller have seen everything that the last run of this key wrote through the
/// controller's client.
///
/// # Idempotence
///
/// A run may be repeated at any time, whatever came of the last one.
///
/// # Cancel safety
///
/// The future is dropped when the controller's task group is cancelled, at any await.
///
/// # Errors
///
/// Any error brings the key back with exponential backoff, 5 ms to 1000 s.
///
/// # Example
///
/// ```
/// use windlass::api::ObjectKey;
/// use windlass::reconcile::{Action, Error, Reconciler};
///
/// struct Greeter;
///
/// #[async_trait::async_trait]
/// impl Reconciler for Greeter {
///     async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
///         println!("hello, {key}");
///         Ok(Action::Done)
///     }
/// }
/// ```
#[async_trait]
pub trait Reconciler: Send + Sync + 'static {
    /// Looks at one key and does what is missing.
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error>;
}

/// What should become of a key whose run succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, until something changes.
    Done,
    /// Run it again after so long, or when something changes.
    RequeueAfter(Duration),
}

/// A running controller. Dropping it leaves it running; see [`Controller::shutdown`].
pub struct Controller {
    name: &'static str,
    queue: Queue<ObjectKey>,
    workers: Vec<Task<()>>,
    env: Env,
}

impl Controller {
    /// The name it was built with.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Has a key reconciled, as if something about it had changed.
    pub fn trigger(&self, key: ObjectKey) {
        self.queue.add(key);
    }

    /// Whether no key is waiting, running or delayed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// Stops: runs that have begun and keys that are ready are finished, then every task ends.
    ///
    /// # Cancel safety
    ///
    /// A shutdown that is dropped half way leaves the controller running what is ready.
    pub async fn shutdown(self) {
        self.queue.close();
        for worker in self.workers {
            worker.join().await;
        }
        self.env.tasks.shutdown().await;
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("name", &self.name).finish_non_exhaustive()
    }
}
