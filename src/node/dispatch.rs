//! One worker a pod: started when the pod is first seen, told of every change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;

use super::admission::admit;
use super::context::Context;
use super::labels::POD_UID;
use super::worker::{Mailbox, PodWorker, remove_sandbox};
use crate::client::Change;
use crate::runtime::{ContainerRuntime, ContainerStatus, Result, SandboxId, SandboxStatus};

/// The workers of an agent.
#[derive(Clone)]
pub(super) struct Dispatch {
    context: Arc<Context>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By uid: a pod that was deleted and made anew is another pod.
    workers: BTreeMap<String, Arc<Mailbox>>,
    /// What the runtime had when the agent started and no pod has claimed yet.
    found: BTreeMap<String, Found>,
    /// Sandboxes that a newer one of the same pod has replaced.
    superseded: Vec<SandboxId>,
}

/// What a runtime has of one pod.
#[derive(Default)]
struct Found {
    sandbox: Option<SandboxStatus>,
    containers: Vec<ContainerStatus>,
}

impl Dispatch {
    /// Workers for what comes, which adopt what the runtime has now.
    pub(super) async fn new(context: Arc<Context>) -> Result<Self> {
        let (found, superseded) = find(&*context.runtime).await?;
        let state = State { workers: BTreeMap::new(), found, superseded };
        Ok(Self { context, state: Arc::new(Mutex::new(state)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the agent's informer tells.
    pub(super) fn take(&self, change: &Change<Pod>) {
        match change {
            Change::Applied { old, new, .. } => {
                if let Some(old) = old.as_ref().filter(|old| old.metadata.uid != new.metadata.uid) {
                    self.gone(old);
                }
                self.applied(new);
            }
            Change::Deleted { old, .. } => self.gone(old),
            Change::Synced => self.clear_orphans(),
        }
    }

    fn applied(&self, pod: &Arc<Pod>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let mut state = self.state();
        if let Some(mailbox) = state.workers.get(&uid) {
            return mailbox.post(pod.clone());
        }
        let known = state.found.remove(&uid);
        // What runs here was taken in before; only what is new is judged.
        let others: Vec<_> = state.workers.values().map(|mailbox| mailbox.pod()).collect();
        let started = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let judged = known.is_none() && !started && pod.metadata.deletion_timestamp.is_none();
        let rejection = judged.then(|| admit(pod, &others, &self.context.allocatable).err()).flatten();
        let found = known.unwrap_or_default();
        let mailbox = Mailbox::new(pod.clone());
        state.workers.insert(uid.clone(), mailbox.clone());
        drop(state);
        let worker =
            PodWorker::new(self.context.clone(), mailbox, found.sandbox, found.containers, rejection);
        let dispatch = self.clone();
        self.context.env.tasks.spawn("pod", async move {
            worker.run().await;
            dispatch.state().workers.remove(&uid);
        });
    }

    fn gone(&self, pod: &Pod) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if let Some(mailbox) = self.state().workers.get(uid) {
            mailbox.gone();
        }
    }

    /// Every pod of this node has been seen: what none of them claimed belongs to nobody.
    fn clear_orphans(&self) {
        let mut state = self.state();
        let orphans = std::mem::take(&mut state.found);
        let superseded = std::mem::take(&mut state.superseded);
        drop(state);
        let sandboxes = orphans.into_values().filter_map(|found| found.sandbox).map(|sandbox| sandbox.id);
        for id in sandboxes.chain(superseded) {
            let context = self.context.clone();
            self.context
                .env
                .tasks
                .spawn("orphan", async move { while !remove_sandbox(context.clone(), id.clone()).await {} });
        }
    }

    /// Tells workers of what happens in the runtime, for as long as it says so.
    pub(super) async fn follow_runtime(self) {
        let runtime = self.context.runtime.clone();
        let Some(events) = runtime.events() else { return };
        let mut events = events.subscribe();
        // What happened before the subscription was seen by nobody.
        for mailbox in self.state().workers.values() {
            mailbox.look();
        }
        while let Some(event) = events.next().await {
            if let Some(mailbox) = self.state().workers.get(&event.pod_uid) {
                mailbox.look();
            }
        }
    }
}

/// What the runtime has of pods, by uid, and the sandboxes that are no longer anybody's newest.
async fn find(runtime: &dyn ContainerRuntime) -> Result<(BTreeMap<String, Found>, Vec<SandboxId>)> {
    let mut found = BTreeMap::<String, Found>::new();
    let mut superseded = Vec::new();
    for sandbox in runtime.sandboxes().await? {
        let Some(uid) = sandbox.config.labels.get(POD_UID).cloned() else { continue };
        let newest = &mut found.entry(uid).or_default().sandbox;
        let older = match newest {
            Some(held) if held.config.attempt >= sandbox.config.attempt => Some(sandbox),
            _ => newest.replace(sandbox),
        };
        superseded.extend(older.map(|older| older.id));
    }
    for container in runtime.containers().await? {
        let uid = container.labels.get(POD_UID);
        if let Some(found) = uid.and_then(|uid| found.get_mut(uid)) {
            found.containers.push(container);
        }
    }
    Ok((found, superseded))
}

/// Removes every sandbox that an agent made in this runtime.
pub(super) async fn remove_everything(context: &Arc<Context>) {
    let Ok((found, superseded)) = find(&*context.runtime).await else { return };
    let sandboxes = found.into_values().filter_map(|found| found.sandbox).map(|sandbox| sandbox.id);
    let removals = sandboxes.chain(superseded).map(|id| remove_sandbox(context.clone(), id));
    futures_util::future::join_all(removals).await;
}
