//! A store under test, with what a case may do to it from outside.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::suite::Suite;
use crate::store::{Leases, Maintenance, ObjectStore};

/// What a case needs of a store besides [`ObjectStore`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// [`ObjectStore::leases`] answers some.
    Leases,
    /// [`ObjectStore::maintenance`] answers some.
    Maintenance,
    /// The suite knows how to make a store with a quota: [`Suite::quota`].
    Quota,
    /// The suite knows how to make a store of a snapshot: [`Suite::restore`].
    Restore,
    /// The subject can be closed and opened again: [`Subject::reopened_by`].
    Reopen,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leases => "leases",
            Self::Maintenance => "maintenance",
            Self::Quota => "a way to make a store with a quota",
            Self::Restore => "a way to restore a snapshot",
            Self::Reopen => "a way to close a store and open it again",
        })
    }
}

type Reopen = Rc<dyn Fn() -> LocalBoxFuture<'static, Arc<dyn ObjectStore>>>;

/// A store under test. Any store is one; what else a subject has is said by its methods.
pub struct Subject {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) suite: Option<Rc<Suite>>,
    guards: Vec<Box<dyn Any>>,
    reopen: Option<Reopen>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

impl<S: ObjectStore> From<S> for Subject {
    fn from(store: S) -> Self {
        Self { store: Arc::new(store), suite: None, guards: Vec::new(), reopen: None }
    }
}

impl From<Subject> for Arc<dyn ObjectStore> {
    /// The store alone. What the subject holds besides is let go.
    fn from(subject: Subject) -> Self {
        subject.store
    }
}

impl Subject {
    /// A store under test.
    #[must_use]
    pub fn new(store: impl ObjectStore) -> Self {
        Self::from(store)
    }

    /// Something that must live as long as the store: its directory, its server.
    #[must_use]
    pub fn holding(mut self, guard: impl Any) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// How to open the same store again once it has been dropped.
    #[must_use]
    pub fn reopened_by<F, S>(mut self, open: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
        S: ObjectStore,
    {
        self.reopen = Some(Rc::new(move || {
            let opening = open();
            Box::pin(async move { Arc::new(opening.await) as Arc<dyn ObjectStore> })
        }));
        self
    }

    /// What of some needs is not met.
    pub(super) fn lacks(&self, needs: &[Need]) -> Option<Need> {
        let suite = self.suite.as_ref();
        let met = |need: &Need| match need {
            Need::Leases => self.store.leases().is_some(),
            Need::Maintenance => self.store.maintenance().is_some(),
            Need::Quota => suite.is_some_and(|suite| suite.quota.is_some()),
            Need::Restore => suite.is_some_and(|suite| suite.restore.is_some()),
            Need::Reopen => self.reopen.is_some(),
        };
        needs.iter().copied().find(|need| !met(need))
    }

    /// Takes what must outlive the case.
    pub(super) fn take_guards(&mut self) -> Vec<Box<dyn Any>> {
        std::mem::take(&mut self.guards)
    }

    pub(super) fn leases(&self) -> &dyn Leases {
        self.store.leases().expect("a case that needs leases says so")
    }

    pub(super) fn maintenance(&self) -> &dyn Maintenance {
        self.store.maintenance().expect("a case that needs maintenance says so")
    }

    /// Closes the store and opens it again.
    pub(super) async fn reopen(self) -> Self {
        let open = self.reopen.clone().expect("a case that reopens says so");
        drop(self.store);
        let store = open().await;
        Self { store, ..self }
    }

    /// Another empty store, with a quota.
    pub(super) async fn with_quota(&self, bytes: u64) -> Self {
        let suite = self.suite.as_ref().expect("a case runs in a suite");
        (suite.quota.as_ref().expect("a case that needs a quota says so"))(bytes).await
    }

    /// Another store, restored from a snapshot.
    pub(super) async fn restored(&self, snapshot: Bytes) -> Self {
        let suite = self.suite.as_ref().expect("a case runs in a suite");
        (suite.restore.as_ref().expect("a case that restores says so"))(snapshot).await
    }
}
