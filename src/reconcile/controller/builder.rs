//! How a controller is put together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::queue::{Backoff, Queue};
use super::super::writes::Recording;
use super::run::Run;
use super::source::{InformerSource, Source};
use super::{Controller, Reconciler};
use crate::api::ObjectKey;
use crate::client::{Client, Informer, Typed};
use crate::env::Env;

/// Puts a controller together.
pub struct ControllerBuilder {
    name: &'static str,
    client: Arc<dyn Client>,
    env: Env,
    sources: Vec<Box<dyn Source>>,
    workers: usize,
    resync: Option<Duration>,
    backoff: Backoff,
}

impl Controller {
    /// A controller of this name that writes through `client`.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use windlass::client::{Api, Client, Informer};
    /// # use windlass::env::Env;
    /// # use windlass::reconcile::{Action, Controller, Error, Reconciler, map};
    /// # use windlass::api::ObjectKey;
    /// use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    ///
    /// # struct Mirror { secrets: Informer<Secret>, api: Api<ConfigMap> }
    /// # #[async_trait::async_trait]
    /// # impl Reconciler for Mirror {
    /// #     async fn reconcile(&self, _: &ObjectKey) -> Result<Action, Error> { Ok(Action::Done) }
    /// # }
    /// # async fn f(client: Arc<dyn Client>, env: Env) {
    /// let secrets = Informer::<Secret>::builder(client.clone()).start(&env);
    /// let config_maps = Informer::<ConfigMap>::builder(client.clone()).start(&env);
    /// let controller = Controller::builder("mirror", client, &env)
    ///     .watch(&secrets, map::itself)
    ///     .watch(&config_maps, map::controller::<ConfigMap, Secret>)
    ///     .start(|client| Mirror { secrets: secrets.clone(), api: Api::all(client) });
    /// # }
    /// ```
    pub fn builder(name: &'static str, client: Arc<dyn Client>, env: &Env) -> ControllerBuilder {
        ControllerBuilder {
            name,
            client,
            env: env.child(),
            sources: Vec::new(),
            workers: 5,
            resync: None,
            backoff: Backoff::default(),
        }
    }
}

impl ControllerBuilder {
    /// When an object of this informer changes, look at the keys that `map` gives for what it was
    /// and for what it is. A run that wrote to this resource is followed by the next one of its
    /// key only when the informer has seen that.
    ///
    /// Ready-made mappings stand in [`map`](super::map).
    #[must_use]
    pub fn watch<K: Typed>(
        mut self,
        informer: &Informer<K>,
        map: impl Fn(&K) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> Self {
        self.sources.push(Box::new(InformerSource {
            informer: informer.clone(),
            map: Arc::new(map),
            moved: Arc::new(Notify::new()),
        }));
        self
    }

    /// How many keys may be reconciled at once; 5 unless told otherwise.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Look at everything again this often; never, unless told otherwise.
    #[must_use]
    pub fn resync(mut self, every: Duration) -> Self {
        self.resync = Some(every);
        self
    }

    /// How long keys that failed wait.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Starts the controller. Its workers begin when every informer has its first list.
    ///
    /// `reconciler` is given the client to write through: what goes through it is noted, so that
    /// the next run of the same key sees it.
    pub fn start<R: Reconciler>(self, reconciler: impl FnOnce(Arc<dyn Client>) -> R) -> Controller {
        let queue = Queue::with_backoff(&self.env.clock, self.backoff);
        let reconciler = Arc::new(reconciler(Arc::new(Recording(self.client))));
        let sources: Arc<[Box<dyn Source>]> = self.sources.into();
        for source in sources.iter() {
            source.feed(&queue);
        }
        if let Some(every) = self.resync {
            let (queue, sources, clock) = (queue.clone(), sources.clone(), self.env.clock.clone());
            self.env.tasks.spawn("resync", async move {
                loop {
                    clock.sleep(every).await;
                    for source in sources.iter() {
                        source.resync(&queue);
                    }
                }
            });
        }
        let run = Run { name: self.name, queue: queue.clone(), sources, reconciler, env: self.env.clone() };
        let run = Arc::new(run);
        let workers =
            (0..self.workers).map(|_| self.env.tasks.spawn("reconcile", run.clone().work())).collect();
        Controller { name: self.name, queue, workers, env: self.env }
    }
}
