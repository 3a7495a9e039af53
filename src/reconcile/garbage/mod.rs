//! Garbage collection: what belongs to nobody any more is deleted.
//!
//! Every object may name owners. When the last of them is gone, the object is garbage. An owner
//! that is deleted in the foreground waits (finalizer `foregroundDeletion`) until the dependents
//! that block it are gone; one that is deleted with `orphan` waits until none names it any more.
//! Rules as Kubernetes 1.36 (`pkg/controller/garbagecollector`).
//!
//! The collector follows the metadata of every resource that can be listed, watched and deleted,
//! those of CustomResourceDefinitions as they come, in a [`graph`]. The graph only says what to look
//! at. Before anything is deleted, the object and its absent owners are read from the server, by
//! name and uid: no cache that lags behind can make garbage of what is alive.

mod decide;
mod graph;
mod monitors;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::queue::Queue;
use super::{Error, EventKind, Events};
use crate::api::{Resource, Revision};
use crate::client::{self, Api, Client, DeleteOptions};
use crate::env::{Env, Task};
use decide::{Owner, Verdict, verdict};
use graph::{Deletion, FOREGROUND, Graph, Node, ORPHAN};
use monitors::Monitors;

/// How many absent owners are remembered. An uid that is gone never comes back.
const ABSENT: usize = 500;
const WORKERS: usize = 5;

/// An object of any kind, as far as the collector reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Meta {
    metadata: ObjectMeta,
}

/// The running collector.
pub(super) struct GarbageCollector {
    queue: Queue<String>,
    workers: Vec<Task<()>>,
    env: Env,
}

struct Collector {
    client: Arc<dyn Client>,
    graph: Arc<Mutex<Graph>>,
    monitors: Arc<Monitors>,
    queue: Queue<String>,
    absent: Mutex<BTreeSet<String>>,
    events: Events,
}

impl GarbageCollector {
    pub(super) fn start(client: Arc<dyn Client>, env: &Env, events: &Events) -> Self {
        let env = env.child();
        let queue = Queue::new(&env.clock);
        let graph = Arc::new(Mutex::new(Graph::default()));
        let monitors = Arc::new(Monitors::new(client.clone(), graph.clone(), queue.clone(), &env));
        env.tasks.spawn("monitors", monitors.clone().run());
        let collector = Arc::new(Collector {
            client,
            graph,
            monitors,
            queue: queue.clone(),
            absent: Mutex::default(),
            events: events.component("garbage-collector-controller"),
        });
        let workers =
            (0..WORKERS).map(|_| env.tasks.spawn("collect garbage", collector.clone().work())).collect();
        Self { queue, workers, env }
    }

    pub(super) async fn shutdown(self) {
        self.queue.close();
        for worker in self.workers {
            worker.join().await;
        }
        self.env.tasks.shutdown().await;
    }
}

impl Collector {
    async fn work(self: Arc<Self>) {
        crate::select! {
            () = self.monitors.synced() => {}
            () = self.queue.closed() => return,
        }
        while let Some(uid) = self.queue.next().await {
            match self.look(&uid).await {
                Ok(()) => self.queue.forget(&uid),
                Err(error) => {
                    let delay = self.queue.add_failed(uid.clone());
                    tracing::debug!(uid, %error, ?delay, "will look for garbage again");
                }
            }
            self.queue.done(&uid);
        }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self, node: &Node) -> Api<Meta> {
        let namespace = Some(node.key.namespace.clone()).filter(|namespace| !namespace.is_empty());
        Api::of(self.client.clone(), node.resource.clone(), namespace)
    }

    async fn look(&self, uid: &str) -> Result<(), Error> {
        let node = {
            let graph = self.graph();
            let Some(node) = graph.get(uid).cloned() else { return Ok(()) };
            if graph.is_at_rest(&node) {
                return Ok(());
            }
            node
        };
        match node.deletion {
            Deletion::Orphan => self.orphan(uid, &node).await,
            Deletion::Foreground => self.wait_for_dependents(uid, &node).await,
            // It goes without our help.
            Deletion::Background => Ok(()),
            Deletion::None => self.judge(uid, &node).await,
        }
    }

    /// Takes the owner out of all its dependents, then lets it go.
    async fn orphan(&self, uid: &str, node: &Node) -> Result<(), Error> {
        let dependents: Vec<Node> = self.graph().dependents(uid).map(|(_, node)| node.clone()).collect();
        for dependent in dependents {
            let Some(live) = self.api(&dependent).get_opt(&dependent.key.name).await? else { continue };
            let owners = live.metadata.owner_references.clone().unwrap_or_default();
            let left: Vec<_> = owners.iter().filter(|owner| owner.uid != uid).cloned().collect();
            if left.len() != owners.len() {
                self.set_owners(&dependent, &live.metadata, &left).await?;
            }
        }
        self.release(uid, node, ORPHAN).await
    }

    /// Lets an owner go when nothing blocks it, or has the dependents that block it looked at.
    async fn wait_for_dependents(&self, uid: &str, node: &Node) -> Result<(), Error> {
        let blocking: Vec<String> = {
            let graph = self.graph();
            let blocks = |node: &Node| {
                node.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
            };
            graph.dependents(uid).filter(|(_, node)| blocks(node)).map(|(uid, _)| uid.clone()).collect()
        };
        if blocking.is_empty() {
            return self.release(uid, node, FOREGROUND).await;
        }
        for dependent in blocking {
            self.queue.add(dependent);
        }
        Ok(())
    }

