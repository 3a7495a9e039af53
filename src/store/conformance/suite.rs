//! How the cases are run for one kind of store.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::{CASES, Case, Subject};

pub(super) type Make<T> = Box<dyn Fn(T) -> LocalBoxFuture<'static, Subject>>;

/// How to make stores of one kind, and how time passes for them. What
/// [`store_conformance!`](crate::store_conformance) is given behind the first semicolon are calls of
/// these methods.
pub struct Suite {
    make: Make<()>,
    pub(super) quota: Option<Make<u64>>,
    pub(super) restore: Option<Make<Bytes>>,
    paused: bool,
    all: bool,
    absent: Option<String>,
    skip: fn(&str, &str),
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("paused", &self.paused).field("all", &self.all).finish_non_exhaustive()
    }
}

fn boxed<T, F, S>(make: impl Fn(T) -> F + 'static) -> Make<T>
where
    F: Future<Output = S> + 'static,
    S: Into<Subject>,
{
    Box::new(move |given| {
        let making = make(given);
        Box::pin(async move { making.await.into() })
    })
}

impl Suite {
    /// The cases, for empty stores that this makes. Unless told otherwise, time is the machine's.
    #[must_use]
    pub fn new<F, S>(make: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
        S: Into<Subject>,
    {
        Self {
            make: boxed(move |()| make()),
            quota: None,
            restore: None,
            paused: false,
            all: false,
            absent: None,
            skip: |case, reason| eprintln!("SKIPPED {case}: {reason}"),
        }
    }

    /// How to make an empty store with a quota of so many bytes.
    #[must_use]
    pub fn quota<F, S>(mut self, make: impl Fn(u64) -> F + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
        S: Into<Subject>,
    {
        self.quota = Some(boxed(make));
        self
    }

    /// How to make a store of a snapshot's bytes.
    #[must_use]
    pub fn restore<F, S>(mut self, make: impl Fn(Bytes) -> F + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
        S: Into<Subject>,
    {
        self.restore = Some(boxed(make));
        self
    }

    /// Whether tokio's time is paused, so that leases expire without waiting. Only for stores that
    /// do all their work on the runtime: while a thread or a server works, paused time runs away.
    #[cfg(any(test, feature = "sim"))]
    #[must_use]
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Whether every case must run: what would be skipped fails.
    #[must_use]
    pub fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Why no such store can be made on this machine, if so: every case is skipped.
    #[must_use]
    pub fn absent(mut self, reason: Option<String>) -> Self {
        self.absent = reason;
        self
    }

    /// Who is told, with the case and the reason, when [`Suite::absent`] skips one.
    #[must_use]
    pub fn skip(mut self, told: fn(&str, &str)) -> Self {
        self.skip = told;
        self
    }

    /// Runs one case by its name, on a runtime of its own with one thread.
    ///
    /// # Panics
    ///
    /// When the store breaks the promise, when there is no such case, and when a case that must run
    /// cannot.
    pub fn run(self, name: &str) {
        let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
        if let Some(reason) = &self.absent {
            return (self.skip)(name, reason);
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all();
        #[cfg(any(test, feature = "sim"))]
        runtime.start_paused(self.paused);
        runtime.build().expect("a runtime").block_on(Rc::new(self).check(case));
    }

    async fn check(self: Rc<Self>, case: &Case) {
        let mut subject = (self.make)(()).await;
        subject.suite = Some(self.clone());
        if let Some(need) = subject.lacks(case.needs) {
            let reason = format!("it needs {need}, and there is none here");
            assert!(!self.all, "{} must run: {reason}", case.name);
            eprintln!("SKIPPED {}: {reason}", case.name);
            return;
        }
        let guards = subject.take_guards();
        (case.run)(subject).await;
        drop(guards);
    }
}
