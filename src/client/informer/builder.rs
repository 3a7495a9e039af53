//! How an informer is put together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::Notify;

use super::super::{Client, Target, Typed};
use super::copy::{Copy, Index};
use super::source::Source;
use super::{Change, Handler, Informer, Shared};
use crate::api::selector::{FieldSelector, LabelSelector};
use crate::api::{Resource, Revision};
use crate::env::Env;

/// What is to be copied, and how it is to be found.
pub struct InformerBuilder<K> {
    client: Arc<dyn Client>,
    resource: Arc<Resource>,
    namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
    indexes: Vec<Index<K>>,
    handlers: Vec<Handler<K>>,
    lean: bool,
}

impl<K: Typed> InformerBuilder<K> {
    pub(super) fn new(client: Arc<dyn Client>, resource: Arc<Resource>) -> Self {
        Self {
            client,
            resource,
            namespace: String::new(),
            labels: LabelSelector::default(),
            fields: FieldSelector::default(),
            indexes: Vec::new(),
            handlers: Vec::new(),
            lean: false,
        }
    }

    /// Only objects of one namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Only objects with these labels.
    #[must_use]
    pub fn labels(mut self, labels: LabelSelector) -> Self {
        self.labels = labels;
        self
    }

    /// Only objects with these fields.
    #[must_use]
    pub fn fields(mut self, fields: FieldSelector) -> Self {
        self.fields = fields;
        self
    }

    /// Leave `metadata.managedFields` out of the typed values, which are held for as long as the informer runs; the
    /// [object](Change::Applied) beside each still has them.
    #[must_use]
    pub fn without_managed_fields(mut self) -> Self {
        self.lean = true;
        self
    }

    /// File objects under the values that `values` gives, for [`Informer::by_index`].
    #[must_use]
    pub fn index(
        mut self,
        name: &'static str,
        values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.indexes.push(Index { name, values: Box::new(values) });
        self
    }

    /// Call `handler` with every change from the first on; see [`Informer::subscribe`].
    #[must_use]
    pub fn on_change(mut self, handler: impl FnMut(&Change<K>) + Send + 'static) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Starts to list and watch, as a task of `env`.
    pub fn start(self, env: &Env) -> Informer<K> {
        let copy = Copy {
            entries: BTreeMap::new(),
            postings: self.indexes.iter().map(|_| BTreeMap::new()).collect(),
            revision: Revision::NONE,
            synced: false,
        };
        let informer = Informer(Arc::new(Shared {
            resource: self.resource.clone(),
            indexes: self.indexes,
            copy: RwLock::new(copy),
            handlers: Mutex::new(self.handlers),
            lean: self.lean,
            moved: Notify::new(),
        }));
        let source = Source {
            client: self.client,
            target: Target::all(&self.resource).namespace(self.namespace),
            labels: self.labels,
            fields: self.fields,
            jitter: env.random.stream(&format!("informer/{}", self.resource.qualified())),
            env: env.clone(),
        };
        let shared = informer.clone();
        env.tasks.spawn("informer", async move { source.run(&shared).await });
        informer
    }
}