    /// Removes a finalizer of ours.
    async fn release(&self, uid: &str, node: &Node, finalizer: &str) -> Result<(), Error> {
        let Some(live) = self.api(node).get_opt(&node.key.name).await? else { return Ok(()) };
        let finalizers = live.metadata.finalizers.clone().unwrap_or_default();
        let left: Vec<_> = finalizers.iter().filter(|own| *own != finalizer).collect();
        if live.metadata.uid.as_deref() != Some(uid) || left.len() == finalizers.len() {
            return Ok(());
        }
        self.patch(node, &live.metadata, json!({"finalizers": left})).await
    }

    async fn set_owners(
        &self,
        node: &Node,
        live: &ObjectMeta,
        owners: &[OwnerReference],
    ) -> Result<(), Error> {
        self.patch(node, live, json!({"ownerReferences": owners})).await
    }

    /// Changes metadata of the very object that was read, as it was read.
    async fn patch(&self, node: &Node, live: &ObjectMeta, mut metadata: Value) -> Result<(), Error> {
        metadata["uid"] = json!(live.uid);
        metadata["resourceVersion"] = json!(live.resource_version);
        match self.api(node).merge_patch(&node.key.name, &json!({"metadata": metadata})).await {
            Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks an object's owners up, and deletes the object if it is garbage.
    async fn judge(&self, uid: &str, node: &Node) -> Result<(), Error> {
        let live = self.api(node).get_opt(&node.key.name).await?;
        let Some(live) = live.filter(|live| live.metadata.uid.as_deref() == Some(uid)) else {
            // The graph will hear of it.
            return Ok(());
        };
        let meta = live.metadata;
        let mut owners = Vec::new();
        for owner in meta.owner_references.iter().flatten() {
            let Some(found) = self.look_up(node, owner).await? else { return Ok(()) };
            owners.push((owner.clone(), found));
        }
        let (has_dependents, dependents_wait) = {
            let graph = self.graph();
            let mut dependents = graph.dependents(uid).map(|(_, node)| node.deletion).peekable();
            (dependents.peek().is_some(), dependents.any(|deletion| deletion == Deletion::Foreground))
        };
        // What its finalizers say, whether or not it is being deleted.
        let own = Deletion::of(&ObjectMeta { deletion_timestamp: Some(epoch()), ..meta.clone() });
        match verdict(&owners, own, has_dependents, dependents_wait) {
            Verdict::Keep => Ok(()),
            Verdict::Disown(left) => self.set_owners(node, &meta, &left).await,
            Verdict::Delete { propagation, unblock } => {
                if let Some(unblocked) = unblock {
                    self.set_owners(node, &meta, &unblocked).await?;
                    return Err(Error::other("unblocked its owners, to be deleted next"));
                }
                let mut options =
                    DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
                options.preconditions.uid.clone_from(&meta.uid);
                options.preconditions.resource_version =
                    meta.resource_version.as_deref().and_then(|text| text.parse::<Revision>().ok());
                match self.api(node).delete(&node.key.name, options).await {
                    Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// How the owner of an object is; `None` where the reference makes no sense and nothing may
    /// follow from it.
    async fn look_up(&self, node: &Node, owner: &OwnerReference) -> Result<Option<Owner>, Error> {
        if self.absent().contains(&owner.uid) {
            return Ok(Some(Owner::Absent));
        }
        let Some(resource) = self.monitors.kind(&owner.api_version, &owner.kind) else {
            return Err(Error::other(format!("no resource of kind {} {}", owner.api_version, owner.kind)));
        };
        if resource.namespaced() && node.key.namespace.is_empty() {
            self.warn_of_namespace(node, owner);
            return Ok(None);
        }
        let namespace = resource.namespaced().then(|| node.key.namespace.clone());
        let api: Api<Meta> = Api::of(self.client.clone(), resource, namespace);
        let live = api.get_opt(&owner.name).await?;
        let Some(live) = live.filter(|live| live.metadata.uid.as_ref() == Some(&owner.uid)) else {
            let mut absent = self.absent();
            if absent.len() >= ABSENT {
                absent.clear();
            }
            absent.insert(owner.uid.clone());
            return Ok(Some(Owner::Absent));
        };
        let waits = Deletion::of(&live.metadata) == Deletion::Foreground;
        Ok(Some(if waits { Owner::Waiting } else { Owner::Solid }))
    }

    fn absent(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn_of_namespace(&self, node: &Node, owner: &OwnerReference) {
        let message = format!(
            "ownerRef [{}/{}, name: {}, uid: {}] does not exist in namespace {:?}",
            owner.api_version, owner.kind, owner.name, owner.uid, node.key.namespace
        );
        let about = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(node.resource.api_version()),
            kind: Some(node.resource.kind.to_string()),
            name: Some(node.key.name.clone()),
            ..Default::default()
        };
        self.events.record(about, EventKind::Warning, "OwnerRefInvalidNamespace", message);
    }
}

fn epoch() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH)
}

/// What is collected: what can be found and deleted, and does not come and go by itself.
fn is_collected(resource: &Resource) -> bool {
    super::discovery::does(resource, &["list", "watch", "delete"]) && resource.kind != "Event"
}
