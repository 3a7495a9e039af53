//! One informer for each resource, those of new CustomResourceDefinitions as they come.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio::sync::Notify;

use super::super::discovery::{self, Discovered};
use super::super::queue::Queue;
use super::graph::{Deletion, Graph, Node};
use super::{Meta, is_collected};
use crate::api::{Object, Resource};
use crate::client::{Change, Client, Informer};
use crate::env::Env;

/// How often discovery is asked without a reason, as kube-controller-manager does.
const EVERY: Duration = Duration::from_secs(30);
/// How soon it is asked again for a definition whose resource is not served yet.
const SOON: Duration = Duration::from_millis(100);

pub(super) struct Monitors {
    client: Arc<dyn Client>,
    graph: Arc<Mutex<Graph>>,
    queue: Queue<String>,
    env: Env,
    state: Mutex<State>,
    synced: Notify,
}

#[derive(Default)]
struct State {
    /// By group and plural name.
    running: BTreeMap<(String, String), Monitor>,
    /// All resources that are served, also those that are not collected.
    served: Vec<Arc<Resource>>,
    synced: bool,
}

struct Monitor {
    resource: Arc<Resource>,
    informer: Informer<Meta>,
    env: Env,
}

impl Monitors {
    pub(super) fn new(
        client: Arc<dyn Client>,
        graph: Arc<Mutex<Graph>>,
        queue: Queue<String>,
        env: &Env,
    ) -> Self {
        Self { client, graph, queue, env: env.clone(), state: Mutex::default(), synced: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every resource of the first discovery has been listed. Cancel safe.
    pub(super) async fn synced(&self) {
        loop {
            let notified = self.synced.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.state().synced {
                return;
            }
            notified.await;
        }
    }

    /// The resource whose objects are of this kind, in whatever version it is served.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.state().served.iter().find(|row| row.group == group && row.kind == kind).cloned()
    }

    /// Follows what is served, until the task ends.
    pub(super) async fn run(self: Arc<Self>) {
        let definitions = Informer::<CustomResourceDefinition>::builder(self.client.clone()).start(&self.env);
        let mut changes = definitions.changed_keys();
        let mut soon = SOON;
        loop {
            let wait = match discovery::resources(&*self.client).await {
                Ok(discovered) => {
                    let expected = expected(&definitions.list());
                    self.follow(discovered).await;
                    if expected.iter().all(|name| self.serves(name)) { EVERY } else { soon }
                }
                Err(error) => {
                    tracing::debug!(%error, "discovery failed");
                    soon
                }
            };
            crate::select! {
                Some(_) = changes.recv() => {
                    // One look answers all that has changed so far.
                    while changes.try_recv().is_ok() {}
                    soon = SOON;
                }
                () = self.env.clock.sleep(wait) => soon = (soon * 2).min(EVERY),
            }
        }
    }

    fn serves(&self, (group, plural): &(String, String)) -> bool {
        self.state().served.iter().any(|row| row.group == *group && row.plural == *plural)
    }

    /// Starts and stops informers, so that there is one for each resource that is collected.
    async fn follow(&self, discovered: Discovered) {
        let complete = discovered.failed.is_empty();
        for failed in &discovered.failed {
            tracing::debug!(failed, "discovery is incomplete");
        }
        let wanted: BTreeMap<_, _> = discovered
            .resources
            .iter()
            .filter(|row| is_collected(row))
            .map(|row| ((row.group.to_string(), row.plural.to_string()), row.clone()))
            .collect();
        let (started, stopped) = {
            let mut state = self.state();
            let mut stopped = Vec::new();
            if complete {
                let gone: BTreeSet<_> =
                    state.running.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
                stopped.extend(gone.iter().filter_map(|name| state.running.remove(name)));
                state.served = discovered.resources;
            } else {
                // What did not answer is still there.
                let known: Vec<_> = state.served.drain(..).collect();
                state.served = discovered.resources;
                for row in known {
                    if !state.served.iter().any(|new| new.group == row.group && new.plural == row.plural) {
                        state.served.push(row);
                    }
                }
            }
            let mut started = Vec::new();
            for (name, resource) in wanted {
                if let Entry::Vacant(vacant) = state.running.entry(name) {
                    let monitor = vacant.insert(self.start(resource));
                    started.push(monitor.informer.clone());
                }
            }
            (started, stopped)
        };
        for monitor in stopped {
            monitor.env.tasks.cancel();
            self.forget(&monitor);
        }
        for informer in started {
            // One that cannot be listed must not keep the others from being collected.
            let _ = self.env.clock.timeout(EVERY, informer.synced()).await;
        }
        self.state().synced = true;
        self.synced.notify_waiters();
    }

    fn start(&self, resource: Arc<Resource>) -> Monitor {
        let env = self.env.child();
        let (graph, queue, row) = (self.graph.clone(), self.queue.clone(), resource.clone());
        let informer = Informer::<Meta>::of(self.client.clone(), resource.clone())
            .on_change(move |change| {
                let mut graph = graph.lock().unwrap_or_else(PoisonError::into_inner);
                let look = match change {
                    Change::Applied { old, new, object } => {
                        // A name may pass to another object between two looks.
                        let before = old.as_ref().and_then(|old| old.metadata.uid.as_deref());
                        let replaced = before.filter(|uid| *uid != object.uid());
                        let mut look = replaced.map(|uid| graph.remove(uid)).unwrap_or_default();
                        look.extend(graph.apply(object.uid(), node(&row, new, object)));
                        look
                    }
                    Change::Deleted { old, .. } => {
                        graph.remove(old.metadata.uid.as_deref().unwrap_or_default())
                    }
                    Change::Synced => Vec::new(),
                };
                for uid in look {
                    queue.add(uid);
                }
            })
            .start(&env);
        Monitor { resource, informer, env }
    }

    /// A resource that is no longer served has no objects.
    fn forget(&self, monitor: &Monitor) {
        tracing::debug!(resource = monitor.resource.qualified(), "is no longer served");
        let mut graph = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in monitor.informer.list() {
            for uid in graph.remove(gone.metadata.uid.as_deref().unwrap_or_default()) {
                self.queue.add(uid);
            }
        }
    }
}

fn node(resource: &Arc<Resource>, meta: &Meta, object: &Object) -> Node {
    Node {
        resource: resource.clone(),
        key: object.key().clone(),
        owners: meta.metadata.owner_references.clone().unwrap_or_default(),
        deletion: Deletion::of(&meta.metadata),
    }
}

/// The resources that these definitions will serve, by group and plural name.
fn expected(definitions: &[Arc<CustomResourceDefinition>]) -> Vec<(String, String)> {
    let alive = definitions.iter().filter(|definition| definition.metadata.deletion_timestamp.is_none());
    alive.map(|definition| (definition.spec.group.clone(), definition.spec.names.plural.clone())).collect()
}
