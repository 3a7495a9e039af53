//! Hooks: what production does to a client, on purpose.
//!
//! A test of an operator that only ever meets a control plane that answers at once proves little. [`Hooks`] hold
//! calls and watch events back, delay them, let some resources' events overtake others', fail chosen calls
//! before or after the deed, and end watches as expired. They work on one client, of any kind, or in a server,
//! for all who call it, in process and over HTTP:
//!
//! ```
//! # #[cfg(feature = "server")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use windlass::api::status;
//! use windlass::client::Identity;
//! use windlass::client::hooks::{Calls, Hooks};
//! use windlass::env::Env;
//! use windlass::server::ApiServer;
//! use windlass::store::MemoryStore;
//!
//! let env = Env::simulated(7);
//! let hooks = Hooks::new(&env);
//! let server = ApiServer::builder()
//!     .store(Arc::new(MemoryStore::new()))
//!     .env(env)
//!     .hooks(hooks.clone())
//!     .build()
//!     .await?;
//!
//! // The second creation of a Job is done, and the answer is lost.
//! let timeout = status::timeout("request did not complete within the allotted timeout");
//! hooks.on(Calls::to("jobs").verb("create").nth(2)).lose(timeout);
//! // Whatever the operator writes takes up to a second; the seed says how long.
//! hooks.on(Calls::any().user("operator").verbs(["create", "update", "patch"])).delay_up_to(Duration::from_secs(1));
//!
//! // Nobody hears of pods, while all else goes on: what the operator decides is decided on old news.
//! let held = hooks.events(Calls::to("pods")).hold();
//! let operator = server.client(Identity::user("operator").group("system:masters"));
//! // ... it runs, and has to cope ...
//! held.release();
//! // And then all of its watches must begin anew.
//! hooks.events(Calls::any().user("operator")).expire();
//! # Ok(())
//! # }
//! ```
//!
//! Everything goes by the environment's clock and seed: the same calls are treated the same way again. Hooks
//! that match the same call all apply, in the order in which they were hung up; the first that fails it ends it.
//! For faults below the API, in the store, see [`Faulty`](crate::store::Faulty).

mod calls;
mod gate;
mod hook;
mod hooked;
mod watch;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

pub use calls::Calls;
pub use gate::Gate;
pub use hook::{Events, Hook, On};

use crate::api::Status;
use crate::client::{Client, Identity, Request, Response};
use crate::env::{Clock, Env, Stream};
use calls::About;
use hook::{Action, Rule};
use watch::Live;

/// Hooks, hung up by a test while things run. Clones are the same hooks.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    clock: Clock,
    stream: Stream,
    rules: Mutex<Vec<Arc<Rule>>>,
    watches: Mutex<Vec<Weak<Live>>>,
}

/// What is to happen to the answer of a call that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    about: About,
    lost: Option<Box<Status>>,
}

impl Hooks {
    /// None yet. They take time from `env`, and what is up to chance from its stream `hooks`.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self::of_stream(env, "hooks")
    }

    /// The same, with a stream of their own.
    pub(crate) fn of_stream(env: &Env, stream: &str) -> Self {
        let (clock, stream) = (env.clock.clone(), env.random.stream(stream));
        Self(Arc::new(Inner { clock, stream, rules: Mutex::default(), watches: Mutex::default() }))
    }

    /// What is to happen to these calls.
    pub fn on(&self, calls: Calls) -> On<'_> {
        On::new(self, calls)
    }

    /// What is to happen to what the watches of these calls deliver.
    pub fn events(&self, calls: Calls) -> Events<'_> {
        Events::new(self, calls)
    }

    /// A client whose calls these hooks apply to.
    #[must_use]
    pub fn client(&self, inner: Arc<dyn Client>) -> Arc<dyn Client> {
        Arc::new(hooked::Hooked::new(inner, self.clone()))
    }

    /// Takes all hooks down, and lets go what is held.
    pub fn clear(&self) {
        let rules = std::mem::take(&mut *self.rules());
        for rule in rules {
            rule.open();
        }
    }

    /// Lets a call begin, once what holds it lets it go; fails where it is to fail before anything happens.
    pub(crate) async fn begin(&self, identity: &Identity, request: &Request) -> Result<Begun, Box<Status>> {
        let about = About::of(identity, request);
        let mut begun = Begun { lost: None, about };
        for (rule, action) in self.striking(&begun.about, false) {
            match action {
                Action::Fail(status) => return Err(status),
                Action::Lose(status) => begun.lost = begun.lost.or(Some(status)),
                action => self.wait(&rule, &action).await,
            }
        }
        Ok(begun)
    }

    /// The answer of a call, as the caller gets it.
    pub(crate) fn end(&self, begun: Begun, response: Response) -> Result<Response, Box<Status>> {
        match (begun.lost, response) {
            (Some(status), _) => Err(status),
            (None, Response::Watch(events)) => Ok(Response::Watch(watch::hooked(self, begun.about, events))),
            (None, response) => Ok(response),
        }
    }

    /// The hooks that apply to a call, or to an event of a watch, this time.
    fn striking(&self, about: &About, events: bool) -> Vec<(Arc<Rule>, Action)> {
        let rules = self.rules().clone();
        rules
            .into_iter()
            .filter(|rule| rule.events == events)
            .filter_map(|rule| rule.strikes(about).map(|action| (rule, action)))
            .collect()
    }

    async fn wait(&self, rule: &Rule, action: &Action) {
        match action {
            Action::Delay(time) => self.0.clock.sleep(*time).await,
            Action::DelayUpTo(longest) => {
                let time: Duration = longest.mul_f64(self.0.stream.unit());
                self.0.clock.sleep(time).await;
            }
            Action::Hold => rule.gate.pass().await,
            Action::Fail(_) | Action::Lose(_) => {}
        }
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Rule>>> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watches(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Live>>> {
        self.0.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rules().iter()).finish()
    }
}
